//! Leaks from one function, among other traffic, until the kernel kills it; what it leaked is in a file by then.

use std::fs::File;
use std::hint::black_box;
use std::io::{BufRead, stdin};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};

use super::tell;
use crate::churn::Churn;

/// The function that leaks, as a report must name it.
pub(crate) const LEAKING_FUNCTION: &str = "leak_session_cache";

/// One object of what is held besides.
const CATALOGUE_PAGE: usize = 8 << 10;

/// Of which sizes the leaked objects are: all are size classes of jemalloc, so that what is asked for is what is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Sizes {
    /// 256 bytes each.
    Small,
    /// 16 KiB each.
    Pages,
    /// From 64 bytes to 64 KiB, each size holding as much as the others.
    Mixed,
    /// 1 MiB each.
    Large,
}

impl Sizes {
    /// The sizes, which take turns; smaller ones come more often, so that each holds as much.
    pub(crate) fn all(self) -> &'static [usize] {
        match self {
            Self::Small => &[256],
            Self::Pages => &[16 << 10],
            Self::Mixed => &[64, 1 << 10, 4 << 10, 14 << 10, 64 << 10],
            Self::Large => &[1 << 20],
        }
    }

    /// As people say it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Small => "256 B",
            Self::Pages => "16 KiB",
            Self::Mixed => "64 B to 64 KiB",
            Self::Large => "1 MiB",
        }
    }
}

/// What to leak.
#[derive(Debug, Args)]
pub(crate) struct Leak {
    #[arg(long, value_enum)]
    sizes: Sizes,
    /// Bytes that are held from the start by another function.
    #[arg(long)]
    steady: usize,
    /// How fast, in bytes a second.
    #[arg(long)]
    rate: f64,
    /// The file for what was leaked.
    #[arg(long)]
    truth: PathBuf,
}

/// Bytes that were leaked before the end, as the file says.
pub(crate) fn read_truth(path: &Path) -> Result<u64> {
    let mut bytes = [0; 8];
    let file = File::open(path).context("opening what the process said that it leaked")?;
    file.read_exact_at(&mut bytes, 0).context("the process leaked nothing")?;
    Ok(u64::from_le_bytes(bytes))
}

pub(super) fn run(args: &Leak) -> Result<()> {
    oomen_probe::record();
    let truth = File::create(&args.truth).context("the file for what is leaked")?;
    thread::Builder::new().spawn(|| {
        let mut churn = Churn::new(3);
        loop {
            churn.step();
        }
    })?;
    let catalogue: Vec<Box<[u8]>> =
        (0..args.steady / CATALOGUE_PAGE).map(|_| load_catalogue_page()).collect();
    tell(&"ready")?;
    // Whoever measures looks at the mappings first.
    stdin().lock().read_line(&mut String::new())?;
    let mut leaked = 0_u64;
    let sizes = args.sizes.all();
    // Objects of each size in turn, of which the largest is one.
    let largest = sizes.iter().copied().max().unwrap_or(1);
    let mut said = 0;
    let began = Instant::now();
    loop {
        let ahead = leaked as f64 / args.rate - began.elapsed().as_secs_f64();
        if ahead > 1e-3 {
            thread::sleep(Duration::from_secs_f64(ahead));
        }
        for &size in sizes {
            for _ in 0..largest / size {
                leak_session_cache(size);
                leaked += size as u64;
                // Often enough that what is not said yet is nothing beside what is.
                if leaked - said >= 16 << 10 {
                    truth.write_all_at(&leaked.to_le_bytes(), 0)?;
                    said = leaked;
                    black_box(&catalogue);
                }
            }
        }
    }
}

/// What is held besides and does not grow.
#[inline(never)]
fn load_catalogue_page() -> Box<[u8]> {
    vec![1; CATALOGUE_PAGE].into_boxed_slice()
}

/// The leak. Written to, as memory that never was is not counted by the kernel.
#[inline(never)]
fn leak_session_cache(size: usize) {
    let mut session: Vec<u8> = Vec::with_capacity(size);
    session.resize(size, 1);
    black_box(session.leak());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_leaked_is_read_back_and_nothing_is_an_error() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("truth");
        std::fs::write(&path, 4711_u64.to_le_bytes()).unwrap();
        assert_eq!(read_truth(&path).unwrap(), 4711);
        std::fs::write(&path, "").unwrap();
        assert!(read_truth(&path).is_err());
    }

    #[test]
    fn every_size_holds_as_much_as_the_others() {
        let sizes = Sizes::Mixed.all();
        assert!(sizes.iter().all(|size| (64 << 10) / size >= 1));
    }
}
