//! jemalloc's text: a dump worked out by hand, a gallery of hostile ones, and anything at all.

#![cfg(test)]

use proptest::prelude::*;
use watchdog_core::profile::Profile;
use watchdog_core::units::{Bytes, WallTime};
use watchdog_heap::jemalloc::{Fault, ParseError, ParseLimits, parse, write};

/// Two threads, three stacks (one twice, one that holds nothing any more), a library and what is not code.
const DUMP: &str = "heap_v2/524288
  t*: 11: 6294016 [0: 0]
  t0: 10: 6293504 [0: 0]
  t1: 1: 512 [0: 0] shop-worker
@ 0x55d000001010 0x55d000001020 0x7f0000000100
  t*: 1: 512 [0: 0]
  t1: 1: 512 [0: 0] shop-worker
@ 0x55d000001030
  t*: 4: 2097152 [0: 0]
  t0: 4: 2097152 [0: 0]
@ 0x55d000001030
  t*: 4: 2097152 [9: 18432]
@ 0x55d000001040
  t*: 0: 0 [5: 5]

MAPPED_LIBRARIES:
55d000000000-55d000001000 r--p 00000000 08:01 42                         /opt/my shop/bin
7f0000000000-7f0000001000 r-xp 00028000 08:01 43                         /usr/lib/libc.so.6
55d000001000-55d000002000 r-xp 00001000 08:01 42                         /opt/my shop/bin
7ffc00000000-7ffc00021000 rw-p 00000000 00:00 0                          [stack]
7ffc00100000-7ffc00102000 r-xp 00000000 00:00 0                          [vdso]
";

fn read(text: impl AsRef<[u8]>) -> Result<Profile, ParseError> {
    parse(text.as_ref(), WallTime(7.0), &ParseLimits::default())
}

fn fault(text: impl AsRef<[u8]>) -> (u64, Fault) {
    let error = read(text).expect_err("a fault");
    assert!(error.to_string().contains(&format!("line {}", error.line)), "{error}");
    (error.line, error.fault)
}

#[test]
fn a_dump_reads_as_worked_out_by_hand() {
    let profile = read(DUMP).expect("a profile");
    assert_eq!(profile.taken, WallTime(7.0));
    assert_eq!(profile.sample_period, Bytes(524_288));

    let [small, large, freed] = profile.stacks.as_slice() else { panic!("{:?}", profile.stacks) };
    // 1 / (1 - exp(-512 / 524288)) = 1024.500; times 1 object, times 512 bytes.
    assert_eq!(small.stack, [0x55d0_0000_1010, 0x55d0_0000_1020, 0x7f00_0000_0100]);
    assert_eq!((small.inuse_objects, small.inuse_space, small.samples), (1025, Bytes(524_544), 1));
    // 1 / (1 - exp(-1)) = 1.581977; 4 objects are 6.33, 2 MiB are 3317646; twice.
    assert_eq!(large.stack, [0x55d0_0000_1030]);
    assert_eq!((large.inuse_objects, large.inuse_space, large.samples), (12, Bytes(6_635_292), 8));
    // The same correction for what was ever allocated: 1 / (1 - exp(-2048 / 524288)) = 256.500.
    assert_eq!((large.alloc_objects, large.alloc_space), (2309, Bytes(4_727_814)));
    assert_eq!(freed.stack, [0x55d0_0000_1040]);
    assert_eq!((freed.inuse_objects, freed.inuse_space, freed.samples), (0, Bytes(0), 0));
    assert_eq!((freed.alloc_objects, freed.alloc_space), (2_621_443, Bytes(2_621_443)));

    let paths: Vec<(&str, u64)> =
        profile.mappings.iter().map(|m| (m.path.as_str(), m.file_offset)).collect();
    assert_eq!(paths, [("/opt/my shop/bin", 0x1000), ("/usr/lib/libc.so.6", 0x28000)]);
}

#[test]
fn what_is_written_reads_as_the_same_profile() {
    let mut profile = read(DUMP).expect("a profile");
    let mut text = Vec::new();
    write(&profile, &mut text).expect("written");
    // Twice 6.33 objects are 12 when each stack is rounded, and 13 when they are one stack.
    assert_eq!(profile.stacks[1].inuse_objects, 12);
    profile.stacks[1].inuse_objects = 13;
    assert_eq!(read(&text).expect("a profile"), profile);
}

#[test]
fn a_profile_without_mappings_is_not_written() {
    let error = write(&Profile::default(), &mut Vec::new()).expect_err("refused");
    assert!(error.to_string().contains("write pprof instead"), "{error}");
}

#[test]
fn a_stack_that_never_held_anything_is_left_out() {
    let dump = DUMP.replace("t*: 0: 0 [5: 5]", "t*: 0: 0 [0: 0]");
    assert_eq!(read(dump).expect("a profile").stacks.len(), 2);
}

#[test]
fn line_ends_of_windows_and_bytes_that_are_no_text_are_borne() {
    let mut dump = DUMP.replace('\n', "\r\n").into_bytes();
    dump.extend_from_slice(b"1000-2000 r-xp 00000000 08:01 44 /opt/\xff\xfe.so\n");
    let profile = read(&dump).expect("a profile");
    assert_eq!(profile.mappings[0].path, "/opt/\u{fffd}\u{fffd}.so");
}

#[test]
fn a_stack_that_could_not_be_unwound_is_kept_with_what_it_holds() {
    let profile = read(DUMP.replace("@ 0x55d000001010 0x55d000001020 0x7f0000000100", "@"));
    let stacks = profile.expect("a profile").stacks;
    assert_eq!((stacks[0].stack.len(), stacks[0].samples), (0, 1));
}

#[test]
fn other_formats_are_named_for_what_they_are_not() {
    for text in [
        "",
        "heap_v2/0\n",
        "heap_v2/\n",
        "heap_v2/-1\n",
        "heap profile: 1: 2 [3: 4] @ heapprofile\n",
        "<!doctype html><title>404</title>\n",
        "\u{1f}garbage without an end",
    ] {
        let (line, fault) = fault(text);
        assert!(line == 1 && matches!(fault, Fault::NotHeapV2(_)), "{text:?}: {fault:?}");
    }
}

#[test]
fn a_dump_cut_anywhere_is_not_a_dump() {
    let end = DUMP.rfind("55d000001000-").expect("a mapping") - 1;
    let libc = DUMP.find("7f0000000000-").expect("a mapping");
    for length in 0..end {
        let cut = read(&DUMP[..length]);
        // Cut between two lines of the mappings, nothing shows that there were more.
        if length > libc && DUMP[..length].ends_with('\n') {
            continue;
        }
        let error = cut.expect_err("a fault");
        assert!(
            matches!(error.fault, Fault::CutShort | Fault::NoMappings | Fault::NotHeapV2(_)),
            "{length}: {error}"
        );
    }
}

#[test]
fn a_dump_without_mappings_says_why_that_matters() {
    let end = DUMP.find("MAPPED").expect("a section");
    for text in [&DUMP[..end], &DUMP[..end + "MAPPED_LIBRARIES:\n".len()]] {
        assert_eq!(fault(text).1, Fault::NoMappings);
    }
}

#[test]
fn each_broken_line_is_named() {
    for (from, to, line) in [
        ("t1: 1: 512 [0: 0] shop-worker\n@", "thread one\n@", 4),
        ("@ 0x55d000001010 ", "@ 55d000001010 ", 5),
        ("@ 0x55d000001010 ", "@ 0x55d00000101000000 ", 5),
        ("@ 0x55d000001010 ", "@ 0x ", 5),
        ("t*: 1: 512 [0: 0]", "t*: 1: 512", 6),
        ("t*: 1: 512 [0: 0]", "t*: 1: -512 [0: 0]", 6),
        ("t*: 1: 512 [0: 0]", "t*: 1: 99999999999999999999 [0: 0]", 6),
        ("t*: 1: 512 [0: 0]", "t*: 1 512 [0: 0]", 6),
        ("@ 0x55d000001030\n", "  t*: 1: 512 [0: 0]\n", 8),
        ("7f0000000000-7f0000001000", "7f0000001000-7f0000000000", 18),
        ("08:01 43 ", "08:01 forty-three ", 18),
    ] {
        let (at, fault) = fault(DUMP.replacen(from, to, 1));
        assert!(at == line && matches!(fault, Fault::Unexpected { .. }), "{to}: {at} {fault:?}");
    }
}

#[test]
fn stacks_without_counts_and_counts_without_sense_are_faults() {
    let lost = DUMP.replacen("  t*: 1: 512 [0: 0]\n", "", 1);
    assert_eq!(fault(lost), (7, Fault::NoTotal));
    let last = DUMP.replacen("  t*: 0: 0 [5: 5]\n", "", 1);
    assert_eq!(fault(last), (15, Fault::NoTotal));
    let once = DUMP.replacen("[5: 5]", "[5: 0]", 1);
    assert_eq!(fault(once), (14, Fault::Impossible { objects: 5, bytes: 0 }));
    let weightless = DUMP.replacen("t*: 1: 512 [0: 0]", "t*: 3: 0 [0: 0]", 1);
    assert_eq!(fault(weightless), (6, Fault::Impossible { objects: 3, bytes: 0 }));
}

#[test]
fn gigantic_counts_stop_at_the_largest_number() {
    let max = u64::MAX;
    let stack = format!("  t*: {max}: {max} [{max}: {max}]");
    let huge = DUMP.replace("  t*: 4: 2097152 [0: 0]", &stack);
    let profile = read(huge.replace("  t*: 4: 2097152 [9: 18432]", &stack)).expect("a profile");
    assert_eq!(profile.stacks[1].inuse_space, Bytes(max));
    assert_eq!(profile.inuse_space(), Bytes(max));
}

#[test]
fn every_limit_holds() {
    let with = |limits| parse(DUMP.as_bytes(), WallTime(0.0), &limits).expect_err("a limit").fault;
    let all = ParseLimits::default();
    assert_eq!(with(ParseLimits { max_line: 40, ..all }), Fault::LineTooLong(40));
    assert_eq!(with(ParseLimits { max_stacks: 3, ..all }), Fault::TooManyStacks(3));
    assert_eq!(with(ParseLimits { max_depth: 2, ..all }), Fault::StackTooDeep(2));
    assert_eq!(with(ParseLimits { max_mappings: 1, ..all }), Fault::TooManyMappings(1));
    let longest = DUMP.lines().map(str::len).max().expect("a line");
    let exact = ParseLimits { max_line: longest, max_stacks: 4, max_depth: 3, max_mappings: 2 };
    assert!(parse(DUMP.as_bytes(), WallTime(0.0), &exact).is_ok());
}

#[test]
fn an_excerpt_in_an_error_is_short_and_printable() {
    let (_, fault) = fault(format!("{}\n", "\u{1b}[31m\u{0}".repeat(1000)));
    let text = fault.to_string();
    assert!(text.len() < 400 && !text.contains('\u{1b}'), "{text}");
}

proptest! {
    // A case that fails is printed; it becomes a test above rather than a file.
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_make_it_panic(text in proptest::collection::vec(any::<u8>(), 0..400)) {
        prop_assert!(read(&text).is_err());
        let mut dump = b"heap_v2/1\n".to_vec();
        dump.extend_from_slice(&text);
        drop(read(&dump));
    }

    #[test]
    fn no_damage_to_a_dump_makes_it_panic(at in 0..DUMP.len(), length in 0..40_usize, with in "[ -~\n]{0,20}") {
        let end = (at + length).min(DUMP.len());
        let damaged = [&DUMP[..at], with.as_str(), &DUMP[end..]].concat();
        if let Ok(profile) = read(&damaged) {
            let mut stacks: Vec<_> = profile.stacks.iter().map(|sample| &sample.stack).collect();
            stacks.sort();
            prop_assert!(stacks.is_sorted_by(|a, b| a < b), "each stack once");
            prop_assert!(profile.mappings.is_sorted_by_key(|mapping| mapping.start));
        }
    }

    #[test]
    fn any_counts_survive_being_written(objects in 1..1_u64 << 30, size in 1..1_u64 << 20, lg in 0..31_u32) {
        let bytes = objects * size;
        let dump = format!(
            "heap_v2/{}\n@ 0x1\n  t*: {objects}: {bytes} [{objects}: {bytes}]\nMAPPED_LIBRARIES:\n0-1 r-xp 0 0:0 0 /x\n",
            1_u64 << lg
        );
        let profile = read(dump).expect("a profile");
        let mut text = Vec::new();
        write(&profile, &mut text).expect("written");
        let again = read(&text).expect("a profile");
        let (sample, was) = (&again.stacks[0], &profile.stacks[0]);
        // A float has 53 bits.
        let precision = 1 + was.inuse_space.0 / (1 << 51);
        prop_assert!(sample.inuse_objects.abs_diff(was.inuse_objects) <= 1 + was.inuse_objects / 1000);
        prop_assert!(sample.inuse_space.0.abs_diff(was.inuse_space.0) < precision);
        prop_assert!(sample.alloc_space.0.abs_diff(was.alloc_space.0) < precision);
    }

    #[test]
    fn no_counts_make_less_than_was_sampled(objects in 1..u64::MAX, bytes in 1..u64::MAX, lg in 0..63_u32) {
        let dump = format!(
            "heap_v2/{}\n@ 0x1\n  t*: {objects}: {bytes} [0: 0]\nMAPPED_LIBRARIES:\n0-1 r-xp 0 0:0 0 /x\n",
            1_u64 << lg
        );
        let profile = read(dump).expect("a profile");
        // Within a float's precision.
        prop_assert!(profile.stacks[0].inuse_space.as_f64() >= bytes as f64 * 0.999_999);
        prop_assert!(profile.stacks[0].inuse_objects as f64 >= objects as f64 * 0.999_999);
    }
}
