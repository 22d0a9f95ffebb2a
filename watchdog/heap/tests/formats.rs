//! What people look at: collapsed stacks, flamegraphs, the table; and telling formats apart.

#![cfg(test)]

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;
use quick_xml::Reader;
use quick_xml::events::Event;
use watchdog_core::profile::{Frame, Mapping, Profile, StackSample};
use watchdog_core::units::{Bytes, WallTime};
use watchdog_heap::difference::Difference;
use watchdog_heap::format::{FormatError, Limits, read};
use watchdog_heap::symbols::Symbols;
use watchdog_heap::{collapsed, flamegraph, pprof, top};

fn frame(function: &str) -> Frame {
    Frame { function: function.into(), file: Some("src/shop.rs".into()), line: Some(7) }
}

fn sample(stack: &[u64], mib: u64) -> StackSample {
    StackSample {
        stack: stack.to_vec(),
        inuse_space: Bytes(mib << 20),
        inuse_objects: mib * 4,
        samples: mib,
        ..StackSample::default()
    }
}

fn profile(stacks: Vec<StackSample>) -> Profile {
    let mapping = Mapping {
        start: 0x9000,
        end: 0xa000,
        file_offset: 0x2000,
        path: "/usr/lib/libx.so".into(),
        build_id: None,
    };
    Profile {
        taken: WallTime(1.0),
        stacks,
        mappings: vec![mapping],
        sample_period: Bytes(524_288),
        lost_samples: 0,
    }
}

/// An allocator's frame, an inlined call, a recursion, and addresses without a name.
fn shop() -> (Profile, Symbols) {
    let mut symbols = Symbols::default();
    symbols.insert(0x1001, vec![frame("_rjem_malloc")]);
    symbols.insert(0x1101, vec![frame("shop::remember"), frame("shop::serve")]);
    symbols.insert(0x1201, vec![frame("shop::walk::<[u8; 8]>")]);
    symbols.insert(0x1301, vec![frame("main")]);
    let stacks = vec![
        sample(&[0x1001, 0x1101, 0x1301], 60),
        sample(&[0x1001, 0x1201, 0x1201, 0x1201, 0x1301], 30),
        sample(&[0x9101, 0xf000], 10),
        sample(&[0x1001, 0x1301], 0),
    ];
    (profile(stacks), symbols)
}

fn collapsed(profile: &Profile, symbols: &Symbols) -> String {
    let mut text = Vec::new();
    collapsed::write(profile, symbols, &mut text).expect("written");
    String::from_utf8(text).expect("text")
}

#[test]
fn collapsed_stacks_are_root_first_with_what_is_in_use() {
    let (profile, symbols) = shop();
    let walk = "shop::walk::<[u8: 8]>";
    let expected = format!(
        "main;shop::serve;shop::remember;_rjem_malloc 62914560\n\
         main;{walk};{walk};{walk};_rjem_malloc 31457280\n\
         0xf000;libx.so+0x2100 10485760\n"
    );
    assert_eq!(collapsed(&profile, &symbols), expected);
}

#[test]
fn collapsed_names_cannot_end_their_frame_or_line() {
    let mut symbols = Symbols::default();
    symbols.insert(0x11, vec![frame("a;b\nc\r\u{0}"), frame("")]);
    let profile = profile(vec![sample(&[0x11], 1), sample(&[], 2)]);
    let text = collapsed(&profile, &symbols);
    assert_eq!(text, "(unknown);a:b c   1048576\n(no stack) 2097152\n");
}

/// The texts of an SVG's frames; an error where it is not well-formed.
fn titles(svg: &[u8]) -> Vec<String> {
    let text = std::str::from_utf8(svg).expect("text");
    assert!(!text.chars().any(|c| c.is_control() && !c.is_whitespace()), "characters XML forbids");
    let mut reader = Reader::from_str(text);
    let mut titles = Vec::new();
    let (mut inside, mut depth) = (false, 0);
    loop {
        match reader.read_event().expect("well-formed") {
            Event::Start(tag) => {
                depth += 1;
                inside = tag.name().as_ref() == b"title";
                if inside {
                    titles.push(String::new());
                }
            }
            Event::End(_) => (inside, depth) = (false, depth - 1),
            Event::Text(text) if inside => {
                titles.last_mut().expect("a title").push_str(&text.decode().expect("text"));
            }
            Event::GeneralRef(name) if inside => {
                let character = match &*name.decode().expect("text") {
                    "lt" => "<",
                    "gt" => ">",
                    "amp" => "&",
                    "quot" => "\"",
                    "apos" => "'",
                    other => panic!("{other}"),
                };
                titles.last_mut().expect("a title").push_str(character);
            }
            Event::Eof => break,
            _ => {}
        }
    }
    assert_eq!(depth, 0, "every element ends");
    titles
}

fn svg(profile: &Profile, symbols: &Symbols, title: &str) -> Vec<u8> {
    let mut svg = Vec::new();
    flamegraph::svg(profile, symbols, title, &mut svg).expect("drawn");
    svg
}

#[test]
fn a_flamegraph_has_a_frame_per_function_with_its_bytes() {
    let (profile, symbols) = shop();
    let svg = svg(&profile, &symbols, "shop <heap> & more");
    let titles = titles(&svg);
    let has = |text: &str| titles.iter().any(|title| title == text);
    assert!(has("main (94,371,840 bytes, 90.00%)"), "{titles:#?}");
    assert!(has("shop::remember (62,914,560 bytes, 60.00%)"), "{titles:#?}");
    assert!(has("libx.so+0x2100 (10,485,760 bytes, 10.00%)"), "{titles:#?}");
    let text = String::from_utf8(svg).expect("text");
    assert!(text.contains("shop &lt;heap&gt; &amp; more") && text.contains("100.0 MiB in use"));
    assert!(text.contains("search"), "it can be searched");
}

#[test]
fn what_is_below_a_thousandth_is_summed() {
    let mut symbols = Symbols::default();
    symbols.insert(1, vec![frame("main")]);
    let mut stacks = vec![sample(&[2, 1], 100_000)];
    for address in 3..53 {
        symbols.insert(address, vec![frame(&format!("small_{address}"))]);
        stacks.push(sample(&[address, 1], 10));
    }
    let titles = titles(&svg(&profile(stacks), &symbols, "shop"));
    assert!(
        titles.iter().any(|title| title.starts_with("(smaller) (524,288,000 bytes")),
        "{titles:?}"
    );
    assert!(!titles.iter().any(|title| title.contains("small_")));
}

#[test]
fn hostile_names_still_make_well_formed_xml() {
    let names = [
        "</title></svg><script>alert(1)</script>",
        "]]>",
        "&unknown; &#0; \u{0}\u{1b}[31m\u{fffe}\u{ffff}",
        "a;b\nc 5",
        "# comment",
        " 12",
        "12",
        "",
        "\u{202e}gnp",
        "frame_[k]",
    ];
    let mut symbols = Symbols::default();
    for (address, name) in (1..).zip(names) {
        symbols.insert(address, vec![frame(name), frame(name)]);
    }
    let stacks = (1..=10).map(|address| sample(&[address, 1, 11 - address], 10)).collect();
    let profile = profile(stacks);
    let titles = titles(&svg(&profile, &symbols, names[2]));
    assert!(titles.iter().any(|title| title.contains("<script>alert(1)")), "as text: {titles:?}");
    let svg = svg(&profile, &symbols, names[0]);
    assert!(!String::from_utf8(svg).expect("text").contains("<script>alert"));
}

#[test]
fn gigantic_figures_and_deep_stacks_are_drawn() {
    let mut huge = sample(&[1], 0);
    huge.inuse_space = Bytes(u64::MAX);
    let deep: Vec<u64> = (1..5000).collect();
    let profile = profile(vec![huge.clone(), StackSample { stack: deep, ..huge }]);
    assert!(svg(&profile, &Symbols::default(), "shop").len() < 2 << 20);
}

#[test]
fn a_flamegraph_of_very_many_stacks_stays_small() {
    let mut symbols = Symbols::default();
    for address in 1..3000 {
        let name =
            format!("shop::module::<alloc::vec::Vec<shop::Item<{address}>>>::function_{address}");
        symbols.insert(address, vec![frame(&name), frame("shop::outer")]);
    }
    // A fan that opens at every level: without a bound on the picture it would be tens of megabytes.
    let mut state = 1_u64;
    let mut random = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state >> 33
    };
    let mut stacks = Vec::new();
    for _ in 0..900 {
        let stack: Vec<u64> = (0..60).map(|_| 1 + random() % 2999).collect();
        stacks.push(sample(&stack, 10));
    }
    let svg = svg(&profile(stacks), &symbols, "shop");
    assert!(svg.len() < 2 << 20, "{}", svg.len());
    assert!(titles(&svg).len() > 1000);
}

#[test]
fn nothing_makes_no_flamegraph_and_says_so() {
    let empty = profile(Vec::new());
    let error = flamegraph::svg(&empty, &Symbols::default(), "shop", &mut Vec::new());
    assert!(error.expect_err("nothing").to_string().contains("holds nothing"));
    let same = Difference::between(&shop().0, &shop().0);
    let error = flamegraph::difference_svg(&same, &Symbols::default(), "shop", &mut Vec::new());
    assert!(error.expect_err("nothing").to_string().contains("hold the same"));
}

#[test]
fn a_difference_is_drawn_by_how_much_it_changed_and_the_other_way_round_with_the_other_sign() {
    let (before, symbols) = shop();
    let (mut after, _) = shop();
    after.stacks[0].inuse_space = Bytes(120 << 20);
    after.stacks[1].inuse_space = Bytes(10 << 20);
    let draw = |before: &Profile, after: &Profile| {
        let mut svg = Vec::new();
        let difference = Difference::between(before, after);
        flamegraph::difference_svg(&difference, &symbols, "shop", &mut svg).expect("drawn");
        titles(&svg)
    };
    let has = |titles: &[String], text: &str| {
        assert!(titles.iter().any(|title| title.starts_with(text)), "{text}: {titles:#?}");
    };
    let forth = draw(&before, &after);
    has(&forth, "main +40.0 MiB (83,886,080 bytes, 100.00%)");
    has(&forth, "shop::remember +60.0 MiB (62,914,560 bytes, 75.00%)");
    has(&forth, "shop::walk::<[u8: 8]> -20.0 MiB (20,971,520 bytes, 25.00%)");
    let back = draw(&after, &before);
    has(&back, "main -40.0 MiB (83,886,080 bytes, 100.00%)");
    has(&back, "shop::remember -60.0 MiB");
    has(&back, "shop::walk::<[u8: 8]> +20.0 MiB");
}

#[test]
fn the_table_gives_memory_to_the_first_function_that_is_not_the_allocators() {
    let (profile, symbols) = shop();
    let rows = top::rows(&profile, &symbols, 3);
    let [first, second, third] = rows.as_slice() else { panic!("{rows:?}") };
    assert_eq!(
        (first.function.as_str(), first.flat, first.objects),
        ("shop::remember", Bytes(60 << 20), 240)
    );
    assert!((first.flat_share - 0.6).abs() < 1e-9 && (first.cumulative_share - 0.6).abs() < 1e-9);
    assert_eq!((first.file.as_deref(), first.line), (Some("src/shop.rs"), Some(7)));
    // A recursion counts once.
    assert_eq!((second.flat, second.cumulative), (Bytes(30 << 20), Bytes(30 << 20)));
    assert_eq!(third.function, "libx.so+0x2100");
    let all = top::rows(&profile, &symbols, 100);
    let main = all.iter().find(|row| row.function == "main").expect("main");
    assert_eq!((main.flat, main.cumulative), (Bytes(0), Bytes(90 << 20)));
    let text = top::text(&rows);
    let line = "  60.0 MiB   60.0%   60.0 MiB   60.0%        240  shop::remember src/shop.rs:7";
    assert_eq!(text.lines().nth(1), Some(line));
}

#[test]
fn the_table_of_a_difference_begins_with_growth_and_has_signs() {
    let (before, symbols) = shop();
    let (mut after, _) = shop();
    after.stacks[0].inuse_space = Bytes(90 << 20);
    after.stacks[1].inuse_space = Bytes(20 << 20);
    let rows = top::difference_rows(&Difference::between(&before, &after), &symbols, 10);
    let flat: Vec<(&str, i64)> = rows.iter().map(|row| (row.function.as_str(), row.flat)).collect();
    assert_eq!(flat[0], ("shop::remember", 30 << 20));
    assert_eq!(flat.last(), Some(&("shop::walk::<[u8; 8]>", -10 << 20)));
    assert!((rows[0].flat_share - 0.75).abs() < 1e-9);
    let text = top::difference_text(&rows);
    assert!(text.contains(" +30.0 MiB   75.0%") && text.contains(" -10.0 MiB  -25.0%"), "{text}");
}

#[test]
fn names_in_the_table_cannot_drive_a_terminal() {
    let mut symbols = Symbols::default();
    symbols.insert(0x11, vec![frame("\u{1b}]0;title\u{7}\nmain")]);
    let text = top::text(&top::rows(&profile(vec![sample(&[0x11], 1)]), &symbols, 1));
    assert_eq!(text.lines().count(), 2);
    assert!(!text.contains('\u{1b}') && !text.contains('\u{7}'), "{text:?}");
}

const JEMALLOC: &str = "heap_v2/524288\n@ 0x9101\n  t*: 4: 2097152 [0: 0]\n\nMAPPED_LIBRARIES:\n\
                        9000-a000 r-xp 00002000 08:01 42 /usr/lib/libx.so\n";

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(bytes).expect("compressed");
    gzip.finish().expect("compressed")
}

#[test]
fn either_format_is_read_compressed_or_not() {
    let from = |bytes: &[u8]| read(bytes, WallTime(7.0), &Limits::default()).expect("read");
    let jemalloc = from(JEMALLOC.as_bytes());
    assert_eq!(jemalloc.profile.taken, WallTime(7.0));
    assert_eq!(from(&gzip(JEMALLOC.as_bytes())), jemalloc);
    let (mut profile, symbols) = shop();
    profile.stacks.pop();
    profile.taken = WallTime(0.0);
    let mut bytes = Vec::new();
    pprof::write(&profile, &symbols, &mut bytes).expect("written");
    let read = from(&bytes);
    // Its own time is unknown, so the given one counts.
    assert_eq!(read.profile.taken, WallTime(7.0));
    assert_eq!(read.profile.stacks.len(), 3);
    let mut plain = Vec::new();
    std::io::copy(&mut flate2::read::GzDecoder::new(bytes.as_slice()), &mut plain).expect("plain");
    assert_eq!(from(&plain), read);
}

#[test]
fn what_is_no_profile_is_named_with_what_to_do() {
    let error = |bytes: &[u8]| {
        read(bytes, WallTime(0.0), &Limits::default()).expect_err("refused").to_string()
    };
    for (bytes, says) in [
        (&b""[..], "empty"),
        (b"--- symbol\nbinary=/opt/shop\n", "jeprof --raw"),
        (b"heap profile: 1: 2 [3: 4] @ heap/1048576\n", "debug=1"),
        (b"<!DOCTYPE html><html>", "error page"),
        (b"\n {\"error\": 404}", "JSON"),
        (b"\x7fELF\x02\x01", "a program"),
        (b"main;shop 12\n", "begins with `main;shop 12"),
        (b"\xde\xad\xbe\xef", "begins with `\\xde\\xad"),
        (b"heap_v2/524288\n", "line 1"),
        (b"\x0a\x7f", "cut short"),
        (b"\x1f\x8b\x08", "gzip"),
    ] {
        assert!(error(bytes).contains(says), "{says}: {}", error(bytes));
    }
    assert_eq!(read(&gzip(b""), WallTime(0.0), &Limits::default()), Err(FormatError::Empty));
}

proptest! {
    // A case that fails is printed; it becomes a test above rather than a file.
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn any_stacks_and_names_are_drawn(
        stacks in proptest::collection::vec((proptest::collection::vec(0..30_u64, 0..8), 1..1_u64 << 60), 1..30),
        names in proptest::collection::vec(any::<String>(), 30),
    ) {
        let mut symbols = Symbols::default();
        for (address, name) in (0..).zip(&names) {
            if address % 3 > 0 {
                symbols.insert(address, vec![frame(name)]);
            }
        }
        let stacks = stacks.into_iter().map(|(stack, space)| {
            StackSample { stack, inuse_space: Bytes(space), ..StackSample::default() }
        });
        let profile = profile(stacks.collect());
        titles(&svg(&profile, &symbols, &names[0]));
        let difference = Difference::between(&Profile::default(), &profile);
        let mut svg = Vec::new();
        flamegraph::difference_svg(&difference, &symbols, &names[1], &mut svg).expect("drawn");
        titles(&svg);
        let lines = collapsed(&profile, &symbols);
        prop_assert_eq!(lines.lines().count(), profile.stacks.len());
    }
}
