//! What tables and profiles of a heap say, read as a person would.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use watchdog_heap::pprof::{self, ReadLimits};

use super::{Outcome, Program, SOON, Watchdog, eventually, get_json};

/// The Go tool builds pprof when it is first asked for it.
const FIRST_USE: Duration = Duration::from_secs(120);

/// One line of the table that `oomen heap top` prints, shares in percent.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) flat: f64,
    pub(crate) cumulative: f64,
    /// Function, file and line.
    pub(crate) place: String,
}

/// The lines of such a table, its head left out.
pub(crate) fn rows(table: &str) -> Vec<Row> {
    table.lines().skip(1).map(row).collect()
}

fn row(line: &str) -> Row {
    let mut parts = line.splitn(3, '%');
    let mut part = || parts.next().unwrap_or_else(|| panic!("no line of a table: `{line}`"));
    let share = |part: &str| {
        let last = part.split_whitespace().last().expect("a share");
        last.parse().unwrap_or_else(|_| panic!("no share: `{line}`"))
    };
    let (flat, cumulative) = (share(part()), share(part()));
    let (_objects, place) = part().trim_start().split_once("  ").expect("objects and a place");
    Row { flat, cumulative, place: place.to_owned() }
}

/// The share that was allocated in a function or below it, 0 if it is not in the table.
pub(crate) fn share_of(table: &str, function: &str) -> f64 {
    let rows = rows(table);
    let row = rows.iter().find(|row| row.place.contains(function));
    row.map_or(0.0, |row| row.cumulative)
}

/// The bytes in use below each function, as a pprof profile says. Panics on bytes that are none.
pub(crate) fn held_by_function(profile: &[u8]) -> BTreeMap<String, u64> {
    let read = pprof::read(profile, &ReadLimits::default()).expect("a pprof profile");
    let mut held = BTreeMap::new();
    for stack in &read.profile.stacks {
        let frames = stack.stack.iter().flat_map(|address| read.symbols.frames(*address));
        // A function that calls itself holds its bytes once.
        let functions: BTreeSet<&str> = frames.map(|frame| frame.function.as_str()).collect();
        for function in functions {
            *held.entry(function.to_owned()).or_default() += stack.inuse_space.0;
        }
    }
    held
}

/// What `go tool pprof -top` prints of a profile, at an address or in a file, in bytes.
pub(crate) async fn go_top(arguments: &[&str]) -> GoTop {
    let directory = tempfile::tempdir().expect("a directory");
    let mut command = Command::new(super::go_tool());
    command.args(["tool", "pprof", "-top", "-unit=B"]).args(arguments);
    // It keeps what it fetches.
    command.env("PPROF_TMPDIR", directory.path()).env("GOTOOLCHAIN", "local").env("GOFLAGS", "");
    GoTop { outcome: Program::run(&mut command, FIRST_USE).await }
}

/// Go's table.
#[derive(Debug)]
pub(crate) struct GoTop {
    pub(crate) outcome: Outcome,
}

impl GoTop {
    /// The bytes of all rows, also of those that are not shown.
    pub(crate) fn total(&self) -> i64 {
        assert_eq!(self.outcome.code(), Some(0), "{:?}", self.outcome);
        let text = &self.outcome.stdout;
        let (_, rest) = text.split_once("% of ").unwrap_or_else(|| panic!("no total: {text}"));
        bytes(rest.split_whitespace().next().expect("a total"))
    }

    /// The bytes below a function.
    pub(crate) fn cumulative(&self, function: &str) -> i64 {
        let row = self.rows().into_iter().find(|row| row.1.contains(function));
        row.unwrap_or_else(|| panic!("no {function}: {:?}", self.outcome)).0
    }

    /// The function that holds most by itself.
    pub(crate) fn first(&self) -> String {
        self.rows().first().unwrap_or_else(|| panic!("no row: {:?}", self.outcome)).1.clone()
    }

    fn rows(&self) -> Vec<(i64, String)> {
        assert_eq!(self.outcome.code(), Some(0), "{:?}", self.outcome);
        let lines = self.outcome.stdout.lines().skip_while(|line| !line.contains("flat  flat%"));
        let row = |line: &str| {
            let mut words = line.split_whitespace();
            let cumulative = bytes(words.nth(3).expect("four amounts"));
            (cumulative, words.skip(1).collect::<Vec<_>>().join(" "))
        };
        lines.skip(1).map(row).collect()
    }
}

fn bytes(amount: &str) -> i64 {
    let number: f64 = amount.trim_end_matches('B').parse().expect("an amount in bytes");
    number as i64
}

impl Watchdog {
    /// The newest stored dump that fits.
    pub(crate) async fn dump(&self, what: &str, fits: impl Fn(&Value) -> bool) -> Value {
        eventually(what, SOON, async || {
            let answer = get_json(&format!("{}/api/v1/heap-dumps", self.url)).await?;
            let dumps = answer["heap_dumps"].as_array().expect("a list");
            dumps.iter().find(|dump| fits(dump)).cloned()
        })
        .await
    }

    /// The address of a stored dump.
    pub(crate) fn dump_url(&self, dump: &Value) -> String {
        format!("{}/api/v1/heap-dumps/{}", self.url, dump["id"].as_str().expect("an id"))
    }
}
