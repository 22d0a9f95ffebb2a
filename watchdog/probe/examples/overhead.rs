//! What recording costs: a loop that does nothing but allocate and free, with and without a recorder, in turns.
//!
//! `cargo run --release -p oomen-probe --example overhead` prints nanoseconds per operation and the median of the
//! ratios of neighbouring runs. With `--features frame-pointers` both halves unwind by frame pointers.

use std::hint::black_box;
use std::process::{Command, ExitCode};

use oomen_recorder::{Geometry, Keeper};

oomen_probe::install!();

type Failure = Box<dyn std::error::Error>;

const LIVE: usize = 2048;
const OPERATIONS: u64 = 20_000_000;
const ROUNDS: usize = 15;

/// Objects of 16 to 2064 bytes, about a kilobyte on average, each held until its slot is drawn again.
#[inline(never)]
fn churn(random: &mut u64, live: &mut [Vec<u8>]) {
    // xorshift64
    *random ^= *random << 13;
    *random ^= *random >> 7;
    *random ^= *random << 17;
    let size = 16 + (*random >> 40) as usize % 2048;
    if let Some(slot) = live.get_mut((*random >> 20) as usize % LIVE) {
        *slot = black_box(Vec::with_capacity(size));
    }
}

/// The same below `depth` more frames.
#[inline(never)]
fn deep(depth: u32, random: &mut u64, live: &mut [Vec<u8>], operations: u64) -> u32 {
    if depth == 0 {
        for _ in 0..operations {
            churn(random, live);
        }
        return 0;
    }
    // Added after the call, so that it is no tail call.
    black_box(deep(black_box(depth - 1), random, live, operations)) + 1
}

/// One run, in a process of its own: prints nanoseconds per operation.
fn measure(depth: u32) -> Result<(), Failure> {
    oomen_probe::record();
    let mut live: Vec<Vec<u8>> = vec![Vec::new(); LIVE];
    let mut random = 0x9e37_79b9_7f4a_7c15;
    deep(depth, &mut random, &mut live, OPERATIONS / 10);
    let before = time_on_cpu()?;
    deep(depth, &mut random, &mut live, OPERATIONS);
    println!("{}", (time_on_cpu()? - before) / OPERATIONS as f64);
    Ok(())
}

/// Nanoseconds that this thread has run: other programs make less of a difference than with the time of day.
fn time_on_cpu() -> Result<f64, Failure> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    Ok(text.split(' ').next().ok_or("schedstat is empty")?.parse()?)
}

fn run(depth: u32, lg: u32, recorders: Option<&std::path::Path>) -> Result<f64, Failure> {
    let mut command = Command::new(std::env::current_exe()?);
    command
        .args(["run", &depth.to_string()])
        .env("_RJEM_MALLOC_CONF", format!("lg_prof_sample:{lg}"));
    match recorders {
        Some(directory) => command.env("OOMEN_RECORDER_DIR", directory),
        None => command.env_remove("OOMEN_RECORDER_DIR"),
    };
    let output = command.output()?;
    Ok(String::from_utf8(output.stdout)?.trim().parse()?)
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Runs in turns, so that what else the machine does falls on both.
fn compare(depth: u32, lg: u32) -> Result<(), Failure> {
    let directory = std::env::temp_dir().join(format!("oomen-overhead-{}", std::process::id()));
    let mut keeper = Keeper::open(&directory, Geometry::default(), 1)?;
    let (mut plain, mut recorded, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    let mut samples = 0;
    for _ in 0..ROUNDS {
        keeper.refill()?;
        let (without, with) = (run(depth, lg, None)?, run(depth, lg, Some(&directory))?);
        plain.push(without);
        recorded.push(with);
        ratios.push(with / without);
        for claimed in keeper.claimed()? {
            let snapshot = claimed.open()?.snapshot()?;
            samples = snapshot.stacks.iter().map(|stack| stack.alloc_samples).sum();
            keeper.remove(&claimed)?;
        }
    }
    println!(
        "depth {depth:2}, lg_prof_sample {lg}: plain {:.2} ns, recorded {:.2} ns, ratio {:.4} ({samples} samples)",
        median(&mut plain),
        median(&mut recorded),
        median(&mut ratios),
    );
    drop(keeper);
    Ok(std::fs::remove_dir_all(&directory)?)
}

fn main() -> Result<ExitCode, Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.as_slice() {
        [mode, depth] if mode == "run" => measure(depth.parse()?)?,
        [] => {
            for (depth, lg) in [(0, 19), (38, 19), (0, 17), (38, 17)] {
                compare(depth, lg)?;
            }
        }
        _ => return Err("no arguments are expected".into()),
    }
    Ok(ExitCode::SUCCESS)
}
