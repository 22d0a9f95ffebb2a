//! The server: a bounded number of connections, each with bounds on its headers, its idleness and its life.

use std::future::Future;
use std::io;
use std::pin::pin;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::api::profiles::MAX_SECONDS;
use crate::routes::{AppContext, router};

/// Connections at once; more wait in the kernel's queue. A page holds up to six, a scraper one.
const MAX_CONNECTIONS: usize = 64;
/// Largest request line and headers together.
const MAX_HEADER_BYTES: usize = 16 * 1024;
/// Time for a request's headers to come in, and for a connection to stay idle.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// After this a connection may finish its request but takes no other.
const CONNECTION_LIFE: Duration = Duration::from_secs(120);
/// Time for that last request: the longest profile that can be asked for, and a minute to send it. A reader that takes
/// its bytes one by one is cut off then.
const LAST_REQUEST: Duration = Duration::from_secs(MAX_SECONDS as u64 + 60);
/// Time for requests under way at shutdown: less than the five seconds in which the whole watchdog drains.
const DRAIN: Duration = Duration::from_secs(3);
/// Pause after a failed accept, which is nearly always a lack of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The server could not start.
#[derive(Debug, thiserror::Error)]
#[error("the address to listen on cannot be read: {0}")]
pub struct ServeError(#[from] io::Error);

/// Serves until `shutdown` is ready, then lets requests under way finish for up to three seconds.
///
/// # Errors
/// [`ServeError`] when the listener is not usable. A connection that fails is logged and ends alone.
pub async fn serve(
    listener: TcpListener,
    context: AppContext,
    shutdown: impl Future<Output = ()>,
) -> Result<(), ServeError> {
    let address = listener.local_addr()?;
    let router = router(context, address.ip().is_loopback());
    tracing::info!(%address, "the page, the API and the metrics are served");
    let closing = CancellationToken::new();
    let mut connections = JoinSet::new();
    let mut shutdown = pin!(shutdown);
    loop {
        tokio::select! {
            () = &mut shutdown => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept(), if connections.len() < MAX_CONNECTIONS => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(connection(stream, router.clone(), closing.clone()));
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
    drop(listener);
    closing.cancel();
    if timeout(DRAIN, async { while connections.join_next().await.is_some() {} }).await.is_err() {
        tracing::warn!(open = connections.len(), "requests under way were cut off at shutdown");
    }
    Ok(())
}

async fn connection(stream: TcpStream, router: Router, closing: CancellationToken) {
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_buf_size(MAX_HEADER_BYTES)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    let mut served = pin!(served);
    let ended = tokio::select! {
        ended = served.as_mut() => Some(ended),
        () = closing.cancelled() => None,
        () = sleep(CONNECTION_LIFE) => None,
    };
    let ended = match ended {
        Some(ended) => ended,
        None => {
            served.as_mut().graceful_shutdown();
            timeout(LAST_REQUEST, served).await.unwrap_or(Ok(()))
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}
