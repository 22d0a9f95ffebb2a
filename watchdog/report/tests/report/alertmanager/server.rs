//! A real Alertmanager, on free ports, with a receiver that records what people would be told.

use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use watchdog_fixtures::hostile::{HostileServer, Mode, Received};

/// Debian's name first, then the project's own.
const PROGRAMS: [&str; 2] = ["prometheus-alertmanager", "alertmanager"];
/// Longer than anything here takes, short enough to fail a test.
pub(super) const SOON: Duration = Duration::from_secs(60);

/// A running Alertmanager; it is killed when dropped.
pub(super) struct Alertmanager {
    pub(super) url: String,
    people: HostileServer,
    http: reqwest::Client,
    _child: Child,
    _dir: TempDir,
}

/// What people were told in one message.
#[derive(Debug, PartialEq)]
pub(super) struct Told {
    /// `firing` or `resolved`.
    pub(super) status: String,
    /// Name, severity and status of each alert.
    pub(super) alerts: Vec<[String; 3]>,
    /// The summary of each alert.
    pub(super) summaries: Vec<String>,
}

impl Alertmanager {
    /// Starts one with the documentation's configuration, changed by `edit`.
    pub(super) async fn start(edit: impl FnOnce(String) -> String) -> Self {
        let people = HostileServer::start(Mode::Status(200)).await.expect("a server");
        let dir = tempfile::tempdir().expect("a directory");
        let config = dir.path().join("alertmanager.yml");
        std::fs::write(&config, edit(documented(&people.url()))).expect("written");
        let mut child = spawn(&config, &dir);
        let url = listening(&mut child).await;
        // Another test may have been first.
        rustls::crypto::ring::default_provider().install_default().ok();
        let http = reqwest::Client::builder().no_proxy().tls_certs_only([]).build();
        Self { url, people, http: http.expect("a client"), _child: child, _dir: dir }
    }

    /// Everything that people were told, once it fits.
    pub(super) async fn told(&self, mut fits: impl FnMut(&[Told]) -> bool) -> Vec<Told> {
        let parsed = |received: &[Received]| received.iter().map(told).collect::<Vec<_>>();
        let received = self.people.wait_for(|received| fits(&parsed(received)), SOON).await;
        parsed(&received.unwrap_or_else(|error| panic!("{error}")))
    }

    /// What people were told so far.
    pub(super) fn told_so_far(&self) -> Vec<Told> {
        self.people.received().iter().map(told).collect()
    }

    /// The state of the one alert with this value of a label.
    pub(super) async fn state(&self, label: &str, value: &str) -> Value {
        let url = format!("{}/api/v2/alerts?filter={label}%3D%22{value}%22", self.url);
        let alerts = self.http.get(url).send().await.expect("an answer");
        let alerts: Vec<Value> = alerts.json().await.expect("JSON");
        let [alert] = alerts.as_slice() else { panic!("{alerts:?}") };
        alert["status"]["state"].clone()
    }

    /// Silences what has this value of a label, for an hour.
    pub(super) async fn silence(&self, label: &str, value: &str) {
        let now = jiff::Timestamp::now();
        let matcher = json!({ "name": label, "value": value, "isRegex": false, "isEqual": true });
        let hour = jiff::SignedDuration::from_hours(1);
        self.post(
            "silences",
            &json!({
                "matchers": [matcher], "startsAt": now.to_string(),
                "endsAt": (now + hour).to_string(), "createdBy": "a test", "comment": "a test",
            }),
        )
        .await;
    }

    /// Sends an alert as Prometheus does for a rule of ours.
    pub(super) async fn rule_fires(&self, name: &str, severity: &str, target: &str) {
        let labels = json!({
            "alertname": name, "severity": severity, "target": target, "namespace": "shop",
            "pod": "recommendations-7d9f", "instance": format!("rule-{target}"), "job": "oomen",
        });
        let annotations = json!({ "summary": "the rule" });
        self.post("alerts", &json!([{ "labels": labels, "annotations": annotations }])).await;
    }

    async fn post(&self, what: &str, body: &Value) {
        let url = format!("{}/api/v2/{what}", self.url);
        let answer = self.http.post(url).json(body).send().await.expect("an answer");
        let status = answer.status();
        assert!(status.is_success(), "{status}: {}", answer.text().await.unwrap_or_default());
    }
}

/// The configuration that `docs/alertmanager.md` recommends, with this receiver, and quick.
fn documented(people: &str) -> String {
    let docs = include_str!("../../../../../docs/alertmanager.md");
    let block = docs.split("```yaml\n").nth(1).and_then(|rest| rest.split("```").next());
    let replaced = |text: String, old: &str, new: &str| {
        assert!(text.contains(old), "the documentation has no `{old}`");
        text.replace(old, new)
    };
    let config = replaced(block.expect("a block").into(), "http://127.0.0.1:5001/", people);
    replaced(config, "group_interval: 10s", "group_interval: 300ms")
}

fn spawn(config: &std::path::Path, dir: &TempDir) -> Child {
    let start = |program: &&str| {
        Command::new(program)
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.path={}", dir.path().join("data").display()))
            .args(["--web.listen-address=127.0.0.1:0", "--cluster.listen-address="])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .ok()
    };
    PROGRAMS.iter().find_map(start).unwrap_or_else(|| {
        panic!("none of {PROGRAMS:?} can be started: apt-get install prometheus-alertmanager")
    })
}

/// Its address, out of what it says when it starts.
async fn listening(child: &mut Child) -> String {
    let stderr = child.stderr.take().expect("a pipe");
    let mut lines = BufReader::new(stderr).lines();
    let mut said = Vec::new();
    let address = async {
        while let Ok(Some(line)) = lines.next_line().await {
            let address = line.split_once("Listening on").and_then(|(_, rest)| {
                rest.split_once("address=").map(|(_, address)| address.trim().to_owned())
            });
            if address.is_some() {
                return address;
            }
            said.push(line);
        }
        None
    };
    let address = tokio::time::timeout(SOON, address).await.ok().flatten();
    // What nobody reads would block it.
    tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
    let address = address.unwrap_or_else(|| panic!("alertmanager does not start: {said:#?}"));
    format!("http://{address}")
}

fn told(request: &Received) -> Told {
    let message: Value = serde_json::from_slice(&request.body).expect("JSON");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let alerts = message["alerts"].as_array().expect("alerts");
    let brief = |alert: &Value| {
        let labels = &alert["labels"];
        [text(&labels["alertname"]), text(&labels["severity"]), text(&alert["status"])]
    };
    let mut brief: Vec<_> = alerts.iter().map(brief).collect();
    brief.sort();
    let summary = |alert: &Value| text(&alert["annotations"]["summary"]);
    Told {
        status: text(&message["status"]),
        alerts: brief,
        summaries: alerts.iter().map(summary).collect(),
    }
}
