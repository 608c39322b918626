mod answers;
mod client;
