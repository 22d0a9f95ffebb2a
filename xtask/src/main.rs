//! The repository's own commands: demo, test, bench and the rules (tidy).

fn main() {}
