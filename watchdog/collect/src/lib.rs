//! Reads the watched process: /proc, cgroup v1 and v2, allocator statistics, the request counter, finding targets.
//!
//! Every reader takes its root path, so a test can feed it a small tree. A process that vanished is
//! [`CollectError::Vanished`], which is data; a source that cannot be read is a gap, never a zero.

pub mod allocator;
pub mod cgroup;
pub mod collector;
pub mod confine;
pub mod discover;
mod error;
mod http;
pub mod limit;
pub mod process;
pub mod recording;
pub mod requests;
mod text;

pub use error::CollectError;
pub use http::HttpError;
