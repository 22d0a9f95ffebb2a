//! The same service under the same load without a fault: nobody may be told anything.

use std::time::Duration;

use anyhow::Result;
use clap::Args;
use serde_json::{Value, json};

use crate::demo::stage::{Binaries, Stage};

/// For how long.
#[derive(Debug, Clone, Args)]
pub(crate) struct QuietArgs {
    /// Minutes of load.
    #[arg(long, default_value_t = 10)]
    minutes: u64,
    /// The service's limit in MiB.
    #[arg(long, default_value_t = 256)]
    limit_mib: u64,
}

impl Default for QuietArgs {
    fn default() -> Self {
        Self { minutes: 10, limit_mib: 256 }
    }
}

pub(super) fn run(binaries: &Binaries, args: &QuietArgs) -> Result<(bool, Value)> {
    let mut stage = Stage::alone(binaries, args.limit_mib << 20)?;
    let mut reports = 0;
    for minute in 1..=args.minutes {
        stage.must_live_for(Duration::from_secs(60))?;
        while stage.slack.next(Duration::from_millis(10))?.is_some() {
            reports += 1;
        }
        eprintln!("minute {minute}/{}: {reports} reports", args.minutes);
    }
    println!("no fault, same load, {} min: {reports} reports", args.minutes);
    Ok((reports == 0, json!({ "minutes": args.minutes, "reports": reports })))
}
