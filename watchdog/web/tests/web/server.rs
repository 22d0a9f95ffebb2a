//! The server over real sockets: limits, deadlines, shutdown.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use watchdog_web::{ServeError, serve};

use crate::fixed::{context, status};

/// Nothing here should take longer; a test that waits for so long has failed.
const PATIENCE: Duration = Duration::from_secs(60);

struct Running {
    address: std::net::SocketAddr,
    stop: oneshot::Sender<()>,
    done: JoinHandle<Result<(), ServeError>>,
    _dir: tempfile::TempDir,
}

async fn start() -> Running {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let (context, dir) = context(status(), None);
    let (stop, stopped) = oneshot::channel::<()>();
    let done = tokio::spawn(serve(listener, context, async {
        let _ = stopped.await;
    }));
    Running { address, stop, done, _dir: dir }
}

async fn exchange(running: &Running, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(running.address).await.expect("a connection");
    stream.write_all(request).await.expect("sent");
    let mut answer = Vec::new();
    // A server that closes with unread bytes resets the connection; what came before still counts.
    let _ = timeout(PATIENCE, stream.read_to_end(&mut answer)).await.expect("an end");
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn a_plain_request_is_answered() {
    let running = start().await;
    let request = b"GET /health/live HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    let answer = exchange(&running, request).await;
    assert!(
        answer.starts_with("HTTP/1.1 200 OK") && answer.ends_with("{\"live\":true}"),
        "{answer}"
    );
}

#[tokio::test]
async fn headers_that_are_too_large_are_refused() {
    let running = start().await;
    let request = format!("GET / HTTP/1.1\r\nhost: localhost\r\nx: {}\r\n\r\n", "x".repeat(40_000));
    let answer = exchange(&running, request.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
}

#[tokio::test]
async fn what_is_not_http_ends_its_connection_and_no_other() {
    let running = start().await;
    let answer = exchange(&running, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n").await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 400 "), "{answer}");
    let request = b"GET /health/live HTTP/1.0\r\n\r\n";
    assert!(exchange(&running, request).await.contains("200 OK"));
}

#[tokio::test]
async fn a_client_that_dawdles_over_its_headers_is_dropped() {
    let running = start().await;
    let mut stream = TcpStream::connect(running.address).await.expect("a connection");
    stream.write_all(b"GET / HTTP/1.1\r\nhost: local").await.expect("sent");
    let mut answer = Vec::new();
    let _ = timeout(PATIENCE, stream.read_to_end(&mut answer)).await.expect("dropped in time");
    let answer = String::from_utf8_lossy(&answer);
    assert!(!answer.contains("200 OK"), "{answer}");
}

#[tokio::test]
async fn shutdown_ends_idle_connections_and_frees_the_port() {
    let running = start().await;
    let mut idle = TcpStream::connect(running.address).await.expect("a connection");
    idle.write_all(b"GET /health/live HTTP/1.1\r\nhost: localhost\r\n\r\n").await.expect("sent");
    let mut first = [0u8; 15];
    idle.read_exact(&mut first).await.expect("an answer");
    running.stop.send(()).expect("running");
    let ended = timeout(Duration::from_secs(30), running.done).await.expect("in time");
    ended.expect("no panic").expect("no error");
    TcpListener::bind(running.address).await.expect("the port is free");
}
