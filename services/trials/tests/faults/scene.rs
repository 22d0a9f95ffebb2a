//! A shop that is open, seen from outside: the kernel's figures, the allocator's statistics, and the faults' switches.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Value, json};
use services_engines::Shop;
use services_trials::Open;
use tempfile::TempDir;

const DEADLINE: Duration = Duration::from_secs(30);

pub(crate) struct Scene {
    open: Open,
    /// For the services' flight recorders.
    recorders: TempDir,
    client: Client,
}

impl Scene {
    pub(crate) fn open(environment: &[(&str, &str)]) -> Self {
        let recorders = tempfile::tempdir().unwrap();
        let recorder = [("OOMEN_RECORDER_DIR", recorders.path().to_str().unwrap())];
        let environment = [environment, &recorder].concat();
        let open = services_trials::open(&environment).unwrap();
        Self { open, recorders, client: client() }
    }

    pub(crate) fn shop(&self) -> &Shop {
        &self.open.shop
    }

    pub(crate) fn data(&self) -> &Path {
        self.open.data.path()
    }

    pub(crate) fn recorders(&self) -> &Path {
        self.recorders.path()
    }

    pub(crate) fn public(&self, service: &str) -> SocketAddr {
        self.shop().publics().find(|(name, _)| *name == service).unwrap().1
    }

    pub(crate) fn admin(&self, service: &str) -> SocketAddr {
        self.shop().admins().find(|(name, _)| *name == service).unwrap().1
    }

    /// An order to a fault, not sent yet.
    pub(crate) fn order(&self, method: Method, url: &str, rate: u64) -> RequestBuilder {
        self.client.request(method, url).json(&json!({ "bytes_per_second": rate }))
    }

    pub(crate) async fn inject(&self, service: &str, fault: &str, rate: u64) {
        let url = format!("http://{}/debug/faults/{fault}", self.admin(service));
        self.order(Method::PUT, &url, rate).send().await.unwrap().error_for_status().unwrap();
    }

    pub(crate) async fn stop(&self, service: &str, fault: &str) {
        let url = format!("http://{}/debug/faults/{fault}", self.admin(service));
        self.client.delete(&url).send().await.unwrap().error_for_status().unwrap();
    }

    /// The faults of a service and their rates.
    pub(crate) async fn faults(&self, service: &str) -> Value {
        self.ask(service, "/debug/faults").await
    }

    /// Bytes that the service holds, as its allocator says.
    pub(crate) async fn allocated(&self, service: &str) -> u64 {
        self.ask(service, "/debug/allocator").await["allocated"].as_u64().unwrap()
    }

    async fn ask(&self, service: &str, path: &str) -> Value {
        let url = format!("http://{}{path}", self.admin(service));
        self.client.get(url).send().await.unwrap().json().await.unwrap()
    }

    /// Bytes of resident anonymous memory, as the kernel counts it.
    pub(crate) fn resident(&self, service: &str) -> u64 {
        let kibibytes = self.figure(service, "status", "RssAnon:");
        kibibytes.trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
    }

    /// Bytes that the service has written to files and sockets since its start.
    pub(crate) fn written(&self, service: &str) -> u64 {
        self.figure(service, "io", "wchar:").parse().unwrap()
    }

    fn figure(&self, service: &str, file: &str, name: &str) -> String {
        let (_, pid) = self.shop().processes().find(|(known, _)| *known == service).unwrap();
        let text = std::fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap();
        text.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim().to_owned()
    }
}

/// A client without certificates, as everything here is on loopback.
pub(crate) fn client() -> Client {
    // It fails only when another test was first.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder().no_proxy().tls_certs_only([]).timeout(DEADLINE).build().unwrap()
}
