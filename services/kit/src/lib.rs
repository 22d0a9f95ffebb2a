//! What all shop services share: telemetry, health, shutdown, identity, calls to each other, faults and the admin port.
//!
//! A service's `main.rs` is its table of contents:
//!
//! ```no_run
//! use clap::Parser;
//! use services_kit::openapi::{Api, routes};
//! use services_kit::{Kit, Options, Peer, Service};
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
//! #[utoipa::path(get, path = "/hello", responses((status = 200, body = String)))]
//! /// Says hello.
//! async fn hello() -> &'static str {
//!     "hello"
//! }
//!
//! async fn service(kit: Kit) -> anyhow::Result<Service> {
//!     Ok(Service::new(kit, Api::new().routes(routes!(hello))))
//! }
//!
//! fn main() -> anyhow::Result<()> {
//!     let cli: Cli = services_kit::parse(Peer::Orders);
//!     services_kit::run(Peer::Orders, cli.options, service)
//! }
//! ```

mod admin;
pub mod bus;
pub mod cache;
pub mod catalogue;
pub mod client;
mod edge;
mod error;
pub mod events;
mod extract;
pub mod faults;
mod health;
pub mod identity;
pub mod inbox;
mod kit;
mod metrics;
pub mod openapi;
mod options;
pub mod outbox;
mod parse;
mod peers;
mod request_id;
mod run;
mod server;
mod service;
pub mod store;
mod telemetry;
pub mod trace;

pub use error::{ApiError, ErrorBody, ErrorDetail};
pub use extract::{Json, Path, Query};
pub use faults::{Fault, MAX_RATE};
pub use identity::{Customer, Internal};
pub use kit::{Kit, KitError};
/// What makes the service watchable.
pub use oomen_probe as probe;
pub use options::{LogFormat, Options, Switch};
pub use parse::parse;
pub use peers::{Peer, Peers};
pub use prometheus;
pub use request_id::{REQUEST_ID, RequestId};
pub use run::run;
pub use service::{Running, Service, StartError};
pub use sqlx;
