//! How far it is, on stderr: only on a terminal, and only when it takes long enough to wonder.

use std::io::{IsTerminal, stderr, stdout};
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// What ends sooner needs no bar.
const PATIENCE: Duration = Duration::from_secs(2);
const TICK: Duration = Duration::from_millis(250);
const TEMPLATE: &str = "{bar:30} {pos} of {len} files, {eta} left";

/// The bar, hidden at first, and the thread that shows it.
pub(super) struct Progress {
    bar: ProgressBar,
    curtain: Option<(SyncSender<()>, JoinHandle<()>)>,
}

impl Progress {
    /// Counts to `files`; shows it after a while where stderr is a terminal.
    pub(super) fn start(files: usize) -> Self {
        if !stderr().is_terminal() {
            return Self::none();
        }
        let bar = ProgressBar::with_draw_target(Some(files as u64), ProgressDrawTarget::hidden());
        if let Ok(style) = ProgressStyle::with_template(TEMPLATE) {
            bar.set_style(style);
        }
        let (ended, end) = sync_channel(0);
        let shown = bar.clone();
        let curtain = std::thread::spawn(move || {
            if end.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
                shown.set_draw_target(ProgressDrawTarget::stderr());
                shown.enable_steady_tick(TICK);
            }
        });
        Self { bar, curtain: Some((ended, curtain)) }
    }

    /// One that is never seen.
    pub(super) fn none() -> Self {
        Self { bar: ProgressBar::hidden(), curtain: None }
    }

    /// One more file is done.
    pub(super) fn advance(&self) {
        self.bar.inc(1);
    }

    /// A line on stderr.
    pub(super) fn say(&self, line: &str) {
        self.bar.suspend(|| eprintln!("oomen: {line}"));
    }

    /// Writes to stdout; without the bar in between where both go to the same screen.
    pub(super) fn beside<T>(&self, write: impl FnOnce() -> T) -> T {
        if stdout().is_terminal() { self.bar.suspend(write) } else { write() }
    }

    /// Takes the bar away.
    pub(super) fn finish(&mut self) {
        if let Some((ended, curtain)) = self.curtain.take() {
            drop(ended);
            // A thread that only shows a bar has nothing to report.
            curtain.join().ok();
        }
        self.bar.finish_and_clear();
    }
}
