mod answers;
mod machine;
mod wire;
