//! The flight recorder in a real process: what it holds is what jemalloc's own dump holds, also after SIGKILL.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests may fail the test"
)]

use std::collections::HashMap;
use std::ffi::{CString, c_char};
use std::hint::black_box;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use oomen_recorder::{Geometry, Keeper, Reader, Snapshot, Weight};

oomen_probe::install!();

const PERIOD: f64 = 4096.0;
/// Raw counts in the dump, and what was ever allocated, so that both can be compared one by one.
const CONFIGURATION: &str = "lg_prof_sample:12,prof_unbias:false,prof_accum:true";

#[inline(never)]
fn allocate<const SIZE: usize>() -> Vec<u8> {
    black_box(Vec::with_capacity(SIZE))
}

#[inline(never)]
fn resize<const SIZE: usize>(mut old: Vec<u8>) -> Vec<u8> {
    if old.capacity() > SIZE {
        old.shrink_to(SIZE);
    } else {
        old.reserve_exact(SIZE);
    }
    black_box(old)
}

/// One operation: each has a stack of its own that always asks for the same size. The last sizes of a line are of
/// one size class, so that jemalloc resizes in place without changing the size.
fn change(which: u64, old: Vec<u8>) -> Vec<u8> {
    match which % 16 {
        0 => allocate::<100>(),
        1 => allocate::<3000>(),
        2 => allocate::<20_000>(),
        3 => allocate::<100_000>(),
        4 => resize::<200>(old),
        5 => resize::<3500>(old),
        6 => resize::<20_010>(old),
        7 => resize::<50_000>(old),
        8 => resize::<100_010>(old),
        9 => resize::<100_020>(old),
        10 => resize::<400_000>(old),
        11 => resize::<400_010>(old),
        _ => Vec::new(),
    }
}

/// Threads that allocate, resize and free, mostly what another thread allocated.
fn churn() -> Vec<Mutex<Vec<u8>>> {
    let held: Vec<Mutex<Vec<u8>>> = (0..256).map(|_| Mutex::default()).collect();
    thread::scope(|scope| {
        for thread in 1..=4_u64 {
            let held = &held;
            scope.spawn(move || {
                let mut random = thread.wrapping_mul(0x9e37_79b9_7f4a_7c15);
                for _ in 0..50_000 {
                    // xorshift64
                    random ^= random << 13;
                    random ^= random >> 7;
                    random ^= random << 17;
                    let slot = &held[(random >> 32) as usize % held.len()];
                    let old = std::mem::take(&mut *slot.lock().unwrap());
                    let new = change(random, old);
                    let before = std::mem::replace(&mut *slot.lock().unwrap(), new);
                    drop(before);
                }
            });
        }
    });
    held
}

/// Not a test of its own: what the processes do that the tests below start.
#[test]
fn as_a_child() {
    let Some(dump) = std::env::var_os("PROBE_TEST_DUMP") else { return };
    oomen_probe::record();
    let held = churn();
    let path = CString::new(dump.as_bytes()).unwrap();
    // SAFETY: jemalloc's manual, `prof.dump`: a NUL-terminated file name, only read during the call.
    #[allow(unsafe_code)]
    let dumped =
        unsafe { tikv_jemalloc_ctl::raw::write::<*const c_char>(b"prof.dump\0", path.as_ptr()) };
    dumped.unwrap();
    println!("\ndumped");
    std::io::stdout().flush().unwrap();
    // Until the parent kills us, or dies itself.
    let _ = std::io::stdin().read(&mut [0]);
    drop(held);
}

struct Watched {
    child: Child,
    output: BufReader<ChildStdout>,
}

impl Watched {
    fn start(recorders: &Path, dump: &Path) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "as_a_child", "--nocapture"])
            .env("OOMEN_RECORDER_DIR", recorders)
            .env("PROBE_TEST_DUMP", dump)
            .env("_RJEM_MALLOC_CONF", CONFIGURATION)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        Self { child, output }
    }

    fn wait_for(&mut self, what: &str) {
        let found = self.output.by_ref().lines().any(|line| line.unwrap().contains(what));
        assert!(found, "the child ended before it said {what:?}");
    }

    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Of a stack: objects and bytes in use, objects and bytes ever allocated, of samples alone.
type Counts = [u64; 4];

/// Reads `heap_v2`: `@` and the addresses, then `t*: objects: bytes [objects ever: bytes ever]`.
fn of_dump(text: &str) -> HashMap<Vec<u64>, Counts> {
    let mut lines = text.lines();
    let mut stacks = HashMap::new();
    while let Some(line) = lines.next() {
        let Some(addresses) = line.strip_prefix("@ ") else { continue };
        let hexadecimal = |text: &str| u64::from_str_radix(text.trim_start_matches("0x"), 16);
        let frames = addresses.split(' ').map(|address| hexadecimal(address).unwrap()).collect();
        let total = lines.next().unwrap().trim().strip_prefix("t*: ").unwrap();
        let numbers: Vec<u64> = total
            .split(|c: char| !c.is_ascii_digit())
            .filter(|part| !part.is_empty())
            .map(|number| number.parse().unwrap())
            .collect();
        stacks.insert(frames, numbers.try_into().unwrap());
    }
    stacks
}

/// What the recorder should hold of a stack whose objects are all of one size.
fn expected([objects, bytes, objects_ever, bytes_ever]: Counts) -> Option<Counts> {
    let size = bytes_ever / objects_ever.max(1);
    // With only a few objects, other sizes can add up to the same by chance.
    let many = objects_ever >= 100;
    let one_size = many && size * objects_ever == bytes_ever && size * objects == bytes;
    let weight = Weight::of(size, PERIOD);
    one_size.then_some([objects, objects * weight.bytes, objects_ever, objects_ever * weight.bytes])
}

fn assert_same(dump: &HashMap<Vec<u64>, Counts>, snapshot: &Snapshot) {
    assert_eq!(snapshot.damaged, 0);
    assert_eq!(snapshot.drops, oomen_recorder::Drops::default());
    let recorded: HashMap<&[u64], Counts> = snapshot
        .stacks
        .iter()
        .map(|stack| {
            let counts =
                [stack.inuse_samples, stack.inuse_bytes, stack.alloc_samples, stack.alloc_bytes];
            (snapshot.frames(stack), counts)
        })
        .collect();
    let (mut of_one_size, mut before) = (0, 0);
    for (frames, counts) in dump {
        let Some(got) = recorded.get(&frames[..]) else {
            before += counts[2];
            continue;
        };
        assert_eq!((got[0], got[2]), (counts[0], counts[2]), "samples of {frames:x?}");
        if let Some(expected) = expected(*counts) {
            assert_eq!(*got, expected, "bytes of {frames:x?}");
            of_one_size += counts[2];
        }
    }
    // Nearly all that is sampled is of the operations above, and each of them has one size.
    let all: u64 = dump.values().map(|counts| counts[2]).sum();
    assert!(
        all > 50_000 && of_one_size * 100 > all * 99,
        "{of_one_size} of {all}; with the feature frame-pointers, build all with -C force-frame-pointers=yes and \
         CFLAGS=-fno-omit-frame-pointer"
    );
    // Claiming the recorder allocates a few names before anything is recorded.
    assert!(before <= 20, "{before} samples are not recorded");
    // Printing a line is all that the child does after its dump.
    let recorded: u64 = snapshot.stacks.iter().map(|stack| stack.alloc_samples).sum();
    assert!((all - before..=all - before + 2).contains(&recorded), "{recorded} of {all}-{before}");
}

fn only_claimed(keeper: &Keeper) -> Reader {
    let claimed = keeper.claimed().unwrap();
    assert_eq!(claimed.len(), 1, "{claimed:?}");
    claimed[0].open().unwrap()
}

#[test]
fn the_recorder_holds_what_a_dump_holds_also_after_a_kill() {
    let directory = tempfile::tempdir().unwrap();
    let recorders = directory.path().join("recorders");
    let dump = directory.path().join("heap");
    let keeper = Keeper::open(&recorders, Geometry::default(), 1).unwrap();
    let mut watched = Watched::start(&recorders, &dump);
    watched.wait_for("dumped");
    let stacks = of_dump(&std::fs::read_to_string(&dump).unwrap());
    let reader = only_claimed(&keeper);
    let alive = reader.snapshot().unwrap();
    assert_eq!(alive.writer.unwrap().pid, watched.child.id());
    assert_eq!(alive.period, 4096);
    assert!(alive.installed_after < Duration::from_secs(5), "{:?}", alive.installed_after);
    assert_same(&stacks, &alive);
    watched.kill();
    assert_same(&stacks, &reader.snapshot().unwrap());
    // Also by who only looks at it now.
    assert_same(&stacks, &only_claimed(&keeper).snapshot().unwrap());
}

/// Until `found` gives something.
fn eventually<T>(mut found: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        if let Some(found) = found() {
            return found;
        }
        assert!(Instant::now() < deadline, "it did not happen within a minute");
        thread::yield_now();
    }
}

#[test]
fn a_process_that_found_no_spare_records_once_there_is_one_and_tells_its_statistics() {
    let directory = tempfile::tempdir().unwrap();
    let recorders = directory.path().join("recorders");
    std::fs::create_dir(&recorders).unwrap();
    let mut watched = Watched::start(&recorders, &directory.path().join("heap"));
    watched.wait_for("dumped");
    let keeper = Keeper::open(&recorders, Geometry::default(), 1).unwrap();
    let claimed = eventually(|| keeper.claimed().unwrap().pop());
    let reader = eventually(|| claimed.open().ok());
    eventually(|| reader.snapshot().unwrap().writer);
    let request = reader.request_statistics().unwrap();
    let statistics = eventually(|| {
        let statistics = reader.snapshot().unwrap().statistics;
        statistics.filter(|statistics| statistics.answers == request)
    });
    assert!(statistics.profiling && statistics.allocated > 1 << 20, "{statistics:?}");
    assert!(statistics.resident >= statistics.active && statistics.active >= statistics.allocated);
}
