//! The rules of a target in the cluster, through its life: what the watchdog keeps of them while the Operator's definition is
//! missing, when it comes, when the limit changes, and when the target goes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::server::Server;
use super::{NAMESPACE, Pod, TARGET, Watchdog};
use crate::release::cargo;
use crate::sh::Background;
use crate::test::lab::{free_port, program};
use crate::{root, sh};

/// Compiling the program that writes what was learned.
const BUILD: Duration = Duration::from_secs(1200);
/// Storing is tried again after 5, 10 and 20 seconds.
const PATIENCE: Duration = Duration::from_secs(60);
const MIB: u64 = 1 << 20;
/// Where the memory controller may be mounted, with the files of a limit: what must be raised first comes first.
const CONTROLLERS: [(&str, &[&str]); 2] = [
    ("/sys/fs/cgroup/memory", &["memory.memsw.limit_in_bytes", "memory.limit_in_bytes"]),
    ("/sys/fs/cgroup", &["memory.max"]),
];

/// A watchdog that has learned of its target, and the target.
pub(super) struct Story<'a> {
    server: &'a Server,
    /// What the object of the pod is called.
    name: String,
    target: Target,
    oomen: Background,
    log: PathBuf,
}

impl<'a> Story<'a> {
    /// Starts both.
    pub(super) fn start(server: &'a Server, pod: &Pod, watchdog: &Watchdog) -> Result<Self> {
        let folder = watchdog.folder.join("rules");
        let data = folder.join("data").display().to_string();
        // Of the whole workspace, as its tests are: another selection would build the dependencies again.
        let learned = ["build", "--quiet", "--workspace", "--example", "learned"];
        sh::run(cargo().args(learned), BUILD)?;
        let writer = root().join("target/debug/examples/learned");
        sh::run(Command::new(writer).args([&data, TARGET]), PATIENCE)?;
        let target = Target::start(&folder)?;
        let (pid, listen) = (target.pid.to_string(), free_port()?.to_string());
        let words = ["watch", "--pid", &pid, "--name", TARGET, "--warm-up", "2s"];
        let mut command = watchdog.command(&words)?;
        let log = folder.join("oomen.log");
        let oomen =
            Background::start(command.args(["--listen", &listen, "--data-dir", &data]), &log)?;
        let name = format!("oomen-{}-{}", pod.name, pod.uid.get(..8).context("a short uid")?);
        Ok(Self { server, name, target, oomen, log })
    }

    /// The Operator is not there yet.
    pub(super) fn no_definition(&mut self) -> Result<()> {
        let log = self.log.clone();
        let says = || fs::read_to_string(&log).unwrap_or_default();
        let part = "the rules cannot be written";
        self.oomen.wait_until("telling of it", PATIENCE, || says().contains(part))?;
        ensure!(says().contains("PrometheusRule installed"), "nothing to go by in:\n{}", says());
        Ok(())
    }

    /// The Operator has come.
    pub(super) fn created(&mut self) -> Result<()> {
        self.waits_for("writing the rules", |found| says(found, "256.0 MiB"))?;
        let object = self.found()?.context("it is gone again")?;
        let (label, owner) =
            (&object["metadata"]["labels"]["release"], &object["metadata"]["ownerReferences"][0]);
        ensure!(label == "kube-prometheus-stack", "the label is {label}");
        ensure!(owner["kind"] == "Pod", "the owner is {owner}");
        let alerts = object["spec"]["groups"][0]["rules"].as_array().map_or(0, Vec::len);
        ensure!(alerts == 3, "there are {alerts} rules: {object}");
        Ok(())
    }

    /// The pod has been resized.
    pub(super) fn resized(&mut self) -> Result<()> {
        self.target.limit(512)?;
        self.waits_for("following the limit", |found| says(found, "512.0 MiB"))
    }

    /// The target is gone and nothing follows it.
    pub(super) fn ended(&mut self) -> Result<()> {
        self.target.end();
        self.waits_for("removing the rules", |found| matches!(found, Ok(None)))
    }

    fn waits_for(
        &mut self,
        what: &str,
        mut has: impl FnMut(&Result<Option<Value>>) -> bool,
    ) -> Result<()> {
        let (server, name) = (self.server, self.name.as_str());
        self.oomen.wait_until(what, PATIENCE, || has(&find(server, name)))
    }

    fn found(&self) -> Result<Option<Value>> {
        find(self.server, &self.name)
    }
}

/// The object of this name; an error where the server does not answer.
fn find(server: &Server, name: &str) -> Result<Option<Value>> {
    let path = format!("/apis/monitoring.coreos.com/v1/namespaces/{NAMESPACE}/prometheusrules");
    let list = server.get(&path)?;
    let items = list["items"].as_array().context("no list")?;
    Ok(items.iter().find(|object| object["metadata"]["name"] == name).cloned())
}

fn says(found: &Result<Option<Value>>, part: &str) -> bool {
    matches!(found, Ok(Some(object)) if object["spec"].to_string().contains(part))
}

/// A process under a limit of its own.
struct Target {
    process: Option<Background>,
    pid: u32,
    cgroup: PathBuf,
    files: &'static [&'static str],
}

impl Target {
    fn start(folder: &Path) -> Result<Self> {
        let name = format!("cluster-{}", std::process::id());
        let limit = (256 * MIB).to_string();
        let mut confine = Command::new(program("oomen")?);
        confine.args(["confine", "--name", &name, "--limit", &limit, "--", "sleep", "600"]);
        let mut process = Background::start(&mut confine, &folder.join("target.log"))?;
        let find = || {
            CONTROLLERS.iter().find_map(|(mount, files)| {
                let cgroup = Path::new(mount).join("oomen").join(&name);
                let held = fs::read_to_string(cgroup.join("cgroup.procs")).ok()?;
                (!held.trim().is_empty()).then_some((cgroup, *files))
            })
        };
        process.wait_until("in its cgroup", PATIENCE, || find().is_some())?;
        let (cgroup, files) = find().context("it has left its cgroup")?;
        Ok(Self { pid: process.pid(), process: Some(process), cgroup, files })
    }

    /// Changes the limit, as the kubelet does when a pod is resized in place.
    fn limit(&self, mib: u64) -> Result<()> {
        // Swap is not accounted on every machine.
        for file in self.files.iter().filter(|file| self.cgroup.join(file).exists()) {
            fs::write(self.cgroup.join(file), (mib * MIB).to_string()).context(*file)?;
        }
        Ok(())
    }

    fn end(&mut self) {
        // It is killed and waited for.
        self.process = None;
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        self.end();
        // remove_dir never takes a cgroup that is in use.
        fs::remove_dir(&self.cgroup).ok();
    }
}
