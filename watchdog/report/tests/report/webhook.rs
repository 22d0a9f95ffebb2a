//! The webhook sink: what is posted, that it is as documented, and that it is posted once.

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use watchdog_core::incident::{Incident, State};
use watchdog_core::units::WallTime;
use watchdog_fixtures::hostile::{HostileServer, Mode, Received};
use watchdog_report::http::{Clock, HttpOptions};
use watchdog_report::sink::{Delivery, ErrorKind, Progress, Sink};
use watchdog_report::webhook::{WebhookConfigError, WebhookOptions, WebhookSink};

use crate::sample::{confirmed, incident};

mod schema;

const SECRET: &str = "0123456789abcdef0123456789abcdef";
const NOW: f64 = 1_795_269_612.7;

fn options(url: &str) -> WebhookOptions {
    let clock = Clock::new(|| WallTime(NOW));
    WebhookOptions {
        url: format!("{url}/hook?key=1").parse().expect("a URL"),
        secret: Some(SECRET.into()),
        page: Some("https://oomen.example/".parse().expect("a URL")),
        http: HttpOptions { clock, ..HttpOptions::default() },
    }
}

async fn server() -> (HostileServer, WebhookSink) {
    let server = HostileServer::start(Mode::Status(204)).await.expect("a server");
    let sink = WebhookSink::new(options(&server.url())).expect("a sink");
    (server, sink)
}

async fn deliver(sink: &WebhookSink, incident: &Incident, memory: Option<&Value>) -> Progress {
    let incidents = std::slice::from_ref(incident);
    let delivery = Delivery { incidents, memory, unsure_since: None };
    sink.deliver(delivery).await.expect("delivered")
}

fn body(received: &Received) -> Value {
    serde_json::from_slice(&received.body).expect("JSON")
}

#[tokio::test]
async fn a_piece_of_news_is_posted_once_and_the_next_one_again() {
    let (server, sink) = server().await;
    let news = Incident { revision: 2, ..confirmed() };
    let first = deliver(&sink, &news, None).await;
    assert!(!first.more);
    let again = deliver(&sink, &news, first.memory.as_ref()).await;
    assert_eq!((server.requests(), &again.memory), (1, &first.memory), "nothing was new");
    let next = Incident { revision: 3, ..news };
    deliver(&sink, &next, again.memory.as_ref()).await;
    let keys: Vec<_> = server.received().iter().map(|one| body(one)["delivery"].clone()).collect();
    assert_eq!(keys, ["recommendations-4242-1795269549/2", "recommendations-4242-1795269549/3"]);
}

#[tokio::test]
async fn an_attempt_that_is_made_again_has_the_same_key() {
    let (server, sink) = server().await;
    server.script([Mode::Reset]);
    let incidents = &[confirmed()];
    let lost = Delivery { incidents, memory: None, unsure_since: None };
    let error = sink.deliver(lost).await.expect_err("no answer");
    assert!(error.unsure && error.kind == ErrorKind::Retry { after: None }, "{error}");
    let again = Delivery { unsure_since: Some(WallTime(NOW)), ..lost };
    sink.deliver(again).await.expect("delivered");
    let received = server.received();
    assert_eq!(received.len(), 2);
    assert_eq!(received[0].header("x-oomen-delivery"), received[1].header("x-oomen-delivery"));
    assert_eq!(received[0].body, received[1].body);
}

#[tokio::test]
async fn the_request_says_what_it_is_and_by_whom() {
    let (server, sink) = server().await;
    deliver(&sink, &Incident { revision: 2, ..confirmed() }, None).await;
    let request = &server.received()[0];
    assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", "/hook?key=1"));
    let agent = format!("oomen/{}", env!("CARGO_PKG_VERSION"));
    for (name, value) in [
        ("content-type", "application/json"),
        ("user-agent", agent.as_str()),
        ("x-oomen-timestamp", "1795269612"),
        ("x-oomen-delivery", "recommendations-4242-1795269549/2"),
    ] {
        assert_eq!(request.header(name), Some(value), "{name}");
    }
    let unsigned = WebhookOptions { secret: None, ..options(&server.url()) };
    deliver(&WebhookSink::new(unsigned).expect("a sink"), &confirmed(), None).await;
    assert_eq!(server.received()[1].header("x-oomen-signature"), None);
}

/// The code that the documentation gives to receivers, run as it stands there.
fn verifies(secret: &str, request: &Received) -> bool {
    let docs = include_str!("../../../../docs/webhook.md");
    let code = docs.split("```python\n").nth(1).and_then(|rest| rest.split("```").next());
    let check = "import sys\n\
        args = [argument.encode() for argument in sys.argv[1:3]]\n\
        print(is_authentic(args[0], sys.argv[2], sys.argv[3], sys.stdin.buffer.read(), now=float(sys.argv[4])))";
    let header = |name| request.header(name).expect("a header");
    let mut python = Command::new("python3")
        .args(["-c", &format!("{}\n{check}", code.expect("a block of Python"))])
        .args([secret, header("x-oomen-timestamp"), header("x-oomen-signature")])
        .arg(NOW.to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python3 is needed");
    python.stdin.take().expect("a pipe").write_all(&request.body).expect("written");
    let output = python.wait_with_output().expect("an output");
    assert!(output.status.success(), "{output:?}");
    output.stdout == b"True\n"
}

#[tokio::test]
async fn the_documented_code_takes_what_is_signed_and_refuses_what_was_changed() {
    let (server, sink) = server().await;
    deliver(&sink, &confirmed(), None).await;
    let request = server.received().remove(0);
    assert!(verifies(SECRET, &request));
    assert!(!verifies("another secret of any length", &request));
    let mut changed = request.clone();
    *changed.body.last_mut().expect("a body") = b' ';
    assert!(!verifies(SECRET, &changed));
    let mut replayed = request;
    for (name, value) in &mut replayed.headers {
        if name == "x-oomen-timestamp" {
            *value = "1795260000".into();
        }
    }
    assert!(!verifies(SECRET, &replayed), "another time is another signature, and too old");
}

#[tokio::test]
async fn whatever_is_posted_is_as_the_schema_says() {
    let schema: Value =
        serde_json::from_str(include_str!("../../../../docs/webhook.schema.json")).expect("JSON");
    let (server, sink) = server().await;
    for state in State::ALL {
        let closed = state.is_closed().then_some(WallTime(1_795_269_611.5));
        let full =
            Incident { closed, evidence: Some("oom_kill 0 → 1".into()), ..incident("a", state) };
        let mut bare = Incident { limit: None, trend: None, kill: None, ..full.clone() };
        (bare.told, bare.closed, bare.culprit, bare.evidence) = (None, None, None, None);
        deliver(&sink, &full, None).await;
        deliver(&sink, &bare, None).await;
    }
    let received = server.received();
    assert_eq!(received.len(), 2 * State::ALL.len());
    for request in &received {
        schema::check(&schema, &schema, &body(request), "$").expect("as documented");
    }
    let mut wrong = body(&received[0]);
    wrong["incident"]["state"] = json!("fine");
    schema::check(&schema, &schema, &wrong, "$").expect_err("no such state");
    wrong = body(&received[0]);
    wrong["incident"].as_object_mut().expect("an object").remove("memory");
    schema::check(&schema, &schema, &wrong, "$").expect_err("memory is required");
    let example = include_str!("../../../../docs/webhook.md");
    let example = example.split("```json\n").nth(1).and_then(|rest| rest.split("```").next());
    let example: Value = serde_json::from_str(example.expect("an example")).expect("JSON");
    schema::check(&schema, &schema, &example, "$").expect("the documentation's example");
}

#[test]
fn a_secret_that_can_be_guessed_is_refused_with_the_way_to_a_better_one() {
    let short = WebhookOptions { secret: Some("hunter2".into()), ..options("http://h") };
    let error = WebhookSink::new(short).expect_err("refused");
    assert_eq!(error, WebhookConfigError::Secret);
    let text = error.to_string();
    assert!(text.contains("openssl rand") && !text.contains("hunter2"), "{text}");
    assert!(Duration::from_secs(10) > watchdog_report::http::POST_DEADLINE);
}
