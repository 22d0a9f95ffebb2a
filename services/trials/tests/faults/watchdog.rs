//! One `oomen watch` beside all services of a shop.

use std::fs::File;
use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;

use reqwest::Client;
use serde_json::Value;
use tokio::process::{Child, Command};
use tokio::time::{Instant, interval};

use crate::scene::{Scene, client};

/// For each target's first heap profile, with which later ones are compared.
const READY: Duration = Duration::from_secs(30);
const LOOK: Duration = Duration::from_millis(100);

pub(crate) struct Watchdog {
    /// Ends when this is dropped.
    _oomen: Child,
    url: String,
    client: Client,
}

impl Watchdog {
    /// Starts it with this limit for each service and waits until it knows them all.
    pub(crate) async fn beside(scene: &Scene, limit: u64) -> Self {
        let listen = free_port();
        let file = scene.data().join("oomen.toml");
        std::fs::write(&file, configuration(scene, listen, limit)).unwrap();
        let log = File::create(scene.data().join("oomen.log")).unwrap();
        let oomen = Command::new(services_trials::programs().join("oomen"))
            .args(["watch", "--warm-up", "2s", "--config"])
            .arg(file)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let watchdog = Self { _oomen: oomen, url: format!("http://{listen}"), client: client() };
        watchdog.has_profiles(scene).await;
        watchdog
    }

    async fn has_profiles(&self, scene: &Scene) {
        let (until, mut looks) = (Instant::now() + READY, interval(LOOK));
        let mut missing = scene.shop().processes().map(|(service, _)| service).collect::<Vec<_>>();
        while !missing.is_empty() {
            looks.tick().await;
            let log = || std::fs::read_to_string(scene.data().join("oomen.log")).unwrap();
            assert!(Instant::now() < until, "no profile of {missing:?}; its log: {}", log());
            // It may not listen yet.
            let Ok(profiles) = self.ask("heap-dumps").await else { continue };
            let profiles = profiles["heap_dumps"].as_array().unwrap();
            missing.retain(|service| !profiles.iter().any(|one| one["target"] == *service));
        }
    }

    /// Every incident it has, the newest first.
    pub(crate) async fn incidents(&self) -> Vec<Value> {
        self.ask("incidents").await.unwrap()["incidents"].as_array().unwrap().clone()
    }

    async fn ask(&self, what: &str) -> reqwest::Result<Value> {
        let answer = self.client.get(format!("{}/api/v1/{what}", self.url)).send().await?;
        answer.error_for_status()?.json().await
    }
}

fn configuration(scene: &Scene, listen: SocketAddr, limit: u64) -> String {
    let data = scene.data().display();
    let head = format!(
        "listen = '{listen}'\ndata_dir = '{data}/oomen'\nrecorder_dir = '{}'\n",
        scene.recorders().display()
    );
    let target = |(service, pid): (&str, u32)| {
        let admin = scene.admin(service);
        format!(
            "[[target]]\nname = '{service}'\npid = {pid}\nlimit = '{}MiB'\n\
             probe = 'http://{admin}'\n\
             requests = {{ url = 'http://{admin}/metrics', counter = 'http_requests_total' }}\n",
            limit >> 20
        )
    };
    scene.shop().processes().map(target).fold(head, |all, one| all + &one)
}

/// A port that was free a moment ago.
fn free_port() -> SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}
