//! What a Rust service links to be watchable: allocator statistics and heap dumps on its admin port.
//!
//! Two lines, one at module level and one where the admin routes are put together:
//!
//! ```no_run
//! oomen_probe::install!();
//!
//! fn admin_routes() -> axum::Router {
//!     axum::Router::new().merge(oomen_probe::router())
//! }
//! # fn main() { admin_routes(); }
//! ```
//!
//! The first makes jemalloc the allocator, with heap profiling configured ([`CONFIGURATION`]); the second adds
//!
//! | path | answer |
//! |---|---|
//! | `GET /debug/allocator` | [`Statistics`] as JSON, in bytes |
//! | `GET /debug/pprof/heap` | jemalloc's own `heap_v2` text: raw addresses and the process's mappings |
//!
//! Serve them on loopback only: a heap profile tells how the program works. Names are put to the addresses by the
//! watchdog, never here, because symbolizing in the watched process costs it memory in proportion to its debug
//! information, which a process about to be killed does not have.
//!
//! Where the environment variable `OOMEN_RECORDER_DIR` names a directory that the watchdog tends, the heap profile is
//! also kept in a shared file there, from before `main` on: it can be read while the process hangs and after its kill.

mod configuration;
mod dump;
mod error;
#[cfg(feature = "frame-pointers")]
mod frame_pointers;
mod recorder;
mod routes;
mod statistics;

pub use configuration::CONFIGURATION;
pub use error::ProbeError;
pub use recorder::record;
pub use routes::router;
pub use statistics::Statistics;
/// The allocator that [`install!`] sets.
pub use tikv_jemallocator::Jemalloc;

/// Makes jemalloc the program's allocator, with heap profiling configured. Once per program, at module level.
#[macro_export]
macro_rules! install {
    () => {
        #[global_allocator]
        static OOMEN_ALLOCATOR: $crate::Jemalloc = $crate::Jemalloc;
    };
}

#[cfg(test)]
install!();
