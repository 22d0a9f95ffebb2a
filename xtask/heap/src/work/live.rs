//! A process with many live stacks in its heap profile and, when asked for, a thread that allocates all the time.

use std::hint::black_box;
use std::io::{BufRead, stdin};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use clap::Args;
use serde::{Deserialize, Serialize};

use super::tell;
use crate::machine::{forget_peak, status_bytes};
use crate::stall::Worker;

/// What each stack holds, never written to. Beside a sampling period of 512 KiB seven of eight are sampled.
const HELD: usize = 1 << 20;
/// The share of them that is sampled: `1 - exp(-HELD / 512 KiB)`.
const SAMPLED: f64 = 0.8647;

/// How many stacks.
#[derive(Debug, Args)]
pub(crate) struct Holding {
    /// Stacks that shall be in the profile; every so many more are made that are not sampled.
    #[arg(long)]
    stacks: usize,
}

/// Said when all is in place.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Live {
    /// Of the probe, on loopback.
    pub(crate) port: u16,
}

/// Said when asked to `mark`.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Marked {
    /// Seconds that the worker was kept from allocating at one time since the last mark.
    pub(crate) longest_stall: f64,
}

/// Said when asked to take its own profile, names and all.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct InProcess {
    /// Seconds.
    pub(crate) took: f64,
    /// Resident memory at the peak, less what was resident before.
    pub(crate) added: u64,
    /// Bytes of the profile.
    pub(crate) bytes: usize,
}

pub(super) fn run(args: &Holding) -> Result<()> {
    let stacks = (args.stacks as f64 / SAMPLED) as u64;
    let held: Vec<Vec<u8>> = (0..stacks).map(level_0).collect();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let listener = runtime.block_on(tokio::net::TcpListener::bind(("127.0.0.1", 0)))?;
    tell(&Live { port: listener.local_addr()?.port() })?;
    runtime.spawn(async move { axum::serve(listener, oomen_probe::router()).await });
    let mut worker = None;
    for line in stdin().lock().lines() {
        match line?.as_str() {
            "work" => {
                worker = Some(Worker::start()?);
                tell(&"working")?;
            }
            "mark" => tell(&mark(worker.as_ref())?)?,
            "pprof" => tell(&runtime.block_on(in_process())?)?,
            other => bail!("no such order: {other}"),
        }
    }
    drop(black_box(held));
    Ok(())
}

fn mark(worker: Option<&Worker>) -> Result<Marked> {
    let longest = worker.context("there is no worker: say `work` first")?.longest();
    Ok(Marked { longest_stall: longest.as_secs_f64() })
}

/// The profile as the crate that people link makes it: dumped, read, named if it was built so, encoded, compressed.
async fn in_process() -> Result<InProcess> {
    let own = std::process::id();
    let control = jemalloc_pprof::PROF_CTL.as_ref().context("jemalloc does not sample here")?;
    forget_peak(own)?;
    let before = status_bytes(own, "VmRSS:")?;
    let began = Instant::now();
    let profile = control.lock().await.dump_pprof()?;
    let took = began.elapsed().as_secs_f64();
    let added = status_bytes(own, "VmHWM:")?.saturating_sub(before);
    Ok(InProcess { took, added, bytes: profile.len() })
}

/// Bits of a path that choose the way; they come again on the way's second half.
const BITS: u32 = 17;

/// Functions that call each other in their order, each from two places of which a bit of the path chooses one, and an
/// allocation at the end: each path is another stack. With the frames around them these stacks have some 42.
macro_rules! ways {
    ($last:ident) => {
        #[inline(never)]
        fn $last(_path: u64) -> Vec<u8> {
            black_box(Vec::with_capacity(HELD))
        }
    };
    ($this:ident $next:ident $($rest:ident)*) => {
        #[inline(never)]
        fn $this(path: u64) -> Vec<u8> {
            let rest = path >> 1 | (path & 1) << (BITS - 1);
            // What follows the calls keeps them from becoming one, or jumps.
            if path & 1 == 0 {
                black_box($next(rest))
            } else {
                black_box(Some($next(rest))).unwrap_or_default()
            }
        }
        ways!($next $($rest)*);
    };
}

ways! {
    level_0 level_1 level_2 level_3 level_4 level_5 level_6 level_7 level_8 level_9 level_10 level_11 level_12
    level_13 level_14 level_15 level_16 level_17 level_18 level_19 level_20 level_21 level_22 level_23 level_24
    level_25 level_26 level_27 level_28 level_29 level_30 level_31 level_32 level_33
}
