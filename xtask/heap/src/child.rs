//! Other processes: what one costs from its start to its end, and talking to one line by line.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process_group};
use serde::de::DeserializeOwned;

/// Nothing that is measured as a whole process takes longer, also beside others.
const DEADLINE: Duration = Duration::from_secs(1800);

/// What a process cost.
#[derive(Debug)]
pub(crate) struct Cost {
    /// From its start to its end.
    pub(crate) seconds: f64,
    /// The greatest resident memory of it, or of one of the processes that it started.
    pub(crate) peak: f64,
    /// What it printed; empty when that went to a file.
    pub(crate) said: String,
}

/// This program, to do a part of its work in a process of its own.
pub(crate) fn ourselves(work: &str) -> Result<Command> {
    let program = std::env::current_exe().context("where this program is")?;
    Ok(as_worker(&program, work))
}

/// Such a program as this one, to do a part of the work.
pub(crate) fn as_worker(program: &Path, work: &str) -> Command {
    let mut command = Command::new(program);
    command.args(["work", work]);
    command
}

/// Runs a program to its end. GNU time starts it: the kernel counts what the starting process had resident as the
/// peak of the one that it becomes, and GNU time has next to nothing.
pub(crate) fn measured(command: &Command, scratch: &Path, out: Option<&Path>) -> Result<Cost> {
    let told = scratch.join("time.txt");
    let mut timed = Command::new("time");
    timed.args(["-f", "%M", "-o"]).arg(&told).arg(command.get_program()).args(command.get_args());
    timed.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    timed.stdin(Stdio::null()).process_group(0);
    match out {
        Some(path) => timed.stdout(File::create(path).context("the file for its output")?),
        None => timed.stdout(Stdio::piped()),
    };
    let began = Instant::now();
    let mut child = timed.spawn().context("GNU time does not start")?;
    let guard = end_after(child.id(), DEADLINE);
    let mut said = String::new();
    if let Some(mut output) = child.stdout.take() {
        output.read_to_string(&mut said)?;
    }
    let status = child.wait()?;
    let seconds = began.elapsed().as_secs_f64();
    drop(guard);
    let told = fs::read_to_string(&told)?;
    ensure!(status.success(), "{command:?} failed ({status}): {}", told.trim());
    let kib: f64 = told.lines().next_back().unwrap_or_default().parse().context("GNU time")?;
    Ok(Cost { seconds, peak: kib * 1024.0, said })
}

/// Kills a process group after a time, unless what this returns was dropped by then.
fn end_after(group: u32, deadline: Duration) -> SyncSender<()> {
    let (sender, receiver) = sync_channel(0);
    thread::spawn(move || {
        if receiver.recv_timeout(deadline) == Err(RecvTimeoutError::Timeout)
            && let Some(group) = i32::try_from(group).ok().and_then(Pid::from_raw)
        {
            // Whoever waits for it says that it was killed.
            let _ = kill_process_group(group, Signal::KILL);
        }
    });
    sender
}

/// A process that does not outlive its owner.
#[derive(Debug)]
pub(crate) struct Owned(pub(crate) Child);

impl Drop for Owned {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A process that is asked and answers, a line each.
#[derive(Debug)]
pub(crate) struct Talking {
    owned: Owned,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    name: PathBuf,
}

impl Talking {
    /// Starts it.
    pub(crate) fn start(command: &mut Command) -> Result<Self> {
        let name = command.get_program().into();
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().with_context(|| format!("{command:?} does not start"))?;
        let input = child.stdin.take().context("standard input is piped")?;
        let output = child.stdout.take().context("standard output is piped")?;
        Ok(Self { owned: Owned(child), input, output: BufReader::new(output), name })
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.owned.0.id()
    }

    /// The next line that it says.
    pub(crate) fn hear<T: DeserializeOwned>(&mut self) -> Result<T> {
        let mut line = String::new();
        if self.output.read_line(&mut line)? == 0 {
            bail!("{} ended instead of answering ({})", self.name.display(), self.owned.0.wait()?);
        }
        serde_json::from_str(&line).with_context(|| format!("not an answer: {line:?}"))
    }

    /// Says a line to it.
    pub(crate) fn say(&mut self, line: &str) -> Result<()> {
        writeln!(self.input, "{line}").with_context(|| format!("telling it to {line}"))
    }

    /// Says a line and hears the answer.
    pub(crate) fn ask<T: DeserializeOwned>(&mut self, line: &str) -> Result<T> {
        self.say(line)?;
        self.hear()
    }

    /// Waits for its end.
    pub(crate) fn wait(&mut self) -> Result<ExitStatus> {
        Ok(self.owned.0.wait()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn a_process_is_measured_with_what_it_started() {
        let scratch = tempfile::tempdir().unwrap();
        let cost = measured(&shell("echo said; exit 0"), scratch.path(), None).unwrap();
        assert_eq!(cost.said, "said\n");
        assert!(cost.seconds > 0.0 && cost.peak > 100_000.0, "{cost:?}");
        let file = scratch.path().join("out");
        assert_eq!(measured(&shell("echo x"), scratch.path(), Some(&file)).unwrap().said, "");
        assert_eq!(fs::read_to_string(file).unwrap(), "x\n");
    }

    #[test]
    fn a_process_that_fails_is_no_measurement() {
        let scratch = tempfile::tempdir().unwrap();
        let error = measured(&shell("exit 3"), scratch.path(), None).unwrap_err().to_string();
        assert!(error.contains("exit 3"), "{error}");
    }

    #[test]
    fn a_process_that_ends_instead_of_answering_is_told() {
        let mut echo = Talking::start(&mut shell("read a; echo $a; exit 4")).unwrap();
        assert_eq!(echo.ask::<u64>("17").unwrap(), 17);
        let error = echo.hear::<u64>().unwrap_err().to_string();
        assert!(error.contains("sh ended") && error.contains('4'), "{error}");
    }
}
