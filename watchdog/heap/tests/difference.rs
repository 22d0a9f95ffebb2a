//! The difference of two profiles: of one process, of two processes of a program, and of two builds.

#![cfg(test)]

use proptest::prelude::*;
use watchdog_core::profile::{Frame, Mapping, Profile, StackSample};
use watchdog_core::units::{Bytes, WallTime};
use watchdog_heap::difference::{DeltaSample, Difference};
use watchdog_heap::symbols::Symbols;

fn sample(stack: &[u64], kib: u64) -> StackSample {
    StackSample {
        stack: stack.to_vec(),
        inuse_space: Bytes(kib << 10),
        inuse_objects: kib,
        alloc_space: Bytes(kib << 11),
        alloc_objects: kib * 2,
        samples: 1,
        ..StackSample::default()
    }
}

fn mapping(start: u64, path: &str, build_id: Option<&str>) -> Mapping {
    let build_id = build_id.map(str::to_owned);
    Mapping { start, end: start + 0x1000, file_offset: 0x4000, path: path.into(), build_id }
}

fn profile(taken: f64, mappings: Vec<Mapping>, stacks: Vec<StackSample>) -> Profile {
    let sample_period = Bytes(524_288);
    Profile { taken: WallTime(taken), stacks, mappings, sample_period, lost_samples: 0 }
}

fn shop(start: u64) -> Vec<Mapping> {
    vec![mapping(start, "/opt/shop", Some("aa")), mapping(0x70_0000, "/lib/libc.so.6", None)]
}

fn stacks(difference: &Difference) -> Vec<(&[u64], i64)> {
    difference.stacks.iter().map(|row| (row.stack.as_slice(), row.inuse_space >> 10)).collect()
}

#[test]
fn of_one_process_the_addresses_are_compared_as_they_are() {
    let stacks_before =
        vec![sample(&[0x10_0101], 8), sample(&[0x10_0201], 5), sample(&[0x10_0301], 7)];
    let stacks_after =
        vec![sample(&[0x10_0101], 9), sample(&[0x10_0201], 5), sample(&[0x10_0401], 2)];
    let before = profile(10.0, shop(0x10_0000), stacks_before);
    let after = profile(70.0, shop(0x10_0000), stacks_after);
    let difference = Difference::between(&before, &after);
    assert_eq!((difference.before, difference.after), (WallTime(10.0), WallTime(70.0)));
    assert_eq!(
        stacks(&difference),
        [(&[0x10_0401][..], 2), (&[0x10_0101], 1), (&[0x10_0301], -7)],
        "largest growth first, what stayed left out"
    );
    assert_eq!(difference.inuse_space(), -4 << 10);
    let shrunk = DeltaSample {
        stack: vec![0x10_0301],
        inuse_space: -7 << 10,
        inuse_objects: -7,
        alloc_space: -14 << 10,
        alloc_objects: -14,
    };
    assert_eq!(difference.stacks.last(), Some(&shrunk));
    assert_eq!(difference.mappings, after.mappings);
}

#[test]
fn another_process_of_the_program_is_compared_by_file_and_offset() {
    // The last address returns to just behind the file.
    let before = profile(
        0.0,
        shop(0x10_0000),
        vec![sample(&[0x10_0101, 0x70_0011], 8), sample(&[0x10_1000], 1), sample(&[0x5], 3)],
    );
    let after = profile(
        9.0,
        shop(0x20_0000),
        vec![sample(&[0x20_0101, 0x70_0011], 20), sample(&[0x20_1000], 1), sample(&[0x5], 3)],
    );
    let difference = Difference::between(&before, &after);
    assert_eq!(stacks(&difference), [(&[0x20_0101, 0x70_0011][..], 12)]);
}

#[test]
fn a_file_is_the_same_by_build_id_wherever_it_lies() {
    let moved = |path: &str, start, id| vec![mapping(start, path, Some(id))];
    let at = |start: u64| vec![sample(&[start + 0x101], 8)];
    let before = profile(0.0, moved("/opt/shop", 0x10_0000, "aa"), at(0x10_0000));
    let renamed = profile(1.0, moved("/opt/shop (deleted)", 0x20_0000, "aa"), at(0x20_0000));
    assert_eq!(Difference::between(&before, &renamed).stacks, []);
    let rebuilt = profile(1.0, moved("/opt/shop", 0x20_0000, "bb"), at(0x20_0000));
    assert_eq!(Difference::between(&before, &rebuilt).stacks.len(), 2);
}

#[test]
fn a_file_that_is_gone_is_moved_to_where_nothing_else_is() {
    let mut maps = shop(0x10_0000);
    maps.push(mapping(0x80_0000, "/lib/plugin.so", None));
    let before = profile(0.0, maps, vec![sample(&[0x80_0101], 8)]);
    // Something else lies there now.
    let mut maps = shop(0x20_0000);
    maps.push(mapping(0x80_0000, "/lib/other.so", None));
    let after = profile(1.0, maps, vec![sample(&[0x80_0101], 8)]);
    let difference = Difference::between(&before, &after);
    let [grown, shrunk] = difference.stacks.as_slice() else { panic!("{difference:?}") };
    assert_eq!((grown.stack.as_slice(), grown.inuse_space), (&[0x80_0101][..], 8 << 10));
    let plugin = difference.mappings.iter().find(|mapping| mapping.path.ends_with("plugin.so"));
    let plugin = plugin.expect("kept");
    assert_eq!(shrunk.stack[0] - plugin.start, 0x101, "the same place in the file");
    assert_eq!(plugin.file_offset, 0x4000);
}

fn named(names: &[(u64, &str)]) -> Symbols {
    let mut symbols = Symbols::default();
    for (address, name) in names {
        let frame = Frame { function: (*name).into(), file: None, line: None };
        symbols.insert(*address, vec![frame]);
    }
    symbols
}

#[test]
fn two_builds_are_compared_by_name() {
    let build = |id| vec![mapping(0x10_0000, "/opt/shop", Some(id))];
    let before = profile(0.0, build("aa"), vec![sample(&[0x10_0101], 8), sample(&[0x10_0201], 1)]);
    let after = profile(1.0, build("bb"), vec![sample(&[0x10_0141], 18), sample(&[0x10_0201], 5)]);
    let (difference, symbols) = Difference::between_named(
        &before,
        &named(&[(0x10_0101, "remember"), (0x10_0201, "gone")]),
        &after,
        &named(&[(0x10_0141, "remember"), (0x10_0201, "new")]),
    );
    let names: Vec<(&str, i64)> = difference
        .stacks
        .iter()
        .map(|row| (symbols.frames(row.stack[0])[0].function.as_str(), row.inuse_space >> 10))
        .collect();
    assert_eq!(names, [("remember", 10), ("new", 5), ("gone", -1)]);
}

#[test]
fn without_build_ids_names_tell_that_the_program_changed() {
    let maps = || vec![mapping(0x10_0000, "/opt/shop", None)];
    let before = profile(0.0, maps(), vec![sample(&[0x10_0101], 8)]);
    let after = profile(1.0, maps(), vec![sample(&[0x10_0101], 8)]);
    let (difference, symbols) = Difference::between_named(
        &before,
        &named(&[(0x10_0101, "old")]),
        &after,
        &named(&[(0x10_0101, "new")]),
    );
    let [grown, shrunk] = difference.stacks.as_slice() else { panic!("{difference:?}") };
    assert_eq!(symbols.frames(grown.stack[0])[0].function, "new");
    assert_eq!(symbols.frames(shrunk.stack[0])[0].function, "old");
}

fn profiles() -> impl Strategy<Value = Profile> {
    let stack = proptest::collection::vec(1..0x3000_u64, 0..4);
    let stacks = proptest::collection::vec((stack, 0..1000_u64), 0..20);
    let maps = proptest::collection::vec((0..8_u64, 0..3_usize), 0..3);
    (stacks, maps).prop_map(|(stacks, maps)| {
        let stacks = stacks.iter().map(|(stack, kib)| sample(stack, *kib)).collect();
        let paths = ["/a", "/b", "/c"];
        let mut maps: Vec<Mapping> =
            maps.into_iter().map(|(at, path)| mapping(at << 10, paths[path], None)).collect();
        maps.sort_by_key(|mapping| mapping.start);
        profile(0.0, maps, stacks)
    })
}

proptest! {
    // A case that fails is printed; it becomes a test above rather than a file.
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_lost_or_made_up(before in profiles(), after in profiles()) {
        let difference = Difference::between(&before, &after);
        let grown = after.inuse_space().0 as i64 - before.inuse_space().0 as i64;
        prop_assert_eq!(difference.inuse_space(), grown);
        prop_assert!(difference.stacks.is_sorted_by_key(|row| -row.inuse_space));
        prop_assert!(difference.mappings.is_sorted_by_key(|mapping| mapping.start));
    }

    #[test]
    fn a_profile_does_not_differ_from_itself(profile in profiles()) {
        prop_assert_eq!(Difference::between(&profile, &profile).stacks, []);
    }
}
