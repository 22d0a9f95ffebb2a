//! Running other programs: echoed, within a deadline, with the end of their output in the error.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// Lines of a failed program's output that its error repeats.
const TAIL: usize = 25;
const POLL: Duration = Duration::from_millis(20);

/// Runs a command with its output going through.
pub(crate) fn run(command: &mut Command, deadline: Duration) -> Result<()> {
    echo(command);
    let status = finish(&mut spawn(command.stdin(Stdio::null()))?, deadline)?;
    succeeded(command, status, "")
}

/// Runs a command, passes its standard output on line by line, and shows each line to `see`.
pub(crate) fn tee(
    command: &mut Command,
    deadline: Duration,
    mut see: impl FnMut(&str),
) -> Result<()> {
    echo(command);
    let mut child = spawn(command.stdin(Stdio::null()).stdout(Stdio::piped()))?;
    let output = child.stdout.take().context("standard output is piped")?;
    let watch = thread::spawn(move || finish(&mut child, deadline));
    for line in BufReader::new(output).split(b'\n') {
        let line = String::from_utf8_lossy(&line?).into_owned();
        println!("{line}");
        see(&line);
    }
    succeeded(command, joined(watch)?, "")
}

/// Runs a command quietly and returns its standard output; what it wrote ends up in the error if it fails.
pub(crate) fn capture(command: &mut Command, deadline: Duration) -> Result<String> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = spawn(command)?;
    let out = child.stdout.take().map(collect).context("standard output is piped")?;
    let err = child.stderr.take().map(collect).context("standard error is piped")?;
    let status = finish(&mut child, deadline)?;
    let (out, err) = (joined(out)?, joined(err)?);
    succeeded(command, status, &format!("{out}{err}"))?;
    Ok(out)
}

/// Runs a command whose standard error goes through; returns whether it succeeded, and its standard output.
pub(crate) fn answer(command: &mut Command, deadline: Duration) -> Result<(bool, String)> {
    echo(command);
    let mut child = spawn(command.stdin(Stdio::null()).stdout(Stdio::piped()))?;
    let out = child.stdout.take().map(collect).context("standard output is piped")?;
    let status = finish(&mut child, deadline)?;
    Ok((status.success(), joined(out)?))
}

/// A program that runs beside us until this is dropped; its output goes to a file.
pub(crate) struct Background {
    child: Child,
    name: String,
    log: PathBuf,
}

impl Background {
    /// Starts the command with both outputs written to `log`.
    pub(crate) fn start(command: &mut Command, log: &Path) -> Result<Self> {
        let file = File::create(log).with_context(|| format!("creating {}", log.display()))?;
        command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
        let child = spawn(command)?;
        let name = command.get_program().to_string_lossy().into_owned();
        Ok(Self { child, name, log: log.to_owned() })
    }

    /// The program's process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Whether the program has ended.
    pub(crate) fn ended(&mut self) -> Result<bool> {
        Ok(self.child.try_wait()?.is_some())
    }

    /// Waits until `ready` holds; an error with the log's end if the program ends first or time runs out.
    pub(crate) fn wait_until(
        &mut self,
        what: &str,
        deadline: Duration,
        mut ready: impl FnMut() -> bool,
    ) -> Result<()> {
        let until = Instant::now() + deadline;
        while !ready() {
            let ended = self.child.try_wait()?;
            if ended.is_some() || Instant::now() >= until {
                let why = ended.map_or_else(|| format!("in {deadline:?}"), |s| format!("({s})"));
                bail!("{}: not {what} {why}; its log ends:\n{}", self.name, self.log_tail());
            }
            thread::sleep(POLL);
        }
        Ok(())
    }

    fn log_tail(&self) -> String {
        let text = std::fs::read(&self.log).unwrap_or_default();
        tail(&String::from_utf8_lossy(&text))
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        kill_tree(self.child.id());
        // Nothing is left to do for a child that cannot be waited for.
        let _ = self.child.wait();
    }
}

/// Whether a program of this name is on the PATH.
pub(crate) fn on_path(program: &str) -> bool {
    std::env::var_os("PATH").is_some_and(|paths| {
        std::env::split_paths(&paths).any(|directory| directory.join(program).is_file())
    })
}

fn echo(command: &Command) {
    println!("$ {}", shown(command));
}

fn shown(command: &Command) -> String {
    std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(|word| word.to_string_lossy().into_owned())
        .collect::<Vec<_>>()
        .join(" ")
}

fn spawn(command: &mut Command) -> Result<Child> {
    command.spawn().with_context(|| format!("starting {}", shown(command)))
}

fn finish(child: &mut Child, deadline: Duration) -> Result<ExitStatus> {
    let until = Instant::now() + deadline;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        if Instant::now() >= until {
            kill_tree(child.id());
            child.wait()?;
            bail!("not finished within {} s", deadline.as_secs());
        }
        thread::sleep(POLL);
    }
}

fn succeeded(command: &Command, status: ExitStatus, output: &str) -> Result<()> {
    if status.success() {
        return Ok(());
    }
    let end = if output.trim().is_empty() { String::new() } else { format!(":\n{}", tail(output)) };
    bail!("`{}` failed ({status}){end}", shown(command))
}

fn tail(text: &str) -> String {
    let mut last = VecDeque::with_capacity(TAIL);
    for line in text.lines() {
        if last.len() == TAIL {
            last.pop_front();
        }
        last.push_back(line);
    }
    Vec::from(last).join("\n")
}

fn collect(mut from: impl Read + Send + 'static) -> thread::JoinHandle<Result<String>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        from.read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    })
}

fn joined<T>(thread: thread::JoinHandle<Result<T>>) -> Result<T> {
    thread.join().unwrap_or_else(|_| bail!("the thread that waits for a program panicked"))
}

/// Kills a process with all it started: a killed cargo leaves its tests running, and they hold our pipes open.
fn kill_tree(root: u32) {
    let mut doomed = vec![root];
    let mut next = 0;
    while let Some(pid) = doomed.get(next).copied() {
        doomed.extend(children(pid));
        next += 1;
    }
    let pids: Vec<_> = doomed.iter().map(u32::to_string).collect();
    // The shell's own kill: signalling without it needs a crate or unsafe code.
    let _ = Command::new("sh")
        .args(["-c", &format!("kill -KILL {}", pids.join(" "))])
        .stderr(Stdio::null())
        .status();
}

fn children(pid: u32) -> Vec<u32> {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    tasks
        .filter_map(|task| std::fs::read_to_string(task.path().join("children")).ok())
        .flat_map(|list| list.split(' ').filter_map(|pid| pid.parse().ok()).collect::<Vec<_>>())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_secs(10);

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn a_failure_repeats_the_end_of_what_was_written_and_not_the_rest() {
        let error = capture(&mut shell("seq 100; echo why >&2; exit 7"), SOON).expect_err("exit 7");
        let text = error.to_string();
        assert!(text.contains("exit status: 7") && text.ends_with("\n99\n100\nwhy"), "{text}");
        assert!(!text.contains("\n50\n"));
    }

    #[test]
    fn a_program_that_fails_may_still_have_answered() {
        let said = answer(&mut shell("echo 42; exit 1"), SOON).expect("it ran");
        assert_eq!(said, (false, "42\n".to_owned()));
    }

    #[test]
    fn lines_are_seen_one_by_one() {
        let mut seen = Vec::new();
        tee(&mut shell("echo one; echo two"), SOON, |line| seen.push(line.to_owned())).expect("ok");
        assert_eq!(seen, ["one", "two"]);
    }

    #[test]
    fn the_deadline_ends_grandchildren_too() {
        let started = Instant::now();
        let script = "sh -c 'sleep 60; echo late' ; true";
        let error = capture(&mut shell(script), Duration::from_millis(100)).expect_err("too slow");
        assert!(error.to_string().contains("not finished within"));
        assert!(started.elapsed() < SOON, "the pipe was held open by a grandchild");
    }

    #[test]
    fn a_background_program_that_dies_early_is_told_with_its_log() {
        let log = std::env::temp_dir().join(format!("xtask-sh-{}.log", std::process::id()));
        let mut program =
            Background::start(&mut shell("echo no port; exit 1"), &log).expect("started");
        let error = program.wait_until("ready", SOON, || false).expect_err("it ended");
        assert!(error.to_string().contains("no port"), "{error}");
        drop(program);
        std::fs::remove_file(log).expect("the log");
    }

    #[test]
    fn a_program_that_does_not_exist_is_named() {
        let error = run(&mut Command::new("no-such-program-here"), SOON).expect_err("absent");
        assert!(error.to_string().contains("no-such-program-here"));
    }
}
