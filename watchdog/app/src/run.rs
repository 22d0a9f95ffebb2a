//! `oomen run`: starts a command, watches it, and says at the end whether it leaks.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use oomen_recorder::{Geometry, Keeper};
use rustix::process::{Pid, Signal, kill_process};
use serde::Serialize;
use tokio::process::{Child, Command};
use watchdog_collect::confine::Confined;
use watchdog_core::gate::{Judgement, RunVerdict, judge};
use watchdog_core::incident::{Incident, State};
use watchdog_core::units::Bytes;

use crate::app::App;
use crate::cli::{RunArgs, WatchArgs};
use crate::config::{Config, Environment, Which};
use crate::context::lock;
use crate::otlp::Otlp;
use crate::signals;

/// Exit status when the command leaks.
const LEAKS: u8 = 3;
/// Exit status when nothing can be said.
const UNDECIDED: u8 = 4;
/// Time for the command to end by itself after SIGTERM.
const GRACE: Duration = Duration::from_secs(10);
/// How often, and how long at most, it is looked whether the command has entered its cgroup: it takes milliseconds.
const ENTERING: Duration = Duration::from_millis(2);
const ENTERED: Duration = Duration::from_secs(5);
/// Time for what the command left running to end, before its cgroup is left behind.
const LEFT_OVER: Duration = Duration::from_secs(2);
/// How often the incidents are looked at for `--gate`.
const LOOK: Duration = Duration::from_millis(100);

/// Where the probe in a service looks for its flight recorder.
const RECORDER_VARIABLE: &str = "OOMEN_RECORDER_DIR";

/// What is written to `report.json` in the directory of `--report`.
#[derive(Debug, Serialize)]
struct Report<'a> {
    verdict: &'a RunVerdict,
    incidents: &'a [Incident],
}

/// Why the watching ended.
enum End {
    Exited(std::process::ExitStatus),
    Stopped,
}

/// Runs and judges the command.
///
/// # Errors
/// When the command or the watchdog cannot be started.
pub async fn run(args: RunArgs) -> anyhow::Result<ExitCode> {
    let scratch = tempfile::tempdir().context("no temporary directory")?;
    let recorder_dir = scratch.path().join("recorder");
    // The command finds its flight recorder when it starts; the watchdog takes over the directory afterwards.
    drop(Keeper::open(&recorder_dir, Geometry::default(), Keeper::SPARES)?);
    let mut child = start(&args, &recorder_dir)?;
    let pid = child.id().context("the command ended at once")?;
    if args.limit.is_some() {
        entered(&mut child, pid).await?;
    }
    let data_dir = args.report.clone().unwrap_or_else(|| scratch.path().to_owned());
    let watch = WatchArgs {
        pid: Some(pid),
        probe: args.probe.clone(),
        pprof: args.pprof.clone(),
        dump_files: args.dump_files.clone(),
        recorder_dir: Some(recorder_dir),
        limit: args.limit,
        warm_up: args.warm_up,
        listen: Some(([127, 0, 0, 1], 0).into()),
        data_dir: Some(data_dir),
        ..WatchArgs::default()
    };
    let mut config = Config::load(&watch, Environment::default())?;
    for target in &mut config.targets {
        target.which = Which::Only(pid);
    }
    // One run is judged by itself.
    config.state_interval = None;
    let warm_up = config.detector.warm_up;
    let app = App::start(config, Otlp::off()).await?;
    tracing::info!(page = %format!("http://{}/", app.address), "watching the command");
    let end = watch_child(&app, &mut child, &args).await?;
    // The watcher sees the end at its next look and closes the incident.
    settle(&app).await;
    let incidents = app.context.incidents();
    let verdict = conclude(&app, &incidents, warm_up);
    app.stop().await;
    if let Some(dir) = &args.report {
        write_report(dir, &verdict, &incidents)?;
    }
    if let Some(limit) = args.limit {
        remove_cgroup(limit).await;
    }
    println!("{}: {}", judgement_word(verdict.judgement), verdict.sentence);
    Ok(status(verdict.judgement, &end))
}

/// The command in a process of its own; under a limit it becomes the command after it has entered its cgroup.
fn start(args: &RunArgs, recorder_dir: &Path) -> anyhow::Result<Child> {
    let (program, arguments) = args.command.split_first().context("no command")?;
    let mut command = match args.limit {
        None => Command::new(program),
        Some(limit) => {
            let mut confine = Command::new(std::env::current_exe()?);
            confine
                .args(["confine", "--name", &cgroup_name(), "--limit", &limit.0.to_string(), "--"])
                .arg(program);
            confine
        }
    };
    command
        .args(arguments)
        .env(RECORDER_VARIABLE, recorder_dir)
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("cannot start {program}"))
}

/// Waits until the process that enters the cgroup has become the command: before, it would be taken for this
/// program, in this program's cgroup. Its command line tells by the cgroup's name; in between it is empty.
async fn entered(child: &mut Child, pid: u32) -> anyhow::Result<()> {
    let path = format!("/proc/{pid}/cmdline");
    let confine = format!("\0--name\0{}\0", cgroup_name());
    let is_command = || {
        let line = std::fs::read(&path).unwrap_or_default();
        !line.is_empty() && !line.windows(confine.len()).any(|part| part == confine.as_bytes())
    };
    let end = tokio::time::Instant::now() + ENTERED;
    while child.try_wait()?.is_none() && !is_command() && tokio::time::Instant::now() < end {
        tokio::time::sleep(ENTERING).await;
    }
    Ok(())
}

fn cgroup_name() -> String {
    format!("run-{}", std::process::id())
}

/// Removes the command's cgroup. What the command left running may need a moment to end; what stays is not ours to kill.
async fn remove_cgroup(limit: Bytes) {
    let end = tokio::time::Instant::now() + LEFT_OVER;
    loop {
        let removed =
            Confined::create(&cgroup_name(), limit).and_then(|mut confined| confined.remove());
        match removed {
            Ok(()) => return,
            Err(_) if tokio::time::Instant::now() < end => tokio::time::sleep(LOOK).await,
            Err(error) => {
                tracing::warn!(%error, "the command's cgroup could not be removed");
                return;
            }
        }
    }
}

async fn watch_child(app: &App, child: &mut Child, args: &RunArgs) -> anyhow::Result<End> {
    let over = async {
        match args.duration {
            Some(span) => tokio::time::sleep(span).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        status = child.wait() => return Ok(End::Exited(status?)),
        () = over => tracing::info!("the time is over"),
        () = leak_told(app), if args.gate => tracing::info!("a leak was told; stopping the command"),
        signal = signals::wait() => signal?,
    }
    stop(child).await?;
    Ok(End::Stopped)
}

async fn leak_told(app: &App) {
    loop {
        tokio::time::sleep(LOOK).await;
        // The report is worth waiting for while its function is being looked for.
        let told = |incident: &Incident| {
            incident.told.is_some()
                && (incident.culprit.is_some()
                    || incident.culprit_pending.is_some()
                    || incident.dumps.is_empty())
        };
        if app.context.incidents().iter().any(told) {
            return;
        }
    }
}

/// Asks the command to end, then makes it.
async fn stop(child: &mut Child) -> anyhow::Result<()> {
    let pid = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    if let Some(pid) = pid {
        // It may have ended meanwhile.
        kill_process(pid, Signal::TERM).ok();
    }
    if tokio::time::timeout(GRACE, child.wait()).await.is_err() {
        child.kill().await?;
    }
    Ok(())
}

/// Waits until the watcher has seen the end of the process, for two seconds at most.
async fn settle(app: &App) {
    for _ in 0..20 {
        let status = watchdog_web::status::Source::status(&*app.context);
        if status.targets.iter().all(|target| !target.up) {
            return;
        }
        tokio::time::sleep(LOOK).await;
    }
}

fn conclude(app: &App, incidents: &[Incident], warm_up: f64) -> RunVerdict {
    let told = incidents.iter().find(|i| i.told.is_some() && i.state != State::Recovered);
    let series = watchdog_web::status::Source::status(&*app.context)
        .targets
        .first()
        .and_then(|target| app.context.slot(&target.identity.name))
        .map(|slot| lock(&slot.workload).detector().history().rows())
        .unwrap_or_default();
    let verdict = judge(&series, warm_up);
    match told {
        None => verdict,
        Some(incident) => RunVerdict {
            judgement: Judgement::Leak,
            sentence: match (&incident.culprit, incident.state) {
                (Some(culprit), _) => {
                    format!("{} Held by {}.", incident.verdict.sentence, culprit.frame.function)
                }
                (None, State::Killed) => {
                    format!("Killed for its memory. {}", incident.verdict.sentence)
                }
                (None, _) => incident.verdict.sentence.clone(),
            },
            trend: verdict.trend,
        },
    }
}

fn write_report(dir: &Path, verdict: &RunVerdict, incidents: &[Incident]) -> anyhow::Result<()> {
    let path = dir.join("report.json");
    let text = serde_json::to_vec_pretty(&Report { verdict, incidents })?;
    std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
}

fn judgement_word(judgement: Judgement) -> &'static str {
    match judgement {
        Judgement::NoLeak => "no leak",
        Judgement::Leak => "leak",
        Judgement::Undecided => "undecided",
    }
}

/// A leak outranks the command's own failure: the failure is most likely its kill.
fn status(judgement: Judgement, end: &End) -> ExitCode {
    if judgement == Judgement::Leak {
        return ExitCode::from(LEAKS);
    }
    if let End::Exited(status) = end
        && !status.success()
    {
        // A signal has no code; a shell's 128 + signal is what pipelines know.
        let code = status.code().or_else(|| signal_code(*status)).unwrap_or(1);
        return ExitCode::from(u8::try_from(code).unwrap_or(1));
    }
    match judgement {
        Judgement::Undecided => ExitCode::from(UNDECIDED),
        Judgement::NoLeak | Judgement::Leak => ExitCode::SUCCESS,
    }
}

fn signal_code(status: std::process::ExitStatus) -> Option<i32> {
    std::os::unix::process::ExitStatusExt::signal(&status).map(|signal| 128 + signal)
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;
    use std::process::ExitStatus;

    use super::*;

    fn code(judgement: Judgement, raw: i32) -> String {
        format!("{:?}", status(judgement, &End::Exited(ExitStatus::from_raw(raw))))
    }

    #[test]
    fn the_exit_status_is_the_leak_then_the_command_then_the_doubt() {
        assert_eq!(code(Judgement::Leak, 9), format!("{:?}", ExitCode::from(3)));
        assert_eq!(code(Judgement::NoLeak, 9), format!("{:?}", ExitCode::from(137)));
        assert_eq!(code(Judgement::Undecided, 7 << 8), format!("{:?}", ExitCode::from(7)));
        assert_eq!(code(Judgement::Undecided, 0), format!("{:?}", ExitCode::from(4)));
        assert_eq!(code(Judgement::NoLeak, 0), format!("{:?}", ExitCode::SUCCESS));
    }
}
