//! What the watchdog shows: metrics, the API, the page and heap-dump downloads.
//!
//! Everything shown comes from a [`status::Source`] and a [`dumps::Dumps`] that the application implements; this
//! crate opens no file except a dump that is downloaded, and concludes nothing.

mod access;
mod api;
pub mod dumps;
mod error;
pub mod metrics;
mod page;
mod routes;
mod server;
pub mod status;

pub use routes::{AppContext, router};
pub use server::{ServeError, serve};
