//! The header's words: what is where, and whether a header makes sense.

use crate::error::RecorderError;
use crate::geometry::Geometry;

/// `OOMENREC` as it stands in the file, whatever the machine.
pub(crate) const MAGIC: u64 = u64::from_ne_bytes(*b"OOMENREC");
/// Changes whenever a word changes its place or meaning.
pub(crate) const VERSION: u64 = 1;
/// Reads otherwise on a machine of the other byte order.
pub(crate) const ORDER: u64 = 0x0102_0304_0506_0708;

/// Words that the creator writes once.
pub(crate) const CREATED: usize = 9;
/// Index of each word. What is written often stands on a cache line of its own.
pub(crate) mod word {
    pub(crate) const MAGIC: usize = 0;
    pub(crate) const VERSION: usize = 1;
    pub(crate) const ORDER: usize = 2;
    pub(crate) const STACK_SLOTS: usize = 3;
    pub(crate) const ARENA_WORDS: usize = 4;
    pub(crate) const LIVE_SLOTS: usize = 5;
    pub(crate) const MAX_DEPTH: usize = 6;
    pub(crate) const BYTES: usize = 7;
    pub(crate) const CHECKSUM: usize = 8;

    /// 1 once the writer's identity below is complete.
    pub(crate) const CLAIMED: usize = 16;
    pub(crate) const PID: usize = 17;
    pub(crate) const START_TICKS: usize = 18;
    pub(crate) const CLAIMED_AT: usize = 19;
    pub(crate) const LG_PERIOD: usize = 20;
    pub(crate) const INSTALLED_AFTER: usize = 21;

    pub(crate) const STACKS_FULL: usize = 24;
    pub(crate) const LIVE_FULL: usize = 25;
    pub(crate) const LIVE_FULL_BYTES: usize = 26;
    pub(crate) const TRUNCATED: usize = 27;

    pub(crate) const ARENA_USED: usize = 32;
    pub(crate) const SEQUENCE: usize = 40;

    /// Odd while the statistics behind it are being written.
    pub(crate) const STATISTICS: usize = 48;
    /// How many words follow it.
    pub(crate) const STATISTICS_WORDS: usize = 11;

    /// The lower half of this word is a futex and is used as 32 bits by everybody.
    pub(crate) const WANTED: usize = 64;
}

/// The words that the creator writes.
pub(crate) fn created(geometry: &Geometry) -> [u64; CREATED] {
    let mut words = [
        MAGIC,
        VERSION,
        ORDER,
        geometry.stack_slots as u64,
        geometry.arena_words as u64,
        geometry.live_slots as u64,
        geometry.max_depth as u64,
        geometry.bytes() as u64,
        0,
    ];
    words[word::CHECKSUM] = checksum(&words);
    words
}

fn checksum(words: &[u64; CREATED]) -> u64 {
    words[..word::CHECKSUM]
        .iter()
        .fold(0, |sum: u64, word| (sum.rotate_left(23) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

/// What a header says of the table's sizes, if it is one of this version and undamaged.
pub(crate) fn validate(words: &[u64; CREATED], name: &str) -> Result<Geometry, RecorderError> {
    let expect = |what, index: usize, expected| match words[index] {
        value if value == expected => Ok(()),
        value => Err(RecorderError::Header { name: name.to_owned(), what, value, expected }),
    };
    expect("the magic word", word::MAGIC, MAGIC)?;
    expect("the byte order", word::ORDER, ORDER)?;
    expect("the version", word::VERSION, VERSION)?;
    expect("the checksum", word::CHECKSUM, checksum(words))?;
    let size = |index: usize| usize::try_from(words[index]).unwrap_or(usize::MAX);
    let geometry = Geometry {
        stack_slots: size(word::STACK_SLOTS),
        arena_words: size(word::ARENA_WORDS),
        live_slots: size(word::LIVE_SLOTS),
        max_depth: size(word::MAX_DEPTH),
    };
    geometry.validate()?;
    expect("the size in bytes", word::BYTES, geometry.bytes() as u64)?;
    Ok(geometry)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_created_is_valid() {
        let geometry = Geometry::default();
        assert_eq!(validate(&created(&geometry), "x").unwrap(), geometry);
    }

    #[test]
    fn every_flipped_bit_is_seen() {
        let sound = created(&Geometry::default());
        for bit in 0..CREATED * 64 {
            let mut words = sound;
            words[bit / 64] ^= 1 << (bit % 64);
            assert!(validate(&words, "x").is_err(), "bit {bit}");
        }
    }

    #[test]
    fn sizes_out_of_bounds_are_refused_though_their_checksum_is_right() {
        let mut words = created(&Geometry::default());
        words[word::STACK_SLOTS] = 1 << 40;
        words[word::CHECKSUM] = checksum(&words);
        assert!(matches!(validate(&words, "x"), Err(RecorderError::Geometry { .. })));
    }
}
