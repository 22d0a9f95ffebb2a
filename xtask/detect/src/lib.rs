//! Measures the detector on series whose truth is known, beside the alert rules people run today.

pub mod generate;
pub mod rules;
