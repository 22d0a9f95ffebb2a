//! The workload's own record: the highest level that it has been at and lived.
//!
//! Statistic: per time scale the highest bucket minimum of each of the last fourteen days. A daily wave, a batch or a
//! cache that was full before comes back to its record and not above it; a leak always sets a new one. Minima are
//! compared with minima: against single peaks a leak below a saw-tooth would only count when it is too late.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

const DAY: f64 = 86_400.0;
/// Two weeks: a weekly wave is seen twice, and a level nobody has seen for longer has no bearing on today's release.
const DAYS: i64 = 14;

/// The days of one time scale.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Record {
    days: VecDeque<Day>,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Day {
    day: i64,
    highest: f64,
    lowest: f64,
}

impl Record {
    /// Takes the minimum of a bucket at `t` seconds. Days must not go back.
    pub fn push(&mut self, t: f64, low: f64) {
        self.note(Day { day: (t / DAY).floor() as i64, highest: low, lowest: low });
    }

    fn note(&mut self, new: Day) {
        match self.days.back_mut() {
            Some(last) if last.day >= new.day => {
                last.highest = last.highest.max(new.highest);
                last.lowest = last.lowest.min(new.lowest);
            }
            _ => self.days.push_back(new),
        }
        while self.days.front().is_some_and(|old| old.day + DAYS <= new.day) {
            self.days.pop_front();
        }
    }

    /// Takes over what `newer` saw.
    pub fn absorb(&mut self, newer: Self) {
        for day in newer.days {
            self.note(day);
        }
    }

    /// The lowest and the highest of all days; `None` before the first.
    pub fn range(&self) -> Option<(f64, f64)> {
        self.days
            .iter()
            .map(|day| (day.lowest, day.highest))
            .reduce(|(low, high), (lower, higher)| (low.min(lower), high.max(higher)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_highest_of_two_weeks() {
        let mut record = Record::default();
        assert_eq!(record.range(), None);
        for day in 0..20 {
            record.push(f64::from(day) * DAY, if day == 3 { 9.0 } else { 5.0 });
        }
        assert_eq!(record.range(), Some((5.0, 5.0)), "day 3 is forgotten on day 17");
        record.push(20.0 * DAY, 7.0);
        record.push(20.5 * DAY, 6.0);
        assert_eq!(record.range(), Some((5.0, 7.0)));
        assert!(record.days.len() <= 14);
    }

    #[test]
    fn the_next_process_inherits_it() {
        let (mut workload, mut segment) = (Record::default(), Record::default());
        workload.push(0.0, 3.0);
        segment.push(0.5 * DAY, 8.0);
        segment.push(1.5 * DAY, 2.0);
        workload.absorb(segment);
        assert_eq!(workload.range(), Some((2.0, 8.0)));
        assert_eq!(workload.days.len(), 2);
    }
}
