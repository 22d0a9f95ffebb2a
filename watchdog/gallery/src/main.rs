//! Small programs that leak, or only look like it.

fn main() {}
