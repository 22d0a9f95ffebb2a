//! What taking a profile does to the process: memory that it adds, and how long a thread that allocates is kept waiting.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use oomen_recorder::{Geometry, Keeper, Reader, Snapshot};

use super::Settings;
use crate::child::{Talking, ourselves};
use crate::figures::{bytes, largest, median, quantile, seconds};
use crate::http::{self, Connection, request};
use crate::machine::{self, status_bytes};
use crate::report::Report;
use crate::synthetic::Size;
use crate::work::{Live, Marked};

const ROUNDS: usize = 21;
/// How long each way of taking profiles goes on, again and again, in a round.
const WINDOW: Duration = Duration::from_millis(300);
/// Before anything counts: the allocator gives back what building up took.
const SETTLE: Duration = Duration::from_secs(3);
const MOST_ADDED_BY_A_DUMP: f64 = 65_536.0;

/// What happens in a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Way {
    Nothing,
    Recorder,
    Dump,
}

impl Way {
    const ALL: [Self; 3] = [Self::Nothing, Self::Recorder, Self::Dump];

    fn name(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Recorder => "the recorder is read",
            Self::Dump => "a dump over HTTP",
        }
    }
}

/// What was seen in windows of one kind.
#[derive(Default)]
struct Seen {
    stall: Vec<f64>,
    added: Vec<f64>,
    /// Seconds that one profile took.
    took: Vec<f64>,
    profiles: usize,
}

/// Adds the tables and bounds of this part.
pub(super) fn measure(settings: &Settings, report: &mut Report) -> Result<()> {
    let scratch = settings.scratch("capture")?;
    let mut rows = Vec::new();
    for Size { stacks, .. } in Size::ALL {
        let name = format!("{}k stacks", stacks / 1000);
        eprintln!("capture: {name}");
        let target = Target::start(stacks, &scratch.join(&name))?;
        // On a thread of its own: what other parts start must not stay on its processor.
        let asking = || windows(settings, target, report, &name);
        let asked = thread::scope(|scope| scope.spawn(asking).join());
        let Ok(asked) = asked else { bail!("the asking thread panicked") };
        let (seen, first_dump) = asked?;
        rows.extend(Way::ALL.map(|way| row(&name, way, &seen[&way])));
        bounds(&name, &seen, first_dump, report);
    }
    let head = [
        "live",
        "in the window",
        "profiles",
        "one takes",
        "longest stall, median",
        "longest stall, worst",
        "anonymous memory added, median",
    ];
    report.table("What taking a profile does to the process", &head, rows);
    report.note(format!(
        "Capture: a thread of the process allocates all the time, on a processor that nothing else here uses; in {} windows of {} of each kind, in turn, its longest pause and the growth of RssAnon, looked at every millisecond. Noise is what windows without a profile show.",
        settings.rounds(ROUNDS),
        seconds(WINDOW.as_secs_f64()),
    ));
    Ok(())
}

/// The process, with its recorder.
struct Target {
    process: Talking,
    probe: SocketAddr,
    reader: Reader,
    _keeper: Keeper,
}

impl Target {
    fn start(stacks: usize, recorders: &Path) -> Result<Self> {
        let keeper = Keeper::open(recorders, Geometry::default(), 1)?;
        let mut command = ourselves("live")?;
        command.args(["--stacks", &stacks.to_string()]).env("OOMEN_RECORDER_DIR", recorders);
        let mut process = Talking::start(&mut command)?;
        let live: Live = process.hear()?;
        let claimed = keeper.claimed()?;
        let [claimed] = claimed.as_slice() else {
            bail!("{} recorders were claimed, not one", claimed.len())
        };
        let reader = claimed.open()?;
        let _: String = process.ask("work")?;
        Ok(Self { process, probe: ([127, 0, 0, 1], live.port).into(), reader, _keeper: keeper })
    }
}

type Kinds = BTreeMap<Way, Seen>;

fn windows(
    settings: &Settings,
    mut target: Target,
    report: &mut Report,
    name: &str,
) -> Result<(Kinds, f64)> {
    machine::pin(machine::ASKING)?;
    thread::sleep(SETTLE);
    let mut snapshot = Snapshot::default();
    target.reader.snapshot_into(&mut snapshot)?;
    let held = snapshot.stacks.len();
    let lost = snapshot.drops;
    report.note(format!(
        "Capture, {name}: the recorder of the default size holds {held} stacks; {} samples found no room for their stack and {} none for their object.",
        lost.stacks_full, lost.live_full
    ));
    // As the watchdog does before it ever asks for a dump: the admin port has been used.
    http::ask("GET", target.probe, "/debug/allocator", "")?;
    let mut first = Seen::default();
    window(&mut target, Way::Dump, &mut snapshot, &mut first)?;
    let mut seen = Kinds::new();
    for round in 0..settings.rounds(ROUNDS) {
        for at in 0..Way::ALL.len() {
            let way = Way::ALL[(round + at) % Way::ALL.len()];
            window(&mut target, way, &mut snapshot, seen.entry(way).or_default())?;
        }
    }
    Ok((seen, largest(&first.added)))
}

/// One window: how much anonymous memory came beside what was there, and how long the worker stood still.
fn window(target: &mut Target, way: Way, snapshot: &mut Snapshot, seen: &mut Seen) -> Result<()> {
    let pid = target.process.pid();
    let _: Marked = target.process.ask("mark")?;
    let before = status_bytes(pid, "RssAnon:")?;
    let over = AtomicBool::new(false);
    let peak = thread::scope(|scope| -> Result<u64> {
        let looking = scope.spawn(|| look(pid, &over));
        let done = profiles(target, way, snapshot, seen);
        over.store(true, Ordering::Relaxed);
        let Ok(peak) = looking.join() else { bail!("the looking thread panicked") };
        done?;
        peak
    })?;
    let marked: Marked = target.process.ask("mark")?;
    seen.stall.push(marked.longest_stall);
    seen.added.push(peak.saturating_sub(before) as f64);
    Ok(())
}

fn look(pid: u32, over: &AtomicBool) -> Result<u64> {
    let mut peak = 0;
    while !over.load(Ordering::Relaxed) {
        peak = peak.max(status_bytes(pid, "RssAnon:")?);
        thread::sleep(Duration::from_millis(1));
    }
    Ok(peak)
}

/// Takes profiles one after the other until the window is over.
fn profiles(target: &Target, way: Way, snapshot: &mut Snapshot, seen: &mut Seen) -> Result<()> {
    if way == Way::Nothing {
        thread::sleep(WINDOW);
        return Ok(());
    }
    let end = Instant::now() + WINDOW;
    while Instant::now() < end {
        let began = Instant::now();
        match way {
            Way::Recorder => target.reader.snapshot_into(snapshot)?,
            _ => dump(target.probe)?,
        }
        seen.took.push(began.elapsed().as_secs_f64());
        seen.profiles += 1;
    }
    Ok(())
}

fn dump(probe: SocketAddr) -> Result<()> {
    let asked = request("GET", probe, "/debug/pprof/heap", "");
    let length = Connection::open(probe)?.exchange(&asked, |_| Ok(())).context("a heap dump")?;
    ensure!(length > 0, "an empty heap dump");
    Ok(())
}

fn row(name: &str, way: Way, seen: &Seen) -> Vec<String> {
    let took = if seen.profiles == 0 { "–".to_owned() } else { seconds(median(&seen.took)) };
    vec![
        name.to_owned(),
        way.name().to_owned(),
        seen.profiles.to_string(),
        took,
        seconds(median(&seen.stall)),
        seconds(largest(&seen.stall)),
        bytes(median(&seen.added)),
    ]
}

fn bounds(name: &str, seen: &Kinds, first_dump: f64, report: &mut Report) {
    let [nothing, recorder, dump] = Way::ALL.map(|way| &seen[&way]);
    // Half of the windows with the recorder beyond nine tenths of those without would not be chance.
    let (stall, noise) = (median(&recorder.stall), quantile(&nothing.stall, 0.9));
    report.bound(
        &format!("{name}: longest stall while the recorder is read"),
        &seconds(stall),
        &format!("nothing beyond the noise, {}", seconds(noise)),
        stall <= noise,
    );
    let (added, noise) = (median(&recorder.added), quantile(&nothing.added, 0.9));
    report.bound(
        &format!("{name}: memory added while the recorder is read"),
        &bytes(added),
        &format!("nothing beyond the noise, {}", bytes(noise)),
        added <= noise,
    );
    let usual = median(&nothing.added);
    let added = (median(&dump.added) - usual).max(0.0);
    report.bound(
        &format!("{name}: memory added by a dump, beyond that of a window without"),
        &format!("{} (the first one {})", bytes(added), bytes((first_dump - usual).max(0.0))),
        "at most 64 KiB",
        added <= MOST_ADDED_BY_A_DUMP,
    );
}
