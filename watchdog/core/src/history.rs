//! What plots are drawn from: a bounded series that halves its resolution when it is full.

use serde::{Deserialize, Serialize};

use crate::sample::{Allocator, Sample};
use crate::units::{Bytes, Moment, WallTime};

/// Rows kept for a target: about 90 KiB, and still one row every 3 minutes after a day.
pub const CAPACITY: usize = 1024;

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
        }
    }
}

/// Rows at an even spacing that doubles whenever [`CAPACITY`] is reached.
#[derive(Clone, Debug)]
pub struct History {
    rows: Vec<Row>,
    spacing: f64,
}

impl Default for History {
    fn default() -> Self {
        Self { rows: Vec::new(), spacing: 0.25 }
    }
}

impl History {
    /// Takes one sample. A sample nearer than the spacing to the one before last replaces the last.
    pub fn push(&mut self, sample: &Sample) {
        let row = Row::from(sample);
        if let [.., before, last] = self.rows.as_mut_slice()
            && row.at.since(before.at) < self.spacing
        {
            // An allocator reading is rarer than a sample and must not be lost to the next row without one.
            let allocator = row.allocator.or(last.allocator);
            *last = Row { allocator, ..row };
            return;
        }
        self.rows.push(row);
        if self.rows.len() >= CAPACITY {
            self.spacing *= 2.0;
            self.thin();
        }
    }

    fn thin(&mut self) {
        let mut kept: Vec<Row> = Vec::with_capacity(CAPACITY);
        for (i, row) in self.rows.iter().enumerate() {
            match kept.last_mut() {
                Some(last) if i % 2 == 1 => last.allocator = last.allocator.or(row.allocator),
                _ => kept.push(*row),
            }
        }
        if let Some(last) = self.rows.last() {
            kept.push(*last);
        }
        self.rows = kept;
    }

    /// All rows, oldest first.
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// The last row at or before `at`, else the first.
    pub fn row_at(&self, at: Moment) -> Option<&Row> {
        let end = self.rows.partition_point(|row| row.at <= at);
        self.rows.get(end.saturating_sub(1))
    }

    /// The last row at or before `at` that carries allocator statistics, else the first that does.
    pub fn allocator_at(&self, at: Moment) -> Option<&Row> {
        let (before, after) = self.rows.split_at(self.rows.partition_point(|row| row.at <= at));
        let with = |row: &&Row| row.allocator.is_some();
        before.iter().rev().find(with).or_else(|| after.iter().find(with))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(t: f64, allocator: bool) -> Sample {
        Sample { at: Moment(t), allocator: allocator.then(Allocator::default), ..Sample::default() }
    }

    #[test]
    fn a_week_fits_in_the_bound_and_keeps_its_ends() {
        let mut history = History::default();
        for i in 0..400_000 {
            history.push(&sample(f64::from(i) * 1.5, i % 10 == 0));
        }
        assert!(history.rows().len() <= CAPACITY, "{}", history.rows().len());
        assert!(history.rows().len() > CAPACITY / 4);
        assert_eq!(history.rows()[0].at, Moment(0.0));
        assert!(history.rows().last().expect("rows").at.0 > 599_990.0);
        assert!(history.rows().windows(2).all(|w| w[0].at < w[1].at));
    }

    #[test]
    fn a_rare_allocator_reading_is_not_lost_between_two_samples() {
        let mut history = History::default();
        history.push(&sample(0.0, true));
        history.push(&sample(10.0, true));
        history.push(&sample(10.1, false));
        history.push(&sample(10.2, false));
        assert_eq!(history.allocator_at(Moment(9.0)).expect("a row").at, Moment(0.0));
        assert!(history.allocator_at(Moment(11.0)).expect("a row").at.0 >= 10.0);
    }
}
