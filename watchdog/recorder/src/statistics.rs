//! What the allocator says of itself, in the header, read whole or not at all.

use std::sync::atomic::{AtomicU64, Ordering, fence};
use std::time::Duration;

use crate::layout::word;

/// The allocator's own statistics, in bytes, and when they were read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AllocatorStatistics {
    /// Bytes the program asked for and still holds.
    pub allocated: u64,
    /// Bytes in pages that hold at least one allocation.
    pub active: u64,
    /// Bytes the allocator keeps resident.
    pub resident: u64,
    /// Bytes of address space kept for reuse but not resident.
    pub retained: u64,
    /// Bytes in extents that the allocator has mapped.
    pub mapped: u64,
    /// Bytes the allocator uses for itself.
    pub metadata: u64,
    /// Whether allocations were being sampled.
    pub profiling: bool,
    /// Of `allocated`, what was allocated before recording began.
    pub unrecorded: u64,
    /// What the table held at that moment: the estimate of `allocated` less `unrecorded` that rests on samples.
    pub recorded: u64,
    /// When they were read, since boot (`CLOCK_BOOTTIME`).
    pub read_at: Duration,
    /// The number of the request they answer, as [`crate::Reader::request_statistics`] gave it.
    pub answers: u32,
}

impl AllocatorStatistics {
    fn to_words(self) -> [u64; word::STATISTICS_WORDS] {
        [
            self.allocated,
            self.active,
            self.resident,
            self.retained,
            self.mapped,
            self.metadata,
            u64::from(self.profiling),
            u64::try_from(self.read_at.as_millis()).unwrap_or(u64::MAX),
            u64::from(self.answers),
            self.unrecorded,
            self.recorded,
        ]
    }

    /// `None` before the first were written (`sequence` 0) and while new ones are being written (odd).
    pub(crate) fn from_words(sequence: u64, words: &[u64]) -> Option<Self> {
        if sequence == 0 || !sequence.is_multiple_of(2) {
            return None;
        }
        let &[
            allocated,
            active,
            resident,
            retained,
            mapped,
            metadata,
            profiling,
            at,
            answers,
            unrecorded,
            recorded,
        ] = words
        else {
            return None;
        };
        Some(Self {
            allocated,
            active,
            resident,
            retained,
            mapped,
            metadata,
            profiling: profiling != 0,
            unrecorded,
            recorded,
            read_at: Duration::from_millis(at),
            answers: u32::try_from(answers).unwrap_or(u32::MAX),
        })
    }
}

impl AllocatorStatistics {
    /// What the table's figures have to be multiplied with so that their sum is what the allocator knows exactly: the
    /// ratio estimator, which takes the error that all samples share out of each of them (Cochran, Sampling Techniques,
    /// chapter 6). 1 where it says nothing: too little was sampled, or the two do not speak of the same objects.
    pub fn correction(&self, period: u64) -> f64 {
        /// Samples that the estimate must rest on; its error is then 13 % at most.
        const LEAST_SAMPLES: u64 = 64;
        let known = self.allocated.saturating_sub(self.unrecorded) as f64;
        let estimate = self.recorded as f64;
        if self.recorded < LEAST_SAMPLES.saturating_mul(period) || known <= 0.0 {
            return 1.0;
        }
        let ratio = known / estimate;
        // Five times the error of as many samples of small objects, which have the largest.
        let bound = 5.0 * (period as f64 / estimate).sqrt();
        if (ratio - 1.0).abs() <= bound { ratio } else { 1.0 }
    }
}

/// Writes them under the sequence lock of the header. One thread only.
///
/// The orders are those of a sequence lock over atomics (Boehm, "Can seqlocks get along with programming language
/// memory models?", 2012): a reader that sees the same even number before and after has seen the words between.
pub(crate) fn write(header: &[AtomicU64], statistics: &AllocatorStatistics) {
    let Some((sequence, words)) =
        header.get(word::STATISTICS..).and_then(|words| words.split_first())
    else {
        return;
    };
    // A writer that died in the middle left it odd; the next even number but one is right in both cases.
    let before = sequence.load(Ordering::Relaxed) & !1;
    sequence.store(before.wrapping_add(1), Ordering::Relaxed);
    fence(Ordering::Release);
    for (word, value) in words.iter().zip(statistics.to_words()) {
        word.store(value, Ordering::Relaxed);
    }
    sequence.store(before.wrapping_add(2), Ordering::Release);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_what_is_read() {
        let header: Vec<AtomicU64> = (0..512).map(|_| AtomicU64::new(0)).collect();
        let read = || {
            let words: Vec<u64> = header[word::STATISTICS..]
                .iter()
                .take(1 + word::STATISTICS_WORDS)
                .map(|word| word.load(Ordering::Relaxed))
                .collect();
            AllocatorStatistics::from_words(words[0], &words[1..])
        };
        assert_eq!(read(), None);
        let told = AllocatorStatistics {
            allocated: 1,
            active: 2,
            resident: 3,
            retained: 4,
            mapped: 5,
            metadata: 6,
            profiling: true,
            read_at: Duration::from_millis(7),
            answers: 8,
            unrecorded: 9,
            recorded: 10,
        };
        write(&header, &told);
        assert_eq!(read(), Some(told));
        header[word::STATISTICS].fetch_add(1, Ordering::Relaxed);
        assert_eq!(read(), None, "a write that never ended is not believed");
        write(&header, &told);
        assert_eq!(read(), Some(told));
    }

    #[test]
    fn the_samples_are_corrected_by_what_the_allocator_knows() {
        const MIB: u64 = 1 << 20;
        let told = |allocated, recorded| AllocatorStatistics {
            allocated: allocated * MIB,
            unrecorded: 2 * MIB,
            recorded: recorded * MIB,
            ..AllocatorStatistics::default()
        };
        let period = MIB / 2;
        assert!((told(202, 208).correction(period) - 200.0 / 208.0).abs() < 1e-12);
        assert_eq!(told(22, 21).correction(period), 1.0, "too few samples");
        assert_eq!(told(802, 208).correction(period), 1.0, "they do not speak of the same");
        assert_eq!(told(1, 208).correction(period), 1.0, "all of it was allocated before");
        assert_eq!(AllocatorStatistics::default().correction(0), 1.0);
    }
}
