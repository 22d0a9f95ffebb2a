//! The public face of the crate: metrics, API, access, page and server over one fixed status.

#![cfg(test)]

mod access;
mod api;
mod browser;
mod dumps;
mod fixed;
mod metrics;
mod openapi;
mod profiles;
mod server;
mod store;
