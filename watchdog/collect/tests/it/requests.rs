//! The request counter's client against a good server and against hostile ones.

use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use url::Url;
use watchdog_collect::HttpError;
use watchdog_collect::requests::{RequestsClient, RequestsError};

use crate::server::{serve, serve_bytes};

/// Long enough that only a broken client meets it.
const AMPLE: Duration = Duration::from_secs(30);
/// For servers that never finish.
const SHORT: Duration = Duration::from_millis(200);

fn client(url: Url) -> RequestsClient {
    let counter = "http_requests_total".parse().expect("a name");
    RequestsClient::new(url, counter).expect("a client").with_deadline(AMPLE)
}

fn ok(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

async fn error_of(answer: impl Into<Vec<u8>>) -> RequestsError {
    let url = serve_bytes(answer).await.join("metrics").expect("a path");
    client(url).fetch().await.expect_err("an error")
}

#[tokio::test]
async fn an_answer_that_comes_in_parts_is_summed() {
    let parts =
        ["http_requests_total{code=\"200\"} 1", "7\nhttp_requ", "ests_total{code=\"500\"} 3"];
    let (url, _server) = serve(async move |mut stream: TcpStream| {
        let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
        stream.write_all(head.as_bytes()).await.expect("written");
        for part in parts {
            let chunk = format!("{:x}\r\n{part}\r\n", part.len());
            stream.write_all(chunk.as_bytes()).await.expect("written");
            stream.flush().await.expect("sent");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        stream.write_all(b"0\r\n\r\n").await.expect("written");
    })
    .await;
    assert_eq!(client(url).fetch().await.expect("an answer"), 20.0);
}

#[tokio::test]
async fn a_server_that_hangs_is_given_up_after_the_deadline() {
    let (url, server) = serve(async |stream: TcpStream| {
        std::future::pending::<()>().await;
        drop(stream);
    })
    .await;
    let error = client(url).with_deadline(SHORT).fetch().await.expect_err("it hangs");
    let expected = HttpError::Timeout { url: String::new(), after: SHORT };
    assert!(matches!(&error, RequestsError::Http(HttpError::Timeout { .. })), "{error}");
    assert!(error.to_string().ends_with(&expected.to_string()), "{error}");
    server.abort();
}

#[tokio::test]
async fn an_answer_without_end_is_cut_off_with_and_without_lines() {
    for part in ["http_requests_total{a=\"b\"} 1\n", "http_requests_total{a=\"b\"} 1"] {
        let (url, server) = serve(async move |mut stream: TcpStream| {
            let head = b"HTTP/1.1 200 OK\r\ncontent-length: 10000000000\r\n\r\n";
            stream.write_all(head).await.expect("head");
            let megabyte = part.repeat((1 << 20) / part.len());
            let mut written = 0_u64;
            while written < 1_000 && stream.write_all(megabyte.as_bytes()).await.is_ok() {
                written += 1;
            }
            written
        })
        .await;
        let error = client(url).fetch().await.expect_err("too large");
        assert!(matches!(&error, RequestsError::Http(HttpError::TooLarge { .. })), "{error}");
        let written =
            tokio::time::timeout(AMPLE, server).await.expect("cut off").expect("no panic");
        assert!(written < 64, "{written} MiB were taken");
    }
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_no_count() {
    let error =
        error_of("HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\nhttp_requests_total 1\n").await;
    assert!(matches!(&error, RequestsError::Http(HttpError::Transport { .. })), "{error}");
}

#[tokio::test]
async fn what_is_wrong_is_told_with_the_address_and_how_to_mend_it() {
    for (body, words) in [
        ("", "/metrics has no counter `http_requests_total`; some appear only after"),
        ("http_requests_total{ 1\n", "/metrics line 1: `http_requests_total{ 1` is no series"),
        ("# TYPE http_requests_total gauge\n", "calls `http_requests_total` a gauge"),
        ("# TYPE http_requests_total summary\n", "counted as `http_requests_total_count`"),
    ] {
        let error = error_of(ok(body)).await.to_string();
        assert!(error.starts_with("http://127.0.0.1:") && error.contains(words), "{error}");
    }
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
    assert!(texts.contains("answered 401") && !texts.contains("hunter2"), "{texts}");
}

#[test]
fn only_plain_http_addresses_are_taken() {
    for url in ["https://localhost/", "unix:/run/x", "data:,x"] {
        let counter = "x".parse().expect("a name");
        let error = RequestsClient::new(url.parse().expect("a URL"), counter).expect_err(url);
        assert!(matches!(error, RequestsError::Http(HttpError::BadUrl { .. })), "{url}: {error}");
    }
}
