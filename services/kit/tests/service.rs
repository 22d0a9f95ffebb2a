//! A service as its customers and operators see it, started in this process on free ports.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests may fail the test"
)]

use axum::Router;
use axum::routing::{get, post};
use serde_json::{Value, json};
use services_kit::{ApiError, Fault, LogFormat, Options, Running, Service, Switch};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

services_kit::probe::install!();

struct Nothing;

impl Fault for Nothing {
    fn take(&mut self, budget: u64) -> u64 {
        budget
    }
}

fn options(faults: Switch) -> Options {
    Options {
        listen: ([127, 0, 0, 1], 0).into(),
        admin_listen: ([127, 0, 0, 1], 0).into(),
        log: "info".into(),
        log_format: LogFormat::Text,
        faults,
    }
}

async fn start(faults: Switch) -> Running {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let routes = Router::new()
        .route("/hello/{name}", get(|| async { "hello" }))
        .route("/echo", post(|body: String| async { body }))
        .route("/wrong", get(|| async { ApiError::unprocessable("too blue") }));
    Service::new("test", routes)
        .fault("nothing", Nothing)
        .fault("nothing-else", Nothing)
        .start(&options(faults))
        .await
        .unwrap()
}

async fn get_text(url: String) -> (u16, String) {
    let response = reqwest::get(url).await.unwrap();
    (response.status().as_u16(), response.text().await.unwrap())
}

async fn put(url: String, body: &str) -> (u16, Value) {
    let request = reqwest::Client::new().put(url).body(body.to_owned());
    let response = request.header("content-type", "application/json").send().await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap())
}

#[tokio::test]
async fn requests_are_counted_by_matched_route_and_never_by_path_or_invented_method() {
    let service = start(Switch::Off).await;
    let (public, admin) = (service.public_address, service.admin_address);
    get_text(format!("http://{public}/hello/ann")).await;
    get_text(format!("http://{public}/hello/bob")).await;
    get_text(format!("http://{public}/made/up")).await;
    let invented = reqwest::Method::from_bytes(b"FROBNICATE").unwrap();
    let url = format!("http://{public}/hello/eve");
    let refused = reqwest::Client::new().request(invented, url).send().await.unwrap();
    assert_eq!(refused.status().as_u16(), 405);
    let (_, text) = get_text(format!("http://{admin}/metrics")).await;
    for line in [
        r#"http_requests_total{method="GET",route="/hello/{name}",status="200"} 2"#,
        r#"http_requests_total{method="GET",route="unmatched",status="404"} 1"#,
        r#"http_requests_total{method="other",route="/hello/{name}",status="405"} 1"#,
        r#"http_request_duration_seconds_count{method="GET",route="/hello/{name}"} 2"#,
        "process_panics_total 0",
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
    assert!(!text.contains("ann") && !text.contains("FROBNICATE"), "{text}");
}

#[tokio::test]
async fn errors_are_json_whoever_finds_them() {
    let service = start(Switch::Off).await;
    let public = service.public_address;
    for (path, status) in [("/wrong", 422), ("/nowhere", 404), ("/echo", 405)] {
        let (got, text) = get_text(format!("http://{public}{path}")).await;
        assert_eq!(got, status);
        let body: Value = serde_json::from_str(&text).unwrap();
        assert!(body["error"].is_string(), "{text}");
    }
}

#[tokio::test]
async fn a_body_beyond_the_limit_is_refused() {
    let service = start(Switch::Off).await;
    let url = format!("http://{}/echo", service.public_address);
    let client = reqwest::Client::new();
    let fits = client.post(&url).body(vec![b'a'; 64 << 10]).send().await.unwrap();
    assert_eq!(fits.status().as_u16(), 200);
    let over = client.post(&url).body(vec![b'a'; (64 << 10) + 1]).send().await.unwrap();
    assert_eq!(over.status().as_u16(), 413);
}

#[tokio::test]
async fn the_admin_port_has_the_probe_and_health_and_the_public_port_has_not() {
    let service = start(Switch::Off).await;
    for path in
        ["/debug/allocator", "/debug/pprof/heap", "/health/live", "/health/ready", "/metrics"]
    {
        assert_eq!(
            get_text(format!("http://{}{path}", service.admin_address)).await.0,
            200,
            "{path}"
        );
        assert_eq!(
            get_text(format!("http://{}{path}", service.public_address)).await.0,
            404,
            "{path}"
        );
    }
}

#[tokio::test]
async fn faults_that_are_off_say_how_to_turn_them_on() {
    let service = start(Switch::Off).await;
    let url = format!("http://{}/debug/faults/nothing", service.admin_address);
    let (status, body) = put(url, r#"{"bytes_per_second": 1}"#).await;
    assert_eq!(status, 403);
    assert!(body["error"].as_str().unwrap().contains("SHOP_FAULTS=on"), "{body}");
}

#[tokio::test]
async fn a_fault_is_set_listed_and_stopped() {
    let service = start(Switch::On).await;
    let base = format!("http://{}/debug/faults", service.admin_address);
    let (status, body) = put(format!("{base}/nothing"), r#"{"bytes_per_second": 5000000}"#).await;
    assert_eq!((status, body), (200, json!({"name": "nothing", "bytes_per_second": 5_000_000})));
    let (_, text) = get_text(base.clone()).await;
    let listing: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(listing["enabled"], true);
    assert_eq!(listing["faults"][0]["bytes_per_second"], 5_000_000);
    assert_eq!(listing["faults"][1]["bytes_per_second"], 0);
    let stopped = reqwest::Client::new().delete(format!("{base}/nothing")).send().await.unwrap();
    assert_eq!(stopped.json::<Value>().await.unwrap()["bytes_per_second"], 0);
}

#[tokio::test]
async fn an_order_to_a_fault_that_makes_no_sense_says_why() {
    let service = start(Switch::On).await;
    let base = format!("http://{}/debug/faults", service.admin_address);
    let (status, body) = put(format!("{base}/typo"), r#"{"bytes_per_second": 1}"#).await;
    assert_eq!(status, 404);
    assert!(body["error"].as_str().unwrap().contains("nothing, nothing-else"), "{body}");
    for wrong in [
        r#"{"bytes_per_second": 1073741825}"#,
        r#"{"bytes_per_second": -1}"#,
        r#"{"bytes_per_second": 1.5}"#,
        r#"{"bytes_per_second": "1"}"#,
        r#"{"bytes_per_secnd": 1}"#,
        r#"{"bytes_per_second": 1, "for": 10}"#,
        r#"{}"#,
    ] {
        let (status, body) = put(format!("{base}/nothing"), wrong).await;
        assert_eq!(status, 422, "{wrong}");
        assert!(body["error"].is_string(), "{wrong}: {body}");
    }
    assert_eq!(put(format!("{base}/nothing"), "not json").await.0, 400);
}

#[tokio::test]
async fn stopping_lets_the_request_under_way_finish_and_takes_no_new_one() {
    let service = start(Switch::Off).await;
    let public = service.public_address;
    let mut under_way = TcpStream::connect(public).await.unwrap();
    let head =
        "POST /echo HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 4\r\n\r\n";
    under_way.write_all(head.as_bytes()).await.unwrap();
    // The interim answer shows that the handler waits for the body.
    let mut interim = [0; 25];
    under_way.read_exact(&mut interim).await.unwrap();
    assert_eq!(&interim, b"HTTP/1.1 100 Continue\r\n\r\n");
    let stopping = tokio::spawn(service.stop());
    while TcpStream::connect(public).await.is_ok() {
        tokio::task::yield_now().await;
    }
    under_way.write_all(b"done").await.unwrap();
    let mut answer = String::new();
    under_way.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("done"), "{answer}");
    assert!(stopping.await.unwrap(), "drained in time");
}

#[tokio::test]
async fn a_port_that_is_taken_is_named_with_the_flag_that_moves_it() {
    let service = start(Switch::Off).await;
    let mut taken = options(Switch::Off);
    taken.admin_listen = service.admin_address;
    let Err(error) = Service::new("second", Router::new()).start(&taken).await else {
        panic!("two services on one port");
    };
    let text = error.to_string();
    assert!(text.contains(&service.admin_address.to_string()), "{text}");
    assert!(text.contains("--admin-listen"), "{text}");
}
