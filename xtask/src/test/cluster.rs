//! The watchdog in a cluster: the shipped manifests applied to a real API server, and the shipped programs writing to it with
//! the rights that those give.

mod server;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::crates::counted;
use super::k8s::render;
use super::lab::{free_port, program};
use super::tally::Tally;
use crate::release::cargo;
use crate::sh::Background;
use crate::{http, root, sh};
use server::{ADMIN, Programs, Server};

const OVERLAY: &str = "k8s/overlays/cluster";
const NAMESPACE: &str = "shop";
const TARGET: &str = "recommendations";
const RULES: &str = "/apis/monitoring.coreos.com/v1/namespaces/shop/prometheusrules";
const DEADLINE: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(250);
/// An incident goes from suspected to imminent in a minute at this pace.
const PATIENCE: Duration = Duration::from_secs(180);
const LEAK_BYTES_PER_SECOND: u64 = 4 * 1024 * 1024;

pub(super) fn test(tally: &mut Tally) -> Result<()> {
    let programs = Programs::ensure()?;
    let server = Server::start(&programs)?;
    let manifests = render(OVERLAY)?;
    tally.check(&format!("{OVERLAY}: the API server takes it"), server.apply(&manifests));
    let pod = Pod::create(&server);
    tally.check(
        "the API server admits the pod under restricted pod security",
        pod.as_ref().map(drop).map_err(|error| anyhow::anyhow!("{error:#}")),
    );
    let pod = pod?;
    let watchdog = Watchdog::new(&server, &pod)?;
    tally.check(
        "without the Operator's definition, doctor says so",
        watchdog.doctor(&["kubernetes can be told", "PrometheusRule installed"]),
    );
    define(&server, &programs.definition())?;
    tally.check(
        "with it and the shipped rights, doctor finds nothing wrong in the cluster",
        watchdog.doctor(&["kubernetes can be told", "rules can be kept in the cluster"]),
    );
    library(&server, tally)?;
    tally.check(
        "a leak is told by Events of the pod, and its rules are kept while the process is there",
        watchdog.watch(&server, &pod),
    );
    Ok(())
}

/// Makes `PrometheusRule` known.
fn define(server: &Server, definition: &Path) -> Result<()> {
    server.apply(definition)?;
    let established = ["wait", "--for=condition=Established", "--timeout=60s"];
    let definition = "customresourcedefinition/prometheusrules.monitoring.coreos.com";
    server.kubectl(&[established.as_slice(), &[definition]].concat()).map(drop)
}

/// The tests of the library that need a server.
fn library(server: &Server, tally: &mut Tally) -> Result<()> {
    server.kubectl(&["-n", NAMESPACE, "create", "serviceaccount", "stranger"])?;
    let words = ["test", "-p", "watchdog-report", "--features", "cluster", "--test", "cluster"];
    let mut test = cargo();
    test.args(words)
        .env("OOMEN_CLUSTER_SERVER", server.url())
        .env("OOMEN_CLUSTER_ACCOUNT", server.account(NAMESPACE, TARGET)?)
        .env("OOMEN_CLUSTER_STRANGER", server.account(NAMESPACE, "stranger")?)
        .env("OOMEN_CLUSTER_ADMIN", ADMIN);
    counted(&mut test, tally)
}

/// The pod that the Deployment's controller would make.
struct Pod {
    name: String,
    uid: String,
}

impl Pod {
    fn create(server: &Server) -> Result<Self> {
        let deployment =
            server.get(&format!("/apis/apps/v1/namespaces/{NAMESPACE}/deployments/{TARGET}"))?;
        let template = &deployment["spec"]["template"];
        let mut metadata = template["metadata"].clone();
        metadata["name"] = json!(format!("{TARGET}-0"));
        let spec = &template["spec"];
        let pod = json!({ "apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec });
        let made = server.create(&format!("/api/v1/namespaces/{NAMESPACE}/pods"), &pod)?;
        let text = |key: &str| made["metadata"][key].as_str().map(str::to_owned).context("no name");
        Ok(Self { name: text("name")?, uid: text("uid")? })
    }
}

/// The shipped watchdog as it would be in the pod.
struct Watchdog {
    config: PathBuf,
    folder: PathBuf,
    environment: Vec<(&'static str, String)>,
}

impl Watchdog {
    fn new(server: &Server, pod: &Pod) -> Result<Self> {
        let account = server.account(NAMESPACE, TARGET)?;
        let shipped = fs::read_to_string(root().join(OVERLAY).join("oomen.toml"))?;
        let folder = server.folder().join("watchdog");
        fs::create_dir_all(&folder)?;
        let config = folder.join("oomen.toml");
        // Its last section is [kubernetes].
        let quick = "[rules]\ninterval = \"1s\"\ngone_after = \"1s\"\n";
        fs::write(&config, format!("{shipped}account_dir = {account:?}\n{quick}"))?;
        let environment = vec![
            ("KUBERNETES_SERVICE_HOST", server.addr.ip().to_string()),
            ("KUBERNETES_SERVICE_PORT", server.addr.port().to_string()),
            ("POD_NAMESPACE", NAMESPACE.to_owned()),
            ("POD_NAME", pod.name.clone()),
            ("POD_UID", pod.uid.clone()),
        ];
        Ok(Self { config, folder, environment })
    }

    fn command(&self, words: &[&str]) -> Result<Command> {
        let mut oomen = Command::new(program("oomen")?);
        oomen.args(words).arg("--config").arg(&self.config);
        oomen.envs(self.environment.iter().cloned());
        Ok(oomen)
    }

    /// What doctor says holds all of `parts`. What else it finds is about no target, and no matter here.
    fn doctor(&self, parts: &[&str]) -> Result<()> {
        let pid = std::process::id().to_string();
        let listen = free_port()?.to_string();
        let words = ["doctor", "--pid", &pid, "--listen", &listen];
        let (_, said) = sh::answer(&mut self.command(&words)?, DEADLINE)?;
        for part in parts {
            ensure!(said.contains(part), "no `{part}` in:\n{said}");
        }
        Ok(())
    }

    /// A leak from the suspicion to the process's end.
    fn watch(&self, server: &Server, pod: &Pod) -> Result<()> {
        let (public, admin, listen) = (free_port()?, free_port()?, free_port()?);
        let mut service = Background::start(
            Command::new(program(TARGET)?)
                .args(["--listen", &public.to_string(), "--admin-listen", &admin.to_string()])
                .env("SHOP_FAULTS", "on"),
            &self.folder.join("service.log"),
        )?;
        service.wait_until("ready", DEADLINE, || is_ready(admin))?;
        let (pid, probe) = (service.pid().to_string(), format!("http://{admin}"));
        let data = self.folder.join("data").display().to_string();
        let listen = listen.to_string();
        let words = [
            "watch",
            "--pid",
            &pid,
            "--name",
            TARGET,
            "--limit",
            "256MiB",
            "--warm-up",
            "2s",
            "--probe",
            &probe,
            "--listen",
            &listen,
            "--data-dir",
            &data,
        ];
        let mut oomen =
            Background::start(&mut self.command(&words)?, &self.folder.join("oomen.log"))?;
        let rules = format!("{RULES}?labelSelector=app.kubernetes.io/managed-by=oomen");
        let kept = || rules_of(server, &rules, pod);
        oomen.wait_until("keeping rules", PATIENCE, || matches!(kept(), Ok(Some(_))))?;
        check_rules(&kept()?.context("the rules are gone")?, pod)?;
        let leak = json!({ "bytes_per_second": LEAK_BYTES_PER_SECOND });
        let (status, _) = http::put_json(admin, "/debug/faults/unbounded-cache", &leak)?;
        ensure!((200..300).contains(&status), "the fault was refused with {status}");
        let told = || server.kubectl(&["-n", NAMESPACE, "describe", "pod", &pod.name]);
        let has = |reason: &str| told().is_ok_and(|text| text.contains(reason));
        for reason in ["MemoryLeakConfirmed", "OOMKillImminent"] {
            oomen.wait_until(&format!("telling {reason}"), PATIENCE, || has(reason))?;
        }
        drop(service);
        let until = Instant::now() + PATIENCE;
        while kept()?.is_some() {
            ensure!(Instant::now() < until, "the rules are still there");
            thread::sleep(POLL);
        }
        check_events(&told()?)
    }
}

fn is_ready(addr: std::net::SocketAddr) -> bool {
    matches!(http::get(addr, "/health/ready"), Ok((200, _)))
}

/// The rules that this pod owns.
fn rules_of(server: &Server, path: &str, pod: &Pod) -> Result<Option<Value>> {
    let list = server.get(path)?;
    let mut items = list["items"].as_array().into_iter().flatten();
    let owns =
        |object: &&Value| object["metadata"]["ownerReferences"][0]["uid"] == pod.uid.as_str();
    Ok(items.find(owns).cloned())
}

fn check_rules(object: &Value, pod: &Pod) -> Result<()> {
    let metadata = &object["metadata"];
    ensure!(
        metadata["ownerReferences"][0]["name"] == pod.name.as_str(),
        "owned by another: {metadata}"
    );
    ensure!(metadata["labels"]["release"] == "kube-prometheus-stack", "no label: {metadata}");
    let rules = object["spec"]["groups"][0]["rules"].as_array().context("no rules")?;
    ensure!(!rules.is_empty(), "an empty group");
    Ok(())
}

/// What `kubectl describe pod` shows of a leak.
fn check_events(described: &str) -> Result<()> {
    for part in
        ["Warning", "MemoryLeakConfirmed", "OOMKillImminent", "oomen", "256.0 MiB", "growing"]
    {
        ensure!(described.contains(part), "no `{part}` in:\n{described}");
    }
    Ok(())
}
