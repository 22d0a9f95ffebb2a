//! The table against a model of it, when it is full, and with many threads at once.

use std::collections::HashMap;

use proptest::prelude::*;

use super::*;

const PERIOD: f64 = 4096.0;
const GEOMETRY: Geometry = Geometry::SMALL;
/// More than fit into the table. Miri runs a thousand times slower.
const MANY: usize = if cfg!(miri) { 150 } else { 1000 };

fn memory(geometry: &Geometry) -> Vec<AtomicU64> {
    (0..geometry.bytes() / 8).map(|_| AtomicU64::new(0)).collect()
}

/// Samples allocated and freed of each used slot, by the frames; `None` stands for the slot that collects the rest.
fn counts(words: &[AtomicU64], geometry: &Geometry) -> HashMap<Option<Vec<u64>>, [u64; 6]> {
    let parts = geometry.parts();
    let load = |word: &AtomicU64| word.load(Ordering::Acquire);
    let arena = &words[parts.arena];
    let slots = words[parts.stacks].chunks(crate::geometry::STACK_WORDS);
    let used = slots.map(|slot| slot.iter().map(load).collect::<Vec<_>>());
    used.filter(|words| words[slot::ALLOCATED] > 0)
        .map(|words| {
            let frames = Meta::from_word(words[slot::META]).map(|meta| {
                arena[meta.offset..meta.offset + meta.depth].iter().map(load).collect()
            });
            (frames, words[slot::FREED..].try_into().unwrap())
        })
        .collect()
}

fn header(words: &[AtomicU64], index: usize) -> u64 {
    words[index].load(Ordering::Relaxed)
}

#[test]
fn in_place_and_of_the_same_size_the_older_of_two_ends() {
    let words = memory(&GEOMETRY);
    let table = Table::of(&words, &GEOMETRY).unwrap();
    table.record(0x1000, 64, &[1], PERIOD);
    table.record(0x1000, 64, &[2], PERIOD);
    table.free(0x1000, 64, PERIOD);
    let counts = counts(&words, &GEOMETRY);
    assert_eq!(counts[&Some(vec![1])][0], 1, "the old one is freed");
    assert_eq!(counts[&Some(vec![2])][0], 0, "the new one lives");
}

#[test]
fn sequence_numbers_that_go_round_keep_their_order() {
    let words = memory(&GEOMETRY);
    words[word::SEQUENCE].store((1 << 32) - 1, Ordering::Relaxed);
    let table = Table::of(&words, &GEOMETRY).unwrap();
    table.record(0x1000, 64, &[1], PERIOD);
    table.record(0x1000, 64, &[2], PERIOD);
    table.free(0x1000, 64, PERIOD);
    assert_eq!(counts(&words, &GEOMETRY)[&Some(vec![1])][0], 1);
}

#[test]
fn the_end_of_what_was_never_recorded_changes_nothing() {
    let words = memory(&GEOMETRY);
    let table = Table::of(&words, &GEOMETRY).unwrap();
    table.record(0x1000, 64, &[1], PERIOD);
    for (pointer, usable) in [(0x1000, 65), (0x2000, 64), (0, 0), (1, 64)] {
        table.free(pointer, usable, PERIOD);
    }
    assert_eq!(counts(&words, &GEOMETRY)[&Some(vec![1])][..3], [0, 0, 0]);
}

#[test]
fn a_full_table_counts_on_in_one_slot_so_that_the_sum_stays_right() {
    let words = memory(&GEOMETRY);
    let table = Table::of(&words, &GEOMETRY).unwrap();
    for object in 1..=MANY {
        table.record((object as u64) << 12, 64, &[object], PERIOD);
        table.free((object as u64) << 12, 64, PERIOD);
    }
    let counts = counts(&words, &GEOMETRY);
    let sum = |side: usize| counts.values().map(|words| words[side]).sum::<u64>();
    assert_eq!((sum(0), sum(3)), (MANY as u64, MANY as u64));
    assert_eq!(counts[&None][3], header(&words, word::STACKS_FULL));
    assert!(counts.len() > GEOMETRY.stack_slots / 2, "{} slots are used", counts.len());
}

#[test]
fn a_full_arena_counts_as_a_full_table() {
    let words = memory(&GEOMETRY);
    let table = Table::of(&words, &GEOMETRY).unwrap();
    for stack in 0..40_usize {
        table.record(0x1000, 64, &[stack; 8], PERIOD);
    }
    assert_eq!(header(&words, word::ARENA_USED), 256);
    assert_eq!(header(&words, word::STACKS_FULL), 8);
}

#[test]
fn an_object_without_room_is_counted_as_allocated_and_not_as_alive() {
    let words = memory(&GEOMETRY);
    let table = Table::of(&words, &GEOMETRY).unwrap();
    for object in 1..=MANY as u64 {
        table.record(object << 12, 64, &[1], PERIOD);
    }
    let [freed, freed_bytes, _, allocated, ..] = counts(&words, &GEOMETRY)[&Some(vec![1])];
    assert_eq!(allocated, MANY as u64);
    assert_eq!(freed, header(&words, word::LIVE_FULL));
    assert_eq!(freed_bytes, header(&words, word::LIVE_FULL_BYTES));
    assert!(allocated - freed <= GEOMETRY.live_slots as u64);
    for object in 1..=MANY as u64 {
        table.free(object << 12, 64, PERIOD);
    }
    assert_eq!(counts(&words, &GEOMETRY)[&Some(vec![1])][0], MANY as u64);
}

#[test]
fn a_stack_too_deep_is_cut_and_counted() {
    let words = memory(&GEOMETRY);
    let table = Table::of(&words, &GEOMETRY).unwrap();
    table.record(0x1000, 64, &[7; 9], PERIOD);
    assert_eq!(header(&words, word::TRUNCATED), 1);
    assert!(counts(&words, &GEOMETRY).contains_key(&Some(vec![7; 8])));
}

#[derive(Clone, Debug)]
enum Step {
    Allocate {
        page: u64,
        size: u64,
        stack: usize,
    },
    /// In place or moved: the new one is told before the end of the old one.
    Reallocate {
        victim: prop::sample::Index,
        page: Option<u64>,
        size: u64,
        stack: usize,
    },
    Free {
        victim: prop::sample::Index,
    },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let (page, size, stack) = (1..20_u64, 1..4_u64, 1..10_usize);
    let step = prop_oneof![
        (page.clone(), size.clone(), stack.clone())
            .prop_map(|(page, size, stack)| Step::Allocate { page, size, stack }),
        (any::<prop::sample::Index>(), prop::option::of(page), size, stack)
            .prop_map(|(victim, page, size, stack)| Step::Reallocate { victim, page, size, stack }),
        any::<prop::sample::Index>().prop_map(|victim| Step::Free { victim }),
    ];
    prop::collection::vec(step, 1..if cfg!(miri) { 20 } else { 200 })
}

/// The plain way: a list of what is alive, oldest first.
#[derive(Default)]
struct Model {
    alive: Vec<(u64, u64, usize)>,
    /// By stack: samples and bytes alive.
    counts: HashMap<usize, (u64, u64)>,
}

impl Model {
    fn record(&mut self, page: u64, size: u64, stack: usize) {
        self.alive.push((page, size, stack));
        let count = self.counts.entry(stack).or_default();
        *count = (count.0 + 1, count.1 + Weight::of(size, PERIOD).bytes);
    }

    fn free(&mut self, page: u64, size: u64) {
        let oldest = self.alive.iter().position(|(p, s, _)| (*p, *s) == (page, size)).unwrap();
        let (_, _, stack) = self.alive.remove(oldest);
        let count = self.counts.get_mut(&stack).unwrap();
        *count = (count.0 - 1, count.1 - Weight::of(size, PERIOD).bytes);
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        cases: if cfg!(miri) { 4 } else { 512 },
        ..ProptestConfig::default()
    })]

    #[test]
    fn the_table_does_what_a_plain_list_does(steps in steps()) {
        let geometry = Geometry { live_slots: 4096, ..GEOMETRY };
        let words = memory(&geometry);
        let table = Table::of(&words, &geometry).unwrap();
        let mut model = Model::default();
        for step in steps {
            match step {
                Step::Allocate { page, size, stack } => {
                    // At most two entries of an address at a time, as with jemalloc; more would fill the window.
                    if model.alive.iter().filter(|(p, ..)| *p == page).count() > 1 {
                        continue;
                    }
                    table.record(page << 12, size, &[stack], PERIOD);
                    model.record(page, size, stack);
                }
                Step::Reallocate { victim, page, size, stack } => {
                    if model.alive.is_empty() {
                        continue;
                    }
                    let (old, old_size, _) = model.alive[victim.index(model.alive.len())];
                    let page = page.unwrap_or(old);
                    table.record(page << 12, size, &[stack], PERIOD);
                    model.record(page, size, stack);
                    table.free(old << 12, old_size, PERIOD);
                    model.free(old, old_size);
                }
                Step::Free { victim } => {
                    if model.alive.is_empty() {
                        continue;
                    }
                    let (page, size, _) = model.alive[victim.index(model.alive.len())];
                    table.free(page << 12, size, PERIOD);
                    model.free(page, size);
                }
            }
        }
        prop_assert_eq!(header(&words, word::LIVE_FULL), 0);
        let counts = counts(&words, &geometry);
        for (stack, (samples, bytes)) in model.counts {
            let words = counts[&Some(vec![stack as u64])];
            prop_assert_eq!((words[3] - words[0], words[4] - words[1]), (samples, bytes));
        }
    }
}

/// Threads that give blocks to each other as an allocator does: a block freed by one is soon another's, and a moved
/// block's end is told late.
#[test]
fn many_threads_that_reuse_each_others_blocks_lose_nothing() {
    const THREADS: usize = if cfg!(miri) { 3 } else { 4 };
    const ROUNDS: usize = if cfg!(miri) { 12 } else { 200_000 };
    let geometry = Geometry { live_slots: 256, ..GEOMETRY };
    let words = memory(&geometry);
    // A block is free while its flag is 0. Few of them, so that they meet.
    let blocks: Vec<AtomicU64> = (0..4).map(|_| AtomicU64::new(0)).collect();
    let get = |start: usize| {
        (0..).map(|step| (start + step) % blocks.len()).find(|block| {
            blocks[*block].compare_exchange(0, 1, Ordering::Acquire, Ordering::Relaxed).is_ok()
        })
    };
    let address = |block: usize| (block as u64 + 1) << 12;
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (words, geometry, blocks) = (&words, &geometry, &blocks);
            scope.spawn(move || {
                let table = Table::of(words, geometry).unwrap();
                for round in 0..ROUNDS {
                    let Some(block) = get(round) else { return };
                    let size = 1 + (round % 2) as u64;
                    table.record(address(block), size, &[thread + 1], PERIOD);
                    if round % 3 == 0 {
                        // Moved: the old block is somebody else's before its end is told.
                        blocks[block].store(0, Ordering::Release);
                        std::thread::yield_now();
                        table.free(address(block), size, PERIOD);
                    } else {
                        table.free(address(block), size, PERIOD);
                        blocks[block].store(0, Ordering::Release);
                    }
                }
            });
        }
    });
    let counts = counts(&words, &geometry);
    assert_eq!(counts.len(), THREADS);
    for words in counts.values() {
        assert_eq!(words[3], ROUNDS as u64);
        assert_eq!(words[..3], words[3..], "what was allocated was freed, to the byte");
    }
    let parts = geometry.parts();
    assert!(words[parts.keys].iter().all(|key| key.load(Ordering::Relaxed) == 0));
    assert_eq!(header(&words, word::LIVE_FULL), 0);
}
