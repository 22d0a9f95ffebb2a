//! Captures from services that answer, refuse, hang, lie and never end.

#![cfg(test)]

use std::io::Write;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use url::Url;
use watchdog_core::profile::{Frame, Mapping, Profile, StackSample};
use watchdog_core::units::{Bytes, WallTime};
use watchdog_heap::capture::{CaptureError, Captured, Encoding, HeapClient};
use watchdog_heap::pprof;
use watchdog_heap::symbols::Symbols;

const DUMP: &str = "heap_v2/524288
@ 0x1010
  t*: 16: 8388608 [0: 0]

MAPPED_LIBRARIES:
1000-2000 r-xp 00001000 08:01 42 /usr/bin/shop
";

/// A profile with names in it, as Go answers.
fn go_profile() -> (Vec<u8>, Symbols) {
    let mut symbols = Symbols::default();
    let frame = Frame {
        function: "main.remember".into(),
        file: Some("/src/main.go".into()),
        line: Some(17),
    };
    symbols.insert(0x1010, vec![frame]);
    let stack = StackSample {
        stack: vec![0x1010],
        inuse_space: Bytes::from_mib(3),
        inuse_objects: 6,
        alloc_space: Bytes::from_mib(5),
        alloc_objects: 10,
        samples: 6,
        ..StackSample::default()
    };
    let profile = Profile {
        stacks: vec![stack],
        mappings: vec![Mapping {
            start: 0x1000,
            end: 0x2000,
            path: "/go/shop".into(),
            ..Mapping::default()
        }],
        sample_period: Bytes(524_288),
        ..Profile::default()
    };
    let mut raw = Vec::new();
    pprof::write(&profile, &symbols, &mut raw).expect("written");
    (raw, symbols)
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(bytes).expect("packed");
    packed.finish().expect("packed")
}

/// Accepts one connection, reads the request's head and leaves the rest to `answer`.
async fn serve<F>(
    answer: impl FnOnce(String, TcpStream) -> F + Send + 'static,
) -> (Url, JoinHandle<()>)
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.expect("a request"));
        }
        answer(String::from_utf8(head).expect("text"), stream).await;
    });
    (url.parse().expect("a URL"), server)
}

async fn send(mut stream: TcpStream, answer: impl AsRef<[u8]>) {
    stream.write_all(answer.as_ref()).await.expect("sent");
}

fn response(status: &str, content_type: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {length}\r\n\r\n"
    );
    [head.as_bytes(), body].concat()
}

async fn capture(url: Url) -> Result<Captured, CaptureError> {
    let client = HeapClient::new(url).expect("a client");
    client
        .with_deadline(Duration::from_secs(30))
        .with_max_body(1 << 20)
        .capture(WallTime(5.0))
        .await
}

async fn answered(answer: Vec<u8>) -> CaptureError {
    let (url, _server) = serve(move |_, stream| send(stream, answer)).await;
    capture(url).await.expect_err("no profile")
}

#[tokio::test]
async fn a_dump_is_fetched_read_and_kept_as_it_came() {
    let (url, server) = serve(|head, stream| {
        assert!(head.starts_with("GET /debug/pprof/heap HTTP/1.1\r\n"), "{head}");
        send(stream, response("200 OK", "application/octet-stream", DUMP.as_bytes()))
    })
    .await;
    let captured = capture(url).await.expect("a profile");
    server.await.expect("the request was as it should be");
    assert_eq!(captured.raw, DUMP.as_bytes());
    assert_eq!(captured.profile.taken, WallTime(5.0));
    assert_eq!(captured.profile.stacks[0].samples, 16);
}

#[tokio::test]
async fn a_refusal_tells_the_reason_the_service_gives() {
    let reason = b"profiling is off:\n  start the service with prof:true\n";
    let error = answered(response("503 Service Unavailable", "text/plain", reason)).await;
    let text = error.to_string();
    assert!(text.contains("503"), "{text}");
    assert!(text.contains("profiling is off: start the service with prof:true"), "{text}");
}

#[tokio::test]
async fn of_a_long_refusal_512_bytes_are_kept() {
    let error =
        answered(response("500 Internal Server Error", "text/html", &b"x".repeat(100_000))).await;
    assert!(matches!(error, CaptureError::Refused { reason, .. } if reason.len() == 512));
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let location =
        "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/x\r\nContent-Length: 0\r\n\r\n";
    let error = answered(location.into()).await;
    assert!(matches!(error, CaptureError::Refused { status, .. } if status == 302), "{error}");
}

#[tokio::test]
async fn garbage_is_named_with_its_line_and_type() {
    let error = answered(response("200 OK", "text/html", b"<html>\n")).await;
    let text = error.to_string();
    assert!(text.contains("text/html") && text.contains("line 1"), "{text}");
}

#[tokio::test]
async fn what_go_answers_is_read_with_the_names_that_are_in_it() {
    let (raw, symbols) = go_profile();
    let answer = response("200 OK", "application/octet-stream", &raw);
    let (mut url, server) = serve(move |head, stream| {
        assert!(head.starts_with("GET /debug/pprof/allocs?gc=1 HTTP/1.1\r\n"), "{head}");
        assert!(head.to_lowercase().contains("accept-encoding: identity\r\n"), "{head}");
        send(stream, answer)
    })
    .await;
    url.set_path("/debug/pprof/allocs");
    url.set_query(Some("gc=1"));
    let captured = capture(url).await.expect("a profile");
    server.await.expect("the request was as it should be");
    assert_eq!(captured.raw, raw);
    assert_eq!(captured.encoding, Encoding::Pprof);
    assert_eq!(captured.profile.taken, WallTime(5.0));
    assert_eq!(captured.profile.inuse_space(), Bytes::from_mib(3));
    let leaf = captured.profile.stacks[0].stack[0];
    assert_eq!(captured.symbols.frames(leaf), symbols.frames(0x1010));
}

#[tokio::test]
async fn an_answer_in_chunks_is_put_together() {
    let (first, rest) = DUMP.split_at(20);
    let answer = format!(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{first}\r\n{:x}\r\n{rest}\r\n0\r\n\r\n",
        first.len(),
        rest.len()
    );
    let (url, _server) = serve(move |_, stream| send(stream, answer)).await;
    assert_eq!(capture(url).await.expect("a profile").raw, DUMP.as_bytes());
}

#[tokio::test]
async fn a_chunk_longer_than_it_says_is_an_error() {
    let error = answered(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nheap_v2/524288\n\r\n".to_vec(),
    )
    .await;
    assert!(matches!(error, CaptureError::Unreachable { .. }), "{error}");
}

#[tokio::test]
async fn a_length_shorter_than_the_dump_gives_no_half_profile() {
    let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: 30\r\n\r\n{DUMP}");
    let error = answered(answer.into()).await;
    assert!(matches!(error, CaptureError::Unreadable { .. }), "{error}");
}

#[tokio::test]
async fn gzip_on_the_way_changes_nothing() {
    let (profile, _) = go_profile();
    for (body, raw) in [(gzip(DUMP.as_bytes()), DUMP.into()), (profile.clone(), profile)] {
        let length = body.len();
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {length}\r\n\r\n"
        );
        let (url, _server) =
            serve(move |_, stream| send(stream, [head.into_bytes(), body].concat())).await;
        assert_eq!(capture(url).await.expect("a profile").raw, raw);
    }
}

#[tokio::test]
async fn a_bomb_on_the_way_costs_no_more_than_the_bound() {
    let mut bomb = DUMP.as_bytes().to_vec();
    bomb.resize(8 << 20, b'\n');
    let error = answered(response("200 OK", "text/plain", &gzip(&bomb))).await;
    assert!(matches!(error, CaptureError::Unreadable { .. }), "{error}");
}

#[tokio::test]
async fn another_compression_on_the_way_is_named() {
    let answer = "HTTP/1.1 200 OK\r\nContent-Encoding: br\r\nContent-Length: 2\r\n\r\nxx";
    let error = answered(answer.into()).await;
    assert!(matches!(&error, CaptureError::Coded { coding, .. } if coding == "br"), "{error}");
}

#[tokio::test]
async fn a_service_that_hangs_costs_the_deadline_and_no_more() {
    let (url, server) = serve(|_, stream| async move {
        let _held = stream;
        std::future::pending::<()>().await;
    })
    .await;
    let client = HeapClient::new(url).expect("a client").with_deadline(Duration::from_millis(100));
    let error = client.capture(WallTime(0.0)).await.expect_err("no profile");
    assert!(matches!(error, CaptureError::Deadline { .. }), "{error}");
    server.abort();
}

#[tokio::test]
async fn a_service_that_hangs_in_the_middle_of_a_dump_costs_no_more_either() {
    let (url, server) = serve(|_, mut stream| async move {
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\nheap_v2/524288\n").await.expect("sent");
        std::future::pending::<()>().await;
    })
    .await;
    let client = HeapClient::new(url).expect("a client").with_deadline(Duration::from_millis(100));
    let error = client.capture(WallTime(0.0)).await.expect_err("no profile");
    assert!(matches!(error, CaptureError::Deadline { .. }), "{error}");
    server.abort();
}

#[tokio::test]
async fn a_body_without_end_is_read_up_to_the_bound() {
    let (url, server) = serve(|_, mut stream| async move {
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.expect("sent");
        // Until the client hangs up.
        while stream.write_all(&[b'@'; 65_536]).await.is_ok() {}
    })
    .await;
    let error = capture(url).await.expect_err("no profile");
    assert!(matches!(error, CaptureError::TooLarge { limit: Bytes(1_048_576), .. }), "{error}");
    server.await.expect("the connection was closed");
}

#[tokio::test]
async fn a_body_announced_as_too_large_is_not_read() {
    let (url, _server) = serve(|_, mut stream| async move {
        let head = b"HTTP/1.1 200 OK\r\nContent-Length: 10737418240\r\n\r\n";
        stream.write_all(head).await.expect("sent");
        std::future::pending::<()>().await;
    })
    .await;
    let error = capture(url).await.expect_err("no profile");
    assert!(matches!(error, CaptureError::TooLarge { .. }), "{error}");
}

#[tokio::test]
async fn a_connection_that_breaks_is_an_error_without_credentials() {
    let head = "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nheap_v2/524288\n";
    let (mut url, _server) = serve(move |_, stream| send(stream, head)).await;
    url.set_username("user").expect("a URL with a user");
    url.set_password(Some("hunter2")).expect("a URL with a password");
    url.set_query(Some("token=hunter2"));
    let error = capture(url).await.expect_err("no profile");
    assert!(matches!(error, CaptureError::Unreachable { .. }), "{error}");
    assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
}

#[tokio::test]
async fn a_port_nobody_listens_on_is_an_error_that_says_so() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    drop(listener);
    let url = format!("http://{address}").parse().expect("a URL");
    let error = capture(url).await.expect_err("no profile").to_string();
    assert!(error.contains("refused"), "{error}");
}
