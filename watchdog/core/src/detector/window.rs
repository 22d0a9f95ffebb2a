//! One time scale: its envelope, its record, and what it finds whenever a bucket closes.

use serde::{Deserialize, Serialize};

use crate::envelope::{BUCKETS, Bucket, Envelope};
use crate::history::History;
use crate::load::{self, Explained};
use crate::record::Record;
use crate::saturation::asymptote;
use crate::trend::{MIN_TAU, Point, Trend, kendall, median, theil_sen};
use crate::units::{Bytes, Moment};

/// Growth in the window as a share of the limit; below it a leak can wait for a longer window. Without a limit the
/// share is taken of what is used: a tenth more within the window is material.
const MATERIAL: f64 = 0.03;
const MATERIAL_OF_USED: f64 = 0.10;
/// A new high must exceed the record by this share of the limit, as two noisy nights never end alike, and by this share
/// of the range the workload has moved in, as what has wandered far before will wander further.
const ABOVE_RECORD: f64 = 0.01;
const BEYOND_RANGE: f64 = 0.25;

/// A past whose range is at most this share of the growth was at rest.
const AT_REST: f64 = 0.25;
/// From this sureness on a slope counts as smooth.
const SMOOTH: f64 = 0.85;

/// What the window cannot see by itself.
pub(super) struct Circumstances<'a> {
    pub(super) used: Bytes,
    pub(super) limit: Option<Bytes>,
    /// What stays below this is no new high, whatever the window remembers.
    pub(super) floor: f64,
    /// Where a leak was told of that was none.
    pub(super) refuted: Option<f64>,
    pub(super) history: &'a History,
}

/// What one full window found when its last bucket closed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Finding {
    pub(super) trend: Trend,
    /// Length of the window it was found in, in seconds.
    pub(super) window: f64,
    /// Where the trend's line stood at `at`, in bytes.
    pub(super) level: f64,
    pub(super) at: f64,
    /// How far peaks reach above the envelope, in bytes: the kill comes when a peak touches the limit.
    pub(super) peaks: f64,
    /// The highest value of the window's last quarter, in bytes: a line may overshoot, this was there.
    pub(super) recent: f64,
    /// It rises, materially, and climbs still.
    pub(super) rising: bool,
    /// It approaches a level that is safe to live at.
    pub(super) saturating: bool,
    /// It is above all that the workload has been at before.
    pub(super) new_high: bool,
    /// The workload hardly moved before, compared with the growth.
    pub(super) from_rest: bool,
    /// There is a past of at least the window's own length before it.
    pub(super) has_past: bool,
    pub(super) explained: Explained,
    /// Seconds this process was watched for.
    pub(super) watched: f64,
}

impl Finding {
    /// The slope's lower bound as a share of the slope: 1 for a straight line, below 0 when it may not rise at all.
    pub(super) fn sureness(&self) -> f64 {
        self.trend.low.0 / self.trend.slope.0
    }
}

/// One time scale.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Window {
    envelope: Envelope,
    /// The record of this process, and of those before it.
    segment: Record,
    workload: Record,
    finding: Option<Finding>,
}

impl Window {
    pub(super) fn new(seconds: f64) -> Self {
        Self {
            envelope: Envelope::new(seconds),
            segment: Record::default(),
            workload: Record::default(),
            finding: None,
        }
    }

    pub(super) fn finding(&self) -> Option<&Finding> {
        self.finding.as_ref()
    }

    /// Its length.
    pub(super) fn seconds(&self) -> f64 {
        self.envelope.window()
    }

    /// Whether it has seen enough to find anything.
    pub(super) fn is_full(&self) -> bool {
        self.envelope.full().is_some()
    }

    /// The lowest and the highest that its envelope has been at, over all processes whose levels were lived with.
    pub(super) fn lived(&self) -> Option<(f64, f64)> {
        let now = self.envelope.buckets().map(|bucket| (bucket.min, bucket.min));
        [self.segment.range(), self.workload.range()]
            .into_iter()
            .flatten()
            .chain(now)
            .reduce(|(low, high), (lower, higher)| (low.min(lower), high.max(higher)))
    }

    pub(super) fn end_segment(&mut self, killed: bool) {
        for bucket in self.envelope.buckets() {
            self.segment.push(bucket.at, bucket.min);
        }
        let segment = std::mem::take(&mut self.segment);
        if !killed {
            self.workload.absorb(segment);
        }
        self.envelope.clear();
        self.finding = None;
    }

    /// Takes one value. `report` asks for a finding also where nothing rises.
    pub(super) fn observe(
        &mut self,
        at: Moment,
        load: Option<f64>,
        now: &Circumstances<'_>,
        report: bool,
    ) {
        let segment = &mut self.segment;
        let left = |old: &Bucket| segment.push(old.at, old.min);
        if self.envelope.push(at.0, now.used.as_f64(), load, left) {
            self.finding = self.find(at.0, now, report);
        }
    }

    fn find(&self, t: f64, now: &Circumstances<'_>, report: bool) -> Option<Finding> {
        let buckets = self.envelope.full()?;
        let points: Vec<Point> = buckets.iter().map(Bucket::low).collect();
        if !report && kendall(&points) < MIN_TAU {
            return None;
        }
        let trend = theil_sen(&points)?;
        let last = points.last()?;
        let mut finding = Finding {
            trend,
            window: self.envelope.window(),
            level: last.bytes,
            at: last.t,
            peaks: 0.0,
            recent: last.bytes,
            rising: false,
            saturating: false,
            new_high: false,
            from_rest: false,
            has_past: self.envelope.watched(t) >= 2.0 * self.envelope.window(),
            explained: Explained::Unknown,
            watched: self.envelope.watched(t),
        };
        if !trend.rises() {
            return Some(finding);
        }
        let limit = now.limit.map(Bytes::as_f64);
        let material = limit.map_or(now.used.as_f64() * MATERIAL_OF_USED, |limit| limit * MATERIAL);
        let mut heights: Vec<f64> = buckets.iter().map(|b| b.max - b.min).collect();
        finding.peaks = median(&mut heights)?;
        finding.level = trend.level(&points, last.t);
        finding.recent =
            buckets.iter().rev().take(BUCKETS / 4).map(|b| b.max).fold(last.bytes, f64::max);
        finding.rising = trend.slope.0 * trend.window >= material && trend.still_climbs(&points);
        if !finding.rising {
            return Some(finding);
        }
        let ranges = [self.segment.range(), self.workload.range()];
        let range = ranges
            .into_iter()
            .flatten()
            .reduce(|(low, high), (lower, higher)| (low.min(lower), high.max(higher)));
        let beyond = |(low, high): (f64, f64)| {
            high + ((high - low) * BEYOND_RANGE).max(limit.unwrap_or(0.0) * ABOVE_RECORD)
        };
        let high = now
            .floor
            .max(range.map_or(0.0, beyond))
            .max(now.refuted.map_or(0.0, |refuted| refuted + material));
        finding.new_high = last.bytes > high;
        let growth = trend.slope.0 * trend.window;
        finding.from_rest =
            finding.has_past && range.is_some_and(|(low, high)| high - low <= growth * AT_REST);
        finding.saturating = asymptote(&points, finding.sureness() >= SMOOTH)
            .is_some_and(|level| limit.is_none_or(|limit| level + finding.peaks < limit));
        if finding.new_high {
            finding.explained = load::explains(buckets.iter(), now.history, material);
        }
        Some(finding)
    }
}
