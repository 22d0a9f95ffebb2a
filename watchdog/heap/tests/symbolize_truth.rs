//! Names compared with those of binutils' addr2line, on programs made by rustc, gcc and Go with all kinds of debug
//! information. Needs rustc, gcc, go and binutils (addr2line, objcopy, readelf) on the path.

#![cfg(test)]

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::LazyLock;

use proptest::prelude::*;
use watchdog_core::profile::{Frame, Mapping};
use watchdog_heap::symbolize::Symbolizer;

const RUST: &str = r#"
use std::collections::BTreeMap;
use std::hint::black_box;
mod cache {
    use std::hint::black_box;
    pub struct Sessions<T> { pub kept: Vec<T> }
    impl<T: Copy> Sessions<T> {
        #[inline(always)]
        pub fn remember(&mut self, one: T) { self.kept.push(black_box(one)); }
        #[inline(never)]
        pub fn keep(&mut self, one: T) { for _ in 0..black_box(3) { self.remember(one); } }
    }
}
fn main() {
    let mut sessions = cache::Sessions { kept: vec![] };
    sessions.keep(7_u32);
    let add = |more: u64| sessions.kept.iter().map(|one| u64::from(*one) + more).sum::<u64>();
    let tree: BTreeMap<u64, String> = (0..black_box(9)).map(|n| (n, format!("{n}"))).collect();
    println!("{} {tree:?}", add(black_box(3)));
}
"#;

const C: &str = r#"
#include <stdio.h>
#include <stdlib.h>
static inline __attribute__((always_inline)) int twice(int n) { return n * 2 + (n > 7 ? rand() : 3); }
__attribute__((noinline)) int sum(int n) {
    int all = 0;
    for (int i = 0; i < n; i++) all += twice(i);
    return all;
}
int main(int argc, char **argv) { printf("%d\n", sum(argc + 5)); return 0; }
"#;

const GO: &str = r#"package main

import "fmt"

type shop struct{ kept [][]byte }

//go:noinline
func (s *shop) remember(n int) { s.kept = append(s.kept, make([]byte, n)) }

func main() {
	s := &shop{}
	for i := 0; i < 9; i++ {
		s.remember(i)
	}
	fmt.Println(len(s.kept))
}
"#;

/// Runs a tool and gives its output; a tool that is missing or fails fails the test.
fn run(program: &str, arguments: &[&str], input: &str) -> String {
    let child = Command::new(program)
        .args(arguments)
        .env("GOCACHE", std::env::temp_dir().join("oomen-go-cache"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn();
    let mut child = child.unwrap_or_else(|error| panic!("{program} must be installed: {error}"));
    let mut stdin = child.stdin.take().expect("a pipe");
    let input = input.to_owned();
    let writer =
        std::thread::spawn(move || std::io::Write::write_all(&mut stdin, input.as_bytes()));
    let output = child.wait_with_output().expect("ended");
    writer.join().expect("joined").expect("written");
    assert!(output.status.success(), "{program} {arguments:?} failed");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

struct Built {
    dir: tempfile::TempDir,
    binary: PathBuf,
}

impl Built {
    fn by(source: &str, name: &str, compile: impl FnOnce(&str, &str)) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let (from, binary) = (dir.path().join(name), dir.path().join("program"));
        fs::write(&from, source).expect("written");
        compile(from.to_str().expect("text"), binary.to_str().expect("text"));
        Self { dir, binary }
    }

    fn rust(flags: &[&str]) -> Self {
        Self::by(RUST, "shop.rs", |from, to| {
            let flags = [&["--edition=2021", "-O", "-o", to, from], flags].concat();
            run("rustc", &flags, "");
        })
    }

    fn c(flags: &[&str]) -> Self {
        Self::by(C, "shop.c", |from, to| {
            run("gcc", &[&["-O2", "-o", to, from], flags].concat(), "");
        })
    }

    fn path(&self) -> &str {
        self.binary.to_str().expect("text")
    }

    /// The code at the program's own addresses, from its program headers.
    fn mapping(&self) -> Mapping {
        let headers = run("readelf", &["-lW", self.path()], "");
        let load = headers.lines().find(|line| line.contains("LOAD") && line.contains("R E"));
        let words: Vec<u64> = load
            .expect("code")
            .split_whitespace()
            .filter_map(|word| u64::from_str_radix(word.strip_prefix("0x")?, 16).ok())
            .collect();
        let (file_offset, start, size) = (words[0], words[1], words[3]);
        Mapping {
            // The kernel maps whole pages.
            start: start & !0xfff,
            end: start + size,
            file_offset: file_offset & !0xfff,
            path: self.path().to_owned(),
            build_id: None,
        }
    }

    /// Addresses spread over the functions that the symbol table knows.
    fn addresses(&self, functions: &str, most: usize) -> Vec<u64> {
        let symbols = run("readelf", &["-sW", self.path()], "");
        let mut addresses = Vec::new();
        for line in symbols.lines().filter(|line| line.contains("FUNC")) {
            let words: Vec<&str> = line.split_whitespace().collect();
            let Some(name) = words.get(7).filter(|name| name.contains(functions)) else {
                continue;
            };
            let start = u64::from_str_radix(words[1], 16).expect("an address");
            let size: u64 = words[2].parse().unwrap_or_default();
            if !name.is_empty() && start != 0 {
                addresses.extend((start..start + size).step_by(11));
            }
        }
        addresses.sort_unstable();
        addresses.dedup();
        let step = addresses.len().div_ceil(most).max(1);
        addresses.into_iter().step_by(step).collect()
    }
}

/// What addr2line says of addresses, innermost first.
fn addr2line(binary: &str, addresses: &[u64]) -> Vec<Vec<Frame>> {
    let input: String = addresses.iter().map(|address| format!("0x{address:x}\n")).collect();
    let output = run("addr2line", &["-afiC", "-e", binary], &input);
    let mut all: Vec<Vec<Frame>> = Vec::new();
    let mut lines = output.lines();
    while let Some(line) = lines.next() {
        if line.starts_with("0x") {
            all.push(Vec::new());
            continue;
        }
        let frame = frame(line, lines.next().expect("a place"));
        all.last_mut().expect("an address").push(frame);
    }
    all
}

/// A frame as addr2line and Go's tool of that name write it.
fn frame(function: &str, place: &str) -> Frame {
    let (file, line) = place.rsplit_once(':').expect("file and line");
    let line = line.split_whitespace().next().and_then(|line| line.parse().ok());
    // Without line information binutils gives the name of the object file.
    let file = (file != "??" && !file.contains("-cgu.")).then(|| file.to_owned());
    Frame { function: function.to_owned(), file, line: line.filter(|line| *line != 0) }
}

/// What all tools write alike: the last part of the name without its types, the file's name and the line.
fn plain(frame: &Frame) -> String {
    let (mut name, mut depth) = (String::new(), 0);
    for letter in frame.function.chars() {
        match letter {
            '<' => depth += 1,
            '>' => depth -= 1,
            '(' if depth == 0 => break,
            _ if depth == 0 => name.push(letter),
            _ => {}
        }
    }
    let name = name.trim_end_matches("::").rsplit("::").next().unwrap_or_default();
    let name = if name.starts_with("{closure") { "{{closure}}" } else { name };
    let file = frame.file.as_deref().and_then(|file| file.rsplit('/').next());
    format!("{name} {}:{}", file.unwrap_or("?"), frame.line.unwrap_or(0))
}

/// Asserts that every address has the same frames from both.
fn assert_same(binary: &Built, addresses: &[u64], truth: &[Vec<Frame>]) {
    assert_same_but(binary, addresses, truth, true);
}

/// Where only line tables are, binutils gives the innermost inlined call the name of the outermost function.
fn assert_same_but(binary: &Built, addresses: &[u64], truth: &[Vec<Frame>], knows_innermost: bool) {
    assert!(addresses.len() > 15, "{} addresses", addresses.len());
    assert_eq!(truth.len(), addresses.len());
    let offline = Symbolizer::offline(None, Vec::new());
    let symbols = offline.symbols(&[binary.mapping()], addresses.iter().map(|address| address + 1));
    let mut wrong = Vec::new();
    for (address, truth) in addresses.iter().zip(truth) {
        let ours: Vec<String> = symbols.frames(address + 1).iter().map(plain).collect();
        let truth: Vec<String> = truth.iter().map(plain).collect();
        let start = usize::from(!knows_innermost && ours.len() > 1);
        if ours[start.min(ours.len())..] != truth[start.min(truth.len())..] {
            wrong.push(format!("0x{address:x}\n  ours  {ours:?}\n  truth {truth:?}\n"));
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), addresses.len(), wrong.concat());
    assert_eq!(offline.missing(), [""; 0]);
}

/// The same code with debug information of either version, which changes no instruction.
fn assert_rust_agrees(level: &str) {
    let four = Built::rust(&[level, "-Cdwarf-version=4"]);
    let five = Built::rust(&[level, "-Cdwarf-version=5"]);
    for (functions, most) in [("shop", usize::MAX), ("", 2000)] {
        let addresses = four.addresses(functions, most);
        let truth = addr2line(four.path(), &addresses);
        let is_full = level.ends_with('2');
        assert_same_but(&four, &addresses, &truth, is_full);
        // binutils 2.40 cannot read the lists of ranges of version 5: there it finds only the outermost.
        assert_eq!(five.addresses(functions, most), addresses, "the same code");
        assert_same_but(&five, &addresses, &truth, is_full);
    }
}

#[test]
fn rust_with_full_debug_information_has_the_frames_that_addr2line_finds() {
    assert_rust_agrees("-Cdebuginfo=2");
}

#[test]
fn rust_with_line_tables_only_has_the_frames_that_addr2line_finds() {
    assert_rust_agrees("-Cdebuginfo=line-tables-only");
}

#[test]
fn c_has_the_frames_that_addr2line_finds() {
    for version in ["-gdwarf-4", "-gdwarf-5", "-gdwarf-2"] {
        let built = Built::c(&["-g", version]);
        let addresses = built.addresses("", usize::MAX);
        assert_same(&built, &addresses, &addr2line(built.path(), &addresses));
    }
}

#[test]
fn go_has_the_functions_and_lines_that_its_own_tool_finds() {
    let built = Built::by(GO, "shop.go", |from, to| {
        run("go", &["build", "-o", to, from], "");
    });
    let mut addresses = built.addresses("", 2000);
    addresses.extend(built.addresses("main.", usize::MAX));
    let input: String = addresses.iter().map(|address| format!("0x{address:x}\n")).collect();
    let output = run("go", &["tool", "addr2line", built.path()], &input);
    let lines: Vec<&str> = output.lines().collect();
    let offline = Symbolizer::offline(None, Vec::new());
    let symbols = offline.symbols(&[built.mapping()], addresses.iter().map(|address| address + 1));
    let mut wrong = Vec::new();
    for (address, truth) in addresses.iter().zip(lines.chunks(2)) {
        // It tells the function as a whole, and the innermost line.
        let truth = frame(truth[0], truth[1]);
        let ours = symbols.frames(address + 1);
        let (inner, outer) = (ours.first().expect("a frame"), ours.last().expect("a frame"));
        let place = |frame: &Frame| frame.file.clone().zip(frame.line);
        if outer.function != truth.function || place(inner) != place(&truth) {
            wrong.push(format!("0x{address:x}\n  ours  {ours:?}\n  truth {truth:?}\n"));
        }
    }
    assert!(wrong.len() * 100 < addresses.len(), "{}: {}", wrong.len(), wrong.concat());
    let mut all = addresses.iter().flat_map(|address| symbols.frames(address + 1));
    assert!(all.any(|frame| frame.function == "main.(*shop).remember"));
}

/// A stripped copy of a program, and a directory with its debug information.
struct Stripped {
    full: Built,
    bare: Built,
    dirs: Vec<PathBuf>,
    build_id: String,
}

impl Stripped {
    fn new() -> Self {
        let full = Built::rust(&["-Cdebuginfo=2", "-Clink-arg=-Wl,--build-id=sha1"]);
        let dir = tempfile::tempdir().expect("a directory");
        let binary = dir.path().join("program");
        let debug = full.dir.path().join("program.debug");
        let debug = debug.to_str().expect("text");
        run("objcopy", &["--only-keep-debug", full.path(), debug], "");
        let link = format!("--add-gnu-debuglink={debug}");
        run("objcopy", &["-S", &link, full.path(), binary.to_str().expect("text")], "");
        let notes = run("readelf", &["-n", full.path()], "");
        let build_id = notes.lines().find_map(|line| line.trim().strip_prefix("Build ID: "));
        let build_id = build_id.expect("a build id").to_owned();
        Self { dirs: vec![full.dir.path().to_owned()], full, bare: Built { dir, binary }, build_id }
    }

    /// Moves the debug file from its name to that of its build id.
    fn by_build_id(&self, below: &str) {
        let dir = self.full.dir.path().join(below).join(&self.build_id[..2]);
        fs::create_dir_all(&dir).expect("made");
        let name = format!("{}.debug", &self.build_id[2..]);
        fs::rename(self.full.dir.path().join("program.debug"), dir.join(name)).expect("moved");
    }

    /// Asserts that the stripped program has all names.
    fn assert_named(&self, mapping: &Mapping) {
        let addresses = self.full.addresses("shop", usize::MAX);
        let named = |symbolizer: &Symbolizer, mapping: &Mapping| {
            let back = addresses.iter().map(|address| address + 1);
            let symbols = symbolizer.symbols(std::slice::from_ref(mapping), back.clone());
            back.map(|address| symbols.frames(address).to_vec()).collect::<Vec<_>>()
        };
        let truth = named(&Symbolizer::offline(None, Vec::new()), &self.full.mapping());
        let found = Symbolizer::offline(None, self.dirs.clone());
        assert_eq!(named(&found, mapping), truth);
        assert_eq!(found.missing(), [""; 0]);
        let without = Symbolizer::offline(None, Vec::new());
        assert!(named(&without, mapping).iter().flatten().all(|f| f.function.contains("+0x")));
        assert_eq!(without.missing().len(), 1, "{:?}", without.missing());
    }
}

#[test]
fn a_stripped_program_has_its_names_from_a_directory_of_debug_files() {
    let stripped = Stripped::new();
    stripped.assert_named(&stripped.bare.mapping());
    stripped.by_build_id(".build-id");
    stripped.assert_named(&stripped.bare.mapping());
    // Its file is gone: all that is left is the build id in the profile.
    let mapping = Mapping {
        path: "/opt/gone/program".into(),
        build_id: Some(stripped.build_id.clone()),
        ..stripped.bare.mapping()
    };
    stripped.assert_named(&mapping);
    let stripped = Stripped::new();
    stripped.by_build_id("");
    stripped.assert_named(&stripped.bare.mapping());
}

#[test]
fn compressed_debug_information_is_read_and_too_much_of_it_leaves_functions() {
    let built = Built::c(&["-g", "-gz=zlib"]);
    let addresses = built.addresses("sum", usize::MAX);
    let mapping = built.mapping();
    let offline = Symbolizer::offline(None, Vec::new());
    let frames = |address| {
        offline.symbols(std::slice::from_ref(&mapping), [address + 1]).frames(address + 1).to_vec()
    };
    assert!(frames(addresses[0]).iter().all(|frame| frame.file.is_some()));

    // A section that claims to be 2^40 bytes long.
    let mut bytes = fs::read(&built.binary).expect("read");
    let header = |size: u64| [&1_u64.to_le_bytes()[..], &size.to_le_bytes()].concat();
    let sections = run("readelf", &["-SW", built.path()], "");
    let section = sections.lines().find(|line| line.contains(".debug_info ")).expect("a section");
    assert!(section.contains(" C "), "{section}");
    let words: Vec<&str> = section.split(']').nth(1).expect("words").split_whitespace().collect();
    let at = usize::from_str_radix(words[3], 16).expect("an offset");
    bytes.splice(at..at + 16, header(1 << 40));
    fs::write(&built.binary, bytes).expect("written");
    let frame = frames(addresses[0]).pop().expect("a frame");
    assert_eq!((frame.function.as_str(), frame.file), ("sum", None));
    assert!(offline.missing().concat().contains("more than 16 MiB"), "{:?}", offline.missing());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Flipped bits, overwritten words and a cut end: a wrong name at worst, in bounded time.
    #[test]
    fn a_damaged_program_never_panics(
        is_rust in any::<bool>(),
        flips in prop::collection::vec((any::<prop::sample::Index>(), 0_u8..8), 1..64),
        words in prop::collection::vec((any::<prop::sample::Index>(), any::<u64>()), 0..8),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let (original, damage) = if is_rust { &*SMALL_RUST } else { &*SMALL_C };
        let mut bytes = original.clone();
        for (index, bit) in flips {
            let at = damage[index.index(damage.len())];
            bytes[at] ^= 1 << bit;
        }
        for (index, word) in words {
            let at = damage[index.index(damage.len())].min(bytes.len() - 8);
            bytes[at..at + 8].copy_from_slice(&word.to_le_bytes());
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        let file = tempfile::NamedTempFile::new().expect("a file");
        fs::write(file.path(), bytes).expect("written");
        let mapping = Mapping {
            start: 0,
            end: 1 << 20,
            file_offset: 0,
            path: file.path().to_str().expect("text").to_owned(),
            build_id: None,
        };
        let offline = Symbolizer::offline(None, vec![PathBuf::from("/nowhere")]);
        let started = std::time::Instant::now();
        let symbols = offline.symbols(&[mapping], (1..400_000).step_by(501));
        prop_assert!(started.elapsed().as_secs() < 5);
        prop_assert_eq!(symbols.len(), 799);
    }
}

/// A program, and the places in it that are worth damaging: headers, tables and debug information, not the code.
type Damageable = LazyLock<(Vec<u8>, Vec<usize>)>;

static SMALL_C: Damageable = LazyLock::new(|| damageable(&Built::c(&["-g"])));
static SMALL_RUST: Damageable = LazyLock::new(|| {
    damageable(&Built::rust(&["-Cdebuginfo=2", "-Cdwarf-version=5", "-Cpanic=abort"]))
});

fn damageable(built: &Built) -> (Vec<u8>, Vec<usize>) {
    let bytes = fs::read(&built.binary).expect("read");
    let table = u64::from_le_bytes(bytes[0x28..0x30].try_into().expect("eight bytes")) as usize;
    let mut places: Vec<usize> = (0..64).chain(table..bytes.len()).collect();
    let sections = run("readelf", &["-SW", built.path()], "");
    for line in sections.lines().filter(|line| line.contains(".debug_") || line.contains("symtab"))
    {
        let words: Vec<&str> =
            line.split(']').nth(1).expect("a section").split_whitespace().collect();
        let number = |word: &str| usize::from_str_radix(word, 16).expect("a number");
        let (start, size) = (number(words[3]), number(words[4]));
        // The first kilobytes of each: what is before the addresses asked for is read most.
        places.extend(start..(start + size.min(4096)));
    }
    (bytes, places)
}
