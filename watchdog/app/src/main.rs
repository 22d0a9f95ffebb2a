//! The watchdog: an omen before the OOMKill.

fn main() {}
