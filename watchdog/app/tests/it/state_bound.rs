//! A state file that lies about its lengths takes a bounded amount of memory to refuse.

use std::io::Cursor;
use std::path::Path;

use oomen::clock::{Clock, Stamp};
use oomen::state::file::{VERSION, read};
use tikv_jemalloc_ctl::thread;
use watchdog_core::units::WallTime;

/// Bytes that this thread has ever asked for: at least what it held at any one time.
fn allocated() -> u64 {
    thread::allocatedp::read().expect("jemalloc counts").get()
}

fn part(content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len()).expect("a length");
    [&length.to_le_bytes(), content].concat()
}

/// A file with a right header and stamp around one hostile part.
fn file(hostile: &[u8]) -> Vec<u8> {
    let stamp: Stamp = Clock::new(Path::new("/proc")).stamp(WallTime(1e9));
    let body = [part(&postcard::to_stdvec(&stamp).expect("bytes")), part(hostile)].concat();
    let mut file = b"OOMENDET".to_vec();
    file.extend(VERSION.to_le_bytes());
    file.extend(crc32fast::hash(&body).to_le_bytes());
    file.extend((body.len() as u64).to_le_bytes());
    file.extend(body);
    file
}

/// A quarter of a mebibyte of zeros is as many of the smallest windows as a part can hold: 9 MiB.
const MOST: u64 = 16 << 20;

#[test]
fn lengths_of_billions_are_not_believed() {
    let huge = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
    // A name, no process, a time; then as many windows as the next number says.
    let start = [&[1, b'a', 0][..], &0_f64.to_le_bytes()].concat();
    // One window's envelope up to the number of its buckets.
    let envelope = [&start[..], &[1], &1_f64.to_le_bytes()].concat();
    // No window at all; then the first of the history's rings.
    let history = [&start[..], &[0]].concat();
    for (what, before) in
        [("name", &[][..]), ("windows", &start), ("buckets", &envelope), ("rows", &history)]
    {
        for filler in [0, 512, 200 << 10] {
            let hostile = [before, &huge, &vec![0; filler]].concat();
            let bytes = file(&hostile);
            let start = allocated();
            read(Cursor::new(&bytes), 4).expect_err(what);
            let took = allocated() - start;
            assert!(
                took < MOST,
                "{what}: {} MiB for a file of {} KiB",
                took >> 20,
                bytes.len() >> 10
            );
        }
    }
}
