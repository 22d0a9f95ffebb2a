//! Measures the detector on series whose truth is known, beside the alert rules people run today.

pub mod backtest;
pub mod cost;
pub mod generate;
pub mod judge;
pub mod plot;
pub mod recorded;
pub mod report;
pub mod rules;
pub mod score;
