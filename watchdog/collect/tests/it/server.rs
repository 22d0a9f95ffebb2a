//! A server that answers one connection with whatever bytes a test wants.

use std::future::Future;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use url::Url;

/// Listens on a free port and hands the first connection, its request read, to `answer`.
pub(crate) async fn serve<F, A>(answer: F) -> (Url, JoinHandle<A::Output>)
where
    F: FnOnce(TcpStream) -> A + Send + 'static,
    A: Future<Output: Send> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let port = listener.local_addr().expect("an address").port();
    let task = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        read_request(&mut stream).await;
        answer(stream).await
    });
    (format!("http://127.0.0.1:{port}").parse().expect("a URL"), task)
}

/// Answers with these bytes and closes.
pub(crate) async fn serve_bytes(bytes: impl Into<Vec<u8>>) -> Url {
    let bytes = bytes.into();
    serve(async move |mut stream: TcpStream| {
        stream.write_all(&bytes).await.expect("written");
    })
    .await
    .0
}

async fn read_request(stream: &mut TcpStream) {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        request.push(stream.read_u8().await.expect("a request"));
    }
}
