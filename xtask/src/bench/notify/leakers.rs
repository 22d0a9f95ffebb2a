//! Programs of the gallery that stand still until it is their turn to leak.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{ChildStdout, Command, Stdio};

use anyhow::{Context, Result, ensure};

use crate::demo::stage::Owned;
use crate::release;

/// Bytes a second.
const RATE: u64 = 20_000_000;

/// Several of them; each ends with its owner.
#[derive(Debug)]
pub(super) struct Leakers(Vec<Leaker>);

#[derive(Debug)]
struct Leaker {
    process: Owned,
    /// Kept open: a program whose output nobody takes may end.
    _stdout: BufReader<ChildStdout>,
}

impl Leakers {
    /// Starts so many and stops each as soon as it runs.
    pub(super) fn start(count: usize, recorders: &Path) -> Result<Self> {
        (0..count).map(|_| Leaker::start(recorders)).collect::<Result<_>>().map(Self)
    }

    /// How the targets are called. Nothing else in a report looks like it.
    pub(super) fn names(&self) -> Vec<String> {
        (0..self.0.len()).map(|i| format!("q{i:02}z")).collect()
    }

    pub(super) fn pids(&self) -> impl Iterator<Item = u32> {
        self.0.iter().map(|leaker| leaker.process.0.id())
    }

    /// One begins to leak.
    pub(super) fn go(&self, i: usize) -> Result<()> {
        self.0.get(i).context("no such leaker")?.signal("-CONT")
    }

    /// One ends.
    pub(super) fn end(&mut self, i: usize) -> Result<()> {
        let child = &mut self.0.get_mut(i).context("no such leaker")?.process.0;
        child.kill()?;
        child.wait()?;
        Ok(())
    }
}

impl Leaker {
    fn start(recorders: &Path) -> Result<Self> {
        let mut child = Command::new(release::directory().join("gallery"))
            .args(["unbounded-cache", "--rate", &RATE.to_string()])
            .env("OOMEN_RECORDER_DIR", recorders)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .context("gallery does not start")?;
        let stdout = child.stdout.take().context("gallery has no stdout");
        let process = Owned(child);
        let mut stdout = BufReader::new(stdout?);
        let read = stdout.read_line(&mut String::new())?;
        ensure!(read > 0, "gallery ended at once");
        let leaker = Self { process, _stdout: stdout };
        leaker.signal("-STOP")?;
        Ok(leaker)
    }

    fn signal(&self, signal: &str) -> Result<()> {
        let pid = self.process.0.id().to_string();
        let sent = Command::new("kill").args([signal, &pid]).status().context("kill")?;
        ensure!(sent.success(), "kill {signal} {pid}: {sent}");
        Ok(())
    }
}
