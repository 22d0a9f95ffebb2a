//! The allocator client against a good server and against hostile ones.

use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use url::Url;
use watchdog_collect::HttpError;
use watchdog_collect::allocator::{AllocatorClient, AllocatorError};
use watchdog_core::sample::Allocator;
use watchdog_core::units::Bytes;

use crate::server::{serve, serve_bytes};

const GOOD: &str = r#"{"allocated":1,"active":2,"resident":3,"retained":4,"mapped":5,"metadata":6,
    "profiling":true,"version":"of the future"}"#;

/// Long enough that only a broken client meets it.
const AMPLE: Duration = Duration::from_secs(30);
/// For servers that never finish.
const SHORT: Duration = Duration::from_millis(200);

fn ok(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

fn client(base: Url) -> AllocatorClient {
    AllocatorClient::new(base).expect("a client").with_deadline(AMPLE)
}

async fn error_of(answer: impl Into<Vec<u8>>) -> AllocatorError {
    client(serve_bytes(answer).await).fetch().await.expect_err("an error")
}

#[tokio::test]
async fn a_good_answer_is_taken_and_what_is_unknown_left() {
    let expected = Allocator {
        allocated: Bytes(1),
        active: Bytes(2),
        resident: Bytes(3),
        retained: Bytes(4),
        mapped: Bytes(5),
        metadata: Bytes(6),
        profiling: true,
    };
    let found = client(serve_bytes(ok(GOOD)).await).fetch().await.expect("an answer");
    assert_eq!(found, expected);
}

#[tokio::test]
async fn a_server_that_hangs_is_given_up_after_the_deadline() {
    let (url, server) = serve(async |stream: TcpStream| {
        std::future::pending::<()>().await;
        drop(stream);
    })
    .await;
    let error = client(url.clone()).with_deadline(SHORT).fetch().await.expect_err("it hangs");
    assert!(
        matches!(error, AllocatorError::Http(HttpError::Timeout { after: SHORT, .. })),
        "{error}"
    );
    let text = format!("{url}debug/allocator did not answer within 200 ms");
    assert_eq!(error.to_string(), text);
    server.abort();
}

#[tokio::test]
async fn a_server_that_drips_is_given_up_after_the_same_deadline() {
    let (url, server) = serve(async |mut stream: TcpStream| {
        let head = b"HTTP/1.1 200 OK\r\ncontent-length: 60000\r\n\r\n";
        stream.write_all(head).await.expect("written");
        // More often than any limit on the silence between two reads could notice.
        while stream.write_all(b" ").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    let error = client(url).with_deadline(SHORT).fetch().await.expect_err("it drips");
    assert!(matches!(error, AllocatorError::Http(HttpError::Timeout { .. })), "{error}");
    tokio::time::timeout(AMPLE, server)
        .await
        .expect("the connection was closed")
        .expect("no panic");
}

#[tokio::test]
async fn an_answer_without_end_is_cut_off() {
    let (url, server) = serve(async |mut stream: TcpStream| {
        let megabyte = vec![b' '; 1 << 20];
        let head = b"HTTP/1.1 200 OK\r\ncontent-length: 10000000000\r\n\r\n";
        stream.write_all(head).await.expect("head");
        let mut written = 0_u64;
        while written < 10_000 && stream.write_all(&megabyte).await.is_ok() {
            written += 1;
        }
        written
    })
    .await;
    let error = client(url).fetch().await.expect_err("too large");
    assert!(matches!(error, AllocatorError::Http(HttpError::TooLarge { .. })), "{error}");
    let written = tokio::time::timeout(AMPLE, server).await.expect("cut off").expect("no panic");
    // What the sockets' buffers hold at most.
    assert!(written < 32, "{written} MiB were taken");
}

#[tokio::test]
async fn a_failure_is_told_by_its_status() {
    let error = error_of("HTTP/1.1 500 Oh\r\ncontent-length: 4\r\n\r\noops").await;
    assert!(
        matches!(&error, AllocatorError::Http(HttpError::Status { status, .. }) if status.as_u16() == 500)
    );
    assert!(error.to_string().contains("/debug/allocator answered 500"), "{error}");
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    elsewhere.set_nonblocking(true).expect("set");
    let target = elsewhere.local_addr().expect("an address");
    let head =
        format!("HTTP/1.1 302 Found\r\nlocation: http://{target}/\r\ncontent-length: 0\r\n\r\n");
    let error = error_of(head).await;
    assert!(
        matches!(&error, AllocatorError::Http(HttpError::Status { status, .. }) if status.as_u16() == 302)
    );
    let visit = elsewhere.accept().expect_err("somebody followed the redirect");
    assert_eq!(visit.kind(), std::io::ErrorKind::WouldBlock);
}

#[tokio::test]
async fn what_is_not_the_allocators_json_is_refused_in_few_words() {
    let quoted = format!(r#"{{"allocated":"{}"}}"#, "x".repeat(5000));
    for body in ["", "<html>", "[1]", "{\"allocated\":1}", "{\"allocated\":-1}", &quoted] {
        let error = error_of(ok(body)).await;
        assert!(matches!(error, AllocatorError::NotJson { .. }), "{body}: {error}");
        assert!(error.to_string().len() < 400, "{error}");
    }
}

#[tokio::test]
async fn what_is_not_http_and_what_breaks_off_are_transport_errors() {
    for answer in ["SSH-2.0-OpenSSH_9\r\n", "", "HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{"] {
        let error = error_of(answer).await;
        assert!(
            matches!(error, AllocatorError::Http(HttpError::Transport { .. })),
            "{answer}: {error}"
        );
        assert!(error.to_string().contains("http://127.0.0.1:"), "{error}");
    }
}

#[tokio::test]
async fn a_port_on_which_nobody_listens_is_told_apart() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    drop(listener);
    let error = client(url.parse().expect("a URL")).fetch().await.expect_err("nobody");
    assert!(matches!(error, AllocatorError::Http(HttpError::Refused { .. })), "{error}");
}

#[tokio::test]
async fn no_password_reaches_an_error_or_the_debug_text() {
    let mut url = serve_bytes("HTTP/1.1 401 No\r\ncontent-length: 0\r\n\r\n").await;
    url.set_username("scraper").expect("a host");
    url.set_password(Some("hunter2")).expect("a host");
    url.set_query(Some("token=hunter2"));
    let client = client(url);
    let error = client.fetch().await.expect_err("refused");
    let texts = format!("{client:?} {error} {error:?}");
    assert!(texts.contains("/debug/allocator") && !texts.contains("hunter2"), "{texts}");
}

#[test]
fn only_plain_http_addresses_are_taken_and_a_prefix_is_kept() {
    for url in ["https://localhost/", "unix:/run/x", "data:,x"] {
        let error = AllocatorClient::new(url.parse().expect("a URL")).expect_err(url);
        assert!(matches!(error, AllocatorError::Http(HttpError::BadUrl { .. })), "{url}: {error}");
    }
    for (base, endpoint) in [
        ("http://localhost:9", "http://localhost:9/debug/allocator"),
        ("http://localhost:9/admin/", "http://localhost:9/admin/debug/allocator"),
        ("http://localhost:9/admin", "http://localhost:9/admin/debug/allocator"),
    ] {
        let client = AllocatorClient::new(base.parse().expect("a URL")).expect(base);
        assert!(format!("{client:?}").contains(&format!("{endpoint:?}")), "{client:?}");
    }
}
