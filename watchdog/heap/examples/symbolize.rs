//! Times the naming of addresses: `symbolize PID|FILE [ADDRESSES [CACHE_DIRECTORY]]`, spread over the program's code.
//!
//! `cargo run --release -p watchdog-heap --example symbolize -- target/release/oomen 300`
//!
//! Prints milliseconds and the most anonymous memory that was added meanwhile. Addresses are spread evenly, which is
//! the worst case: those of real stacks are in fewer units.

use std::error::Error;
use std::fs;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use watchdog_core::profile::Mapping;
use watchdog_heap::symbolize::{SymbolCache, Symbolizer};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let target =
        arguments.next().ok_or("usage: symbolize PID|FILE [ADDRESSES [CACHE_DIRECTORY]]")?;
    let count: u64 = arguments.next().map_or(Ok(300), |count| count.parse())?;
    let cache = arguments.next().map(SymbolCache::open).transpose()?.map(Arc::new);

    let (symbolizer, mappings) = match target.parse() {
        Ok(pid) => {
            let attached = Symbolizer::attach(Path::new("/proc"), pid)?;
            let mappings = attached.mappings()?;
            (cache.into_iter().fold(attached, Symbolizer::with_cache), mappings)
        }
        Err(_) => (Symbolizer::offline(cache, Vec::new()), vec![whole(&target)?]),
    };
    let largest = mappings.iter().max_by_key(|mapping| mapping.end - mapping.start);
    let code = largest.ok_or("the process has no code of a file")?;
    let step = ((code.end - code.start) / count.max(1)).max(1);
    let addresses: Vec<u64> = (code.start + 1..=code.end)
        .step_by(usize::try_from(step)?)
        .take(usize::try_from(count)?)
        .collect();

    for round in ["first", "again"] {
        let before = anonymous_kib()?;
        let (symbols, took, most) = watched(|| symbolizer.symbols(&mappings, addresses.clone()))?;
        let frames = addresses.iter().map(|address| symbols.frames(*address));
        let named = frames.clone().flatten().filter(|frame| !frame.function.contains("+0x"));
        let (frames, named) = (frames.map(<[_]>::len).sum::<usize>(), named.count());
        let added = most.saturating_sub(before);
        println!(
            "{round}: {} addresses, {frames} frames, {named} named, {:.1} ms, {added} KiB anonymous",
            addresses.len(),
            took.as_secs_f64() * 1000.0,
        );
    }
    symbolizer.missing().iter().for_each(|reason| println!("{reason}"));
    Ok(())
}

/// The first segment with code of a file, as a mapping at its own addresses.
fn whole(path: &str) -> Result<Mapping, Box<dyn Error>> {
    let path = fs::canonicalize(path)?;
    let mut bytes = Vec::new();
    fs::File::open(&path)?.take(64 << 10).read_to_end(&mut bytes)?;
    let word = |at: usize| -> Result<u64, Box<dyn Error>> {
        let word = bytes.get(at..at + 8).ok_or("not an ELF file")?;
        Ok(u64::from_le_bytes(word.try_into()?))
    };
    let table = usize::try_from(word(0x20)?)?;
    for number in 0..16 {
        let header = table + number * 56;
        // PT_LOAD with PF_X, elf(5).
        if word(header)? & 0x1_ffff_ffff == 0x1_0000_0001 {
            let (file_offset, start) = (word(header + 8)?, word(header + 16)?);
            let end = start + word(header + 32)?;
            let path = path.to_string_lossy().into_owned();
            return Ok(Mapping { start, end, file_offset, path, build_id: None });
        }
    }
    Err("no segment with code".into())
}

/// Runs something and looks every half millisecond how much anonymous memory there is.
fn watched<T>(run: impl FnOnce() -> T) -> Result<(T, Duration, u64), Box<dyn Error>> {
    let (is_done, most) = (AtomicBool::new(false), AtomicU64::new(0));
    let (result, took) = thread::scope(|scope| {
        scope.spawn(|| {
            while !is_done.load(Ordering::Relaxed) {
                most.fetch_max(anonymous_kib().unwrap_or_default(), Ordering::Relaxed);
                thread::sleep(Duration::from_micros(500));
            }
        });
        let start = Instant::now();
        let result = run();
        let took = start.elapsed();
        is_done.store(true, Ordering::Relaxed);
        (result, took)
    });
    Ok((result, took, most.load(Ordering::Relaxed).max(anonymous_kib()?)))
}

fn anonymous_kib() -> Result<u64, Box<dyn Error>> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
    let number = line.and_then(|line| line.split_whitespace().next());
    Ok(number.ok_or("no RssAnon in /proc/self/status")?.parse()?)
}
