//! Made-up series whose truth is known.

use watchdog_core::sample::Sample;
use watchdog_core::verdict::Kind;

/// What is true of a series.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Truth {
    /// Memory grows until the kernel kills.
    Leak {
        /// Seconds at which the growth begins.
        onset: f64,
        /// Seconds of the kill: what counts against the limit reaches it. The series ends there.
        kill: f64,
        /// What kind of growth it is.
        kind: Kind,
    },
    /// Nothing leaks.
    Innocent,
}

/// A made-up series.
#[derive(Clone, Debug)]
pub struct Trace {
    /// The family's name.
    pub family: &'static str,
    /// The seed within the family.
    pub seed: u64,
    /// What is true of it.
    pub truth: Truth,
    /// In the order of time.
    pub samples: Vec<Sample>,
}
