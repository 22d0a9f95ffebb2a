//! Innocent look-alikes: memory that grows as a leak does, for a while, and that nobody should be woken for.

mod page_cache;

use std::collections::VecDeque;
use std::f64::consts::PI;

pub use page_cache::PageCache;

use super::Fault;
use super::pieces::{PIECE_BYTES, pieces, written};

/// What each of them holds at most, in bytes.
pub const HELD_BYTES: usize = 32 << 20;

const MOST: usize = HELD_BYTES / PIECE_BYTES;

/// What the three in memory hold, and what they copy it from.
struct Held {
    pieces: VecDeque<Box<[u8]>>,
    source: Box<[u8]>,
}

impl Default for Held {
    fn default() -> Self {
        Self { pieces: VecDeque::new(), source: written(PIECE_BYTES) }
    }
}

/// `bounded-cache`: fills up to [`HELD_BYTES`], then the oldest piece gives way to each new one.
#[derive(Default)]
pub struct BoundedCache(Held);

impl Fault for BoundedCache {
    fn take(&mut self, budget: u64) -> u64 {
        pieces(budget, PIECE_BYTES, || {
            if self.0.pieces.len() >= MOST {
                self.0.pieces.pop_front();
            }
            remember_lately(&mut self.0.pieces, &self.0.source);
        })
    }
}

#[inline(never)]
fn remember_lately(pieces: &mut VecDeque<Box<[u8]>>, source: &[u8]) {
    pieces.push_back(Box::from(source));
}

/// `batch-sawtooth`: a batch job that collects [`HELD_BYTES`], is done with them at once, and begins again.
#[derive(Default)]
pub struct BatchSawtooth(Held);

impl Fault for BatchSawtooth {
    fn take(&mut self, budget: u64) -> u64 {
        pieces(budget, PIECE_BYTES, || {
            if self.0.pieces.len() >= MOST {
                // Not cleared: the job's memory goes when the job is done.
                self.0.pieces = VecDeque::new();
            }
            collect(&mut self.0.pieces, &self.0.source);
        })
    }
}

#[inline(never)]
fn collect(pieces: &mut VecDeque<Box<[u8]>>, source: &[u8]) {
    pieces.push_back(Box::from(source));
}

/// `diurnal-load`: sessions that come in the morning and go in the evening, along a cosine between nothing and
/// [`HELD_BYTES`]. The rate is the way memory goes, up or down, on average; at its steepest it is π/2 times that.
#[derive(Default)]
pub struct DiurnalLoad {
    sessions: Held,
    /// Pieces of the way so far, up and down.
    way: usize,
}

impl Fault for DiurnalLoad {
    fn take(&mut self, budget: u64) -> u64 {
        pieces(budget, PIECE_BYTES, || {
            self.way = (self.way + 1) % (2 * MOST);
            let turn = PI * self.way as f64 / MOST as f64;
            let wanted = (MOST as f64 * (1.0 - turn.cos()) / 2.0).round() as usize;
            while self.sessions.pieces.len() < wanted {
                open_session(&mut self.sessions.pieces, &self.sessions.source);
            }
            self.sessions.pieces.truncate(wanted);
        })
    }
}

#[inline(never)]
fn open_session(pieces: &mut VecDeque<Box<[u8]>>, source: &[u8]) {
    pieces.push_back(Box::from(source));
}

#[cfg(test)]
mod tests {
    use super::*;

    const PIECE: u64 = PIECE_BYTES as u64;

    #[test]
    fn the_bounded_cache_takes_every_budget_and_holds_no_more_than_its_cap() {
        let mut cache = BoundedCache::default();
        for _ in 0..100 {
            assert_eq!(cache.take(100 * PIECE + 1), 100 * PIECE);
            assert!(cache.0.pieces.len() <= MOST);
        }
        assert_eq!(cache.0.pieces.len(), MOST);
        assert!(cache.0.pieces.iter().all(|piece| piece.len() == PIECE_BYTES));
    }

    #[test]
    fn the_sawtooth_rises_at_the_rate_and_falls_to_nothing_at_the_cap() {
        let mut job = BatchSawtooth::default();
        for round in 0..5 {
            for held in 1..=MOST {
                assert_eq!(job.take(PIECE), PIECE, "{round}");
                assert_eq!(job.0.pieces.len(), held, "{round}");
            }
        }
    }

    #[test]
    fn a_day_goes_up_to_the_cap_and_back_to_nothing_and_the_next_is_the_same() {
        let mut load = DiurnalLoad::default();
        for _ in 0..3 {
            let day: Vec<usize> = (0..2 * MOST)
                .map(|_| {
                    assert_eq!(load.take(PIECE), PIECE);
                    load.sessions.pieces.len()
                })
                .collect();
            let noon = day.iter().position(|held| *held == MOST).unwrap();
            assert!(day[..noon].is_sorted() && day[noon..].iter().rev().is_sorted());
            assert_eq!(day.last(), Some(&0));
            let steepest = day.windows(2).map(|pair| pair[0].abs_diff(pair[1])).max();
            assert!(steepest <= Some(2), "{steepest:?}");
        }
    }
}
