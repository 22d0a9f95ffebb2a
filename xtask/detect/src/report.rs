//! Tables and bounds out of what was counted, never pooled over sources.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::cost::Cost;
use crate::generate::{Family, Truth};
use crate::judge::Judged;
use crate::rules::Rule;

/// One table.
#[derive(Clone, Debug, Serialize)]
pub struct Table {
    /// What it shows.
    pub title: String,
    /// Its columns.
    pub head: Vec<String>,
    /// Its rows, one cell a column.
    pub rows: Vec<Vec<String>>,
}

/// One bound that is to hold.
#[derive(Clone, Debug, Serialize)]
pub struct Bound {
    /// What is bounded.
    pub what: String,
    /// The figure.
    pub figure: f64,
    /// The bound, in words.
    pub bound: String,
    /// Whether it holds.
    pub holds: bool,
}

/// A miss or a false alarm.
#[derive(Clone, Debug, Serialize)]
pub struct Fault {
    /// Source and name of the series.
    pub series: String,
    /// What was wrong.
    pub why: String,
    /// The picture.
    pub picture: String,
}

/// All that is told.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Seeds per family, from the first to the last.
    pub seeds: [u64; 2],
    /// The tables.
    pub tables: Vec<Table>,
    /// The bounds.
    pub bounds: Vec<Bound>,
    /// Every miss and every false alarm.
    pub faults: Vec<Fault>,
}

const LEAKS: &str = "Made-up leaks, by family";
const INNOCENTS: &str = "Made-up innocents, by family";

impl Report {
    /// Tells what was counted.
    pub fn new(judged: &[Judged], seeds: [u64; 2], cost: Cost) -> Self {
        let made_up: Vec<&Judged> = judged.iter().filter(|j| is_family(&j.source)).collect();
        let recorded: Vec<&Judged> = judged.iter().filter(|j| !is_family(&j.source)).collect();
        let faults = judged.iter().filter_map(|j| {
            Some(Fault {
                series: format!("{} {}", j.source, j.name),
                why: j.fault()?.to_owned(),
                picture: j.picture.as_ref()?.display().to_string(),
            })
        });
        let mut tables = vec![leaks(&made_up), innocents(&made_up)];
        tables.push(rules(&made_up, &recorded));
        if !recorded.is_empty() {
            tables.push(sources(&recorded));
        }
        Self { seeds, tables, bounds: bounds(&made_up, &recorded, cost), faults: faults.collect() }
    }
}

fn is_family(source: &str) -> bool {
    Family::ALL.iter().any(|family| family.name() == source)
}

fn by_source<'a>(judged: &[&'a Judged]) -> BTreeMap<&'a str, Vec<&'a Judged>> {
    let mut by: BTreeMap<&str, Vec<&Judged>> = BTreeMap::new();
    for one in judged {
        by.entry(&one.source).or_default().push(one);
    }
    by
}

fn is_leak(judged: &&&Judged) -> bool {
    matches!(judged.truth, Some(Truth::Leak { .. }))
}

fn is_innocent(judged: &&&Judged) -> bool {
    judged.truth == Some(Truth::Innocent)
}

fn leaks(made_up: &[&Judged]) -> Table {
    let leaks: Vec<&Judged> = made_up.iter().filter(is_leak).copied().collect();
    let rows = by_source(&leaks).into_iter().map(|(family, of)| {
        let net = rule_index(Rule::AnonAbove90);
        vec![
            family.to_owned(),
            of.len().to_string(),
            percent(share(&of, |j| j.leak_told().is_some_and(|t| t.caught))),
            percent(median_lead(&of, |j| j.leak_told().map(|t| t.share))),
            percent(share(&of, |j| j.leak_told_by(net).is_some_and(|t| t.caught))),
            percent(median_lead(&of, |j| j.leak_told_by(net).map(|t| t.share))),
            ratio(&of, |j| j.kind_right),
            ratio(&of, |j| j.interval),
            of_median(&of, |j| j.width),
            of.iter().map(|j| j.false_of(&j.told)).sum::<usize>().to_string(),
        ]
    });
    table(
        LEAKS,
        &[
            "family",
            "traces",
            "caught",
            "lead",
            "anon>90%: caught",
            "lead",
            "kind right",
            "kill in interval",
            "end/start of it",
            "false before onset",
        ],
        rows.collect(),
    )
}

fn innocents(made_up: &[&Judged]) -> Table {
    let innocents: Vec<&Judged> = made_up.iter().filter(is_innocent).copied().collect();
    let rows = by_source(&innocents).into_iter().map(|(family, of)| {
        let by = |rule| {
            let index = rule_index(rule);
            percent(share(&of, |j| j.rules.get(index).is_some_and(|e| !e.is_empty())))
        };
        vec![
            family.to_owned(),
            of.len().to_string(),
            percent(share(&of, |j| !j.leak.is_empty())),
            percent(share(&of, |j| !j.told.is_empty())),
            by(Rule::AnonAbove90),
            by(Rule::B13),
            by(Rule::B4),
            by(Rule::B5),
        ]
    });
    table(
        INNOCENTS,
        &["family", "traces", "leak", "leak or imminent", "anon>90%", "B13", "B4", "B5"],
        rows.collect(),
    )
}

/// Every rule beside the detector: leaks caught, lead, and false alarms a day in each source.
fn rules(made_up: &[&Judged], recorded: &[&Judged]) -> Table {
    let leaks: Vec<&Judged> = made_up.iter().filter(is_leak).copied().collect();
    let innocents: Vec<&Judged> = made_up.iter().filter(is_innocent).copied().collect();
    let real: Vec<&Judged> = recorded.iter().filter(is_innocent).copied().collect();
    let real = by_source(&real);
    let row = |name: &str, episodes: &dyn Fn(&Judged) -> Vec<(f64, f64)>, only_leak: bool| {
        let told = |j: &Judged| j.leak_of(&episodes(j));
        let quiet = |j: &Judged| if only_leak { j.leak.clone() } else { episodes(j) };
        let mut cells = vec![
            name.to_owned(),
            percent(share(&leaks, |j| told(j).is_some_and(|t| t.caught))),
            percent(median_lead(&leaks, |j| told(j).map(|t| t.share))),
            percent(share(&innocents, |j| !quiet(j).is_empty())),
            rate(per_day(&innocents, |j| quiet(j).len())),
        ];
        cells.extend(real.values().map(|of| rate(per_day(of, |j| quiet(j).len()))));
        cells
    };
    let mut rows = vec![row("Oomen: leak", &|j| j.told.clone(), true)];
    rows.push(row("Oomen: leak or imminent", &|j| j.told.clone(), false));
    for (index, rule) in Rule::ALL.iter().enumerate() {
        rows.push(row(rule.name(), &|j| j.rules.get(index).cloned().unwrap_or_default(), false));
    }
    let mut head = vec!["", "leaks caught", "median lead", "innocents alarmed", "alarms/day"];
    let real_heads: Vec<String> = real.keys().map(|source| format!("{source}/day")).collect();
    head.extend(real_heads.iter().map(String::as_str));
    table("The detector and the rules people run (lead: share of the run-up)", &head, rows)
}

fn sources(recorded: &[&Judged]) -> Table {
    let mut by: BTreeMap<(&str, &str), Vec<&Judged>> = BTreeMap::new();
    for one in recorded {
        by.entry((&one.source, &one.label)).or_default().push(one);
    }
    let b5 = rule_index(Rule::B5);
    let rows = by.into_iter().map(|((source, label), of)| {
        let count = |alarms: &dyn Fn(&Judged) -> usize| {
            of.iter().map(|j| alarms(j)).sum::<usize>().to_string()
        };
        vec![
            source.to_owned(),
            label.to_owned(),
            of.len().to_string(),
            format!("{:.1}", of.iter().map(|j| j.days).sum::<f64>()),
            count(&|j| j.leak.len()),
            count(&|j| j.told.len() - j.leak.len()),
            count(&|j| j.rules.get(b5).map_or(0, Vec::len)),
            format!("{:.2}", 1e6 * step_seconds(&of)),
        ]
    });
    table(
        "Recorded series, by source",
        &["source", "labelled", "series", "days", "leak", "imminent", "B5", "µs/sample"],
        rows.collect(),
    )
}

fn bounds(made_up: &[&Judged], recorded: &[&Judged], cost: Cost) -> Vec<Bound> {
    let leaks: Vec<&Judged> = made_up.iter().filter(is_leak).copied().collect();
    let innocents: Vec<&Judged> = made_up.iter().filter(is_innocent).copied().collect();
    let real: Vec<&Judged> = recorded.iter().filter(is_innocent).copied().collect();
    let all: Vec<&Judged> = made_up.iter().chain(recorded).copied().collect();
    let net = rule_index(Rule::AnonAbove90);
    let b5 = rule_index(Rule::B5);
    let lead = median_lead(&leaks, |j| j.leak_told().map(|t| t.share));
    let net_lead = median_lead(&leaks, |j| j.leak_told_by(net).map(|t| t.share));
    let at_least = |what: &str, figure: f64, bound: f64| Bound {
        what: what.to_owned(),
        figure,
        bound: format!("at least {bound}"),
        holds: figure >= bound,
    };
    let at_most = |what: &str, figure: f64, bound: f64| Bound {
        what: what.to_owned(),
        figure,
        bound: format!("at most {bound}"),
        holds: figure <= bound,
    };
    let right = |of: &[&Judged], is: fn(&Judged) -> Option<bool>| {
        let known: Vec<bool> = of.iter().filter_map(|j| is(j)).collect();
        known.iter().filter(|right| **right).count() as f64 / known.len().max(1) as f64
    };
    let step = step_seconds(&all);
    let mut bounds = vec![
        at_least("leaks caught", share(&leaks, |j| j.leak_told().is_some_and(|t| t.caught)), 0.98),
        at_least("median lead over that of anon>90% for 1m", lead / net_lead, 2.0),
        at_most(
            "innocents that are ever called a leak",
            share(&innocents, |j| !j.leak.is_empty()),
            0.02,
        ),
        at_least(
            "kind of growth right, where the allocator is known",
            right(&leaks, |j| j.kind_right),
            0.95,
        ),
        at_least("kill within the 90 % interval", right(&leaks, |j| j.interval), 0.85),
        at_most("kill within the 90 % interval", right(&leaks, |j| j.interval), 0.95),
        at_most("µs a sample", step * 1e6, 2.0),
        at_most(
            &format!("share of a core for {} targets at 15 s", cost.targets),
            cost.core_share,
            0.05,
        ),
        at_most("KiB a target after a week", cost.bytes as f64 / 1024.0, 256.0),
    ];
    for (source, of) in by_source(&real) {
        let ours = per_day(&of, |j| j.leak.len());
        let theirs = per_day(&of, |j| j.rules.get(b5).map_or(0, Vec::len));
        bounds.push(at_most(&format!("leak alarms a day on benign {source}"), ours, 0.02));
        // None is few enough, also where B5 is silent too.
        let over = if ours == 0.0 { 0.0 } else { ours / theirs };
        bounds.push(at_most(&format!("the same over B5's on {source}"), over, 0.05));
    }
    bounds
}

fn rule_index(rule: Rule) -> usize {
    Rule::ALL.iter().position(|one| *one == rule).unwrap_or(0)
}

fn table(title: &str, head: &[&str], rows: Vec<Vec<String>>) -> Table {
    Table {
        title: title.to_owned(),
        head: head.iter().map(|cell| (*cell).to_owned()).collect(),
        rows,
    }
}

fn share(of: &[&Judged], is: impl Fn(&Judged) -> bool) -> f64 {
    of.iter().filter(|j| is(j)).count() as f64 / of.len().max(1) as f64
}

/// The middle lead; a leak nobody was told of has none, which is 0.
fn median_lead(of: &[&Judged], lead: impl Fn(&Judged) -> Option<f64>) -> f64 {
    let mut leads: Vec<f64> = of.iter().map(|j| lead(j).unwrap_or(0.0)).collect();
    watchdog_core::trend::median(&mut leads).unwrap_or(0.0)
}

/// The middle of what is known.
fn of_median(of: &[&Judged], figure: impl Fn(&Judged) -> Option<f64>) -> String {
    let mut known: Vec<f64> = of.iter().filter_map(|j| figure(j)).collect();
    let middle = watchdog_core::trend::median(&mut known);
    middle.map_or_else(|| "–".to_owned(), |middle| format!("{middle:.1}"))
}

fn per_day(of: &[&Judged], alarms: impl Fn(&Judged) -> usize) -> f64 {
    let days: f64 = of.iter().map(|j| j.days).sum();
    of.iter().map(|j| alarms(j)).sum::<usize>() as f64 / days.max(f64::MIN_POSITIVE)
}

fn step_seconds(of: &[&Judged]) -> f64 {
    let samples: usize = of.iter().map(|j| j.samples).sum();
    of.iter().map(|j| j.seconds).sum::<f64>() / samples.max(1) as f64
}

fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

fn rate(per_day: f64) -> String {
    format!("{per_day:.3}")
}

fn ratio(of: &[&Judged], is: impl Fn(&Judged) -> Option<bool>) -> String {
    let known: Vec<bool> = of.iter().filter_map(|j| is(j)).collect();
    if known.is_empty() {
        return "–".to_owned();
    }
    format!("{}/{}", known.iter().filter(|right| **right).count(), known.len())
}
