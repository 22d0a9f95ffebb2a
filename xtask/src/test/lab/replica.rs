//! One replica of the service in a cgroup of its own, with its watchdog.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, ensure};
use serde_json::json;

use super::{START, TARGET, free_port, is_ready, program, watch};
use crate::http;
use crate::sh::Background;

/// Of each replica, in its cgroup: the kernel kills what crosses it.
const LIMIT: &str = "268435456";
/// How fast it is filled.
const FILL_RATE: u64 = 32 << 20;
/// Where the memory controller may be mounted, version 1 and 2.
const MOUNTS: [&str; 2] = ["/sys/fs/cgroup/memory", "/sys/fs/cgroup"];

/// The service with its watchdog; both end when this is dropped.
pub(crate) struct Replica {
    /// What its pod is called.
    pub(crate) pod: String,
    /// Where its watchdog listens.
    pub(crate) watchdog: SocketAddr,
    pub(super) public: SocketAddr,
    pub(super) admin: SocketAddr,
    service: Background,
    _oomen: Background,
    /// After the process in it.
    confined: Confined,
}

/// How the service is started, and its cgroup, which is removed at the end.
struct Confined {
    program: PathBuf,
    cgroup: String,
    recorder: PathBuf,
    log: PathBuf,
}

impl Replica {
    /// Starts the service, waits until it answers, and starts its watchdog. The first one's reads the flight recorder.
    pub(super) fn start(
        folder: &Path,
        number: u32,
        filled: u64,
        alertmanager: Option<SocketAddr>,
    ) -> Result<Self> {
        let pod = format!("{TARGET}-{number}");
        // Under a name that nobody else's process has: a watchdog follows its process by it over a restart.
        let process = format!("{pod}-{}", std::process::id());
        let name = folder.join(&process);
        symlink(program("recommendations")?, &name)?;
        let recorder = folder.join(format!("recorder-{number}"));
        fs::create_dir_all(&recorder)?;
        let (public, admin, watchdog) = (free_port()?, free_port()?, free_port()?);
        let confined = Confined {
            program: name,
            cgroup: format!("lab-{}-{number}", std::process::id()),
            recorder: recorder.clone(),
            log: folder.join(format!("{pod}.log")),
        };
        let mut service = confined.start(public, admin)?;
        fill(&mut service, admin, filled)?;
        let configuration = format!(
            "[[target]]\nname = '{TARGET}'\nprocess = '{process}'\nprobe = 'http://{admin}'\n\
             requests = {{ url = 'http://{admin}/metrics', counter = 'http_requests_total' }}\n{}",
            alertmanager
                .map_or_else(String::new, |to| format!("[alertmanager]\nurls = ['http://{to}']\n"))
        );
        let oomen = watch(folder, &pod, watchdog, &configuration, |command| {
            if number == 1 {
                command.arg("--recorder-dir").arg(&recorder);
            }
        })?;
        Ok(Self { pod, watchdog, public, admin, service, _oomen: oomen, confined })
    }

    /// Makes the service keep so much in a second.
    pub(crate) fn leak(&self, bytes_per_second: u64) -> Result<()> {
        keep(self.admin, bytes_per_second)
    }

    /// Starts the service again if it has ended, as whoever looks after it would; whether it had.
    pub(crate) fn revive(&mut self) -> Result<bool> {
        let ended = self.service.ended()?;
        if ended {
            self.service = self.confined.start(self.public, self.admin)?;
        }
        Ok(ended)
    }
}

/// Makes the service at this admin port keep so much in a second.
fn keep(admin: SocketAddr, bytes_per_second: u64) -> Result<()> {
    let rate = json!({ "bytes_per_second": bytes_per_second });
    let (status, body) = http::put_json(admin, "/debug/faults/unbounded-cache", &rate)?;
    let body = String::from_utf8_lossy(&body);
    ensure!((200..300).contains(&status), "the fault was refused with {status}: {body}");
    Ok(())
}

/// Makes the service hold so much and no more.
fn fill(service: &mut Background, admin: SocketAddr, bytes: u64) -> Result<()> {
    if bytes == 0 {
        return Ok(());
    }
    keep(admin, FILL_RATE)?;
    let pid = service.pid();
    service.wait_until("filled", START, || resident(pid).is_some_and(|held| held >= bytes))?;
    keep(admin, 0)
}

/// What the process has resident, in bytes.
fn resident(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.trim().strip_suffix(" kB")?.parse::<u64>().ok()? * 1024)
}

impl Confined {
    fn start(&self, public: SocketAddr, admin: SocketAddr) -> Result<Background> {
        let mut command = Command::new(program("oomen")?);
        command
            .args(["confine", "--name", &self.cgroup, "--limit", LIMIT, "--"])
            .arg(&self.program)
            .args(["--listen", &public.to_string(), "--admin-listen", &admin.to_string()])
            .env("SHOP_FAULTS", "on")
            .env("OOMEN_RECORDER_DIR", &self.recorder);
        let mut service = Background::start(&mut command, &self.log)?;
        service.wait_until("ready", START, || is_ready(admin))?;
        // Its counter of requests is there from the first one on.
        http::get(public, "/items/popular")?;
        Ok(service)
    }
}

impl Drop for Confined {
    fn drop(&mut self) {
        for mount in MOUNTS {
            // An empty cgroup goes away by rmdir; remove_dir never takes one that is in use.
            fs::remove_dir(Path::new(mount).join("oomen").join(&self.cgroup)).ok();
        }
    }
}
