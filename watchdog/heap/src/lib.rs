//! Heap profiles: where they come from, their formats, names outside the target, the dump store.
//!
//! The way of a profile: [`recorder`] or [`capture`] gets it, [`jemalloc`] and [`pprof`] read it, [`culprit`] compares it
//! with earlier ones and names what grew through [`symbolize`], [`store`] keeps it, and [`pprof`], [`flamegraph`],
//! [`collapsed`] and [`top`] show it or a [`difference`]. Every source ends in `watchdog_core::profile::Profile` and, where
//! it brings names, in [`symbols`].

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
