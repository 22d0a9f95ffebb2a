//! Load scenarios against the shop's public endpoints.

fn main() { let _ = goose::GooseAttack::initialize(); }
