mod answers;
mod machine;
