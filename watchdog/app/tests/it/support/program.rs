//! A started program: what it wrote, how it ends, and that it ends with the test.

use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use super::eventually;

/// A running program with its output in files. Killed when dropped.
pub(crate) struct Program {
    child: Child,
    output: TempDir,
}

/// A program that has ended.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Outcome {
    pub(crate) fn code(&self) -> Option<i32> {
        self.status.code()
    }
}

impl Program {
    pub(crate) fn start(command: &mut Command) -> Self {
        let output = tempfile::tempdir().expect("a directory");
        let file = |name| File::create(output.path().join(name)).expect("a file");
        let child = command
            .stdin(Stdio::null())
            .stdout(file("out"))
            .stderr(file("err"))
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
        Self { child, output }
    }

    /// Runs a program to its end.
    pub(crate) async fn run(command: &mut Command, deadline: Duration) -> Outcome {
        Self::start(command).ended(deadline).await
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.pid()).ok().and_then(Pid::from_raw).expect("a pid");
        kill_process(pid, signal).expect("signalled");
    }

    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("killed");
        self.child.wait().expect("ended");
    }

    pub(crate) fn has_ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("a status")
    }

    pub(crate) async fn ended(mut self, deadline: Duration) -> Outcome {
        self.wait(deadline).await
    }

    pub(crate) async fn wait(&mut self, deadline: Duration) -> Outcome {
        let what = format!("the end of process {}", self.pid());
        let status = eventually(&what, deadline, async || self.has_ended()).await;
        Outcome { status, stdout: self.stdout(), stderr: self.stderr() }
    }

    pub(crate) fn stdout(&self) -> String {
        read(&self.output.path().join("out"))
    }

    pub(crate) fn stderr(&self) -> String {
        read(&self.output.path().join("err"))
    }

    /// Waits for a line of a log in JSON, on stdout, with this message and returns it.
    pub(crate) async fn logs(&self, message: &str) -> Value {
        eventually(&format!("`{message}` on stdout"), super::SOON, async || {
            let stdout = self.stdout();
            let mut lines = stdout.lines().filter_map(|line| serde_json::from_str(line).ok());
            lines.find(|line: &Value| line["message"] == message)
        })
        .await
    }

    /// Waits for a line on stderr and returns it.
    pub(crate) async fn says(&self, part: &str) -> String {
        eventually(&format!("`{part}` on stderr"), super::SOON, async || {
            self.stderr().lines().find(|line| line.contains(part)).map(str::to_owned)
        })
        .await
    }
}

fn read(path: &Path) -> String {
    String::from_utf8_lossy(&std::fs::read(path).expect("the output")).into_owned()
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended long ago.
        self.child.kill().ok();
        self.child.wait().ok();
        if std::thread::panicking() {
            eprintln!("--- pid {} wrote:\n{}{}", self.pid(), self.stdout(), self.stderr());
        }
    }
}
