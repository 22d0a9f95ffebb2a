//! The verdict on a finished run: does it leak, whatever the limit?
//!
//! A pipeline's run is too short to see the kill coming, so the question is another one than the detector's: did the
//! lower envelope rise over the whole run after warm-up, is it still rising at the end, and is the rise material
//! against what was in use? The same statistic answers it, over one window: the run.

use serde::{Deserialize, Serialize};

use crate::envelope::BUCKETS;
use crate::history::Row;
use crate::trend::{Point, Trend, theil_sen};
use crate::units::{Bytes, span};

/// What a run showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Judgement {
    /// Memory does not grow, or stopped growing.
    NoLeak,
    /// Memory grew to the end.
    Leak,
    /// Too short, or growth too small to call.
    Undecided,
}

/// A judgement and its reason.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunVerdict {
    /// What it is.
    pub judgement: Judgement,
    /// Why, in one sentence.
    pub sentence: String,
    /// The trend over the run after warm-up, where there is one.
    pub trend: Option<Trend>,
}

/// Shorter runs show nothing but their start.
const SHORTEST_RUN: f64 = 30.0;
/// Share of the memory in use by which a run must grow, and the least that counts: a few arenas and buffers
/// settle in the first minutes of any service.
const MATERIAL_SHARE: f64 = 0.05;
const MATERIAL_BYTES: f64 = 2.0 * 1024.0 * 1024.0;
/// Judges the rows of a run from `warm_up` seconds after its first.
pub fn judge(rows: &[Row], warm_up: f64) -> RunVerdict {
    let Some(first) = rows.first() else {
        return undecided("Nothing was sampled.".into(), None);
    };
    let rows: Vec<&Row> = rows.iter().filter(|row| row.at.since(first.at) >= warm_up).collect();
    let (Some(start), Some(end)) = (rows.first(), rows.last()) else {
        return undecided(format!("The run ended within its warm-up of {}.", span(warm_up)), None);
    };
    let watched = end.at.since(start.at);
    if watched < SHORTEST_RUN {
        return undecided(
            format!(
                "Watched for {} after the warm-up; at least {} are needed.",
                span(watched),
                span(SHORTEST_RUN)
            ),
            None,
        );
    }
    let points = envelope(&rows, start.at.0, watched);
    match theil_sen(&points) {
        None => undecided("Too few samples for a trend.".into(), None),
        Some(trend) => decide(&points, trend, start.unreclaimable),
    }
}

fn decide(points: &[Point], trend: Trend, used: Bytes) -> RunVerdict {
    let growth = (trend.slope.0 * trend.window).max(0.0);
    let grown = Bytes(growth as u64);
    let over = span(trend.window);
    let material = growth >= (used.as_f64() * MATERIAL_SHARE).max(MATERIAL_BYTES);
    match (trend.rises(), material, trend.still_climbs(points)) {
        (true, true, true) => RunVerdict {
            judgement: Judgement::Leak,
            sentence: format!(
                "Memory grew by {grown} in {over} ({}) and grows still.",
                trend.slope
            ),
            trend: Some(trend),
        },
        (true, true, false) => RunVerdict {
            judgement: Judgement::NoLeak,
            sentence: format!("Memory grew by {grown} in {over} and has stopped growing."),
            trend: Some(trend),
        },
        (true, false, true) => undecided(
            format!("Memory rises, but {grown} in {over} is too little to call; run it longer."),
            Some(trend),
        ),
        _ => RunVerdict {
            judgement: Judgement::NoLeak,
            sentence: format!("No growth in {over}."),
            trend: Some(trend),
        },
    }
}

fn undecided(sentence: String, trend: Option<Trend>) -> RunVerdict {
    RunVerdict { judgement: Judgement::Undecided, sentence, trend }
}

/// Minima of equal parts of the run.
fn envelope(rows: &[&Row], start: f64, watched: f64) -> Vec<Point> {
    let mut points: Vec<Option<Point>> = vec![None; BUCKETS];
    for row in rows {
        let bucket = (((row.at.0 - start) / watched * BUCKETS as f64) as usize).min(BUCKETS - 1);
        let point = Point { t: row.at.0, bytes: row.unreclaimable.as_f64() };
        match &mut points[bucket] {
            Some(lowest) if lowest.bytes <= point.bytes => {}
            slot => *slot = Some(point),
        }
    }
    points.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::{Moment, WallTime};

    fn run(seconds: u32, mib: impl Fn(f64) -> f64) -> RunVerdict {
        let rows: Vec<Row> = (0..seconds * 4)
            .map(|i| {
                let t = f64::from(i) / 4.0;
                Row {
                    at: Moment(t),
                    wall: WallTime(t),
                    unreclaimable: Bytes((mib(t) * 1024.0 * 1024.0) as u64),
                    rss: Bytes(0),
                    shmem: Bytes(0),
                    file: Bytes(0),
                    limit: None,
                    allocator: None,
                    load: None,
                }
            })
            .collect();
        judge(&rows, 10.0)
    }

    #[test]
    fn a_run_that_grows_to_its_end_leaks() {
        let verdict = run(120, |t| 50.0 + t * 0.1 + (t * 3.0).sin());
        assert_eq!(verdict.judgement, Judgement::Leak, "{verdict:?}");
    }

    #[test]
    fn flat_saw_toothed_and_filling_runs_do_not() {
        for (name, verdict) in [
            ("flat", run(120, |t| 50.0 + (t * 3.0).sin())),
            ("saw-tooth", run(120, |t| 50.0 + (t * 4.0) % 20.0)),
            ("filling up", run(300, |t| 50.0 + (t * 0.5).min(40.0))),
        ] {
            assert_eq!(verdict.judgement, Judgement::NoLeak, "{name}: {verdict:?}");
        }
    }

    #[test]
    fn a_short_run_or_a_small_rise_is_undecided() {
        assert_eq!(run(30, |_| 50.0).judgement, Judgement::Undecided);
        assert_eq!(run(0, |_| 50.0).judgement, Judgement::Undecided);
        let small = run(120, |t| 50.0 + t * 0.01);
        assert_eq!(small.judgement, Judgement::Undecided);
        assert!(small.sentence.contains("longer"), "{small:?}");
    }
}
