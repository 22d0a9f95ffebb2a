//! What plots are drawn from and kinds of growth are told by: a bounded series, fine for the last minutes and coarse
//! for the last week.
//!
//! Five rings side by side, each with its own spacing. A ring is never resampled, so a row is always one that was
//! measured. Together they hold at most [`CAPACITY`] rows, about 150 KiB.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::sample::{Allocator, Sample};
use crate::units::{Bytes, Moment, WallTime};

/// Spacing in seconds and rows of each ring: a minute, ten minutes, an hour, six hours, a week.
const RINGS: [(f64, usize); 5] = [(0.25, 240), (2.0, 300), (15.0, 240), (60.0, 360), (600.0, 1008)];

/// Rows kept of a target at most.
pub const CAPACITY: usize = {
    let (mut sum, mut ring) = (0, 0);
    while ring < RINGS.len() {
        sum += RINGS[ring].1;
        ring += 1;
    }
    sum
};

/// One row of the plot: the last sample of its interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// On the sampling clock.
    pub at: Moment,
    /// For people.
    pub wall: WallTime,
    /// Anonymous memory, swap and shared memory: the leak signal.
    pub unreclaimable: Bytes,
    /// All resident pages.
    pub rss: Bytes,
    /// Shared memory and tmpfs.
    pub shmem: Bytes,
    /// Resident file pages.
    pub file: Bytes,
    /// The limit then.
    pub limit: Option<Bytes>,
    /// The allocator then; `None` where it was not asked or did not answer.
    pub allocator: Option<Allocator>,
    /// Requests a second then, where they are counted.
    pub load: Option<f64>,
}

impl From<&Sample> for Row {
    fn from(sample: &Sample) -> Self {
        Self {
            at: sample.at,
            wall: sample.wall,
            unreclaimable: sample.memory.unreclaimable(),
            rss: sample.memory.rss,
            shmem: sample.memory.shmem,
            file: sample.memory.file,
            limit: sample.limit,
            allocator: sample.allocator,
            load: sample.load,
        }
    }
}

/// A row in 72 bytes. An `f32` keeps 24 bits: whole KiB up to 16 GiB, which is how exact the kernel is.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Packed {
    at: f64,
    wall: f64,
    /// Unreclaimable, resident, shared, file, limit, load; `NaN` for none.
    values: [f32; 6],
    /// Allocated, active, resident, retained, mapped, metadata; the first is `NaN` for none.
    allocator: [f32; 6],
    profiling: bool,
}

impl From<&Sample> for Packed {
    fn from(sample: &Sample) -> Self {
        let memory = &sample.memory;
        let plain = |bytes: Bytes| bytes.0 as f32;
        Self {
            at: sample.at.0,
            wall: sample.wall.0,
            values: [
                plain(memory.unreclaimable()),
                plain(memory.rss),
                plain(memory.shmem),
                plain(memory.file),
                sample.limit.map_or(f32::NAN, plain),
                sample.load.map_or(f32::NAN, |load| load as f32),
            ],
            allocator: sample.allocator.map_or([f32::NAN; 6], |a| {
                [a.allocated, a.active, a.resident, a.retained, a.mapped, a.metadata].map(plain)
            }),
            profiling: sample.allocator.is_some_and(|allocator| allocator.profiling),
        }
    }
}

impl From<&Packed> for Row {
    fn from(packed: &Packed) -> Self {
        let bytes = |value: f32| Bytes(value as u64);
        let some = |value: f32| (!value.is_nan()).then_some(value);
        let [unreclaimable, rss, shmem, file, limit, load] = packed.values;
        let [allocated, active, resident, retained, mapped, metadata] = packed.allocator.map(bytes);
        Self {
            at: Moment(packed.at),
            wall: WallTime(packed.wall),
            unreclaimable: bytes(unreclaimable),
            rss: bytes(rss),
            shmem: bytes(shmem),
            file: bytes(file),
            limit: some(limit).map(bytes),
            allocator: packed.has_allocator().then_some(Allocator {
                allocated,
                active,
                resident,
                retained,
                mapped,
                metadata,
                profiling: packed.profiling,
            }),
            load: some(load).map(f64::from),
        }
    }
}

impl Packed {
    fn has_allocator(&self) -> bool {
        !self.allocator[0].is_nan()
    }

    /// An allocator reading is rarer than a sample and must not be lost between two rows.
    fn or_allocator(mut self, other: &Self) -> Self {
        if !self.has_allocator() && other.has_allocator() {
            (self.allocator, self.profiling) = (other.allocator, other.profiling);
        }
        self
    }
}

/// The rings.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct History {
    rings: [VecDeque<Packed>; RINGS.len()],
}

impl History {
    /// Takes one sample. In a ring, a sample nearer than the spacing to the row before last replaces the last.
    pub fn push(&mut self, sample: &Sample) {
        let row = Packed::from(sample);
        for (ring, (spacing, capacity)) in self.rings.iter_mut().zip(RINGS) {
            let before = ring.len().checked_sub(2).and_then(|index| ring.get(index));
            let near = before.is_some_and(|before| row.at - before.at < spacing);
            match ring.back_mut() {
                Some(last) if near => *last = row.or_allocator(last),
                _ => {
                    if ring.len() >= capacity {
                        ring.pop_front();
                    }
                    ring.push_back(row);
                }
            }
        }
    }

    /// When the oldest and the newest row were taken; `None` before the first.
    pub fn span(&self) -> Option<(Moment, Moment)> {
        let oldest = self.rings.iter().filter_map(|ring| ring.front()).map(|row| row.at);
        let newest = self.rings.iter().filter_map(|ring| ring.back()).map(|row| row.at);
        Some((Moment(oldest.reduce(f64::min)?), Moment(newest.reduce(f64::max)?)))
    }

    /// All rows, oldest first: each ring for the time that finer ones no longer cover.
    pub fn rows(&self) -> Vec<Row> {
        let mut rows: Vec<Row> = Vec::with_capacity(self.rings[RINGS.len() - 1].len());
        for ring in self.rings.iter().rev() {
            let Some(first) = ring.front() else { continue };
            rows.truncate(rows.partition_point(|row| row.at.0 < first.at));
            rows.extend(ring.iter().map(Row::from));
        }
        rows
    }

    /// The rows from `from` to `to`, oldest first, from the finest ring that reaches back to `from`.
    pub fn between(&self, from: Moment, to: Moment) -> impl Iterator<Item = Row> + '_ {
        let reaches = |ring: &&VecDeque<Packed>| ring.front().is_some_and(|row| row.at <= from.0);
        let ring = self.rings.iter().find(reaches).unwrap_or(&self.rings[RINGS.len() - 1]);
        let start = ring.partition_point(|row| row.at < from.0);
        ring.range(start..).take_while(move |row| row.at <= to.0).map(Row::from)
    }

    /// The rows of the longest ring whose spacing is at most `spacing` seconds, oldest first.
    pub fn spaced(&self, spacing: f64) -> impl Iterator<Item = Row> + '_ {
        let fits = RINGS.iter().rposition(|(own, _)| *own <= spacing).unwrap_or(0);
        self.rings[fits].iter().map(Row::from)
    }

    /// The highest leak signal before `before` at a load of at least `load`, in the coarsest ring; `None` when such a
    /// load was never seen.
    pub fn highest_at_load(&self, load: f64, before: Moment) -> Option<Bytes> {
        self.rings[RINGS.len() - 1]
            .iter()
            .take_while(|row| row.at < before.0)
            .filter(|row| f64::from(row.values[5]) >= load)
            .map(|row| Bytes(row.values[0] as u64))
            .max()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(t: f64, allocator: bool) -> Sample {
        Sample { at: Moment(t), allocator: allocator.then(Allocator::default), ..Sample::default() }
    }

    #[test]
    fn a_week_fits_in_the_bound_and_the_last_minute_is_fine() {
        let mut history = History::default();
        for i in 0..800_000 {
            history.push(&sample(f64::from(i) * 0.75, i % 10 == 0));
        }
        let rows = history.rows();
        assert!(rows.len() <= CAPACITY, "{}", rows.len());
        assert!(rows[0].at.0 < 10.0, "{:?}", rows[0].at);
        assert_eq!(rows.last().expect("rows").at.0, 599_999.25);
        assert!(rows.windows(2).all(|w| w[0].at < w[1].at));
        let minute = history.between(Moment(599_950.0), Moment(600_000.0)).count();
        assert!((50..=70).contains(&minute), "{minute}");
        assert!(size_of::<Packed>() * CAPACITY < 180 * 1024);
    }

    #[test]
    fn a_rare_allocator_reading_is_not_lost_between_two_samples() {
        let mut history = History::default();
        for i in 0..4000 {
            history.push(&sample(f64::from(i) * 0.5, i % 60 == 7));
        }
        let rows: Vec<_> = history.between(Moment(500.0), Moment(1500.0)).collect();
        let with = rows.iter().filter(|row| row.allocator.is_some()).count();
        assert!(with >= 30, "{with} of {}", rows.len());
    }

    #[test]
    fn a_row_comes_back_as_it_went_in() {
        let mut history = History::default();
        let mut first = sample(1.0, true);
        (first.memory.anon, first.limit) = (Bytes::from_kib(123_457), Some(Bytes::from_mib(777)));
        first.load = Some(12.5);
        history.push(&first);
        assert_eq!(history.rows(), vec![Row::from(&first)]);
    }

    #[test]
    fn the_highest_use_at_a_load_is_found() {
        let mut history = History::default();
        for i in 0..100u64 {
            let load = if i < 50 { 10.0 } else { 20.0 };
            history.push(&Sample {
                at: Moment(i as f64 * 700.0),
                memory: crate::sample::Memory { anon: Bytes(i), ..Default::default() },
                load: Some(load),
                ..Sample::default()
            });
        }
        assert_eq!(history.highest_at_load(20.0, Moment(60.0 * 700.0)), Some(Bytes(59)));
        assert_eq!(history.highest_at_load(21.0, Moment(1e9)), None);
    }
}
