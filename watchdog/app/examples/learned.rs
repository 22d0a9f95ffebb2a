//! Writes the state of a watchdog that has watched a target for twelve hours: `learned DIRECTORY TARGET`. For tests of the
//! shipped program, which a test would have to wait for otherwise.

#[path = "../tests/it/support/learned.rs"]
#[expect(clippy::expect_used, reason = "of the tests")]
mod state_of;

use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let words: Vec<_> = std::env::args().skip(1).collect();
    let [directory, target] = words.as_slice() else {
        eprintln!("usage: learned DIRECTORY TARGET");
        return ExitCode::from(2);
    };
    state_of::learned(Path::new(directory), target);
    ExitCode::SUCCESS
}
