//! The admin port: the probe and nothing else.

use std::io::{self, Write as _};
use std::net::SocketAddr;

use anyhow::Context as _;
use serde::Serialize;
use tokio::net::TcpListener;

/// The first line of output, so that whoever started the program knows the port.
#[derive(Serialize)]
struct Listening {
    admin: SocketAddr,
}

/// Serves the probe from now on and says where, in one line of JSON.
///
/// # Errors
/// When the port is taken or nobody reads the line.
pub(crate) async fn serve(address: SocketAddr) -> anyhow::Result<()> {
    let bound = TcpListener::bind(address).await;
    let listener = bound.with_context(|| format!("cannot listen on {address}; try port 0"))?;
    let line = serde_json::to_string(&Listening { admin: listener.local_addr()? })?;
    writeln!(io::stdout(), "{line}")?;
    // Without the probe the program can still be watched from outside.
    tokio::spawn(async move { axum::serve(listener, oomen_probe::router()).await });
    Ok(())
}
