//! The allocation-only loop, on one thread or several.

use std::thread;

use anyhow::{Result, bail};
use clap::Args;
use serde::{Deserialize, Serialize};

use super::tell;
use crate::churn::Churn;
use crate::machine::{own_cpu_time, pin};

/// How much of it.
#[derive(Debug, Args)]
pub(crate) struct Spin {
    #[arg(long)]
    threads: usize,
    /// Allocations of each thread.
    #[arg(long)]
    steps: u64,
}

/// What it took.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Spun {
    /// Nanoseconds of processor time for an allocation and its end.
    pub(crate) nanoseconds: f64,
}

pub(super) fn run(args: &Spin) -> Result<()> {
    oomen_probe::record();
    let spin = |number: usize| -> Result<f64> {
        pin(number)?;
        let mut churn = Churn::new(number as u64 + 1);
        // The slots fill up, and the allocator gets what it will use.
        (0..args.steps / 10).for_each(|_| churn.step());
        let before = own_cpu_time();
        (0..args.steps).for_each(|_| churn.step());
        Ok((own_cpu_time() - before).as_nanos() as f64 / args.steps as f64)
    };
    let nanoseconds = thread::scope(|scope| -> Result<f64> {
        let threads: Vec<_> =
            (0..args.threads).map(|number| scope.spawn(move || spin(number))).collect();
        let mut sum = 0.0;
        for thread in threads {
            let Ok(took) = thread.join() else { bail!("a thread panicked") };
            sum += took?;
        }
        Ok(sum / args.threads.max(1) as f64)
    })?;
    tell(&Spun { nanoseconds })
}
