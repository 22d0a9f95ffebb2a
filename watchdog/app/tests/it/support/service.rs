//! The shop's recommendations service under a name that no other test uses.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;
use tempfile::TempDir;
use watchdog_collect::confine::Confined;
use watchdog_core::units::Bytes;

use super::{Program, SOON, eventually, get, http, needs_root, shipped};

/// The function that the fault `unbounded-cache` leaks in.
pub(crate) const CULPRIT: &str = "services_recommendations::cache::remember";

/// More than any test takes. A cgroup of its own keeps the memory of other tests apart.
const ROOM: Bytes = Bytes::from_mib(1024);
/// The shell's part: enter the cgroup and become the command.
const ENTER: &str = r#"echo $$ > "$0" && exec "$@""#;

fn cgroup(limit: Bytes) -> Confined {
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    needs_root();
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let name = format!("test-{}-{number}", std::process::id());
    Confined::create(&name, limit).expect("a cgroup")
}

/// A process that does nothing, in a cgroup of its own.
pub(crate) struct Idle {
    pub(crate) program: Program,
    _confined: Confined,
}

impl Idle {
    pub(crate) async fn start() -> Self {
        let confined = cgroup(ROOM);
        let mut command = Command::new("sh");
        command.args(["-c", ENTER]).arg(confined.procs_file()).args(["sleep", "600"]);
        let program = Program::start(&mut command);
        let comm = format!("/proc/{}/comm", program.pid());
        eventually("the shell becomes `sleep`", SOON, async || {
            fs::read_to_string(&comm).is_ok_and(|comm| comm == "sleep\n").then_some(())
        })
        .await;
        Self { program, _confined: confined }
    }
}

/// The service's program under a name of its own, in a directory that every user may enter.
pub(crate) struct Shop {
    pub(crate) name: String,
    directory: TempDir,
}

impl Shop {
    pub(crate) fn new() -> Self {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("shop{}-{number}", std::process::id());
        let directory = tempfile::tempdir().expect("a directory");
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).expect("opened");
        let shop = Self { name, directory };
        place(&shipped("recommendations"), &shop.program());
        shop
    }

    /// The service's program.
    pub(crate) fn program(&self) -> PathBuf {
        self.directory.path().join(&self.name)
    }

    /// Another shipped program beside it.
    pub(crate) fn beside(&self, name: &str) -> PathBuf {
        let path = self.directory.path().join(name);
        place(&shipped(name), &path);
        path
    }

    /// Starts it with more room than any test needs.
    pub(crate) async fn start(&self) -> Service {
        self.start_confined(ROOM, &[]).await
    }

    /// Starts it in a cgroup that kills, by way of `wrapper` (`setpriv …`) where there is one.
    pub(crate) async fn start_confined(&self, limit: Bytes, wrapper: &[&str]) -> Service {
        let confined = cgroup(limit);
        let mut command = Command::new("sh");
        command.args(["-c", ENTER]).arg(confined.procs_file());
        command.args(wrapper).arg(self.program());
        Service::start(self, &mut command, Some(confined)).await
    }
}

/// A program under another name.
pub(crate) fn place(from: &Path, to: &Path) {
    // The same file under another name costs nothing; on another file system it must be copied.
    if fs::hard_link(from, to).is_err() {
        fs::copy(from, to).expect("copied");
    }
}

/// A running service. Its program ends before its cgroup is removed.
pub(crate) struct Service {
    pub(crate) program: Program,
    /// The service's and its target's name.
    pub(crate) name: String,
    /// Address of the admin port.
    pub(crate) admin: String,
    _confined: Option<Confined>,
}

impl Service {
    async fn start(shop: &Shop, command: &mut Command, confined: Option<Confined>) -> Self {
        command.args(["--listen=127.0.0.1:0", "--admin-listen=127.0.0.1:0", "--faults=on"]);
        let program = Program::start(command);
        let line = program.logs("listening").await;
        let admin = format!("http://{}", line["admin"].as_str().expect("the admin port"));
        Self { program, name: shop.name.clone(), admin, _confined: confined }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.program.pid()
    }

    /// Leaks from now on.
    pub(crate) async fn leak(&self, bytes_per_second: u64) {
        set_fault(&self.admin, bytes_per_second).await;
    }

    /// The same process still serves, and nothing ever asked it to stop.
    pub(crate) async fn assert_untouched(&mut self) {
        assert_eq!(self.program.has_ended(), None, "the service ended");
        let live = get(&format!("{}/health/live", self.admin)).await;
        assert!(live.is_some(), "the service does not answer");
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).expect("a status");
        assert!(status.contains("\nTracerPid:\t0\n"), "{status}");
        assert!(!status.contains("\nState:\tT"), "{status}");
        assert!(!self.program.stderr().contains("draining"), "the service got a signal");
        assert!(!self.program.stdout().contains("draining"), "the service got a signal");
    }
}

/// Sets the leak's rate through a service's admin port, once it listens.
pub(crate) async fn set_fault(admin: &str, bytes_per_second: u64) {
    let url = format!("{admin}/debug/faults/unbounded-cache");
    let order = json!({"bytes_per_second": bytes_per_second});
    let answer = eventually("a listening admin port", SOON, async || {
        match http().put(&url).json(&order).send().await {
            Err(error) if error.is_connect() => None,
            answer => Some(answer.expect("an answer")),
        }
    })
    .await;
    assert!(answer.status().is_success(), "{answer:?}");
}

/// The value behind `key` in a log line.
pub(crate) fn field(line: &str, key: &str) -> Option<String> {
    let (_, rest) = line.split_once(key)?;
    Some(rest.split_whitespace().next()?.to_owned())
}
