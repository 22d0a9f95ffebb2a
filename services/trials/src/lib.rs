//! What trials of the whole shop have in common: the shipped programs, opened over stores of their own.

pub mod browser;
pub mod visitor;

use std::path::PathBuf;

use services_engines::{Shop, ShopError};
use tempfile::TempDir;

/// Where the shipped programs are: `OOMEN_TEST_BIN_DIR`, which `cargo xtask test` sets, else `target/release`.
pub fn programs() -> PathBuf {
    let built = || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/release"));
    std::env::var_os("OOMEN_TEST_BIN_DIR").map_or_else(built, PathBuf::from)
}

/// A shop that is ready, and the directory of its stores and logs, which goes with it.
pub struct Open {
    /// The shop; before its directory, so that it is gone first.
    pub shop: Shop,
    /// Stores and logs.
    pub data: TempDir,
}

/// Opens a shop over new stores, with these variables on top of ours.
///
/// # Errors
/// When a program cannot be started or does not become ready.
pub fn open(environment: &[(&str, &str)]) -> Result<Open, ShopError> {
    let io = |source| ShopError::Io { what: "a temporary directory", source };
    let data = tempfile::tempdir().map_err(io)?;
    let mut shop = Shop::start(&programs(), data.path(), environment)?;
    shop.wait_until_ready()?;
    Ok(Open { shop, data })
}
