//! Answers of many sizes of which nearly all are freed, injected as a fault: what stays lies between what went, and the
//! allocator cannot give a page back on which one piece is still in use.
//!
//! An allocator fills the gaps of a size before it takes new pages, so a size that is asked for again would find room
//! and nothing would grow. Each burst therefore asks for as much of its size as was ever freed of it, and for more on
//! top: the most that is in use at once grows from burst to burst, as it does where traffic comes in ever higher peaks.

use services_kit::Fault;
use services_kit::faults::written;

/// Sizes in bytes that share pages: 32, 16 and 8 of them, two sizes each.
const SIZES: [usize; 6] = [640, 896, 1280, 1792, 2560, 3584];

/// One piece of so many stays: one for each run of pages of the largest size, and more for the smaller ones.
const STAYS: usize = 8;

/// Bytes of a burst: large enough that filling the gaps first is a small part of the work while the process is small,
/// and below what a fault is offered at once.
const SMALLEST_BURST: u64 = 128 << 10;
const LARGEST_BURST: u64 = 1 << 20;

/// Bursts in which what was taken so far is doubled, at the least.
const DOUBLING: u64 = 512;

/// Fault `fragmentation`: takes pages at the rate it is given, and uses an eighth of them.
pub struct Fragmentation {
    kept: Vec<Box<[u8]>>,
    /// Pieces freed so far, by size.
    freed: [usize; SIZES.len()],
    bursts: usize,
    taken: u64,
    answer: Box<[u8]>,
}

impl Default for Fragmentation {
    fn default() -> Self {
        let answer = written(SIZES[SIZES.len() - 1]);
        Self { kept: Vec::new(), freed: [0; SIZES.len()], bursts: 0, taken: 0, answer }
    }
}

impl Fault for Fragmentation {
    fn take(&mut self, budget: u64) -> u64 {
        let least = (self.taken / DOUBLING).clamp(SMALLEST_BURST, LARGEST_BURST);
        if budget < least {
            return 0;
        }
        let which = self.bursts % SIZES.len();
        let (size, bytes) = (SIZES[which], budget.min(LARGEST_BURST));
        let pieces = usize::try_from(bytes).unwrap_or(usize::MAX) / size;
        self.bursts += 1;
        self.freed[which] += burst(&mut self.kept, &self.answer[..size], self.freed[which], pieces);
        let taken = (pieces * size) as u64;
        self.taken += taken;
        taken
    }
}

/// Fills `gaps`, writes `pieces` more, frees the one and most of the other; how many of the new ones it freed. Not
/// inlined, so that it is a frame of its own in every build.
#[inline(never)]
pub fn burst(kept: &mut Vec<Box<[u8]>>, answer: &[u8], gaps: usize, pieces: usize) -> usize {
    let filling: Vec<Vec<u8>> = (0..gaps).map(|_| Vec::with_capacity(answer.len())).collect();
    let answers: Vec<Box<[u8]>> = (0..pieces).map(|_| Box::from(answer)).collect();
    let before = kept.len();
    kept.extend(answers.into_iter().step_by(STAYS));
    drop(filling);
    pieces - (kept.len() - before)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_eighth_of_what_is_taken_stays_in_use() {
        let mut fault = Fragmentation::default();
        let taken: u64 = (0..100).map(|_| fault.take(LARGEST_BURST)).sum();
        assert!((99 << 20..=100 << 20).contains(&taken), "{taken}");
        let kept: usize = fault.kept.iter().map(|piece| piece.len()).sum();
        let share = kept as f64 / taken as f64;
        assert!((0.12..0.13).contains(&share), "{share}");
    }

    #[test]
    fn a_budget_below_a_burst_is_left_for_later() {
        let mut fault = Fragmentation::default();
        assert_eq!(fault.take(SMALLEST_BURST - 1), 0);
        assert!(fault.take(SMALLEST_BURST) > SMALLEST_BURST - 4096);
        assert_eq!(fault.freed.iter().filter(|freed| **freed > 0).count(), 1);
    }
}
