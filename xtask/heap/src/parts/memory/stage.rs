//! A service in a cgroup, the watchdog beside it, Slack's stand-in and some load.

use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use oomen_recorder::{Geometry, Keeper};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::Settings;
use crate::child::{Owned, ourselves};
use crate::http::{self, Connection};

const TOKEN: &str = "xoxb-bench";
const LIMIT: u64 = 256 << 20;
const SOON: Duration = Duration::from_secs(20);
const LOOK: Duration = Duration::from_millis(20);
/// Longer than anything here takes.
const LOAD_MS: u64 = 300_000;

/// Everything that runs. The order of the fields is that in which it is stopped.
pub(super) struct Stage {
    watchdog: Owned,
    _load: Owned,
    service: Owned,
    _slack: Owned,
    watchdog_address: SocketAddr,
    admin: SocketAddr,
    cgroup: String,
    log: PathBuf,
}

impl Stage {
    /// Starts it all and waits until each part answers.
    pub(super) fn set(settings: &Settings, program: &Path, scratch: &Path) -> Result<Self> {
        let token = scratch.join("slack-token");
        fs::write(&token, TOKEN)?;
        let (slack, slack_url) = start_slack(settings, &token, scratch)?;
        let recorders = scratch.join("recorders");
        // Spare recorders, so that the service finds one before the watchdog comes and takes over the directory.
        drop(Keeper::open(&recorders, Geometry::default(), Keeper::SPARES)?);
        let (public, admin, watchdog_address) = (free_port()?, free_port()?, free_port()?);
        let cgroup = format!("bench-heap-{}", std::process::id());
        let mut command = Command::new(settings.oomen());
        command.args(["confine", "--name", &cgroup, "--limit", &LIMIT.to_string(), "--"]);
        command.arg(program).args(["--listen", &public.to_string()]);
        command.args(["--admin-listen", &admin.to_string()]);
        command.env("SHOP_FAULTS", "on").env("SHOP_LOG", "error");
        command.env("OOMEN_RECORDER_DIR", &recorders);
        let service = start(&mut command, &scratch.join("service.log"))?;
        wait_ready(admin)?;
        let load = start_load(public, scratch)?;
        let log = scratch.join("oomen.log");
        let mut command = Command::new(settings.oomen());
        command.args(["watch", "--pid", &service.0.id().to_string()]);
        command.args(["--probe", &format!("http://{admin}")]);
        command.args(["--listen", &watchdog_address.to_string()]);
        command.args(["--page-url", &format!("http://{watchdog_address}/")]);
        command.args(["--slack-channel", "#oncall", "--slack-api-url", &slack_url]);
        command.arg("--slack-token-file").arg(&token);
        command.arg("--recorder-dir").arg(&recorders);
        command.arg("--data-dir").arg(scratch.join("data"));
        let watchdog = start(&mut command, &log)?;
        wait_ready(watchdog_address)?;
        let (_slack, _load) = (slack, load);
        Ok(Self { watchdog, _load, service, _slack, watchdog_address, admin, cgroup, log })
    }

    pub(super) fn watchdog_pid(&self) -> u32 {
        self.watchdog.0.id()
    }

    /// An error if the service or the watchdog has ended.
    pub(super) fn must_live(&mut self) -> Result<()> {
        self.watchdog_must_live()?;
        ensure!(!self.is_killed()?, "the service ended by itself");
        Ok(())
    }

    fn watchdog_must_live(&mut self) -> Result<()> {
        if let Some(status) = self.watchdog.0.try_wait()? {
            bail!("the watchdog ended ({status}); its log: {}", self.log.display());
        }
        Ok(())
    }

    pub(super) fn is_killed(&mut self) -> Result<bool> {
        Ok(self.service.0.try_wait()?.is_some())
    }

    /// Lets the service leak, in bytes per second.
    pub(super) fn leak(&self, rate: u64) -> Result<()> {
        let body = format!("{{\"bytes_per_second\": {rate}}}");
        http::ask("PUT", self.admin, "/debug/faults/unbounded-cache", &body).map(|_| ())
    }

    /// Asks the watchdog.
    pub(super) fn ask<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        let body = http::ask("GET", self.watchdog_address, path, "")?;
        serde_json::from_slice(&body).with_context(|| path.to_owned())
    }

    /// Downloads from the watchdog and looks at none of it.
    pub(super) fn download(&self, path: &str) -> Result<()> {
        let asked = http::request("GET", self.watchdog_address, path, "");
        let mut connection = Connection::open(self.watchdog_address)?;
        connection.exchange(&asked, |_| Ok(())).with_context(|| path.to_owned())?;
        Ok(())
    }

    /// Asks until there is an answer.
    pub(super) fn wait_until<T>(
        &mut self,
        what: &str,
        patience: Duration,
        mut ready: impl FnMut(&mut Self) -> Result<Option<T>>,
    ) -> Result<T> {
        let end = Instant::now() + patience;
        loop {
            self.watchdog_must_live()?;
            if let Some(value) = ready(self)? {
                return Ok(value);
            }
            ensure!(Instant::now() < end, "waited {patience:?} for {what}");
            thread::sleep(LOOK);
        }
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        // Processes may have ended already; a cgroup that still holds one stays.
        let _ = self.service.0.kill();
        let _ = self.service.0.wait();
        for parent in ["/sys/fs/cgroup/memory/oomen", "/sys/fs/cgroup/oomen"] {
            let _ = fs::remove_dir(Path::new(parent).join(&self.cgroup));
        }
    }
}

fn start(command: &mut Command, log: &Path) -> Result<Owned> {
    let file = File::create(log).with_context(|| format!("creating {}", log.display()))?;
    command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
    let child = command.spawn().with_context(|| format!("{command:?} does not start"))?;
    Ok(Owned(child))
}

/// Starts Slack's stand-in, which says where it listens in the first line of its output.
fn start_slack(settings: &Settings, token: &Path, scratch: &Path) -> Result<(Owned, String)> {
    let log = scratch.join("slack.log");
    let mut command = Command::new(settings.release.join("slack-server"));
    command.args(["--listen", "127.0.0.1:0", "--token-file"]).arg(token);
    let slack = start(&mut command, &log)?;
    let end = Instant::now() + SOON;
    loop {
        let text = fs::read_to_string(&log)?;
        let first = text.split_once('\n').map(|(line, _)| serde_json::from_str::<Value>(line));
        if let Some(Ok(first)) = first {
            let url = first["url"].as_str().context("slack-server gives no url")?;
            return Ok((slack, format!("{url}/api/")));
        }
        ensure!(Instant::now() < end, "slack-server does not say where it listens: {text}");
        thread::sleep(LOOK);
    }
}

fn start_load(public: SocketAddr, scratch: &Path) -> Result<Owned> {
    let mut command = ourselves("load")?;
    command.args(["--address", &public.to_string(), "--path", "/items/popular"]);
    command.args(["--connections", "2", "--milliseconds", &LOAD_MS.to_string()]);
    start(&mut command, &scratch.join("load.log"))
}

fn wait_ready(address: SocketAddr) -> Result<()> {
    let end = Instant::now() + SOON;
    loop {
        match http::ask("GET", address, "/health/ready", "") {
            Ok(_) => return Ok(()),
            Err(error) if Instant::now() >= end => return Err(error),
            Err(_) => thread::sleep(LOOK),
        }
    }
}

/// A port that was free a moment ago.
fn free_port() -> Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}
