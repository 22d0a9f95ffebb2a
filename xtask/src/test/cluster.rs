//! The watchdog in a cluster: the shipped manifests applied to a real API server, and the shipped programs writing to it with
//! the rights that those give.

mod go;
mod rules;
mod server;

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::json;

use super::crates::counted;
use super::k8s::render;
use super::lab::{free_port, program};
use super::tally::Tally;
use crate::release::cargo;
use crate::sh::Background;
use crate::{http, packages, root, sh};
use rules::Story;
use server::{ADMIN, Programs, Server};

const OVERLAY: &str = "k8s/overlays/cluster";
const MONITORING: &str = "k8s/monitoring";
const NAMESPACE: &str = "shop";
const TARGET: &str = "recommendations";
/// Tests of the library that need a cluster without the Operator's definition.
const UNDEFINED: &str = "without_the_definition";
const IMMINENT: &str = "OOMKillImminent";
const DEADLINE: Duration = Duration::from_secs(60);
/// Nobody waits minutes here for what is as true in seconds.
const QUICK_RULES: &str = "[rules]\ninterval = '1s'\ngone_after = '2s'\n";
/// An incident goes from suspected to imminent in a minute at this pace.
const PATIENCE: Duration = Duration::from_secs(180);
const LEAK_BYTES_PER_SECOND: u64 = 4 * 1024 * 1024;

pub(super) fn test(tally: &mut Tally) -> Result<()> {
    packages::ensure(&packages::CLUSTER)?;
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
    server.kubectl(&["-n", NAMESPACE, "create", "serviceaccount", "stranger"])?;
    let watchdog = Watchdog::new(&server, &pod)?;
    tally.check(
        "without the Operator's definition, doctor says so",
        watchdog.doctor(&["kubernetes can be told", "PrometheusRule installed"]),
    );
    library(&server, &[UNDEFINED], tally)?;
    let mut story = Story::start(&server, &pod, &watchdog)?;
    tally.check("and a watchdog that is to keep rules says so too", story.no_definition());
    define(&server, &programs, "prometheusrules")?;
    tally.check("with it, the rules come without a restart", story.created());
    tally.check("they follow the limit of the cgroup", story.resized());
    tally.check("they go with the target", story.ended());
    drop(story);
    tally.check(
        "with the shipped rights, doctor finds nothing wrong in the cluster",
        watchdog.doctor(&["kubernetes can be told", "rules can be kept in the cluster"]),
    );
    library(&server, &["--skip", UNDEFINED], tally)?;
    define(&server, &programs, "podmonitors")?;
    let monitoring = render(MONITORING)?;
    tally.check(&format!("{MONITORING}: the API server takes it"), server.apply(&monitoring));
    tally.check(
        "kubectl describe pod shows a leak that the watchdog sees",
        watchdog.watch(&server, &pod),
    );
    Ok(())
}

/// Makes the Operator's resources of this name known.
fn define(server: &Server, programs: &Programs, resources: &str) -> Result<()> {
    server.apply(&programs.definition(resources))?;
    let definition = format!("customresourcedefinition/{resources}.monitoring.coreos.com");
    let established = ["wait", "--for=condition=Established", "--timeout=60s", &definition];
    server.kubectl(&established).map(drop)
}

/// The tests of the library that need a server; only those that are chosen.
fn library(server: &Server, chosen: &[&str], tally: &mut Tally) -> Result<()> {
    // Of the whole workspace, as the other tests are: another selection would build the dependencies again.
    let words =
        ["test", "--workspace", "--features", "watchdog-report/cluster", "--test", "cluster"];
    let mut test = cargo();
    test.args(words)
        .arg("--")
        .args(chosen)
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
        let more = format!("account_dir = {account:?}\n{QUICK_RULES}");
        fs::write(&config, shipped + &more)?;
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

    /// A leak until the kill is near.
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
        let leak = json!({ "bytes_per_second": LEAK_BYTES_PER_SECOND });
        let (status, _) = http::put_json(admin, "/debug/faults/unbounded-cache", &leak)?;
        ensure!((200..300).contains(&status), "the fault was refused with {status}");
        let told = || server.kubectl(&["-n", NAMESPACE, "describe", "pod", &pod.name]);
        // A leak this fast need not stay in an earlier state for long enough to be told of it.
        let has = || told().is_ok_and(|text| text.contains(IMMINENT));
        oomen.wait_until("telling of the kill", PATIENCE, has)?;
        check_events(&told()?)
    }
}

fn is_ready(addr: std::net::SocketAddr) -> bool {
    matches!(http::get(addr, "/health/ready"), Ok((200, _)))
}

/// What `kubectl describe pod` shows of a leak.
fn check_events(described: &str) -> Result<()> {
    for part in ["Warning", IMMINENT, "oomen", "256.0 MiB", "growing"] {
        ensure!(described.contains(part), "no `{part}` in:\n{described}");
    }
    Ok(())
}
