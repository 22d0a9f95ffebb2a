//! What a detector has learned of a workload, in numbers that somebody else can judge it by.

use serde::{Deserialize, Serialize};

use crate::units::Bytes;

/// What is learned, on each time scale on which there was enough to learn from; empty while there was not.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Fit {
    /// Seconds over which the workload was watched, its former processes included; a week is remembered.
    pub watched: f64,
    /// The time scales, shortest first.
    pub scales: Vec<Scale>,
}

/// One time scale: a window of twelve buckets, whose minima are the lower envelope.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scale {
    /// Length of the window in seconds.
    pub window: f64,
    /// The lowest level that the lower envelope has been at in two weeks.
    pub lowest: Bytes,
    /// The highest level that it has been at and lived.
    pub record: Bytes,
    /// How far it moves from a bucket to the next: nineteen of twenty moves are smaller.
    pub step: Bytes,
    /// How far peaks reach above it within a bucket: nineteen of twenty are smaller.
    pub swing: Bytes,
}
