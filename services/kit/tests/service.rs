//! A service as its customers and operators see it, started in this process on free ports.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests may fail the test"
)]

use std::time::{Duration, SystemTime};

use axum::routing::post;
use serde_json::{Value, json};
use services_kit::identity::IDENTITY;
use services_kit::openapi::{Api, disagreements, routes};
use services_kit::{
    ApiError, Customer, Fault, Internal, Json, Kit, Options, Path, Peer, Running, Service, Switch,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use uuid::Uuid;

services_kit::probe::install!();

struct Nothing;

impl Fault for Nothing {
    fn take(&mut self, budget: u64) -> u64 {
        budget
    }
}

fn options(faults: Switch) -> Options {
    let options = Options::on_free_ports().unwrap();
    Options { faults, internal_key: Some("k".repeat(32).into()), ..options }
}

fn kit(options: Options) -> Kit {
    Kit::new(Peer::Orders, options).unwrap()
}

/// Greets.
#[utoipa::path(get, path = "/hello/{name}", params(("name" = String, Path)), responses((status = 200, body = String)))]
async fn hello(_name: Path<String>) -> &'static str {
    "hello"
}

/// Gives back.
#[utoipa::path(post, path = "/echo", request_body = String, responses((status = 200, body = String)))]
async fn echo(body: String) -> String {
    body
}

/// Refuses.
#[utoipa::path(get, path = "/wrong", responses((status = 422, description = "always")))]
async fn wrong() -> ApiError {
    ApiError::unprocessable("too blue")
}

/// Panics.
#[utoipa::path(put, path = "/panic", responses((status = 500, description = "always")))]
async fn panics() -> &'static str {
    panic!("hunter2")
}

/// Takes too long.
#[utoipa::path(get, path = "/slow", responses((status = 408, description = "always")))]
async fn slow() {
    std::future::pending::<()>().await;
}

/// Says who asks.
#[utoipa::path(get, path = "/me", responses((status = 200, body = String)))]
async fn me(customer: Customer, internal: Internal) -> Json<Value> {
    Json(json!({"customer": customer.id, "service": internal.service}))
}

fn api() -> Api {
    Api::new()
        .routes(routes!(hello))
        .routes(routes!(echo))
        .routes(routes!(wrong))
        .routes(routes!(slow))
        .routes(routes!(me))
}

async fn start(faults: Switch) -> Running {
    start_with(options(faults)).await
}

async fn start_with(options: Options) -> Running {
    Service::new(kit(options), api().routes(routes!(panics)))
        .open()
        .deadline(Duration::from_millis(300))
        .fault("nothing", Nothing)
        .fault("nothing-else", Nothing)
        .start()
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
        let error = body["error"].as_object().unwrap();
        let parts: Vec<&str> = error.keys().map(String::as_str).collect();
        assert_eq!(parts, ["code", "message", "request_id"]);
        assert!(error.values().all(|part| !part.as_str().unwrap().is_empty()), "{text}");
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
    assert!(body["error"]["message"].as_str().unwrap().contains("SHOP_FAULTS=on"), "{body}");
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
    let message = body["error"]["message"].as_str().unwrap();
    for name in
        ["nothing", "nothing-else", "bounded-cache", "diurnal-load", "batch-sawtooth", "page-cache"]
    {
        assert!(message.contains(name), "{body}");
    }
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
        assert!(body["error"]["message"].is_string(), "{wrong}: {body}");
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
    let Err(error) = Service::new(kit(taken), Api::new()).start().await else {
        panic!("two services on one port");
    };
    let text = error.to_string();
    assert!(text.contains(&service.admin_address.to_string()), "{text}");
    assert!(text.contains("SHOP_ADMIN_LISTEN"), "{text}");
}

#[tokio::test]
async fn a_service_answers_the_shop_alone_and_knows_the_customer() {
    let service = Service::new(kit(options(Switch::Off)), api()).start().await.unwrap();
    let url = format!("http://{}/me", service.public_address);
    let http = reqwest::Client::new();
    assert_eq!(http.get(&url).send().await.unwrap().status(), 401);
    assert_eq!(http.get(&url).header(IDENTITY, "made.up").send().await.unwrap().status(), 401);
    let signed =
        |customer| service.kit().keys().sign(Peer::Gateway, customer, SystemTime::now()).unwrap();
    let nobody = http.get(&url).header(IDENTITY, signed(None)).send().await.unwrap();
    assert_eq!(nobody.status(), 401, "a service, but no customer");
    let id = Uuid::now_v7();
    let known = http.get(&url).header(IDENTITY, signed(Some(id))).send().await.unwrap();
    let body: Value = known.json().await.unwrap();
    assert_eq!(body, json!({"customer": id, "service": "gateway"}));
    let document = format!("http://{}/openapi.json", service.public_address);
    assert_eq!(get_text(document).await.0, 200, "the document is for everybody");
}

#[tokio::test]
async fn the_document_agrees_with_the_routes_and_a_difference_is_found() {
    let service = Service::new(kit(options(Switch::Off)), api())
        .deadline(Duration::from_millis(300))
        .start()
        .await
        .unwrap();
    assert_eq!(disagreements(&service).await.unwrap(), Vec::<String>::new());
    let page = Api::new().page("/hello/{name}", post(|| async { "in no document" }));
    let service = Service::new(kit(options(Switch::Off)), api().merge(page)).start().await.unwrap();
    let found = disagreements(&service).await.unwrap();
    assert!(found.contains(&"POST /hello/{name}: served, not documented".to_owned()), "{found:?}");
    let service = start(Switch::Off).await;
    let found = disagreements(&service).await.unwrap();
    assert!(found.contains(&"PUT /panic: answers 500".to_owned()), "{found:?}");
}

#[tokio::test]
async fn a_handler_that_panics_or_hangs_is_answered_for_without_its_secrets() {
    let service = start(Switch::Off).await;
    let public = service.public_address;
    let url = format!("http://{public}/panic");
    let answer = reqwest::Client::new().put(url).send().await.unwrap();
    assert_eq!(answer.status(), 500);
    let text = answer.text().await.unwrap();
    assert!(text.contains(r#""code":"internal""#) && !text.contains("hunter2"), "{text}");
    let (status, text) = get_text(format!("http://{public}/slow")).await;
    assert_eq!(status, 408);
    assert!(text.contains(r#""code":"request_timeout""#), "{text}");
}

#[tokio::test]
async fn a_request_keeps_its_id_and_every_answer_is_marked_as_data() {
    let service = start(Switch::Off).await;
    let url = format!("http://{}/wrong", service.public_address);
    let request = reqwest::Client::new().get(&url).header("x-request-id", "abc-1");
    let answer = request.send().await.unwrap();
    let headers = answer.headers().clone();
    assert_eq!(headers["x-request-id"], "abc-1");
    assert_eq!(headers["x-content-type-options"], "nosniff");
    assert_eq!(headers["cache-control"], "no-store");
    assert!(headers["content-security-policy"].to_str().unwrap().contains("default-src 'none'"));
    let body: Value = answer.json().await.unwrap();
    assert_eq!(body["error"]["request_id"], "abc-1");
    let request = reqwest::Client::new().get(&url).header("x-request-id", "<script>");
    let id = request.send().await.unwrap().headers()["x-request-id"].clone();
    assert!(Uuid::parse_str(id.to_str().unwrap()).is_ok(), "{id:?}");
}

#[tokio::test]
async fn ready_asks_the_dependencies_and_live_never_does() {
    let (answer, asked) = tokio::sync::watch::channel(Err("no route to host"));
    let kit = kit(options(Switch::Off));
    kit.readiness("database", move || {
        let answer = *asked.borrow();
        async move { answer }
    });
    let service = Service::new(kit, api()).start().await.unwrap();
    let health = |what: &str| get_text(format!("http://{}/health/{what}", service.admin_address));
    assert_eq!(health("ready").await, (503, "database: no route to host\n".to_owned()));
    assert_eq!(health("live").await.0, 200);
    answer.send(Ok(())).unwrap();
    assert_eq!(health("ready").await.0, 200);
}

#[tokio::test]
async fn a_dependency_that_does_not_answer_is_not_waited_for() {
    let kit = kit(options(Switch::Off));
    kit.readiness("database", std::future::pending::<Result<(), String>>);
    let service = Service::new(kit, api()).start().await.unwrap();
    let url = format!("http://{}/health/ready", service.admin_address);
    let (status, text) = get_text(url).await;
    assert_eq!((status, text.as_str()), (503, "database: no answer within 2s\n"));
}

#[tokio::test]
async fn background_tasks_are_told_to_end_and_one_that_ends_by_itself_is_the_end_of_the_service() {
    let own = kit(options(Switch::Off));
    let stopping = own.stopping().clone();
    own.spawn("obedient", async move { stopping.cancelled().await });
    let service = Service::new(own, api()).start().await.unwrap();
    assert!(service.stop().await);
    let own = kit(options(Switch::Off));
    own.spawn("hasty", async {});
    let service = Service::new(own, api()).start().await.unwrap();
    let live = format!("http://{}/health/live", service.admin_address);
    let ended = async {
        while get_text(live.clone()).await.0 == 200 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), ended).await.expect("it is noticed");
    assert!(get_text(live).await.1.contains("hasty"));
}

#[tokio::test]
async fn with_a_token_faults_are_set_by_those_alone_who_have_it() {
    let token = "0123456789abcdef";
    let service =
        start_with(Options { admin_token: Some(token.into()), ..options(Switch::On) }).await;
    let url = format!("http://{}/debug/faults/nothing", service.admin_address);
    let body = r#"{"bytes_per_second": 1}"#;
    assert_eq!(put(url.clone(), body).await.0, 401);
    let request = reqwest::Client::new().put(url).bearer_auth(token);
    let request = request.header("content-type", "application/json").body(body);
    assert_eq!(request.send().await.unwrap().status(), 200);
}
