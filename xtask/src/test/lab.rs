//! A leak on this machine to look at: the release service with two watchdogs beside it, no limit that really kills.

use std::ffi::OsStr;
use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::json;

use crate::sh::Background;
use crate::{http, release, root};

/// What both watchdogs call the service.
pub(super) const TARGET: &str = "recommendations";
const START: Duration = Duration::from_secs(20);
const LIMIT: &str = "256MiB";
/// The limit is near after half a minute, well within the deadlines of those who wait for it.
const LEAK_BYTES_PER_SECOND: u64 = 6 * 1024 * 1024;

/// The service and its watchdogs; all end when this is dropped. Both watchdogs call their target the same, as those of
/// two replicas do: what tells the two apart by the target alone fails here.
pub(super) struct Lab {
    /// Where the watchdogs serve /metrics.
    pub(super) watchdogs: [SocketAddr; 2],
    admin: SocketAddr,
    _processes: [Background; 3],
    /// Last, so that it is removed after those that write into it.
    _folder: Folder,
}

impl Lab {
    /// Starts both and waits until they are ready.
    pub(super) fn start() -> Result<Self> {
        let folder = Folder::new("lab")?;
        let (public, admin) = (free_port()?, free_port()?);
        let watchdogs = [free_port()?, free_port()?];
        let recorder = folder.path().join("recorder");
        fs::create_dir_all(&recorder)?;
        let mut service = Background::start(
            Command::new(program("recommendations")?)
                .args(["--listen", &public.to_string(), "--admin-listen", &admin.to_string()])
                .env("SHOP_FAULTS", "on")
                .env("OOMEN_RECORDER_DIR", &recorder),
            &folder.path().join("recommendations.log"),
        )?;
        service.wait_until("ready", START, || is_ready(admin))?;
        // Its counter of requests is there from the first one on.
        http::get(public, "/items/popular")?;
        let watch = |number: usize, address: SocketAddr, more: &[&OsStr]| {
            let mut oomen = Background::start(
                watch(service.pid(), admin, address)?
                    .arg(folder.path().join(format!("data-{number}")))
                    .args(more),
                &folder.path().join(format!("oomen-{number}.log")),
            )?;
            oomen.wait_until("ready", START, || is_ready(address))?;
            anyhow::Ok(oomen)
        };
        let with_recorder = [OsStr::new("--recorder-dir"), recorder.as_os_str()];
        let first = watch(1, watchdogs[0], &with_recorder)?;
        let second = watch(2, watchdogs[1], &[])?;
        Ok(Self { watchdogs, admin, _processes: [first, second, service], _folder: folder })
    }

    /// Makes the service leak.
    pub(super) fn leak(&self) -> Result<()> {
        let rate = json!({ "bytes_per_second": LEAK_BYTES_PER_SECOND });
        let (status, body) = http::put_json(self.admin, "/debug/faults/unbounded-cache", &rate)?;
        let body = String::from_utf8_lossy(&body);
        ensure!((200..300).contains(&status), "the fault was refused with {status}: {body}");
        Ok(())
    }
}

/// A watchdog of the process, but for the value of its last flag, the data directory.
fn watch(pid: u32, admin: SocketAddr, listen: SocketAddr) -> Result<Command> {
    let mut command = Command::new(program("oomen")?);
    command
        .args([
            "watch",
            "--pid",
            &pid.to_string(),
            "--name",
            TARGET,
            "--limit",
            LIMIT,
            "--warm-up",
            "2s",
        ])
        .args(["--probe", &format!("http://{admin}")])
        .args(["--requests-url", &format!("http://{admin}/metrics")])
        .args(["--requests-counter", "http_requests_total"])
        .args(["--listen", &listen.to_string(), "--data-dir"]);
    Ok(command)
}

/// A folder under target/ that is removed when this is dropped.
pub(super) struct Folder(PathBuf);

impl Folder {
    /// Makes it, empty.
    pub(super) fn new(name: &str) -> Result<Self> {
        let path = root().join(format!("target/xtask/{name}-{}", std::process::id()));
        fs::create_dir_all(&path).with_context(|| format!("creating {}", path.display()))?;
        Ok(Self(path))
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What remains lies under target/ and harms nobody.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A shipped program that was built before.
pub(super) fn program(name: &str) -> Result<PathBuf> {
    let path = release::directory().join(name);
    ensure!(path.is_file(), "{} is not built; `cargo xtask test build` does that", path.display());
    Ok(path)
}

/// A port of the loopback interface that was free a moment ago.
pub(super) fn free_port() -> Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

fn is_ready(addr: SocketAddr) -> bool {
    matches!(http::get(addr, "/health/ready"), Ok((200, _)))
}
