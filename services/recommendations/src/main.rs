//! Recommendations: what is bought together, learned from orders as they come.

fn main() {}
