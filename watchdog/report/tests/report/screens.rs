//! What people see: the messages that the sink posts, laid out as Slack does and compared with docs/slack.

use std::collections::BTreeMap;
use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;

use serde_json::Value;
use watchdog_core::culprit::Culprit;
use watchdog_core::forecast::KillWindow;
use watchdog_core::history::Row;
use watchdog_core::incident::{Incident, State};
use watchdog_core::profile::Frame;
use watchdog_core::units::{BytesPerSecond, WallTime};
use watchdog_core::verdict::Verdict;
use watchdog_fixtures::slack::{SlackServer, TOKEN};
use watchdog_report::sink::{Delivery, Evidence, Sink};
use watchdog_report::slack::SlackSink;

use crate::plot_rows::{leak, mib, rows};
use crate::sample::confirmed;
use crate::screens_html::{Scene, page};
use crate::screens_shots;
use crate::slack::options;

/// When the first report goes out.
const TOLD: WallTime = WallTime(1_795_269_610.0);
const LIMIT: f64 = 256.0;
const MEBIBYTE: f64 = 1_048_576.0;

/// What the watchdog has to show: the series of each target, and a profile of a few bytes.
struct Shop {
    rows: BTreeMap<String, Vec<Row>>,
}

impl Evidence for Shop {
    fn series(&self, target: &str) -> Vec<Row> {
        self.rows.get(target).cloned().unwrap_or_default()
    }

    fn profile<'a>(
        &'a self,
        _id: &'a str,
    ) -> Pin<Box<dyn Future<Output = Option<Vec<u8>>> + Send + 'a>> {
        Box::pin(async { Some(vec![0x1f, 0x8b, 8]) })
    }
}

/// A channel, and the sink's memory of the message there.
struct Channel {
    server: SlackServer,
    sink: SlackSink,
    memory: Option<Value>,
}

impl Channel {
    async fn with(rows: impl IntoIterator<Item = (String, Vec<Row>)>) -> Self {
        let server = SlackServer::start().await.expect("a server");
        let mut options = options(&server.url());
        options.page = Some("https://oomen.shop.example/".parse().expect("a url"));
        options.runbook = Some("https://runbooks.shop.example/leak".parse().expect("a url"));
        options.evidence = Arc::new(Shop { rows: rows.into_iter().collect() });
        let sink = SlackSink::new(options).expect("a sink");
        Self { server, sink, memory: None }
    }

    /// Takes at most so many steps to tell of these.
    async fn tell(&mut self, incidents: &[Incident], steps: usize) {
        for _ in 0..steps {
            let memory = self.memory.as_ref();
            let delivery = Delivery { incidents, memory, unsure_since: None };
            let progress = self.sink.deliver(delivery).await.expect("told");
            self.memory = progress.memory;
            if !progress.more {
                return;
            }
        }
    }

    /// What stands in the channel, oldest first.
    async fn history(&self) -> Vec<Value> {
        let channel = self.server.messages()[0].channel.clone();
        let mut messages = self.read("conversations.history", &[("channel", &channel)]).await;
        messages.reverse();
        messages
    }

    /// The thread of the first message, without that.
    async fn thread(&self) -> Vec<Value> {
        let root = self.server.messages()[0].clone();
        let query = [("channel", root.channel.as_str()), ("ts", root.ts.as_str())];
        self.read("conversations.replies", &query).await.split_off(1)
    }

    async fn read(&self, method: &str, query: &[(&str, &str)]) -> Vec<Value> {
        let mut url: url::Url =
            format!("{}/api/{method}", self.server.url()).parse().expect("a url");
        url.query_pairs_mut().extend_pairs(query);
        // Whoever comes second finds the same one.
        drop(rustls::crypto::ring::default_provider().install_default());
        let client = reqwest::Client::builder().no_proxy().build().expect("a client");
        let request = client.get(url).bearer_auth(TOKEN).send();
        let answer = request.await.expect("an answer").bytes().await.expect("a body");
        let answer: Value = serde_json::from_slice(&answer).expect("JSON");
        assert_eq!(answer["ok"], true, "{answer}");
        answer["messages"].as_array().expect("messages").clone()
    }

    /// These messages with the files that stand in the channel.
    fn scene(&self, id: &'static str, heading: &'static str, messages: Vec<Value>) -> Scene {
        let files = self.server.files().into_iter().filter(|file| !file.deleted);
        let files = files.map(|file| (file.id, (file.title, file.bytes))).collect();
        Scene { id, heading, messages, files }
    }
}

/// The function that leaks, once it is known.
fn culprit(growth: f64, rate: f64) -> Culprit {
    let frame = |function: &str, file: &str, line| Frame {
        function: function.into(),
        file: Some(file.into()),
        line: Some(line),
    };
    let guilty = frame(
        "services_recommendations::cache::remember",
        "services/recommendations/src/cache.rs",
        42,
    );
    let pace = rate * MEBIBYTE;
    Culprit {
        frame: guilty.clone(),
        growth: mib(growth),
        share: 0.93,
        samples: (growth * 2.0) as u64,
        profiles: 4,
        over_seconds: growth / rate,
        rate: pace,
        rate_low: pace * 0.84,
        rate_high: pace * 1.17,
        stack: vec![
            guilty,
            frame("services_recommendations::recommend", "services/recommendations/src/lib.rs", 7),
            frame(
                "services_recommendations::routes::basket",
                "services/recommendations/src/routes.rs",
                61,
            ),
        ],
    }
}

/// One service that leaks `pace` MiB a second and holds `used` MiB now.
fn leaking(used: f64, pace: f64, age: f64) -> Incident {
    let base = confirmed();
    let now = TOLD;
    let left = (LIMIT - used) / pace;
    let kill = KillWindow {
        low: now.plus(left * 0.75),
        estimate: now.plus(left),
        high: Some(now.plus(left * 1.4)),
    };
    let [slope, low, high] = [1.0, 0.92, 1.08].map(|share| BytesPerSecond(pace * MEBIBYTE * share));
    Incident {
        opened: now.plus(-age),
        updated: now,
        told: Some(now),
        used: mib(used),
        limit: Some(mib(LIMIT)),
        kill: Some(kill),
        trend: base.trend.map(|trend| watchdog_core::trend::Trend { slope, low, high, ..trend }),
        verdict: Verdict {
            sentence: format!(
                "Live allocations grow by {slope}, as fast as anonymous memory: a leak, or a cache without a bound."
            ),
            ..base.verdict.clone()
        },
        culprit: None,
        suspects: Vec::new(),
        culprit_pending: Some(
            "no function named yet: 2 of the 3 heap profiles needed are taken".into(),
        ),
        dumps: Vec::new(),
        ..base
    }
}

/// The same later: more is used, and the function is known.
fn later(incident: &Incident, seconds: f64, used: f64, state: State) -> Incident {
    let now = incident.updated.plus(seconds);
    let pace = incident.trend.map_or(1.0, |trend| trend.slope.0 / MEBIBYTE);
    let left = (LIMIT - used) / pace;
    let kill = KillWindow {
        low: now.plus(left * 0.75),
        estimate: now.plus(left),
        high: Some(now.plus(left * 1.4)),
    };
    let grown = used.max(incident.used.as_f64() / MEBIBYTE) - 110.0;
    let culprit = culprit(grown, pace);
    let over = state.is_closed();
    Incident {
        revision: incident.revision + 1,
        state,
        updated: now,
        closed: over.then_some(now),
        used: mib(used),
        kill: (!over).then_some(kill),
        suspects: vec![culprit.clone()],
        culprit: Some(culprit),
        culprit_pending: None,
        dumps: vec![format!("recommendations-{}", incident.revision)],
        evidence: match state {
            State::Killed => Some(
                "memory.events oom_kill went from 0 to 1 in /kubepods/pod7d9f/app; last seen 255.6 MiB of 256.0 MiB"
                    .into(),
            ),
            State::Recovered => Some("The growth stopped.".into()),
            _ => None,
        },
        ..incident.clone()
    }
}

/// From the first report to the kill.
async fn killed() -> Vec<Scene> {
    let first = leaking(150.0, 0.4, 60.0);
    let rows = rows(TOLD.plus(264.0), 1800.0, 1.0, leak(255.6, 364.0, 0.4));
    let mut channel = Channel::with([(first.target.name.clone(), rows)]).await;
    let mut scenes = Vec::new();

    channel.tell(std::slice::from_ref(&first), 1).await;
    let messages = channel.history().await;
    scenes.push(channel.scene("first", "The first report, a moment after it was clear", messages));

    let named = later(&first, 20.0, 158.0, State::Confirmed);
    channel.tell(std::slice::from_ref(&named), 20).await;
    let near = later(&named, 195.0, 236.0, State::Imminent);
    channel.tell(std::slice::from_ref(&near), 20).await;
    let messages = channel.history().await;
    scenes.push(channel.scene("imminent", "The kill is near: the same message", messages));

    channel.tell(&[later(&near, 49.0, 255.6, State::Killed)], 20).await;
    let messages = channel.history().await;
    scenes.push(channel.scene("killed", "Killed", messages));
    let messages = channel.thread().await;
    scenes.push(channel.scene("thread", "The thread of that message", messages));
    scenes
}

async fn recovered() -> Vec<Scene> {
    let first = leaking(150.0, 0.1, 300.0);
    let recovered = later(&first, 300.0, 112.0, State::Recovered);
    let used = |t: f64| match t {
        t if t < -600.0 => 120.0,
        t if t < -60.0 => 180.0 + t * 0.1,
        _ => 112.0,
    };
    let rows = rows(recovered.updated, 4000.0, 2.0, used);
    let mut channel = Channel::with([(first.target.name.clone(), rows)]).await;
    channel.tell(&[first], 20).await;
    channel.tell(&[recovered], 20).await;
    let messages = channel.history().await;
    vec![channel.scene("recovered", "Recovered", messages)]
}

async fn replicas() -> Vec<Scene> {
    let replica = |(number, pod, used): (usize, &str, f64)| {
        let mut incident = leaking(used, 0.4, 120.0);
        incident.target.name = format!("recommendations-{number}");
        incident.target.workload = Some("recommendations".into());
        incident.target.pod = Some(format!("recommendations-7d9f6c-{pod}"));
        incident.id = format!("{}-{number}", incident.id);
        incident
    };
    let first = [(0, "x2x9k", 206.0), (1, "m4t7q", 150.0), (2, "b8w5z", 231.0)].map(replica);
    let end = TOLD.plus(60.0);
    let series = |incident: &Incident| {
        let used = incident.used.as_f64() / MEBIBYTE + 24.0;
        (incident.target.name.clone(), rows(end, 1800.0, 1.0, leak(used, 260.0, 0.4)))
    };
    let mut channel = Channel::with(first.iter().map(series)).await;
    channel.tell(&first, 20).await;
    let then = [
        later(&first[0], 60.0, 230.0, State::Imminent),
        later(&first[1], 60.0, 174.0, State::Confirmed),
        later(&first[2], 60.0, 255.6, State::Killed),
    ];
    channel.tell(&then, 20).await;
    let messages = channel.history().await;
    vec![channel.scene("replicas", "Three replicas, one message", messages)]
}

const DIRECTORY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/slack");

#[tokio::test]
async fn the_messages_look_as_in_docs_slack() {
    let mut scenes = killed().await;
    scenes.extend(recovered().await);
    scenes.extend(replicas().await);
    let page = page(&scenes, "light", "phone");
    let golden = Path::new(DIRECTORY).join("messages.html");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&golden, &page).expect("written");
        screens_shots::take(&scenes, Path::new(DIRECTORY));
    }
    let expected = std::fs::read_to_string(golden).expect("run with UPDATE_GOLDEN=1 first");
    assert!(
        without_pixels(&page) == without_pixels(&expected),
        "look at docs/slack/messages.html after `UPDATE_GOLDEN=1 cargo test -p watchdog-report screens`"
    );
}

/// Pictures are compared elsewhere, as what they show: another processor rounds otherwise.
fn without_pixels(page: &str) -> String {
    let parts = page.split("base64,").enumerate().map(|(index, part)| match part.split_once('"') {
        Some((_, rest)) if index > 0 => rest,
        _ => part,
    });
    parts.collect()
}
