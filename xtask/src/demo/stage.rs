//! The stage: Slack's stand-in, services in cgroups, the watchdog beside them, load on the services.

mod alone;
mod shop;

use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::demo::slack::SlackRecord;
use crate::interrupt::Interrupt;
use crate::{http, packages, release, root};
pub(crate) use alone::Alone;
pub(crate) use shop::TheShop;

const TOKEN: &str = "xoxb-demo";
/// The sidecar's limit in k8s/: it must bear it, or be killed in public.
const WATCHDOG_LIMIT: u64 = 32 << 20;
const POLL: Duration = Duration::from_millis(50);
/// Where the memory controller may be mounted, version 1 and 2.
const MOUNTS: [&str; 2] = ["/sys/fs/cgroup/memory", "/sys/fs/cgroup"];

/// The programs, built from this tree.
#[derive(Debug, Clone)]
pub(crate) struct Binaries {
    pub(crate) oomen: PathBuf,
    pub(crate) slack_server: PathBuf,
    /// Where the shop's are.
    pub(crate) services: PathBuf,
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
            slack_server: built.join("slack-server"),
            services: built,
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

/// A service that is watched.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub(crate) name: &'static str,
    /// Which process it is, in the watchdog's configuration.
    which: String,
    pub(crate) admin: SocketAddr,
}

/// The services on a stage. One of them, the leaker, is there for its fault.
pub(crate) trait Scene {
    /// All of them, the leaker first.
    fn targets(&self) -> Vec<Target>;
    /// Lets those in who ask and order.
    fn open_doors(&mut self, setting: &Setting) -> Result<()>;
    /// Those who ask and order, once they are in.
    fn load(&mut self) -> Option<&mut Owned>;
    /// Whether the leaker has ended.
    fn leaker_ended(&mut self) -> Result<bool>;
    /// An error when any other has.
    fn others_live(&mut self) -> Result<()>;
}

/// Everything that is running. The order of the fields is the order in which it is stopped.
pub(crate) struct Stage<S> {
    pub(crate) oomen: Owned,
    pub(crate) scene: S,
    slack_server: Owned,
    pub(crate) slack: SlackRecord,
    /// Where the watchdog listens.
    pub(crate) watchdog: SocketAddr,
    /// Who leaks.
    pub(crate) leaker: Target,
    pub(crate) interrupt: Interrupt,
    setting: Setting,
}

impl Stage<Alone> {
    /// The recommendations service alone, as it is measured.
    pub(crate) fn alone(binaries: &Binaries, limit: u64) -> Result<Self> {
        let open = |setting: &Setting| Alone::start(setting, limit);
        Self::set(binaries, Stdio::null(), Interrupt::default(), open)
    }
}

impl Stage<TheShop> {
    /// The whole shop, with a limit for the service that is to leak; the watchdog's reports go to stderr.
    pub(crate) fn shop(
        binaries: &Binaries,
        leaker: &'static str,
        limit: u64,
        interrupt: Interrupt,
    ) -> Result<Self> {
        let open = |setting: &Setting| TheShop::start(setting, leaker, limit);
        Self::set(binaries, Stdio::from(std::io::stderr()), interrupt, open)
    }
}

impl<S: Scene> Stage<S> {
    /// Starts it all and waits until each part answers.
    fn set(
        binaries: &Binaries,
        reports: Stdio,
        interrupt: Interrupt,
        open: impl FnOnce(&Setting) -> Result<S>,
    ) -> Result<Self> {
        let setting = Setting::new(binaries)?;
        let (slack_server, slack) = start_slack(&setting)?;
        let mut scene = open(&setting)?;
        let targets = scene.targets();
        let (oomen, watchdog) = watch(&setting, &slack.url, &targets, reports)?;
        scene.open_doors(&setting)?;
        let leaker = targets.into_iter().next().context("nothing is watched")?;
        Ok(Self { oomen, scene, slack_server, slack, watchdog, leaker, interrupt, setting })
    }

    /// Waits `span`; an error if any part ends meanwhile.
    pub(crate) fn must_live_for(&mut self, span: Duration) -> Result<()> {
        let end = Instant::now() + span;
        while Instant::now() < end {
            ensure!(!self.scene.leaker_ended()?, "the service ended by itself");
            self.others_live()?;
            std::thread::sleep(POLL);
        }
        Ok(())
    }

    /// An error if any part but the leaker has ended, or somebody wants an end.
    pub(crate) fn others_live(&mut self) -> Result<()> {
        self.interrupt.check()?;
        self.scene.others_live()?;
        if let Some(status) = self.oomen.0.try_wait()? {
            bail!("the watchdog ended ({status}); its log ends:\n{}", self.setting.log_of("oomen"));
        }
        if let Some(status) = self.scene.load().map_or(Ok(None), |load| load.0.try_wait())? {
            bail!("the load ended ({status}); its log ends:\n{}", self.setting.log_of("load"));
        }
        if let Some(status) = self.slack_server.0.try_wait()? {
            bail!("slack-server ended ({status})");
        }
        Ok(())
    }

    /// Waits until somebody presses Ctrl-C.
    pub(crate) fn until_interrupted(&mut self) -> Result<()> {
        while !self.interrupt.came() {
            self.others_live()?;
            std::thread::sleep(POLL);
        }
        Ok(())
    }
}

/// What all that runs on a stage has in common. Its cgroups and its directory go when this is dropped, after them.
pub(crate) struct Setting {
    /// Also what the cgroups' names begin with.
    name: String,
    data: PathBuf,
    binaries: Binaries,
}

impl Setting {
    /// Several stages may be set at once, by this process and by others.
    fn new(binaries: &Binaries) -> Result<Self> {
        static STAGES: AtomicU32 = AtomicU32::new(0);
        let stage = STAGES.fetch_add(1, Ordering::Relaxed);
        let name = format!("demo-{}-{stage}", std::process::id());
        let data = root().join("target").join(&name);
        fs::remove_dir_all(&data).ok();
        fs::create_dir_all(&data)?;
        Ok(Self { name, data, binaries: binaries.clone() })
    }

    /// Where services find their flight recorders.
    fn recorders(&self) -> PathBuf {
        self.data.join("recorder")
    }

    /// Load on what listens there, until it is dropped. Goose prints its tables when it ends; they go to a file.
    fn load(&self, host: SocketAddr, flags: &[&str]) -> Result<Owned> {
        let log = File::create(self.data.join("load.log"))?;
        Command::new(&self.binaries.loadtest)
            .args(["--host", &format!("http://{host}"), "--run-time", "24h", "--no-reset-metrics"])
            .args(flags)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .map(Owned)
            .context("the load does not start")
    }

    /// The last lines of what a program wrote.
    fn log_of(&self, program: &str) -> String {
        let log = fs::read(self.data.join(format!("{program}.log"))).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(10)..].join("\n")
    }
}

impl Drop for Setting {
    fn drop(&mut self) {
        let ours = cgroup(&self.name, "");
        for mount in MOUNTS {
            let cgroups = fs::read_dir(Path::new(mount).join("oomen"));
            for cgroup in cgroups.into_iter().flatten().flatten() {
                if cgroup.file_name().to_string_lossy().starts_with(&ours) {
                    // An empty cgroup goes away by rmdir; remove_dir never takes one that is in use.
                    fs::remove_dir(cgroup.path()).ok();
                }
            }
        }
        fs::remove_dir_all(&self.data).ok();
    }
}

/// What the cgroup of a program on a stage is called.
fn cgroup(stage: &str, who: &str) -> String {
    format!("{stage}-{who}")
}

/// A command that enters a cgroup with that limit and becomes what its further arguments say.
fn confined(oomen: &Path, cgroup: &str, limit: u64) -> Command {
    let mut command = Command::new(oomen);
    command.args(["confine", "--name", cgroup, "--limit", &limit.to_string(), "--"]);
    command
}

fn start_slack(setting: &Setting) -> Result<(Owned, SlackRecord)> {
    let token_file = setting.data.join("slack-token");
    fs::write(&token_file, TOKEN)?;
    let mut child = Command::new(&setting.binaries.slack_server)
        .args(["--listen", "127.0.0.1:0", "--token-file"])
        .arg(&token_file)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map(Owned)
        .context("slack-server does not start")?;
    let stdout = child.0.stdout.take().context("slack-server has no stdout")?;
    Ok((child, SlackRecord::follow(stdout)?))
}

/// One watchdog for all targets.
fn watch(
    setting: &Setting,
    slack: &str,
    targets: &[Target],
    reports: Stdio,
) -> Result<(Owned, SocketAddr)> {
    let listen = free_port()?;
    let file = setting.data.join("oomen.toml");
    let targets = targets.iter().map(|Target { name, which, admin }| {
        format!("[[target]]\nname = '{name}'\n{which}\nprobe = 'http://{admin}'\n")
    });
    fs::write(&file, targets.collect::<String>())?;
    let log = File::create(setting.data.join("oomen.log"))?;
    let mut command =
        confined(&setting.binaries.oomen, &cgroup(&setting.name, "watchdog"), WATCHDOG_LIMIT);
    command
        .arg(&setting.binaries.oomen)
        .arg("watch")
        .arg("--config")
        .arg(&file)
        .args(["--listen", &listen.to_string(), "--page-url", &format!("http://{listen}/")])
        .args(["--slack-channel", "#oncall", "--slack-api-url", &format!("{slack}/api/")])
        .arg("--slack-token-file")
        .arg(setting.data.join("slack-token"))
        .arg("--recorder-dir")
        .arg(setting.recorders())
        .arg("--data-dir")
        .arg(setting.data.join("dumps"))
        .stdin(Stdio::null())
        .stdout(reports)
        .stderr(log);
    let oomen = Owned(command.spawn().context("oomen does not start")?);
    wait_ready(listen).with_context(|| setting.log_of("oomen"))?;
    Ok((oomen, listen))
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
            _ => std::thread::sleep(POLL),
        }
    }
}

/// A port that was free a moment ago.
pub(crate) fn free_port() -> Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}
