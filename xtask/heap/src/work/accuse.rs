//! The function is named of which three dumps say that it leaks.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use clap::Args;
use serde::{Deserialize, Serialize};
use watchdog_core::culprit::growth::Digest;
use watchdog_core::profile::Profile;
use watchdog_core::units::WallTime;
use watchdog_heap::culprit;
use watchdog_heap::jemalloc::{ParseLimits, parse};
use watchdog_heap::symbolize::{SymbolCache, Symbolizer};

use super::tell;

/// Which dumps, in the order of their time.
#[derive(Debug, Args)]
pub(crate) struct Accuse {
    /// Where names are kept.
    #[arg(long)]
    names: PathBuf,
    dumps: Vec<PathBuf>,
}

/// What was found.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Accused {
    /// Seconds for the difference, the names of what grew most, and the accusation.
    pub(crate) naming: f64,
    /// Seconds for reading the last dump.
    pub(crate) reading: f64,
    /// The functions, the largest growth first.
    pub(crate) functions: Vec<String>,
}

pub(super) fn run(args: &Accuse) -> Result<()> {
    let [earlier @ .., last] = args.dumps.as_slice() else { bail!("no dumps") };
    // The watchdog holds of each earlier profile only this.
    let digests: Vec<Digest> = (0..)
        .zip(earlier)
        .map(|(at, path)| Ok(Digest::of(&read(path, f64::from(at) * 60.0)?)))
        .collect::<Result<_>>()?;
    let began = Instant::now();
    let last = read(last, digests.len() as f64 * 60.0)?;
    let reading = began.elapsed().as_secs_f64();

    let began = Instant::now();
    let cache = Arc::new(SymbolCache::open(&args.names).context("the directory of names")?);
    let symbolizer = Symbolizer::offline(Some(cache), Vec::new());
    let earlier: Vec<&Digest> = digests.iter().collect();
    let named = culprit::name(&earlier, &last, |mappings, addresses| {
        symbolizer.symbols(mappings, addresses.iter().copied())
    })?;
    let naming = began.elapsed().as_secs_f64();
    let functions = named.into_iter().map(|culprit| culprit.frame.function).collect();
    tell(&Accused { naming, reading, functions })
}

fn read(path: &Path, at: f64) -> Result<Profile> {
    let text = fs::read(path).with_context(|| format!("reading {}", path.display()))?;
    Ok(parse(&text, WallTime(at), &ParseLimits::default())?)
}
