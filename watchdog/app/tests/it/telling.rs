//! Everybody who is to be told is told, once, also by a watchdog that was killed in between.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use watchdog_fixtures::hostile::{HostileServer, Mode};
use watchdog_fixtures::loki::LokiServer;
use watchdog_fixtures::slack::{Event, Message, SlackServer, TOKEN};

use crate::support::{Outcome, Program, SOON, Service, Shop, Watchdog, eventually, shipped};

const SECRET: &str = "a-secret-of-the-webhook-and-long-enough";

/// Somebody to tell, and the configuration that names him.
struct Scene {
    slack: SlackServer,
    data: TempDir,
}

impl Scene {
    async fn new(settings: &str) -> Self {
        let slack = SlackServer::start().await.expect("a server");
        let data = tempfile::tempdir().expect("a directory");
        let file = |name: &str, content: &str| {
            let path = data.path().join(name);
            std::fs::write(&path, content).expect("written");
            path.display().to_string()
        };
        let token = file("token", TOKEN);
        file("secret", SECRET);
        let settings = settings.replace("SECRET_FILE", &file("secret", SECRET));
        let text = format!(
            "state_interval = \"1s\"\n{settings}\n[slack]\nchannel = \"C0ONCALL1\"\n\
             token_file = \"{token}\"\napi_url = \"{}/api\"\n",
            slack.url()
        );
        file("oomen.toml", &text);
        Self { slack, data }
    }

    fn config(&self) -> String {
        format!("--config={}", self.data.path().join("oomen.toml").display())
    }

    async fn watch(&self, which: &str) -> Watchdog {
        let mut command = Command::new(shipped("oomen"));
        let flags = [which, "--limit=96MiB", &self.config()];
        Watchdog::start_as(&mut command, &self.data.path().join("data"), &flags).await
    }

    async fn notify(&self) -> Outcome {
        let mut command = Command::new(shipped("oomen"));
        command.args(["notify", "--test", &self.config()]);
        Program::run(&mut command, Duration::from_secs(120)).await
    }

    fn roots(&self) -> Vec<Message> {
        let messages = self.slack.messages().into_iter();
        messages.filter(|message| message.thread_ts.is_none()).collect()
    }

    /// The one root that was posted, as it is now.
    fn only_root(&self) -> Message {
        let roots = self.roots();
        let posts = roots.iter().filter(|message| message.event == Event::Post).count();
        assert_eq!(posts, 1, "{roots:#?}");
        roots.last().cloned().expect("a message")
    }

    /// Waits until the root says so.
    async fn root_says(&self, part: &str) {
        let says = |messages: &[Message]| {
            let root = messages.iter().rfind(|message| message.thread_ts.is_none());
            root.is_some_and(|root| root.text.contains(part))
        };
        self.slack.wait_for(says, SOON).await.expect("the message says so");
    }
}

/// Leaks until people were told, and then no more.
async fn told_leak(service: &Service, watchdog: &Watchdog) -> Value {
    service.leak(12_000_000).await;
    let told = |incident: &Value| {
        !incident["told"].is_null() && incident["target"]["pid"] == service.pid()
    };
    let incident = watchdog.incident("a leak is told", told).await;
    service.leak(0).await;
    incident
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watchdog_that_is_killed_completes_the_same_message_when_it_is_back() {
    let scene = Scene::new("").await;
    let shop = Shop::new();
    let mut service = shop.start().await;
    let pid = format!("--pid={}", service.pid());
    let mut first = scene.watch(&pid).await;
    let told = told_leak(&service, &first).await;
    scene.root_says(&service.name).await;
    first.program.kill();

    let second = scene.watch(&pid).await;
    second.program.says("an open incident goes on").await;
    let before = second.incident("the incident", |one| one["id"] == told["id"]).await;
    assert_eq!(before["target"]["pid"], service.pid());
    service.program.kill();
    second.incident("its end", |one| one["id"] == told["id"] && one["state"] == "gone").await;
    scene.root_says("ended").await;
    assert!(scene.only_root().text.contains(&service.name));
    assert_eq!(second.api("incidents").await["incidents"].as_array().map(Vec::len), Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_incident_whose_process_ended_while_nobody_looked_is_ended() {
    let scene = Scene::new("").await;
    let shop = Shop::new();
    let mut service = shop.start().await;
    let which = format!("--process={}", service.name);
    let mut first = scene.watch(&which).await;
    let told = told_leak(&service, &first).await;
    scene.root_says(&service.name).await;
    first.program.kill();
    service.program.kill();

    let second = scene.watch(&which).await;
    let ended = eventually("its end", Duration::from_secs(60), async || {
        let answer = second.api("incidents").await;
        let incidents = answer["incidents"].as_array().cloned().unwrap_or_default();
        incidents.into_iter().find(|one| one["id"] == told["id"] && one["state"] == "gone")
    })
    .await;
    let evidence = ended["evidence"].as_str().expect("evidence");
    assert!(evidence.contains("while no watchdog was looking"), "{evidence}");
    scene.root_says("ended").await;
    scene.only_root();
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_that_leak_at_once_are_one_message() {
    let scene = Scene::new("").await;
    let shop = Shop::new();
    let (one, other) = (shop.start().await, shop.start().await);
    let watchdog = scene.watch(&format!("--process={}", shop.name)).await;
    for service in [&one, &other] {
        told_leak(service, &watchdog).await;
    }
    scene.root_says("2 of").await;
    let root = scene.only_root();
    let blocks = Value::from(root.blocks).to_string();
    assert!(blocks.contains(&format!("{}-2", shop.name)), "{blocks}");
    drop((one, other));
}

#[tokio::test(flavor = "multi_thread")]
async fn alertmanager_loki_and_a_webhook_are_told_of_an_incident_and_of_its_end() {
    let json = || Mode::json("{}");
    let alertmanager = HostileServer::start(json()).await.expect("a server");
    let webhook = HostileServer::start(json()).await.expect("a server");
    let loki = LokiServer::start().await.expect("a server");
    let scene = Scene::new(&format!(
        "[alertmanager]\nurls = [\"{}\"]\nlabels = {{ cluster = \"test-1\" }}\n\
         [loki]\nurl = \"{}\"\n[webhook]\nurl = \"{}\"\nsecret_file = \"SECRET_FILE\"\n",
        alertmanager.url(),
        loki.url(),
        webhook.url()
    ))
    .await;
    let shop = Shop::new();
    let mut service = shop.start().await;
    let watchdog = scene.watch(&format!("--pid={}", service.pid())).await;
    let told = told_leak(&service, &watchdog).await;
    service.program.kill();
    watchdog.incident("its end", |one| one["state"] == "gone").await;
    for sink in ["alertmanager", "loki", "webhook", "slack", "terminal"] {
        let queue = format!("oomen_delivery_queue_length{{sink=\"{sink}\"}}");
        watchdog.metric_fits(&queue, |length| length == 0.0).await;
    }
    let id = told["id"].as_str().expect("an id");
    let alerts = alertmanager.received();
    assert!(alerts.len() >= 2, "{alerts:#?}");
    for alert in &alerts {
        assert_eq!((alert.method.as_str(), alert.path.as_str()), ("POST", "/api/v2/alerts"));
        let body: Value = serde_json::from_slice(&alert.body).expect("JSON");
        let labels = &body[0]["labels"];
        assert_eq!(labels["alertname"], "OomenMemoryLeak", "{body:#}");
        assert_eq!(labels["cluster"], "test-1");
        assert_eq!(labels["target"], *service.name);
    }
    let entries = loki.entries();
    assert!(entries.iter().all(|entry| entry.line.contains(id)), "{entries:#?}");
    assert!(entries.iter().any(|entry| entry.labels["state"] == "gone"), "{entries:#?}");
    let deliveries = webhook.received();
    let last = deliveries.last().expect("a delivery");
    assert!(last.header("x-oomen-signature").is_some_and(|it| it.starts_with("sha256=")));
    assert!(last.text().contains("\"gone\"") && last.text().contains(id), "{}", last.text());
    let readable = watchdog.everything_readable().await;
    assert!(!readable.contains(SECRET) && !readable.contains(TOKEN), "a secret can be read");
}

#[tokio::test(flavor = "multi_thread")]
async fn samples_go_to_everybody_who_is_configured_and_what_happened_is_said() {
    let (webhook, loki) = (HostileServer::start(Mode::json("{}")).await, LokiServer::start().await);
    let (webhook, loki) = (webhook.expect("a server"), loki.expect("a server"));
    let scene = Scene::new(&format!(
        "[loki]\nurl = \"{}\"\n[webhook]\nurl = \"{}\"\nsecret_file = \"SECRET_FILE\"\n",
        loki.url(),
        webhook.url()
    ))
    .await;
    let outcome = scene.notify().await;
    assert_eq!(outcome.code(), Some(0), "{outcome:?}");
    for sink in ["slack", "loki", "webhook"] {
        for state in ["confirmed", "imminent", "recovered", "killed"] {
            let said = outcome.stdout.lines().any(|line| {
                let words: Vec<&str> = line.split_whitespace().collect();
                words.starts_with(&["ok", sink, state])
            });
            assert!(said, "{sink} {state}: {outcome:?}");
        }
    }
    let roots = scene.roots();
    assert_eq!(roots.iter().filter(|root| root.event == Event::Post).count(), 2, "{roots:#?}");
    assert!(roots.iter().all(|root| root.text.contains("oomen-test")), "{roots:#?}");
    assert!(!scene.slack.files().is_empty(), "a plot");

    webhook.set(Mode::Status(403));
    let outcome = scene.notify().await;
    assert_eq!(outcome.code(), Some(1), "{outcome:?}");
    assert!(outcome.stdout.contains("broken  webhook") && outcome.stdout.contains("403"));
    assert!(!format!("{outcome:?}").contains(SECRET), "the secret can be read");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_anybody_to_tell_or_without_test_nothing_is_sent_and_the_way_out_is_said() {
    let run = async |flags: &[&str]| {
        let mut command = Command::new(shipped("oomen"));
        command.arg("notify").args(flags).current_dir(Path::new("/"));
        Program::run(&mut command, SOON).await
    };
    let nobody = run(&["--test"]).await;
    assert_eq!(nobody.code(), Some(2));
    assert!(nobody.stderr.contains("--slack-channel"), "{nobody:?}");
    let nothing = run(&[]).await;
    assert_eq!(nothing.code(), Some(2));
    assert!(nothing.stderr.contains("--test"), "{nothing:?}");
}
