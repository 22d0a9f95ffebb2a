//! A heap dump becomes a pprof profile: with our code, or with the crate that people use in their programs.

use std::fs::{self, File};
use std::io::{BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};
use watchdog_core::units::WallTime;
use watchdog_heap::jemalloc::{ParseLimits, parse};
use watchdog_heap::pprof;
use watchdog_heap::symbolize::{SymbolCache, Symbolizer};
use watchdog_heap::symbols::Symbols;

use super::tell;

/// What to convert, and how.
#[derive(Debug, Args)]
pub(crate) struct Convert {
    #[arg(long, value_enum)]
    by: By,
    /// Names are kept in, and looked for in, this directory; without it the profile has no names.
    #[arg(long)]
    names: Option<PathBuf>,
    dump: PathBuf,
    out: PathBuf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum By {
    Us,
    PprofUtil,
}

/// What became of it.
#[derive(Debug, Default, Deserialize, Serialize)]
pub(crate) struct Converted {
    /// Distinct stacks.
    pub(crate) stacks: usize,
    /// Distinct addresses that were to be named.
    pub(crate) addresses: usize,
    /// Those that have the name of a function.
    pub(crate) named: usize,
}

pub(super) fn run(args: &Convert) -> Result<()> {
    tell(&match args.by {
        By::Us => ours(args)?,
        By::PprofUtil => pprof_util(&args.dump, &args.out)?,
    })
}

fn ours(args: &Convert) -> Result<Converted> {
    let text = fs::read(&args.dump).context("reading the dump")?;
    let profile = parse(&text, WallTime(0.0), &ParseLimits::default())?;
    drop(text);
    let symbols = match &args.names {
        None => Symbols::default(),
        Some(directory) => {
            let cache = Arc::new(SymbolCache::open(directory).context("the directory of names")?);
            let addresses = profile.stacks.iter().flat_map(|sample| sample.stack.iter().copied());
            Symbolizer::offline(Some(cache), Vec::new()).symbols(&profile.mappings, addresses)
        }
    };
    let mut out = BufWriter::new(File::create(&args.out).context("the profile's file")?);
    pprof::write(&profile, &symbols, &mut out)?;
    out.flush()?;
    let named = |frames: &[watchdog_core::profile::Frame]| {
        frames.iter().any(|frame| !frame.function.contains("+0x"))
    };
    Ok(Converted {
        stacks: profile.stacks.len(),
        addresses: symbols.len(),
        named: symbols.iter().filter(|(_, frames)| named(frames)).count(),
    })
}

/// As its users do: the text is read, then encoded and compressed in memory.
fn pprof_util(dump: &Path, out: &Path) -> Result<Converted> {
    let text = BufReader::new(File::open(dump).context("opening the dump")?);
    // It takes the mappings from its own process; those of a dump it does not read.
    let profile = pprof_util::parse_jeheap(text, None)?;
    let encoded = profile.to_pprof(("inuse_space", "bytes"), ("space", "bytes"), None);
    fs::write(out, encoded).context("the profile's file")?;
    Ok(Converted { stacks: profile.iter().count(), ..Converted::default() })
}
