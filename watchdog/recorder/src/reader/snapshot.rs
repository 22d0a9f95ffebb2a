//! What a recorder holds at one moment, checked and in plain words.

use std::io;
use std::ops::Range;
use std::sync::atomic::{Ordering, fence};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::source::{Source, words_at};
use crate::geometry::{Geometry, HEADER_WORDS, STACK_WORDS};
use crate::identity::{Identity, since_boot};
use crate::layout::word;
use crate::statistics::AllocatorStatistics;
use crate::table::{Meta, slot};
use crate::weight::OBJECT_UNIT;

/// What one stack allocated, as the samples tell it. Bytes and objects are estimates without bias of all allocations,
/// not only the sampled ones.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecordedStack {
    /// Identifies the stack within its process; 0 for the samples of all stacks that found no room.
    pub hash: u64,
    frames: Range<usize>,
    /// Sampled objects that are alive.
    pub inuse_samples: u64,
    /// Bytes of objects that are alive.
    pub inuse_bytes: u64,
    /// Objects that are alive.
    pub inuse_objects: u64,
    /// Objects ever sampled.
    pub alloc_samples: u64,
    /// Bytes ever allocated.
    pub alloc_bytes: u64,
    /// Objects ever allocated.
    pub alloc_objects: u64,
}

/// What the recorder could not keep.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Drops {
    /// Samples whose stack found no room; their bytes are counted under the stack with the hash 0.
    pub stacks_full: u64,
    /// Samples whose object found no room; they are missing from what is in use, not from what was ever allocated.
    pub live_full: u64,
    /// The unbiased bytes of those objects, most of which may be freed since.
    pub live_full_bytes: u64,
    /// Samples whose stack was cut at the greatest depth.
    pub truncated: u64,
}

/// What a recorder holds.
///
/// While the process runs, threads count on during the reading, which takes about a millisecond. Each figure is
/// one that was true at some moment of it, but two figures may be of two moments: bytes and samples of a stack can
/// differ by the samples counted meanwhile – at one sample per 512 KiB and 1 GiB/s allocated, about two in all. What is in use is
/// never below zero. Once the process is dead, all figures are exact but for the calls that the death interrupted,
/// at most one a thread.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// Who writes it; `None` while nobody does.
    pub writer: Option<Identity>,
    /// When the writer claimed it.
    pub claimed_at: Option<SystemTime>,
    /// Mean number of bytes between two samples.
    pub period: u64,
    /// How long the process had been running when recording began. What it allocated before is not in here.
    pub installed_after: Duration,
    /// Every stack that was ever sampled, in no order.
    pub stacks: Vec<RecordedStack>,
    /// What could not be kept.
    pub drops: Drops,
    /// The allocator's statistics, `None` when the process never told them or died in telling them.
    pub statistics: Option<AllocatorStatistics>,
    /// How old the statistics are.
    pub statistics_age: Option<Duration>,
    /// Slots that make no sense and are left out, or whose frames are. More than a few: something wrote to the file
    /// that should not.
    pub damaged: u64,
    arena: Vec<u64>,
    slots: Vec<u64>,
}

impl Snapshot {
    /// A stack's frames: return addresses in the process, innermost first. Empty when they are unknown.
    pub fn frames(&self, stack: &RecordedStack) -> &[u64] {
        self.arena.get(stack.frames.clone()).unwrap_or_default()
    }

    pub(super) fn read(&mut self, source: &impl Source, geometry: &Geometry) -> io::Result<()> {
        let mut header = [0_u64; HEADER_WORDS];
        words_at(source, 0, &mut header)?;
        self.read_header(&header);
        let told = statistics(source)?;
        self.statistics = told.map(|(statistics, _)| statistics);
        self.statistics_age = told.map(|(_, age)| age);
        self.read_stacks(source, geometry)?;
        // Behind the stacks: the frames of every slot seen there are written by now.
        fence(Ordering::SeqCst);
        let mut used = [0_u64];
        words_at(source, word::ARENA_USED, &mut used)?;
        let used = usize::try_from(used[0]).unwrap_or(usize::MAX).min(geometry.arena_words);
        self.arena.clear();
        self.arena.resize(used, 0);
        words_at(source, geometry.parts().arena.start, &mut self.arena)?;
        for stack in &mut self.stacks {
            let sound = stack.frames.end <= used && stack.frames.len() <= geometry.max_depth;
            if !sound {
                stack.frames = 0..0;
                self.damaged += 1;
            }
        }
        Ok(())
    }

    fn read_header(&mut self, header: &[u64; HEADER_WORDS]) {
        let claimed = header[word::CLAIMED] == 1;
        self.writer = u32::try_from(header[word::PID])
            .ok()
            .filter(|_| claimed)
            .map(|pid| Identity { pid, start_ticks: header[word::START_TICKS] });
        let at = UNIX_EPOCH.checked_add(Duration::from_millis(header[word::CLAIMED_AT]));
        self.claimed_at = at.filter(|_| claimed);
        self.period = 1 << header[word::LG_PERIOD].min(63);
        self.installed_after = Duration::from_millis(header[word::INSTALLED_AFTER]);
        self.drops = Drops {
            stacks_full: header[word::STACKS_FULL],
            live_full: header[word::LIVE_FULL],
            live_full_bytes: header[word::LIVE_FULL_BYTES],
            truncated: header[word::TRUNCATED],
        };
    }

    fn read_stacks(&mut self, source: &impl Source, geometry: &Geometry) -> io::Result<()> {
        const SLOTS: usize = 256;
        self.stacks.clear();
        self.damaged = 0;
        let mut totals = Totals::default();
        let stacks = geometry.parts().stacks;
        for first in stacks.clone().step_by(SLOTS * STACK_WORDS) {
            self.slots.resize((SLOTS * STACK_WORDS).min(stacks.end - first), 0);
            words_at(source, first, &mut self.slots)?;
            for words in self.slots.as_chunks::<STACK_WORDS>().0 {
                match recorded(words) {
                    None => {}
                    Some(stack) if totals.bear(&stack) => self.stacks.push(stack),
                    Some(_) => self.damaged += 1,
                }
            }
        }
        Ok(())
    }
}

/// The allocator's statistics and their age.
pub(super) fn statistics(
    source: &impl Source,
) -> io::Result<Option<(AllocatorStatistics, Duration)>> {
    /// Writing takes well below a microsecond, so that a second look nearly always does.
    const LOOKS: usize = 8;
    for _ in 0..LOOKS {
        let mut words = [0_u64; 1 + word::STATISTICS_WORDS];
        let mut sequence = [0_u64];
        words_at(source, word::STATISTICS, &mut words)?;
        fence(Ordering::SeqCst);
        words_at(source, word::STATISTICS, &mut sequence)?;
        if words[0] == sequence[0] {
            let told = AllocatorStatistics::from_words(words[0], &words[1..]);
            return Ok(told.map(|told| (told, since_boot().saturating_sub(told.read_at))));
        }
    }
    Ok(None)
}

/// `None` for a slot that was never used.
fn recorded(words: &[u64; STACK_WORDS]) -> Option<RecordedStack> {
    let [_, _, freed @ .., samples, bytes, objects] = words;
    if *samples == 0 {
        return None;
    }
    let whole = |parts: u64| parts.saturating_add(OBJECT_UNIT / 2) / OBJECT_UNIT;
    let frames = Meta::from_word(words[slot::META])
        .map_or(0..0, |meta| meta.offset..meta.offset.saturating_add(meta.depth));
    Some(RecordedStack {
        hash: words[slot::HASH],
        frames,
        inuse_samples: samples.saturating_sub(freed[0]),
        inuse_bytes: bytes.saturating_sub(freed[1]),
        inuse_objects: whole(objects.saturating_sub(freed[2])),
        alloc_samples: *samples,
        alloc_bytes: *bytes,
        alloc_objects: whole(*objects),
    })
}

/// Sums over all stacks, so that a caller who adds them up cannot overflow an `i64`.
#[derive(Default)]
struct Totals {
    samples: u64,
    bytes: u64,
    objects: u64,
}

impl Totals {
    /// Whether a stack can be added to what came before.
    fn bear(&mut self, stack: &RecordedStack) -> bool {
        const MOST: u64 = i64::MAX.cast_unsigned();
        let sum = |a: u64, b: u64| a.checked_add(b).filter(|sum| *sum <= MOST);
        let (Some(samples), Some(bytes), Some(objects)) = (
            sum(self.samples, stack.alloc_samples),
            sum(self.bytes, stack.alloc_bytes),
            sum(self.objects, stack.alloc_objects),
        ) else {
            return false;
        };
        *self = Self { samples, bytes, objects };
        true
    }
}
