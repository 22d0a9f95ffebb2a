//! From a heap dump to a pprof profile: ours beside jeprof and the crates that people link.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::Settings;
use crate::child::{Cost, Talking, as_worker, measured, ourselves};
use crate::figures::{bytes, median, ratios, seconds};
use crate::report::Report;
use crate::synthetic::{Code, DEPTH, Dumps, Size};
use crate::work::{Converted, InProcess, Live};

const SEED: u64 = 42;
/// Profile to names: how many times faster than jeprof.
const OVER_JEPROF: f64 = 70.0;
/// Profile without names: how many times faster than pprof_util.
const OVER_PPROF_UTIL: f64 = 2.0;

/// Who turns a dump into a profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Tool {
    Cold,
    Warm,
    Unnamed,
    Jeprof,
    PprofUtil,
}

impl Tool {
    const ALL: [Self; 5] = [Self::Cold, Self::Warm, Self::Unnamed, Self::Jeprof, Self::PprofUtil];

    fn name(self) -> &'static str {
        match self {
            Self::Cold => "oomen, names, nothing known before",
            Self::Warm => "oomen, names known before",
            Self::Unnamed => "oomen, no names",
            Self::Jeprof => "jeprof --collapsed, names",
            Self::PprofUtil => "pprof_util, no names",
        }
    }

    /// Rounds at a size. jeprof takes a minute and more at the largest.
    fn rounds(self, size: Size) -> usize {
        match (self, size.stacks) {
            (Self::Jeprof, 100_000..) => 1,
            (Self::Jeprof, _) => 3,
            (_, 100_000..) => 5,
            _ => 9,
        }
    }
}

/// What a tool cost, round by round.
#[derive(Default)]
struct Costs {
    seconds: Vec<f64>,
    peak: Vec<f64>,
    said: Option<Converted>,
}

type Table = BTreeMap<Tool, Costs>;

/// Adds the tables and bounds of this part.
pub(super) fn measure(settings: &Settings, report: &mut Report) -> Result<()> {
    let scratch = settings.scratch("formats")?;
    let programs = [
        ("all debug information", settings.debug.join("recommendations"), true),
        ("line tables", settings.release.join("recommendations"), false),
    ];
    for (what, program, is_bound) in programs {
        let code = Code::of(&program)?;
        let size = fs::metadata(code.path())?.len() as f64;
        let title = format!("Dumps of the recommendations service with {what} ({})", bytes(size));
        let mut rows = Vec::new();
        for size in Size::ALL {
            eprintln!("formats: {what}, {}", size.name());
            let table = at_size(settings, &code, size, &scratch)?;
            rows.extend(Tool::ALL.iter().map(|tool| row(size, *tool, &table)));
            if is_bound {
                bounds(size, &table, report);
            }
        }
        let head = [
            "dump",
            "tool",
            "time",
            "peak memory",
            "addresses with names",
            "jeprof ÷ this",
            "pprof_util ÷ this",
        ];
        report.table(&title, &head, rows.into_iter().map(|row| row.to_vec()).collect());
    }
    report.note(format!(
        "Formats: made-up stacks of {DEPTH} frames, addresses spread over all functions of the program (500, 5,000 and 20,000 of them); a process for each time, its whole life is timed; medians of interleaved rounds, jeprof at 100k once. Files are in the page cache."
    ));
    in_process(settings, report)
}

fn at_size(settings: &Settings, code: &Code, size: Size, scratch: &Path) -> Result<Table> {
    let dump = scratch.join("dump.heap");
    Dumps::new(code, size, SEED).write(0, &dump)?;
    let warm = scratch.join("names");
    super::empty(&warm)?;
    // What is known before: from a time that does not count.
    measured(&command(Tool::Warm, code, &dump, scratch)?, scratch, None)?;
    let mut table = Table::new();
    let most = Tool::ALL.iter().map(|tool| tool.rounds(size)).max().unwrap_or(1);
    for round in 0..settings.rounds(most) {
        for tool in Tool::ALL {
            if round >= settings.rounds(tool.rounds(size)) {
                continue;
            }
            let cost = run(tool, code, &dump, scratch)?;
            let costs = table.entry(tool).or_default();
            costs.seconds.push(cost.seconds);
            costs.peak.push(cost.peak);
            if tool != Tool::Jeprof {
                let said: Converted = serde_json::from_str(&cost.said).context("our own answer")?;
                ensure!(said.stacks == size.stacks, "{tool:?}: {} stacks", said.stacks);
                costs.said = Some(said);
            }
        }
    }
    Ok(table)
}

fn run(tool: Tool, code: &Code, dump: &Path, scratch: &Path) -> Result<Cost> {
    if tool == Tool::Cold {
        super::empty(&scratch.join("no-names"))?;
    }
    let out = scratch.join("jeprof.txt");
    let to_file = (tool == Tool::Jeprof).then_some(out.as_path());
    measured(&command(tool, code, dump, scratch)?, scratch, to_file)
}

fn command(tool: Tool, code: &Code, dump: &Path, scratch: &Path) -> Result<Command> {
    if tool == Tool::Jeprof {
        let mut command = Command::new("jeprof");
        command.arg("--collapsed").arg(code.path()).arg(dump);
        return Ok(command);
    }
    let mut command = ourselves("convert")?;
    let by = if tool == Tool::PprofUtil { "pprof-util" } else { "us" };
    // Their own memory is not to be sampled.
    command.env("_RJEM_MALLOC_CONF", "prof:false").args(["--by", by]);
    let names: Option<PathBuf> = match tool {
        Tool::Cold => Some(scratch.join("no-names")),
        Tool::Warm => Some(scratch.join("names")),
        _ => None,
    };
    if let Some(names) = names {
        command.arg("--names").arg(names);
    }
    command.arg(dump).arg(scratch.join("profile.pb.gz"));
    Ok(command)
}

fn row(size: Size, tool: Tool, table: &Table) -> [String; 7] {
    let costs = &table[&tool];
    let named = match &costs.said {
        Some(said) if said.addresses > 0 => format!("{} of {}", said.named, said.addresses),
        _ => "–".to_owned(),
    };
    let times = |slow: Tool| {
        let ratio = faster(table, tool, slow);
        if slow == tool { "1".to_owned() } else { format!("{ratio:.1}") }
    };
    [
        size.name(),
        tool.name().to_owned(),
        seconds(median(&costs.seconds)),
        bytes(median(&costs.peak)),
        named,
        times(Tool::Jeprof),
        times(Tool::PprofUtil),
    ]
}

/// How many times faster one is than the other, of times of the same round.
fn faster(table: &Table, fast: Tool, slow: Tool) -> f64 {
    median(&ratios(&table[&slow].seconds, &table[&fast].seconds))
}

fn bounds(size: Size, table: &Table, report: &mut Report) {
    let name = size.name();
    for tool in [Tool::Warm, Tool::Cold] {
        let ratio = faster(table, tool, Tool::Jeprof);
        report.bound(
            &format!("{name}: {}, times faster than jeprof", tool.name()),
            &format!("{ratio:.0}"),
            &format!("at least {OVER_JEPROF}"),
            ratio >= OVER_JEPROF,
        );
    }
    let unnamed = faster(table, Tool::Unnamed, Tool::PprofUtil);
    let warm = faster(table, Tool::Warm, Tool::PprofUtil);
    report.bound(
        &format!("{name}: {}, times faster than pprof_util", Tool::Unnamed.name()),
        &format!("{unnamed:.1} (with names known before {warm:.1})"),
        &format!("at least {OVER_PPROF_UTIL}"),
        unnamed >= OVER_PPROF_UTIL,
    );
}

/// A process that takes its own profile with names, as linking `jemalloc_pprof` makes it do.
fn in_process(settings: &Settings, report: &mut Report) -> Result<()> {
    let program = settings.debug.join("xtask-heap");
    let size = fs::metadata(&program).with_context(|| program.display().to_string())?.len() as f64;
    let mut rows = Vec::new();
    for Size { stacks, .. } in Size::ALL {
        eprintln!("formats: {stacks} stacks in a live process, named by itself");
        let mut command = as_worker(&program, "live");
        command.args(["--stacks", &stacks.to_string()]).env_remove("OOMEN_RECORDER_DIR");
        let mut process = Talking::start(&mut command)?;
        let _: Live = process.hear()?;
        for which in ["first", "second"] {
            let answer: InProcess = process.ask("pprof")?;
            rows.push(vec![
                format!("{}k stacks", stacks / 1000),
                which.to_owned(),
                seconds(answer.took),
                bytes(answer.added as f64),
            ]);
            ensure!(answer.bytes > 0, "the {which} profile is empty");
        }
    }
    let title = format!(
        "jemalloc_pprof with names, in the process itself ({} with all debug information)",
        bytes(size)
    );
    report.table(&title, &["live stacks", "profile", "time", "memory added to the process"], rows);
    Ok(())
}
