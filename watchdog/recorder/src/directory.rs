//! How a recorder comes from the watchdog to a process: through a directory that both see.
//!
//! The watchdog keeps a few spare files there, `spare-N.rec`. A process that starts takes one by renaming it to
//! `claimed-PID-STARTTICKS.rec`, which only one of several can do. Neither needs the other to run at that moment, and
//! neither talks to the other. A file gets its spare name only once it is whole.

mod claim;
mod keeper;
mod name;

pub use claim::claim;
pub use keeper::{Claimed, Keeper};

#[cfg(test)]
#[cfg(not(miri))]
mod tests;
