//! Retention on made-up dumps, one by one as they are stored.

use std::time::Duration;

use proptest::prelude::*;
use watchdog_core::units::{Bytes, WallTime};

use super::*;
use crate::store::{NewDump, meta};

const WIDE: StoreBounds = StoreBounds {
    count_per_target: 1000,
    bytes_per_target: Bytes(u64::MAX),
    total_bytes: Bytes(u64::MAX),
    max_age: None,
};

/// A store in memory.
#[derive(Default)]
struct Kept {
    dumps: Vec<DumpMeta>,
    next: u64,
}

impl Kept {
    /// Stores 10 bytes of a target's ramp, then removes what is surplus.
    fn put(&mut self, target: &str, ramp: &str, taken: f64, bounds: &StoreBounds) {
        let new = NewDump {
            target: target.into(),
            ramp: ramp.into(),
            taken: WallTime(taken),
            ..NewDump::default()
        };
        self.dumps.push(DumpMeta::new(&new, self.next, Bytes(10)));
        let written = self.dumps.last().map(|dump| dump.id.clone());
        self.next += 1;
        self.remove(written.as_deref(), bounds, taken);
    }

    fn remove(&mut self, written: Option<&str>, bounds: &StoreBounds, now: f64) {
        let gone = surplus(&self.dumps, written, bounds, WallTime(now));
        let gone: Vec<String> = gone.into_iter().map(|dump| dump.id.clone()).collect();
        self.dumps.retain(|dump| !gone.contains(&dump.id));
    }

    fn sequences(&self) -> Vec<u64> {
        self.dumps.iter().map(sequence).collect()
    }

    fn taken(&self) -> Vec<f64> {
        self.dumps.iter().map(|dump| dump.taken.0).collect()
    }
}

fn sequence(dump: &DumpMeta) -> u64 {
    meta::sequence(&dump.id).expect("an id")
}

/// Stores `a1 a2 b1 …`, a target and its ramp each, a second apart.
fn stored(dumps: &str, bounds: StoreBounds) -> Vec<u64> {
    let mut kept = Kept::default();
    for (at, dump) in dumps.split(' ').enumerate() {
        kept.put(&dump[..1], dump, at as f64, &bounds);
    }
    kept.sequences()
}

fn count(count_per_target: usize) -> StoreBounds {
    StoreBounds { count_per_target, ..WIDE }
}

fn total(total: u64) -> StoreBounds {
    StoreBounds { total_bytes: Bytes(total), ..WIDE }
}

#[test]
fn within_the_bounds_nothing_goes() {
    assert_eq!(stored("a1 a1 a2 b1 b1", total(50)), [0, 1, 2, 3, 4]);
}

#[test]
fn of_a_ramp_the_first_the_last_and_three_evenly_between_stay() {
    let mut kept = Kept::default();
    for at in 0..=8 {
        kept.put("a", "1", f64::from(at), &WIDE);
    }
    assert_eq!(kept.taken(), [0.0, 2.0, 4.0, 6.0, 8.0]);
}

#[test]
fn the_oldest_ramp_goes_first_and_of_it_what_is_between() {
    assert_eq!(stored("a1 a1 a1 a2 a2", count(4)), [0, 2, 3, 4]);
    assert_eq!(stored("a1 a1 a1 a2 a2", count(3)), [2, 3, 4]);
    assert_eq!(stored("a1 a1 a2 a2 a3", count(2)), [3, 4]);
}

#[test]
fn a_ramp_that_goes_on_after_another_is_the_newest_again() {
    assert_eq!(stored("a1 a2 a2 a1", count(3)), [0, 2, 3]);
}

#[test]
fn within_the_newest_ramp_the_first_and_the_last_stay_longest() {
    assert_eq!(stored("a1 a1 a1 a1 a1", count(3)), [0, 2, 4]);
    assert_eq!(stored("a1 a1 a1 a1", count(2)), [0, 3]);
}

#[test]
fn bytes_of_a_target_are_bounded_as_its_count_is() {
    let bounds = StoreBounds { bytes_per_target: Bytes(30), ..WIDE };
    assert_eq!(stored("a1 a1 b1 a1 a1 b1", bounds), [0, 2, 3, 4, 5]);
    let bounds = StoreBounds { bytes_per_target: Bytes(10), ..WIDE };
    assert_eq!(stored("a1 a1 b1", bounds), [1, 2]);
}

#[test]
fn too_many_bytes_in_all_lose_old_ramps_then_what_is_between() {
    assert_eq!(stored("a1 a2 a2 a2 b1", total(40)), [1, 2, 3, 4]);
    assert_eq!(stored("a1 a2 a2 a2 b1", total(30)), [1, 3, 4]);
}

#[test]
fn other_targets_go_before_this_ones_first() {
    assert_eq!(stored("a1 b1 c1 a1", total(30)), [0, 2, 3]);
    assert_eq!(stored("b1 c1 a1 a1", total(20)), [2, 3]);
}

#[test]
fn the_dump_just_written_stays_at_any_price() {
    assert_eq!(stored("a1 a1 b1", total(10)), [2]);
    assert_eq!(stored("a1 a1", total(1)), [1]);
}

#[test]
fn in_all_targets_there_are_at_most_a_thousand() {
    let mut kept = Kept::default();
    for at in 0..1005 {
        kept.put(&format!("t{at}"), "1", 0.0, &WIDE);
    }
    assert_eq!(kept.dumps.len(), MAX_DUMPS);
    assert_eq!(kept.dumps[0].target, "t5");
}

#[test]
fn a_dump_that_narrowed_bounds_have_no_room_for_goes_alone() {
    let mut kept = Kept::default();
    for target in ["a", "b", "c"] {
        kept.put(target, "1", 0.0, &WIDE);
    }
    kept.dumps[2].bytes = Bytes(1000);
    kept.remove(None, &total(25), 0.0);
    assert_eq!(kept.sequences(), [0, 1]);
}

#[test]
fn dumps_that_are_too_old_go_but_a_targets_newest_stays() {
    let bounds = StoreBounds { max_age: Some(Duration::from_secs(100)), ..WIDE };
    let mut kept = Kept::default();
    for (target, taken) in [("a", 0.0), ("a", 50.0), ("b", 60.0), ("a", 90.0)] {
        kept.put(target, "1", taken, &bounds);
    }
    kept.remove(None, &bounds, 100.0);
    assert_eq!(kept.sequences(), [0, 1, 2, 3], "at the age itself nothing goes");
    kept.remove(None, &bounds, 120.0);
    assert_eq!(kept.sequences(), [1, 2, 3]);
    kept.remove(None, &bounds, 31_536_000.0);
    assert_eq!(kept.sequences(), [2, 3], "a clock that jumped a year ahead leaves one each");
}

#[test]
fn a_clock_that_was_set_back_makes_nothing_old() {
    let bounds = StoreBounds { max_age: Some(Duration::from_secs(100)), ..WIDE };
    let mut kept = Kept::default();
    for taken in [31_536_000.0, 31_536_010.0, 5.0, 6.0] {
        kept.put("a", "1", taken, &bounds);
    }
    assert_eq!(kept.sequences(), [0, 1, 2, 3]);
}

proptest! {
    #[test]
    fn however_dumps_come_the_bounds_hold_and_the_newest_stays(
        dumps in prop::collection::vec((0..3_u8, 0..4_u8, -100.0..1000.0_f64), 1..60),
        count_per_target in 2..12_usize,
        bytes_per_target in 10..150_u64,
        total_bytes in 10..300_u64,
        max_age in prop::option::of(0..500_u64),
    ) {
        let bounds = StoreBounds {
            count_per_target,
            bytes_per_target: Bytes(bytes_per_target),
            total_bytes: Bytes(total_bytes),
            max_age: max_age.map(Duration::from_secs),
        };
        let mut kept = Kept::default();
        for (target, ramp, taken) in dumps {
            kept.put(&target.to_string(), &ramp.to_string(), taken, &bounds);
            let kept_dumps = kept.dumps.iter().enumerate();
            let refs: Vec<_> = kept_dumps.map(|(at, dump)| Entry { at, dump }).collect();
            prop_assert_eq!(kept.sequences().last().copied(), Some(kept.next - 1));
            prop_assert!(refs.len() as u64 * 10 <= total_bytes);
            for of_target in grouped(&refs, |dump| &dump.target).into_values() {
                prop_assert!(of_target.len() <= count_per_target);
                prop_assert!(of_target.len() as u64 * 10 <= bytes_per_target);
                for of_ramp in grouped(&of_target, |dump| &dump.ramp).into_values() {
                    prop_assert!(of_ramp.len() <= MAX_OF_RAMP);
                }
            }
        }
    }

    #[test]
    fn of_a_ramp_the_first_stays_and_no_gap_is_wider_than_half_of_it(
        pauses in prop::collection::vec(0.0..100.0_f64, 1..80),
    ) {
        let mut kept = Kept::default();
        let mut came = vec![0.0];
        kept.put("a", "1", 0.0, &WIDE);
        for pause in pauses {
            let now = came[came.len() - 1] + pause;
            came.push(now);
            kept.put("a", "1", now, &WIDE);
            let taken = kept.taken();
            prop_assert_eq!(kept.sequences()[0], 0);
            prop_assert_eq!(taken.len(), came.len().min(MAX_OF_RAMP));
            for (dumps, times) in kept.dumps.windows(2).zip(taken.windows(2)) {
                let as_they_came = sequence(&dumps[0]) + 1 == sequence(&dumps[1]);
                prop_assert!(as_they_came || times[1] - times[0] <= now / 2.0 + 1e-9);
            }
        }
    }

    #[test]
    fn looking_twice_removes_nothing_more(
        dumps in prop::collection::vec((0..3_u8, 0..4_u8, 0.0..1000.0_f64), 1..40),
    ) {
        let bounds = StoreBounds {
            count_per_target: 6,
            bytes_per_target: Bytes(60),
            total_bytes: Bytes(120),
            max_age: Some(Duration::from_secs(300)),
        };
        let mut kept = Kept::default();
        for (target, ramp, taken) in &dumps {
            kept.put(&target.to_string(), &ramp.to_string(), *taken, &WIDE);
        }
        kept.remove(None, &bounds, 1000.0);
        let once = kept.sequences();
        kept.remove(None, &bounds, 1000.0);
        prop_assert_eq!(kept.sequences(), once);
    }
}
