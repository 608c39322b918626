mod answers;
mod client;
mod wire;
