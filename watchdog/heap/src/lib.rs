//! Heap profiles: capture over HTTP, jemalloc's format, symbolizing outside the target, the dump store.
//!
//! The way of a profile: [`capture`] fetches jemalloc's text and [`jemalloc`] reads it, [`culprit`] takes the
//! difference of two and names it through [`symbolize`], and [`store`] keeps the raw text for people. Every
//! format ends in `watchdog_core::profile::Profile`, so another source only has to produce one.

mod addresses;
pub mod capture;
pub mod collapsed;
pub mod culprit;
pub mod difference;
pub mod flamegraph;
pub mod format;
mod functions;
pub mod jemalloc;
pub mod pprof;
pub mod pyroscope;
pub mod recorder;
pub mod store;
pub mod symbolize;
pub mod symbols;
pub mod top;
