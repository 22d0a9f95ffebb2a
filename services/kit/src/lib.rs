//! What all shop services share: telemetry, health, shutdown, faults and the admin port.
//!
//! A service's `main.rs` is its table of contents:
//!
//! ```no_run
//! use clap::Parser;
//! use services_kit::{Options, Service};
//!
//! services_kit::probe::install!();
//!
//! /// Says hello.
//! #[derive(Parser)]
//! struct Cli {
//!     #[command(flatten)]
//!     options: Options,
//! }
//!
//! fn main() -> anyhow::Result<()> {
//!     let cli = Cli::parse();
//!     let routes = axum::Router::new().route("/", axum::routing::get(|| async { "hello" }));
//!     services_kit::run(Service::new("greeter", routes), &cli.options)
//! }
//! ```

mod error;
mod faults;
mod health;
mod metrics;
mod options;
mod run;
mod service;
mod telemetry;

pub use error::ApiError;
pub use faults::{Fault, MAX_RATE};
/// What makes the service watchable.
pub use oomen_probe as probe;
pub use options::{LogFormat, Options, Switch};
pub use prometheus;
pub use run::run;
pub use service::{Running, Service, StartError};
