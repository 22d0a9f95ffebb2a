//! Side by side with `go tool pprof`: a real profile of a Go program, read and written again, and one of ours.

#![cfg(test)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use watchdog_core::profile::{Frame, LabelValue, Mapping, Profile, StackSample};
use watchdog_core::units::{Bytes, WallTime};
use watchdog_heap::difference::Difference;
use watchdog_heap::pprof::{Read, ReadLimits, read, write, write_difference};
use watchdog_heap::symbols::Symbols;

/// Three kinds of stacks: two sizes from one place, a recursion, and one that holds nothing any more.
const PROGRAM: &str = r#"package main

import (
	"os"
	"runtime"
	"runtime/pprof"
)

type node struct {
	left, right *node
	weight      [6]int
}

var kept [][]byte
var trees []*node

//go:noinline
func remembers(n, size int) {
	for i := 0; i < n; i++ {
		kept = append(kept, make([]byte, size))
	}
}

//go:noinline
func grows(depth int) *node {
	if depth == 0 {
		return nil
	}
	return &node{left: grows(depth - 1), right: grows(depth - 1)}
}

//go:noinline
func forgets(n int) {
	for i := 0; i < n; i++ {
		kept[0] = make([]byte, 3000)
	}
}

func main() {
	runtime.MemProfileRate = 4096
	remembers(1000, 2048)
	remembers(100, 70000)
	trees = append(trees, grows(14))
	forgets(5000)
	runtime.GC()
	file, err := os.Create(os.Args[1])
	if err != nil {
		panic(err)
	}
	if err := pprof.WriteHeapProfile(file); err != nil {
		panic(err)
	}
	if err := file.Close(); err != nil {
		panic(err)
	}
}
"#;

fn go(dir: &Path) -> Command {
    let mut go = Command::new("go");
    // Only the standard library, nothing from the network, and no settings of whoever runs the test.
    go.current_dir(dir).env("GO111MODULE", "off").env("GOTOOLCHAIN", "local").env("GOFLAGS", "");
    go.env("PPROF_TMPDIR", dir).env("GOPROXY", "off");
    go
}

fn succeeded(command: &mut Command) -> String {
    let output = command.output().expect("go runs: apt-get install golang-go");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {errors}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A heap profile that Go wrote.
fn go_profile(dir: &Path) -> PathBuf {
    fs::write(dir.join("main.go"), PROGRAM).expect("written");
    let program = dir.join("program");
    succeeded(go(dir).arg("build").arg("-o").arg(&program).arg("main.go"));
    let profile = dir.join("go.pb.gz");
    succeeded(Command::new(&program).arg(&profile));
    profile
}

fn tool(dir: &Path, arguments: &[&str], profile: &Path) -> String {
    succeeded(go(dir).args(["tool", "pprof"]).args(arguments).arg(profile))
}

/// The samples of `-raw` with everything they refer to spelled out, so that ids and order do not count. Samples
/// without any value are left out, and so are the lines where functions begin, which a stack does not need.
fn spelled_out(raw: &str) -> Vec<String> {
    let (samples, rest) = raw.split_once("\nLocations\n").expect("locations");
    let samples = samples.split_once("\nSamples:\n").expect("samples").1;
    let (locations, _) = rest.split_once("\nMappings\n").expect("mappings");
    let mut places: Vec<String> = vec![String::new()];
    for line in locations.lines() {
        let place = line.trim_start().split_once(": ").filter(|(id, _)| id.parse::<u32>().is_ok());
        match place {
            // An address without its mapping's number.
            Some((_, place)) => {
                let place = place.replace(" M=1 ", " ").replace(" M=2 ", " ");
                places.push(without_begin(&place).to_owned());
            }
            // A further function that was inlined there.
            None => places.last_mut().expect("a location").push_str(without_begin(line.trim())),
        }
    }
    let mut spelled: Vec<String> = Vec::new();
    for line in samples.lines().skip(1) {
        match line.split_once(": ").filter(|(values, _)| !values.contains(['[', ':'])) {
            Some((values, stack)) => {
                let values: Vec<&str> = values.split_whitespace().collect();
                let ids = stack.split_whitespace().filter_map(|id| id.parse::<usize>().ok());
                let stack: Vec<&str> = ids.map(|id| places[id].as_str()).collect();
                spelled.push(format!("{} {}", values.join(" "), stack.join(" < ")));
            }
            // Labels of the sample before.
            None => spelled.last_mut().expect("a sample").push_str(line.trim()),
        }
    }
    spelled.retain(|sample| !sample.starts_with("0 0 0 0 "));
    spelled.sort();
    spelled
}

fn without_begin(place: &str) -> &str {
    place.rsplit_once(" s=").map_or(place, |(place, _)| place)
}

#[test]
fn a_profile_of_go_is_the_same_after_reading_and_writing_it() {
    let dir = tempfile::tempdir().expect("a directory");
    let theirs = go_profile(dir.path());
    let bytes = fs::read(&theirs).expect("read");
    let Read { profile, symbols, unaddressed, .. } =
        read(&bytes, &ReadLimits::default()).expect("a profile");
    assert_eq!((unaddressed, profile.sample_period), (0, Bytes(4096)));
    assert!(profile.mappings.iter().any(|mapping| mapping.path.ends_with("program")));

    let ours = dir.path().join("ours.pb.gz");
    write(&profile, &symbols, fs::File::create(&ours).expect("created")).expect("written");
    let [theirs_raw, ours_raw] = [&theirs, &ours].map(|path| tool(dir.path(), &["-raw"], path));
    let spelled = spelled_out(&theirs_raw);
    assert!(spelled.len() > 100, "{theirs_raw}");
    for (ours, theirs) in spelled_out(&ours_raw).iter().zip(&spelled) {
        assert_eq!(ours, theirs);
    }
    assert_eq!(spelled_out(&ours_raw).len(), spelled.len());
    for report in ["-top", "-traces"] {
        for index in ["-inuse_space", "-inuse_objects", "-alloc_space", "-alloc_objects"] {
            let [theirs, ours] = [&theirs, &ours].map(|path| {
                let text = tool(dir.path(), &[report, index], path);
                // Traces come in the order of the samples.
                let mut traces: Vec<String> =
                    text.split("-----------+").map(str::to_owned).collect();
                traces.retain(|trace| !trace.contains("       0   runtime/pprof.writeHeap"));
                traces.sort();
                traces
            });
            for (ours, theirs) in ours.iter().zip(&theirs) {
                assert_eq!(ours, theirs, "{report} {index}");
            }
            assert_eq!(ours.len(), theirs.len());
        }
    }
}

#[test]
fn what_go_says_is_what_is_read() {
    let dir = tempfile::tempdir().expect("a directory");
    let bytes = fs::read(go_profile(dir.path())).expect("read");
    let Read { profile, symbols, .. } = read(&bytes, &ReadLimits::default()).expect("a profile");
    let holds = |function: &str| -> u64 {
        let innermost = |sample: &&StackSample| {
            sample.stack.first().is_some_and(|address| {
                symbols.frames(*address).iter().any(|frame| frame.function == function)
            })
        };
        profile.stacks.iter().filter(innermost).map(|sample| sample.inuse_space.0).sum()
    };
    // 1,000 times 2 KiB and 100 times 72 KiB, which is what Go makes of 70,000 bytes.
    let remembered = holds("main.remembers") as f64;
    let truth = (1000 * 2048 + 100 * 73_728) as f64;
    assert!((remembered / truth - 1.0).abs() < 0.15, "{remembered} {truth}");
    let sizes: Vec<i64> = profile
        .stacks
        .iter()
        .flat_map(|sample| &sample.labelled)
        .flat_map(|part| &part.labels)
        .filter(|label| label.key == "bytes")
        .filter_map(|label| match &label.value {
            LabelValue::Number { value, .. } => Some(*value),
            LabelValue::Text(_) => None,
        })
        .collect();
    assert!(sizes.contains(&2048) && sizes.contains(&73_728), "{sizes:?}");
}

fn frame(function: &str, line: u32) -> Frame {
    Frame { function: function.into(), file: Some("src/shop.rs".into()), line: Some(line) }
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

fn shop(stacks: Vec<StackSample>) -> (Profile, Symbols) {
    let mut symbols = Symbols::default();
    symbols.insert(0x1001, vec![frame("_rjem_malloc", 1)]);
    symbols.insert(0x1101, vec![frame("alloc::alloc::alloc", 2), frame("shop::remember", 3)]);
    symbols.insert(0x1201, vec![frame("shop::serve(u8)", 4)]);
    // Called as the allocator's inlined functions are, but the program's own.
    symbols.insert(0x1301, vec![frame("alloc", 5)]);
    let inlined = |function: &str| Frame {
        file: Some("/rustc/abc/library/alloc/src/alloc.rs".into()),
        ..frame(function, 6)
    };
    symbols.insert(0x1401, vec![inlined("alloc"), inlined("alloc_impl"), frame("shop::take", 7)]);
    let mapping = Mapping {
        start: 0x1000,
        end: 0x2000,
        file_offset: 0,
        path: "/opt/shop".into(),
        build_id: Some("abcdef".into()),
    };
    let profile = Profile {
        taken: WallTime(1_700_000_000.0),
        stacks,
        mappings: vec![mapping],
        sample_period: Bytes(524_288),
        lost_samples: 0,
    };
    (profile, symbols)
}

#[test]
fn the_tool_shows_our_profile_without_the_allocators_frames() {
    let dir = tempfile::tempdir().expect("a directory");
    let (profile, symbols) = shop(vec![
        sample(&[0x1001, 0x1101, 0x1201, 0x1301], 30),
        sample(&[0x1201, 0x1301], 10),
        sample(&[0x1401, 0x1301], 10),
    ]);
    let path = dir.path().join("shop.pb.gz");
    write(&profile, &symbols, fs::File::create(&path).expect("created")).expect("written");
    let top = tool(dir.path(), &["-top", "-lines"], &path);
    assert!(top.contains("Type: inuse_space") && top.contains("Build ID: abcdef"), "{top}");
    assert!(
        top.contains("30MB 60.00% 60.00%       30MB 60.00%  shop::remember src/shop.rs:3"),
        "{top}"
    );
    assert!(top.contains(" 40MB 80.00%  shop::serve"), "{top}");
    assert!(!top.contains("_rjem_") && !top.contains("alloc::alloc"), "{top}");
    assert!(top.contains("shop::take") && !top.contains("alloc_impl"), "{top}");
    assert!(top.contains(" 50MB   100%  alloc src/shop.rs:5"), "the program's own: {top}");
    let raw = tool(dir.path(), &["-raw"], &path);
    assert!(raw.contains("0x1000") && raw.contains("_rjem_malloc"), "{raw}");
    assert!(raw.contains("inuse_space/bytes[dflt]"), "{raw}");
}

#[test]
fn the_tool_shows_our_difference_as_its_own() {
    let dir = tempfile::tempdir().expect("a directory");
    let (before, symbols) = shop(vec![sample(&[0x1101, 0x1301], 10), sample(&[0x1201, 0x1301], 9)]);
    let (after, _) = shop(vec![sample(&[0x1101, 0x1301], 34), sample(&[0x1301], 2)]);
    let store = |name: &str, profile: &Profile| {
        let path = dir.path().join(name);
        write(profile, &symbols, fs::File::create(&path).expect("created")).expect("written");
        path
    };
    let (base, after_path) = (store("before.pb.gz", &before), store("after.pb.gz", &after));
    let ours = dir.path().join("difference.pb.gz");
    let difference = Difference::between(&before, &after);
    let file = fs::File::create(&ours).expect("created");
    write_difference(&difference, &symbols, file).expect("written");

    let base = format!("-base={}", base.display());
    let theirs = tool(dir.path(), &["-raw", &base], &after_path);
    assert_eq!(spelled_out(&tool(dir.path(), &["-raw"], &ours)), spelled_out(&theirs));
}
