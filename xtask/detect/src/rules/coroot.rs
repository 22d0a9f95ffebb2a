//! The memory-leak check of Coroot, which is a program and not a query.
//!
//! After `MemoryGrowthPct` in its auditor/memory.go of August 2026: the last hour of resident memory at the step of the
//! evaluations; the longest run without a drop to less than half; its least-squares line and that of its last quarter.
//! Coroot's resident memory is anonymous memory with mapped files; here it is anonymous memory alone, because how much
//! of the file pages is mapped is not recorded.

use std::ops::Range;

use super::column::Column;
use super::data::Data;
use super::promql::Metric;

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
/// Share of the window's points that must be there.
const COVERAGE: f64 = 0.8;
/// A fall below this share of the point before starts a new run.
const DROP: f64 = 0.5;
/// Points a run needs at least, and the part of the window it needs to be.
const RUN: usize = 10;
const RUN_PART: usize = 3;
/// The tail is the last part of the run, at least so long and with so many points.
const TAIL_PART: usize = 4;
const TAIL: i64 = 15 * MINUTE;
const TAIL_POINTS: usize = 5;
/// Of the run's slope that the tail must have: else it levels off.
const STILL_CLIMBING: f64 = 0.3;
/// Growth in an hour as a share of the limit, or in bytes where there is none.
const OF_THE_LIMIT: f64 = 0.05;
const WITHOUT_A_LIMIT: f64 = 50.0 * 1024.0 * 1024.0;
/// Growth in an hour, in per cent, beyond which the check fails.
const THRESHOLD: f64 = 10.0;

/// Each evaluation in milliseconds, and whether the check fails at it.
pub(super) fn steps(data: &Data<'_>) -> Vec<(i64, bool)> {
    let (rss, lookback) = (data.column(Metric::Rss), data.lookback());
    let points = data.steps(false).filter_map(|at| Some((at, rss.last(at, lookback)?)));
    let points = Column::new(points);
    let fails = |at| growth(data, &points, at).is_some_and(|percent| percent > THRESHOLD);
    data.steps(false).map(|at| (at, fails(at))).collect()
}

/// Growth of the last hour in per cent, where it passes for a leak.
fn growth(data: &Data<'_>, points: &Column, now: i64) -> Option<f64> {
    let expected = (HOUR / data.interval()) as usize + 1;
    let window = points.window(now - HOUR, now);
    if (window.len() as f64) < expected as f64 * COVERAGE {
        return None;
    }
    let run = longest_run(points, window);
    if run.len() < RUN || run.len() < expected / RUN_PART {
        return None;
    }
    let line = points.fit(run.clone(), now)?;
    let tail = points.fit(tail(points, run)?, now)?;
    if line.slope <= 0.0 || tail.slope <= 0.0 || tail.slope < line.slope * STILL_CLIMBING {
        return None;
    }
    let after = line.intercept;
    let before = after - line.slope * (HOUR / 1000) as f64;
    if after <= 0.0 || after - before < least_growth(data, now) {
        return None;
    }
    Some((after - before) / if before > 0.0 { before } else { after } * 100.0)
}

/// The longest run of points without a drop; the first of several.
fn longest_run(points: &Column, window: Range<usize>) -> Range<usize> {
    let values = points.values(window.clone());
    let drops = values.windows(2).enumerate().filter(|(_, pair)| pair[1] < pair[0] * DROP);
    let ends = drops.map(|(index, _)| window.start + index + 1).chain([window.end]);
    let mut longest = window.start..window.start;
    let mut start = window.start;
    for end in ends {
        if end - start > longest.len() {
            longest = start..end;
        }
        start = end;
    }
    longest
}

fn tail(points: &Column, run: Range<usize>) -> Option<Range<usize>> {
    let last = points.at(run.end - 1);
    let mut start = run.end - run.len() / TAIL_PART;
    while start > run.start && last - points.at(start) < TAIL {
        start -= 1;
    }
    (run.end - start >= TAIL_POINTS).then_some(start..run.end)
}

/// In bytes, of the largest limit in the window.
fn least_growth(data: &Data<'_>, now: i64) -> f64 {
    let limits = data.column(Metric::Limit);
    let largest = limits.values(limits.window(now - HOUR, now)).iter().copied().reduce(f64::max);
    largest.map_or(WITHOUT_A_LIMIT, |limit| limit * OF_THE_LIMIT)
}
