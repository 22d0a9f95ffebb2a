//! The stage: Slack's stand-in, the service in its cgroup, the watchdog beside it, load on the service.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::demo::slack::SlackRecord;
use crate::{http, packages, release, root};

const TOKEN: &str = "xoxb-demo";
const WATCHDOG_LIMIT: u64 = 32 << 20;

/// The programs, built from this tree.
#[derive(Debug, Clone)]
pub(crate) struct Binaries {
    pub(crate) oomen: PathBuf,
    pub(crate) recommendations: PathBuf,
    pub(crate) slack_server: PathBuf,
    pub(crate) loadtest: PathBuf,
}

impl Binaries {
    /// Builds what is missing or old; cargo shows its progress.
    pub(crate) fn build() -> Result<Self> {
        packages::ensure(&packages::BUILD)?;
        release::build()?;
        release::loadtest("build", &[])?;
        let built = release::directory();
        Ok(Self {
            oomen: built.join("oomen"),
            recommendations: built.join("recommendations"),
            slack_server: built.join("slack-server"),
            loadtest: root().join("target/loadtest/release/loadtest"),
        })
    }
}

/// A child process that does not outlive its owner.
#[derive(Debug)]
pub(crate) struct Owned(pub(crate) Child);

impl Drop for Owned {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// Everything that is running. The order of the fields is the order in which it is stopped.
#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) oomen: Owned,
    load: Option<Owned>,
    service: Owned,
    slack_server: Owned,
    pub(crate) slack: SlackRecord,
    /// Where the watchdog listens.
    pub(crate) watchdog: SocketAddr,
    /// Where the service's admin port is.
    pub(crate) admin: SocketAddr,
    /// The target's name.
    pub(crate) target: String,
    public: SocketAddr,
    limit: u64,
    binaries: Binaries,
    cgroup: String,
    data: PathBuf,
}

impl Stage {
    /// Starts it all and waits until each part answers. `print_reports` shows the watchdog's reports on stderr.
    pub(crate) fn set(binaries: &Binaries, limit: u64, print_reports: bool) -> Result<Self> {
        let name = unique_name();
        let data = root().join("target").join(&name);
        std::fs::remove_dir_all(&data).ok();
        std::fs::create_dir_all(&data)?;
        let token_file = data.join("slack-token");
        std::fs::write(&token_file, TOKEN)?;
        let (public, admin, watchdog) = (free_port()?, free_port()?, free_port()?);
        let cgroup = name;
        let (slack_server, stdout) = start_slack(binaries, &token_file)?;
        let slack = SlackRecord::follow(stdout)?;
        let recorders = data.join("recorder");
        let service = start_service(binaries, &cgroup, limit, public, admin, &recorders)?;
        wait_ready(admin)?;
        let log = std::fs::File::create(data.join("oomen.log"))?;
        // The watchdog lives under the limit that its sidecar has in k8s/: it must bear it, or be killed in public.
        let mut command = confined(binaries, &format!("{cgroup}-watchdog"), WATCHDOG_LIMIT);
        command
            .arg(&binaries.oomen)
            .args(["watch", "--pid", &service.0.id().to_string()])
            .args(["--probe", &format!("http://{admin}"), "--listen", &watchdog.to_string()])
            .args(["--page-url", &format!("http://{watchdog}/")])
            .args(["--slack-channel", "#oncall", "--slack-api-url", &format!("{}/api/", slack.url)])
            .arg("--slack-token-file")
            .arg(&token_file)
            .arg("--recorder-dir")
            .arg(&recorders)
            .arg("--data-dir")
            .arg(data.join("dumps"))
            .stdin(Stdio::null())
            .stdout(if print_reports { Stdio::from(std::io::stderr()) } else { Stdio::null() })
            .stderr(log);
        let oomen = Owned(command.spawn().context("oomen does not start")?);
        wait_ready(watchdog)?;
        let load = Some(start_load(binaries, public, &data)?);
        Ok(Self {
            oomen,
            load,
            service,
            slack_server,
            slack,
            watchdog,
            admin,
            target: "recommendations".into(),
            public,
            limit,
            binaries: binaries.clone(),
            cgroup,
            data,
        })
    }

    /// Whether the service has ended.
    pub(crate) fn service_ended(&mut self) -> Result<bool> {
        Ok(self.service.0.try_wait()?.is_some())
    }

    /// Process id of the service.
    pub(crate) fn service_pid(&self) -> u32 {
        self.service.0.id()
    }

    /// Waits `span`; an error if any part ends meanwhile.
    pub(crate) fn must_live_for(&mut self, span: Duration) -> Result<()> {
        let end = Instant::now() + span;
        while Instant::now() < end {
            ensure!(!self.service_ended()?, "the service ended by itself");
            if let Some(status) = self.oomen.0.try_wait()? {
                bail!(
                    "the watchdog ended ({status}); its log: {}",
                    self.data.join("oomen.log").display()
                );
            }
            if let Some(status) = self.slack_server.0.try_wait()? {
                bail!("slack-server ended ({status})");
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    /// Starts the service anew after its end and returns its pid.
    pub(crate) fn restart_service(&mut self) -> Result<u32> {
        self.load = None;
        let recorders = self.data.join("recorder");
        let (binaries, limit) = (&self.binaries, self.limit);
        self.service =
            start_service(binaries, &self.cgroup, limit, self.public, self.admin, &recorders)?;
        wait_ready(self.admin)?;
        self.load = Some(start_load(&self.binaries, self.public, &self.data)?);
        Ok(self.service_pid())
    }

    /// Waits until somebody presses ctrl-C (which ends the children too) or the watchdog ends.
    pub(crate) fn until_interrupted(&mut self) -> Result<()> {
        self.oomen.0.wait()?;
        Ok(())
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        for child in [&mut self.service, &mut self.oomen] {
            child.0.kill().ok();
            child.0.wait().ok();
        }
        for mount in ["/sys/fs/cgroup/memory", "/sys/fs/cgroup"] {
            for name in [self.cgroup.clone(), format!("{}-watchdog", self.cgroup)] {
                // An empty cgroup goes away by rmdir; remove_dir never takes one that is in use.
                std::fs::remove_dir(Path::new(mount).join("oomen").join(name)).ok();
            }
        }
        std::fs::remove_dir_all(&self.data).ok();
    }
}

fn start_slack(binaries: &Binaries, token_file: &Path) -> Result<(Owned, ChildStdout)> {
    let mut child = Command::new(&binaries.slack_server)
        .args(["--listen", "127.0.0.1:0", "--token-file"])
        .arg(token_file)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .context("slack-server does not start")?;
    let stdout = child.stdout.take().context("slack-server has no stdout")?;
    Ok((Owned(child), stdout))
}

fn start_service(
    binaries: &Binaries,
    cgroup: &str,
    limit: u64,
    public: SocketAddr,
    admin: SocketAddr,
    recorders: &Path,
) -> Result<Owned> {
    let child = confined(binaries, cgroup, limit)
        .arg(&binaries.recommendations)
        .args(["--listen", &public.to_string(), "--admin-listen", &admin.to_string()])
        .env("OOMEN_RECORDER_DIR", recorders)
        .env("SHOP_FAULTS", "on")
        .env("SHOP_LOG", "error")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .context("the service does not start")?;
    Ok(Owned(child))
}

/// Several stages may be set at once, by this process and by others.
fn unique_name() -> String {
    static STAGES: AtomicU32 = AtomicU32::new(0);
    format!("demo-{}-{}", std::process::id(), STAGES.fetch_add(1, Ordering::Relaxed))
}

/// A command that enters a cgroup with that limit and becomes what its arguments say.
fn confined(binaries: &Binaries, cgroup: &str, limit: u64) -> Command {
    let mut command = Command::new(&binaries.oomen);
    command.args(["confine", "--name", cgroup, "--limit", &limit.to_string(), "--"]);
    command
}

/// Goose prints its tables when it ends; they go to a file.
fn start_load(binaries: &Binaries, public: SocketAddr, data: &Path) -> Result<Owned> {
    let log = std::fs::File::create(data.join("load.log"))?;
    let child = Command::new(&binaries.loadtest)
        .args(["--host", &format!("http://{public}"), "--users", "4"])
        .args(["--scenarios", "recommendations", "--run-time", "2h", "--no-reset-metrics"])
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()
        .context("the load does not start")?;
    Ok(Owned(child))
}

fn wait_ready(addr: SocketAddr) -> Result<()> {
    wait_for(&format!("http://{addr}/health/ready"), Duration::from_secs(15), || {
        Ok(matches!(http::get(addr, "/health/ready"), Ok((200, _))).then_some(()))
    })
}

/// Asks `ready` every 50 ms until it gives a value.
pub(crate) fn wait_for<T>(
    what: &str,
    patience: Duration,
    mut ready: impl FnMut() -> Result<Option<T>>,
) -> Result<T> {
    let end = Instant::now() + patience;
    loop {
        match ready() {
            Ok(Some(value)) => return Ok(value),
            Err(error) if Instant::now() >= end => return Err(error.context(what.to_owned())),
            _ if Instant::now() >= end => bail!("waited {patience:?} for {what}"),
            _ => std::thread::sleep(Duration::from_millis(50)),
        }
    }
}

/// A port that was free a moment ago.
pub(crate) fn free_port() -> Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}
