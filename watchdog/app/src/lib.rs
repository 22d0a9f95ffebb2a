//! The watchdog: an omen before the OOMKill. This crate is the wiring; what it wires lives in the rooms beside it.

pub mod app;
pub mod backtest;
pub mod cli;
pub mod clock;
pub mod config;
pub mod confine;
pub mod context;
pub mod doctor;
pub mod dumps;
pub mod heap;
pub mod log;
pub mod notify;
pub mod otlp;
pub mod policy;
pub mod pyroscope;
pub mod recorders;
pub mod render;
pub mod rules;
pub mod run;
pub mod signals;
pub mod state;
pub mod supervisor;
pub mod telling;
pub mod watcher;
pub mod workload;
