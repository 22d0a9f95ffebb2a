//! What is known after the kernel's kill: the recorder beside what the process had leaked when it died.
//!
//! The figures are estimates from samples. Of `N` objects of one size `s`, each is sampled with the probability
//! `p = 1 - exp(-s / period)` and then counts for `s / p`; the sum has the relative standard error
//! `sqrt((1 - p) / (p N))` (Horvitz and Thompson). The watchdog asks the process for its allocator's statistics twice a
//! second, as it does while memory grows, and what the allocator knows takes most of that error away.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Command;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use clap::ValueEnum;
use oomen_recorder::{Claimed, Geometry, Keeper};
use watchdog_core::profile::{Frame, Mapping, Profile, StackSample};
use watchdog_core::units::{Bytes, WallTime};
use watchdog_heap::symbolize::Symbolizer;
use watchdog_heap::{culprit, recorder};

use super::Settings;
use crate::child::{Talking, ourselves};
use crate::figures::largest;
use crate::machine::available_bytes;
use crate::report::Report;
use crate::work::{LEAKING_FUNCTION, Sizes, read_truth};

const ROUNDS: usize = 20;
const WITHIN: f64 = 0.03;
/// `SIGKILL`, signal(7).
const KILLED: i32 = 9;

/// A process to be killed.
#[derive(Clone, Copy, Debug)]
struct Case {
    limit: u64,
    sizes: Sizes,
    /// `lg_prof_sample`.
    lg_period: u32,
    /// Bytes that another function holds from the start.
    steady: u64,
}

const USUAL: Case = Case { limit: 256 << 20, sizes: Sizes::Pages, lg_period: 19, steady: 0 };

const CASES: [Case; 7] = [
    USUAL,
    Case { sizes: Sizes::Mixed, ..USUAL },
    Case { sizes: Sizes::Small, ..USUAL },
    Case { sizes: Sizes::Large, ..USUAL },
    Case { steady: 64 << 20, ..USUAL },
    Case { lg_period: 16, ..USUAL },
    Case { limit: 2 << 30, ..USUAL },
];

/// Seconds in which the limit is filled.
const FILLED_IN: f64 = 4.0;
/// Pause between two questions for the allocator's statistics, as the watchdog makes it while memory grows.
const ASKED_EVERY: Duration = Duration::from_millis(500);

/// What was found in one round.
struct Found {
    /// The recorded bytes of the first stack, less the truth, as a share of it.
    error: f64,
    /// The same from the samples alone.
    sampled: f64,
    /// Whether the first stack is the leak's, by name.
    is_first: bool,
    /// Whether the function would be accused.
    is_accused: bool,
}

/// Adds the table and bounds of this part.
pub(super) fn measure(settings: &Settings, report: &mut Report) -> Result<()> {
    let scratch = settings.scratch("kill")?;
    let rounds = settings.rounds(ROUNDS);
    let mut rows = Vec::new();
    for case in CASES {
        let available = available_bytes()?;
        if available < case.limit + case.limit / 4 {
            report.note(format!(
                "Kill: a limit of {} was not tried, as only {} are available here.",
                Bytes(case.limit),
                Bytes(available)
            ));
            continue;
        }
        eprintln!("kill: {}, {rounds} rounds", case.name());
        let found: Vec<Found> = (0..rounds)
            .map(|_| round(settings, case, &scratch))
            .collect::<Result<_>>()
            .with_context(|| case.name())?;
        rows.push(case.row(&found));
        case.bounds(&found, report);
    }
    let head = [
        "limit",
        "objects",
        "held beside",
        "lg_prof_sample",
        "leak is first",
        "accused",
        "within 3 %",
        "worst error",
        "mean error",
        "worst error of the samples alone",
        "standard error of the samples alone",
    ];
    report.table("What the recorder says after the kernel's kill", &head, rows);
    report.note(
        "Kill: a real memory cgroup; the truth is what the process wrote to a file before it died.",
    );
    Ok(())
}

impl Case {
    fn name(self) -> String {
        let Self { limit, sizes, lg_period, steady } = self;
        let beside =
            if steady > 0 { format!(", {} beside it", Bytes(steady)) } else { String::new() };
        let limit = Bytes(limit);
        format!("{limit} limit, {} objects{beside}, lg_prof_sample:{lg_period}", sizes.name())
    }

    /// The relative standard error of what the samples alone can say of a leak that fills what is left of the limit.
    fn standard_error(self) -> f64 {
        let sizes = self.sizes.all();
        let leaked = (self.limit - self.steady) as f64;
        // Each size holds the same share.
        let share = leaked / sizes.len() as f64;
        let variance = |size: &usize| {
            let size = *size as f64;
            let sampled = 1.0 - (-size / f64::from(1_u32 << self.lg_period)).exp();
            size * size * (share / size) * (1.0 - sampled) / sampled
        };
        sizes.iter().map(variance).sum::<f64>().sqrt() / leaked
    }

    fn row(self, found: &[Found]) -> Vec<String> {
        let of = |holds: fn(&Found) -> bool| {
            format!("{} of {}", found.iter().filter(|one| holds(one)).count(), found.len())
        };
        let errors: Vec<f64> = found.iter().map(|one| one.error).collect();
        let mean = errors.iter().sum::<f64>() / errors.len().max(1) as f64;
        let worst = |error: fn(&Found) -> f64| {
            largest(&found.iter().map(|one| error(one).abs()).collect::<Vec<_>>()) * 100.0
        };
        vec![
            Bytes(self.limit).to_string(),
            self.sizes.name().to_owned(),
            Bytes(self.steady).to_string(),
            self.lg_period.to_string(),
            of(|one| one.is_first),
            of(|one| one.is_accused),
            of(|one| one.error.abs() <= WITHIN),
            format!("{:.2} %", worst(|one| one.error)),
            format!("{:+.2} %", mean * 100.0),
            format!("{:.2} %", worst(|one| one.sampled)),
            format!("{:.2} %", self.standard_error() * 100.0),
        ]
    }

    fn bounds(self, found: &[Found], report: &mut Report) {
        let all = found.len();
        let right = found.iter().filter(|one| one.is_first && one.is_accused).count();
        report.bound(
            &format!("{}: the leak is the first stack, and accused", self.name()),
            &format!("{right} of {all}"),
            &format!("{all} of {all}"),
            right == all,
        );
        if self.steady > 0 {
            // What the allocator knows is the sum: of the error between the leak and the rest it says nothing.
            return;
        }
        let near = found.iter().filter(|one| one.error.abs() <= WITHIN).count();
        report.bound(
            &format!("{}: its bytes are within 3 % of the truth", self.name()),
            &format!("{near} of {all}"),
            &format!("{all} of {all}"),
            near == all,
        );
    }
}

/// Leaks until the kill, and reads what is left.
fn round(settings: &Settings, case: Case, scratch: &Path) -> Result<Found> {
    let recorders = scratch.join("recorders");
    super::empty(&recorders)?;
    let keeper = Keeper::open(&recorders, Geometry::default(), 1)?;
    let truth = scratch.join("truth");
    let name = format!("bench-heap-{}", std::process::id());
    let mut process = Talking::start(&mut confined(settings, case, &name, &recorders, &truth)?)?;
    let ready: String = process.hear()?;
    ensure!(ready == "ready", "{ready}");
    let symbolizer = Symbolizer::attach(Path::new("/proc"), process.pid())?;
    let mappings = symbolizer.mappings()?;
    let reader = one_claimed(&keeper)?.open()?;
    process.say("leak")?;
    let status = thread::scope(|scope| {
        let (ended, end) = sync_channel::<()>(0);
        scope.spawn(move || {
            // A channel that closes is the process's end.
            while end.recv_timeout(ASKED_EVERY) == Err(RecvTimeoutError::Timeout) {
                reader.request_statistics().ok();
            }
        });
        let status = process.wait();
        drop(ended);
        status
    })?;
    let kills = kills(&name)?;
    ensure!(
        status.signal() == Some(KILLED) && kills > 0,
        "the process was not killed for its memory: {status}, {kills} kills in its cgroup"
    );
    let snapshot = one_claimed(&keeper)?.open()?.snapshot()?;
    ensure!(snapshot.damaged == 0, "{} damaged slots", snapshot.damaged);
    let profile = recorder::profile(&snapshot, mappings, WallTime(0.0));
    let largest = snapshot.stacks.iter().map(|stack| stack.inuse_bytes).max().unwrap_or(0);
    Ok(judge(&profile, largest, &symbolizer, read_truth(&truth)?))
}

fn one_claimed(keeper: &Keeper) -> Result<Claimed> {
    let claimed = keeper.claimed()?;
    let [claimed] = claimed.as_slice() else { bail!("{} recorders claimed", claimed.len()) };
    Ok(claimed.clone())
}

fn confined(
    settings: &Settings,
    case: Case,
    cgroup: &str,
    recorders: &Path,
    truth: &Path,
) -> Result<Command> {
    let sizes = case.sizes.to_possible_value().context("a size without a name")?;
    let leak = ourselves("leak")?;
    let mut command = Command::new(settings.oomen());
    command.args(["confine", "--limit", &case.limit.to_string(), "--name", cgroup, "--"]);
    command.arg(leak.get_program()).args(leak.get_args());
    let rate = case.limit as f64 / FILLED_IN;
    command.args(["--sizes", sizes.get_name(), "--steady", &case.steady.to_string()]);
    command.args(["--rate", &rate.to_string(), "--truth"]).arg(truth);
    command.env("OOMEN_RECORDER_DIR", recorders);
    command.env("_RJEM_MALLOC_CONF", format!("lg_prof_sample:{}", case.lg_period));
    Ok(command)
}

fn judge(profile: &Profile, sampled: u64, symbolizer: &Symbolizer, truth: u64) -> Found {
    let names = |mappings: &[Mapping], addresses: &[u64]| {
        symbolizer.symbols(mappings, addresses.iter().copied())
    };
    let first = profile.stacks.iter().max_by_key(|sample| sample.inuse_space.0);
    let is_leak = |frame: &Frame| frame.function.ends_with(LEAKING_FUNCTION);
    let is_first = first.is_some_and(|sample| {
        let symbols = names(&profile.mappings, &sample.stack);
        sample.stack.iter().flat_map(|address| symbols.frames(*address)).any(is_leak)
    });
    let accused = culprit::name_holders(profile, names).unwrap_or_default();
    let is_accused = accused.first().is_some_and(|one| is_leak(&one.frame));
    let held = first.map_or(0, |sample: &StackSample| sample.inuse_space.0);
    let error = |bytes: u64| bytes as f64 / truth.max(1) as f64 - 1.0;
    Found { error: error(held), sampled: error(sampled), is_first, is_accused }
}

/// How often the kernel killed in that cgroup, which is then removed.
fn kills(cgroup: &str) -> Result<u64> {
    let places = [
        ("/sys/fs/cgroup/memory/oomen", "memory.oom_control"),
        ("/sys/fs/cgroup/oomen", "memory.events"),
    ];
    for (directory, file) in places {
        let directory = Path::new(directory).join(cgroup);
        let Ok(text) = fs::read_to_string(directory.join(file)) else { continue };
        fs::remove_dir(&directory)
            .with_context(|| format!("removing the cgroup {}", directory.display()))?;
        let count = text.lines().find_map(|line| line.strip_prefix("oom_kill "));
        return count.context("no oom_kill in it")?.trim().parse().context(file);
    }
    bail!("the cgroup {cgroup} is not where oomen confine makes it")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_standard_error_is_that_of_independent_samples() {
        let case = Case { sizes: Sizes::Small, ..USUAL };
        // Small objects: one over the root of the number of samples, 512 of 512 KiB each.
        let expected = 1.0 / 512_f64.sqrt();
        assert!((case.standard_error() / expected - 1.0).abs() < 0.01);
        // Objects that are nearly all sampled have nearly none.
        assert!(Case { sizes: Sizes::Large, ..case }.standard_error() < expected);
        // Four times the memory halves it.
        let more = Case { limit: 1 << 30, ..case };
        assert!((more.standard_error() * 2.0 / case.standard_error() - 1.0).abs() < 1e-9);
    }
}
