//! A port that is served, until it is drained.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// Binds an address.
pub(crate) async fn bind(address: SocketAddr) -> std::io::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind(address).await?;
    let bound = listener.local_addr()?;
    Ok((listener, bound))
}

/// One listener with its routes.
pub(crate) struct Server {
    stop: oneshot::Sender<()>,
    task: JoinHandle<std::io::Result<()>>,
}

impl Server {
    pub(crate) fn start(listener: TcpListener, routes: Router) -> Self {
        let (stop, stopped) = oneshot::channel::<()>();
        let routes = routes.into_make_service_with_connect_info::<SocketAddr>();
        let serve = axum::serve(listener, routes).with_graceful_shutdown(async move {
            // A dropped sender means stop as well.
            let _ = stopped.await;
        });
        Self { stop, task: tokio::spawn(async move { serve.await }) }
    }

    /// Takes no more connections and waits for those under way; false when time ran out.
    pub(crate) async fn drain(mut self, within: Duration) -> bool {
        drop(self.stop);
        let drained = timeout(within, &mut self.task).await.is_ok();
        self.task.abort();
        drained
    }
}
