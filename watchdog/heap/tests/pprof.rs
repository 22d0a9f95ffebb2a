//! pprof's format: round trips of everything it can say, and a gallery of hostile bytes.

#![cfg(test)]

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;
use watchdog_core::profile::{Frame, Label, LabelValue, Labelled, Mapping, Profile, StackSample};
use watchdog_core::units::{Bytes, WallTime};
use watchdog_heap::pprof::{
    Missing, PprofError, Read, ReadLimits, read, write, write_with_comments,
};
use watchdog_heap::symbols::Symbols;

const LIMITS: fn() -> ReadLimits = ReadLimits::default;

fn mapping(start: u64, end: u64, path: &str, build_id: Option<&str>) -> Mapping {
    let build_id = build_id.map(str::to_owned);
    Mapping { start, end, file_offset: 0x1000, path: path.into(), build_id }
}

fn frame(function: &str, file: Option<&str>, line: Option<u32>) -> Frame {
    Frame { function: function.into(), file: file.map(str::to_owned), line }
}

fn text(key: &str, value: &str) -> Label {
    Label { key: key.into(), value: LabelValue::Text(value.into()) }
}

fn number(key: &str, value: i64, unit: &str) -> Label {
    Label { key: key.into(), value: LabelValue::Number { value, unit: unit.into() } }
}

fn part(labels: Vec<Label>, space: u64, objects: u64) -> Labelled {
    Labelled {
        labels,
        inuse_space: Bytes(space),
        inuse_objects: objects,
        alloc_space: Bytes(2 * space),
        alloc_objects: 2 * objects,
    }
}

/// Two files, an inlined call, labels of both kinds, and an address outside of every file.
fn profile() -> (Profile, Symbols) {
    let labelled = vec![
        part(vec![text("thread", "worker-1"), number("bytes", 4096, "bytes")], 4 << 20, 1024),
        part(vec![number("depth", -3, "")], 1 << 20, 256),
        part(Vec::new(), 1 << 20, 16),
    ];
    let large = StackSample {
        stack: vec![0x5001, 0x5101, 0x9001],
        inuse_space: Bytes(6 << 20),
        inuse_objects: 1296,
        alloc_space: Bytes(12 << 20),
        alloc_objects: 2592,
        samples: 12,
        labelled,
    };
    let freed = StackSample {
        stack: vec![0x5001, 0xf001],
        alloc_space: Bytes(9 << 20),
        alloc_objects: 9,
        ..StackSample::default()
    };
    let profile = Profile {
        taken: WallTime(1_700_000_000.25),
        stacks: vec![large, freed],
        mappings: vec![
            mapping(0x5000, 0x6000, "/opt/shop", Some("00ff")),
            mapping(0x9000, 0xa000, "/usr/lib/libc.so.6", None),
        ],
        sample_period: Bytes(524_288),
        lost_samples: 0,
    };
    let mut symbols = Symbols::default();
    symbols.insert(0x5001, vec![frame("alloc::alloc::alloc", Some("alloc.rs"), Some(9))]);
    let inlined = frame("shop::remember", Some("src/cache.rs"), Some(40));
    symbols.insert(0x5101, vec![inlined, frame("shop::serve", Some("src/main.rs"), None)]);
    symbols.insert(0x9001, vec![frame("start_thread", None, None)]);
    symbols.insert(0xf001, vec![frame("[jit]", None, None)]);
    (profile, symbols)
}

fn written(profile: &Profile, symbols: &Symbols) -> Vec<u8> {
    let mut bytes = Vec::new();
    write(profile, symbols, &mut bytes).expect("written");
    bytes
}

fn read_again(profile: &Profile, symbols: &Symbols) -> Read {
    read(&written(profile, symbols), &LIMITS()).expect("read")
}

#[test]
fn everything_that_is_written_is_read_again() {
    let (profile, symbols) = profile();
    let again = read_again(&profile, &symbols);
    assert_eq!(again.profile, profile);
    assert_eq!(again.symbols, symbols);
    assert_eq!((again.unaddressed, again.comments.len()), (0, 0));
}

#[test]
fn without_names_addresses_and_mappings_are_all_there_is() {
    let (profile, _) = profile();
    let again = read_again(&profile, &Symbols::default());
    assert_eq!(again.profile, profile);
    assert!(again.symbols.is_empty());
}

#[test]
fn what_was_ever_allocated_is_left_out_where_nothing_counts_it() {
    let (mut profile, symbols) = profile();
    profile.stacks.pop();
    let sample = &mut profile.stacks[0];
    (sample.alloc_space, sample.alloc_objects) = (Bytes(0), 0);
    sample.labelled.clear();
    let again = read_again(&profile, &symbols);
    assert_eq!(again.profile, profile);
}

#[test]
fn a_profile_says_what_it_is_missing() {
    let (mut profile, symbols) = profile();
    profile.lost_samples = 7;
    let mut bare = Symbols::default();
    bare.insert(0x5001, symbols.frames(0x5001).to_vec());
    let mut bytes = Vec::new();
    write_with_comments(&profile, &bare, &["from the shop".into()], &mut bytes).expect("written");
    let again = read(&bytes, &LIMITS()).expect("read");
    let [own, lost, stripped] = again.comments.as_slice() else { panic!("{:?}", again.comments) };
    assert_eq!(own, "from the shop");
    assert!(lost.starts_with("7 sampled allocations"), "{lost}");
    assert!(stripped.contains("/usr/lib/libc.so.6"), "{stripped}");
    // Beside named addresses those without a name say where they are.
    assert_eq!(again.symbols.frames(0x9001)[0].function, "libc.so.6+0x1000");
    assert_eq!(again.symbols.frames(0xf001)[0].function, "0xf001");
}

/// Protobuf by hand: what no well-meaning writer makes.
#[derive(Default)]
struct Raw(Vec<u8>);

impl Raw {
    fn varint(mut self, mut value: u64) -> Self {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
        self
    }

    fn number(self, field: u64, value: u64) -> Self {
        self.varint(field << 3).varint(value)
    }

    fn bytes(self, field: u64, bytes: &[u8]) -> Self {
        let mut raw = self.varint(field << 3 | 2).varint(bytes.len() as u64);
        raw.0.extend_from_slice(bytes);
        raw
    }

    fn message(self, field: u64, message: Self) -> Self {
        let mut raw = self.varint(field << 3 | 2).varint(message.0.len() as u64);
        raw.0.extend(message.0);
        raw
    }

    fn strings(mut self, strings: &[&str]) -> Self {
        for string in strings {
            self = self.bytes(6, string.as_bytes());
        }
        self
    }
}

/// `inuse_space/bytes` alone, with a table of texts whose index 3 is free.
fn heap() -> Raw {
    Raw::default()
        .strings(&["", "inuse_space", "bytes", "main"])
        .message(1, Raw::default().number(1, 1).number(2, 2))
}

fn sample(locations: &[u64], value: u64) -> Raw {
    let packed = locations.iter().fold(Raw::default(), |raw, id| raw.varint(*id));
    Raw::default().bytes(1, &packed.0).number(2, value)
}

fn location(id: u64, address: u64, function: Option<u64>) -> Raw {
    let raw = Raw::default().number(1, id).number(3, address);
    function.into_iter().fold(raw, |raw, id| raw.message(4, Raw::default().number(1, id)))
}

fn fault(raw: &Raw) -> PprofError {
    read(&raw.0, &LIMITS()).expect_err("a fault")
}

#[test]
fn locations_that_share_an_address_or_have_none_keep_their_names() {
    let function = |id| Raw::default().number(1, id).number(2, 3);
    let raw = heap()
        .message(5, function(1))
        .message(5, function(2))
        .message(4, location(1, 0, Some(1)))
        .message(4, location(2, 0, Some(1)))
        .message(4, location(3, 0x10, Some(1)))
        .message(4, location(4, 0x10, Some(1)))
        .message(4, location(5, 0x10, Some(2)))
        .message(2, sample(&[1, 2, 3, 4, 5], 100));
    let read = read(&raw.0, &LIMITS()).expect("read");
    let stack = &read.profile.stacks[0].stack;
    assert_eq!(read.unaddressed, 3);
    assert_eq!((stack[2], stack[3]), (0x11, 0x11), "the same place twice");
    assert!(stack[4] != 0x11 && stack[0] != stack[1]);
    assert!(stack.iter().all(|address| read.symbols.frames(*address)[0].function == "main"));
    // Written again, they have no address again.
    let again = read_again(&read.profile, &read.symbols);
    assert_eq!(again.unaddressed, 3);
    assert_eq!(again.profile, read.profile);
}

#[test]
fn files_that_all_lie_at_zero_are_moved_apart() {
    let mapping = |id| Raw::default().number(1, id).number(2, 0).number(3, u64::MAX).number(5, 3);
    let place = |id, mapping| location(id, 0x10, None).number(2, mapping);
    let raw = heap()
        .message(3, mapping(1))
        .message(3, mapping(2))
        .message(4, place(1, 1))
        .message(4, place(2, 2))
        .message(2, sample(&[1, 2], 100));
    let read = read(&raw.0, &LIMITS()).expect("read");
    assert_eq!(read.unaddressed, 0);
    let stack = &read.profile.stacks[0].stack;
    for (address, mapping) in stack.iter().zip(&read.profile.mappings) {
        assert_eq!(address - mapping.start, 0x11);
    }
}

#[test]
fn samples_without_a_period_rest_on_an_estimate() {
    let raw = heap().message(4, location(1, 1, None)).message(2, sample(&[1], 10 << 20));
    let read = read(&raw.0, &LIMITS()).expect("read");
    assert_eq!((read.profile.sample_period, read.profile.stacks[0].samples), (Bytes(0), 20));
}

#[test]
fn a_profile_of_something_else_is_named() {
    let raw = Raw::default()
        .strings(&["", "cpu", "nanoseconds"])
        .message(1, Raw::default().number(1, 1).number(2, 2));
    let error = fault(&raw).to_string();
    assert!(error.contains("cpu/nanoseconds") && error.contains("inuse_space"), "{error}");
}

#[test]
fn references_to_nothing_are_faults() {
    let missing = |by, what, id| PprofError::Missing(Missing { by, what, id });
    for (raw, error) in [
        (heap().message(2, sample(&[9], 1)), missing("a sample", "the location", 9)),
        (
            heap().message(4, location(1, 1, Some(1 << 40))),
            missing("a line", "the function", 1 << 40),
        ),
        (
            heap().message(4, location(1, 1, None).number(2, 7)),
            missing("a location", "the mapping", 7),
        ),
        (
            heap().message(1, Raw::default().number(1, u64::MAX)),
            missing("a type of value", "the text", u64::MAX),
        ),
        (heap().number(13, 99), missing("a comment", "the text", 99)),
    ] {
        assert_eq!(fault(&raw), error);
    }
    let twice = heap().message(4, location(1, 1, None)).message(4, location(1, 2, None));
    assert_eq!(fault(&twice), PprofError::Duplicate { what: "location", id: 1 });
}

#[test]
fn a_difference_and_samples_of_another_width_are_refused() {
    let place = || heap().message(4, location(1, 1, None));
    let negative = place().message(2, sample(&[1], -5_i64 as u64));
    assert_eq!(fault(&negative), PprofError::Negative(-5));
    let wide = place().message(2, sample(&[1], 1).number(2, 2));
    assert!(fault(&wide).to_string().contains("2 values where 1 types"), "{}", fault(&wide));
}

#[test]
fn hostile_bytes_are_told_from_profiles() {
    for bytes in [
        &b""[..],
        b"\x1f\x8b",
        b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
        b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\x7f",
        b"<!doctype html>",
        b"heap_v2/524288\n",
        b"\x0b\x0c",
        b"\x00\x00",
    ] {
        let error = read(bytes, &LIMITS()).expect_err("a fault").to_string();
        assert!(error.starts_with("pprof: "), "{error}");
    }
}

#[test]
fn a_profile_cut_anywhere_is_not_a_profile() {
    let (profile, symbols) = profile();
    let bytes = written(&profile, &symbols);
    for length in 0..bytes.len() {
        assert!(read(&bytes[..length], &LIMITS()).is_err(), "{length}");
    }
}

#[test]
fn a_zip_bomb_stops_at_the_limit() {
    let mut bomb = GzEncoder::new(Vec::new(), Compression::best());
    for _ in 0..64 {
        bomb.write_all(&[0; 1 << 20]).expect("compressed");
    }
    let bomb = bomb.finish().expect("compressed");
    assert!(bomb.len() < 1 << 20);
    let limits = ReadLimits { max_bytes: 1 << 20, ..LIMITS() };
    assert_eq!(read(&bomb, &limits), Err(PprofError::TooLarge(1 << 20)));
    assert_eq!(
        read(&[0; 9], &ReadLimits { max_bytes: 8, ..LIMITS() }),
        Err(PprofError::TooLarge(8))
    );
}

#[test]
fn one_long_name_used_often_stops_at_the_limit() {
    let name = "x".repeat(1 << 20);
    let mut raw = heap().strings(&[&name]).message(5, Raw::default().number(1, 1).number(2, 4));
    for id in 1..100 {
        raw = raw.message(4, location(id, id, Some(1)));
    }
    let limits = ReadLimits { max_text: 10 << 20, ..LIMITS() };
    let error = read(&raw.0, &limits).expect_err("a limit");
    assert!(matches!(error, PprofError::TooMany { .. }), "{error}");
}

#[test]
fn every_limit_holds() {
    let (profile, symbols) = profile();
    let bytes = written(&profile, &symbols);
    let all = LIMITS();
    for limits in [
        ReadLimits { max_samples: 3, ..all },
        ReadLimits { max_depth: 2, ..all },
        ReadLimits { max_frames: 4, ..all },
        ReadLimits { max_locations: 3, ..all },
        ReadLimits { max_functions: 4, ..all },
        ReadLimits { max_strings: 10, ..all },
        ReadLimits { max_mappings: 1, ..all },
        ReadLimits { max_labels: 2, ..all },
        ReadLimits { max_text: 50, ..all },
    ] {
        let error = read(&bytes, &limits).expect_err("a limit");
        assert!(matches!(error, PprofError::TooMany { .. }), "{limits:?}: {error}");
    }
    let exact = ReadLimits {
        max_samples: 4,
        max_depth: 3,
        max_frames: 5,
        max_locations: 4,
        max_functions: 5,
        max_mappings: 2,
        max_labels: 3,
        ..all
    };
    assert!(read(&bytes, &exact).is_ok());
}

fn samples() -> impl Strategy<Value = Vec<StackSample>> {
    let stack = proptest::collection::vec(2..50_u64, 0..6);
    let figures = (1..1_u64 << 40, 1..1_u64 << 20, 0..1_u64 << 40);
    proptest::collection::vec((stack, figures), 0..20).prop_map(|samples| {
        let mut samples: Vec<StackSample> = samples
            .into_iter()
            .map(|(stack, (space, objects, ever))| StackSample {
                stack,
                inuse_space: Bytes(space),
                inuse_objects: objects,
                alloc_space: Bytes(ever),
                ..StackSample::default()
            })
            .collect();
        samples.sort_by(|a, b| a.stack.cmp(&b.stack));
        samples.dedup_by(|a, b| a.stack == b.stack);
        samples
    })
}

proptest! {
    // A case that fails is printed; it becomes a test above rather than a file.
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_profile_comes_back(stacks in samples()) {
        let mut profile = Profile { stacks, ..profile().0 };
        let again = read_again(&profile, &Symbols::default()).profile;
        for (sample, read) in profile.stacks.iter_mut().zip(&again.stacks) {
            sample.samples = read.samples;
        }
        prop_assert_eq!(again, profile);
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        drop(read(&bytes, &LIMITS()));
        let mut raw = heap();
        raw.0.extend_from_slice(&bytes);
        drop(read(&raw.0, &LIMITS()));
    }

    #[test]
    fn no_damage_to_a_profile_makes_it_panic(at in 0..800_usize, with in proptest::collection::vec(any::<u8>(), 0..9)) {
        let (profile, symbols) = profile();
        let mut plain = Vec::new();
        let bytes = written(&profile, &symbols);
        std::io::copy(&mut flate2::read::GzDecoder::new(bytes.as_slice()), &mut plain).expect("plain");
        let at = at.min(plain.len());
        let end = (at + with.len()).min(plain.len());
        plain.splice(at..end, with);
        drop(read(&plain, &LIMITS()));
    }
}
