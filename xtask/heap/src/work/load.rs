//! Requests to a service, one after the other on each of a few connections.

use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use clap::Args;

use super::tell;
use crate::http::{Connection, request};
use crate::machine;

/// Where to, and how much.
#[derive(Debug, Args)]
pub(crate) struct Load {
    #[arg(long)]
    address: SocketAddr,
    #[arg(long)]
    path: String,
    #[arg(long)]
    connections: usize,
    #[arg(long)]
    milliseconds: u64,
}

/// Prints how many requests were answered.
pub(super) fn run(args: &Load) -> Result<()> {
    machine::pin(machine::ASKING)?;
    let asked = request("GET", args.address, &args.path, "");
    let end = Instant::now() + Duration::from_millis(args.milliseconds);
    let ask = || -> Result<u64> {
        let mut connection = Connection::open(args.address)?;
        let mut answers = 0;
        while Instant::now() < end {
            connection.exchange(&asked, |_| Ok(()))?;
            answers += 1;
        }
        Ok(answers)
    };
    let answers = thread::scope(|scope| -> Result<u64> {
        let threads: Vec<_> = (0..args.connections).map(|_| scope.spawn(ask)).collect();
        let mut sum = 0;
        for thread in threads {
            let Ok(answers) = thread.join() else { bail!("a connection's thread panicked") };
            sum += answers?;
        }
        Ok(sum)
    })?;
    tell(&answers)
}
