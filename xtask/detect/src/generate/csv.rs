//! A made-up series as the file that `oomen backtest` reads.

use std::fmt::Write;

use watchdog_core::sample::Sample;

use super::Trace;

/// One row a sample, the columns of the backtest format. The allocator's columns and the load's are there only if the
/// trace has them; a sample without a reading leaves them empty. Shared memory is what `rss_bytes` holds beside
/// anonymous and file pages. Swap has no column; made-up services have none.
pub fn to_csv(trace: &Trace) -> String {
    let allocator = trace.samples.iter().any(|sample| sample.allocator.is_some());
    let load = trace.samples.iter().any(|sample| sample.load.is_some());
    let mut text = String::from("t_seconds,rss_bytes,anon_bytes");
    if allocator {
        text.push_str(",allocated_bytes,active_bytes,resident_bytes");
    }
    text.push_str(",file_bytes,limit_bytes");
    text.push_str(if load { ",load\n" } else { "\n" });
    for sample in &trace.samples {
        // Writing to a string cannot fail.
        let _ = row(&mut text, sample, allocator, load);
    }
    text
}

fn row(text: &mut String, sample: &Sample, allocator: bool, load: bool) -> std::fmt::Result {
    let memory = &sample.memory;
    write!(text, "{:.3},{},{}", sample.at.0, memory.rss.0, memory.anon.0)?;
    match sample.allocator {
        Some(read) => write!(text, ",{},{},{}", read.allocated.0, read.active.0, read.resident.0)?,
        None if allocator => text.push_str(",,,"),
        None => {}
    }
    write!(text, ",{},", memory.file.0)?;
    sample.limit.map_or(Ok(()), |limit| write!(text, "{}", limit.0))?;
    match sample.load {
        Some(load) => writeln!(text, ",{load:.3}"),
        None if load => writeln!(text, ","),
        None => writeln!(text),
    }
}
