//! A port that is served, until it is drained.

mod door;
mod linger;

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::middleware::map_request;
use axum::serve::ListenerExt as _;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use self::door::{Door, Limits};
use self::linger::linger;

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
        Self::within(Limits::default(), listener, routes)
    }

    fn within(limits: Limits, listener: TcpListener, routes: Router) -> Self {
        let (stop, stopped) = oneshot::channel::<()>();
        let routes = routes.layer(map_request(linger));
        let routes = routes.into_make_service_with_connect_info::<SocketAddr>();
        // Tapped for nothing: only so does axum tell handlers the address of who came through a door of one's own.
        let door = Door::new(listener, limits).tap_io(|_| {});
        let serve = axum::serve(door, routes).with_graceful_shutdown(async move {
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

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpStream;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(20);

    async fn served(limits: Limits) -> (Server, SocketAddr) {
        let (listener, address) = bind(([127, 0, 0, 1], 0).into()).await.unwrap();
        let large = || async { "x".repeat(32 << 20) };
        let routes =
            Router::new().route("/", get(|| async { "hello" })).route("/large", get(large));
        (Server::within(limits, listener, routes), address)
    }

    /// All that comes until the connection is closed.
    async fn rest(stream: &mut TcpStream) -> usize {
        let mut all = Vec::new();
        // A connection that is reset is closed as well.
        timeout(PATIENCE, stream.read_to_end(&mut all)).await.expect("it is closed").ok();
        all.len()
    }

    #[tokio::test]
    async fn who_sends_a_request_drop_by_drop_or_nothing_is_shown_out() {
        let request = Duration::from_millis(300);
        let limits = Limits { request, ..Limits::default() };
        let (_server, address) = served(limits).await;
        let mut silent = TcpStream::connect(address).await.unwrap();
        let mut slow = TcpStream::connect(address).await.unwrap();
        let drops = async {
            for drop in b"GET / HTTP/1.1\r\nhost: a\r\nx: ".iter().cycle() {
                if slow.write_all(&[*drop]).await.is_err() {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(PATIENCE, drops).await.expect("it is closed");
        assert_eq!(rest(&mut silent).await, 0);
    }

    #[tokio::test]
    async fn a_connection_is_kept_for_requests_that_follow_and_not_for_ever() {
        let quiet = Duration::from_secs(2);
        let (_server, address) = served(Limits { quiet, ..Limits::default() }).await;
        let mut stream = TcpStream::connect(address).await.unwrap();
        let mut answer = [0; 1024];
        for _ in 0..4 {
            stream.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
            let length = stream.read(&mut answer).await.unwrap();
            assert!(answer[..length].ends_with(b"hello"));
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        assert_eq!(rest(&mut stream).await, 0);
    }

    #[tokio::test]
    async fn who_does_not_take_the_answer_is_shown_out() {
        let quiet = Duration::from_millis(300);
        let (server, address) = served(Limits { quiet, ..Limits::default() }).await;
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"GET /large HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
        stream.readable().await.unwrap();
        // Drained only when no connection is left.
        assert!(server.drain(PATIENCE).await);
        assert!(rest(&mut stream).await < 32 << 20);
    }

    #[tokio::test]
    async fn who_sends_what_nobody_reads_gets_the_answer_and_the_next_one() {
        let (_server, address) = served(Limits::default()).await;
        let mut stream = TcpStream::connect(address).await.unwrap();
        let mut answer = [0; 1024];
        for _ in 0..2 {
            let head = "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 524288\r\n\r\n";
            stream.write_all(head.as_bytes()).await.unwrap();
            let length = timeout(PATIENCE, stream.read(&mut answer)).await.unwrap().unwrap();
            assert!(answer[..length].starts_with(b"HTTP/1.1 405 "), "before the body is there");
            for _ in 0..16 {
                stream.write_all(&[b'x'; 32 << 10]).await.unwrap();
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
    }

    #[tokio::test]
    async fn who_sends_without_an_end_is_cut_off() {
        let (_server, address) = served(Limits::default()).await;
        let mut stream = TcpStream::connect(address).await.unwrap();
        let head = "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1073741824\r\n\r\n";
        stream.write_all(head.as_bytes()).await.unwrap();
        let flood = async { while stream.write_all(&[b'x'; 32 << 10]).await.is_ok() {} };
        timeout(PATIENCE, flood).await.expect("it is cut off");
    }

    #[tokio::test]
    async fn one_too_many_waits_until_another_goes() {
        let (_server, address) = served(Limits { connections: 1, ..Limits::default() }).await;
        let first = TcpStream::connect(address).await.unwrap();
        let mut second = TcpStream::connect(address).await.unwrap();
        second.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
        let mut answer = [0; 1024];
        let early = timeout(Duration::from_millis(200), second.read(&mut answer)).await;
        assert!(early.is_err(), "there is no place yet");
        drop(first);
        let length = timeout(PATIENCE, second.read(&mut answer)).await.unwrap().unwrap();
        assert!(answer[..length].ends_with(b"hello"));
    }
}
