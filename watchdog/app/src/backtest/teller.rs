//! Writes outcomes in the order of their series, whichever is ready first.

use std::collections::BTreeMap;
use std::io::{self, Write};

use watchdog_core::detector::Level;

use super::outcome::{Outcome, Told};
use super::progress::Progress;
use super::text;
use crate::cli::BacktestFormat;

/// How many series ended how.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Summary {
    /// With a leak or imminent alarm.
    pub(super) told: u64,
    /// With suspect alarms alone.
    pub(super) suspect: u64,
    /// Without an alarm.
    pub(super) quiet: u64,
    /// That could not be used.
    pub(super) unreadable: u64,
    /// Samples of all.
    pub(super) samples: u64,
    /// Seconds of all.
    pub(super) span: f64,
}

impl Summary {
    fn count(&mut self, outcome: &Outcome) {
        let Ok(Told { replay, .. }) = &outcome.result else {
            self.unreadable += 1;
            return;
        };
        self.samples += replay.samples;
        self.span += replay.span;
        match replay.alarms.iter().map(|alarm| alarm.output).max() {
            Some(Level::Leak | Level::Imminent) => self.told += 1,
            Some(Level::Suspect | Level::Calm) => self.suspect += 1,
            None => self.quiet += 1,
        }
    }
}

/// Takes outcomes in any order; keeps only those whose predecessors are still missing.
pub(super) struct Teller<W> {
    out: W,
    format: BacktestFormat,
    progress: Progress,
    next: usize,
    waiting: BTreeMap<usize, Outcome>,
    summary: Summary,
    failed: Option<io::Error>,
}

impl<W: Write> Teller<W> {
    pub(super) fn new(out: W, format: BacktestFormat, progress: Progress) -> Self {
        Self {
            out,
            format,
            progress,
            next: 0,
            waiting: BTreeMap::new(),
            summary: Summary::default(),
            failed: None,
        }
    }

    /// Takes the outcome of the series with this index; false when it is of no use to go on.
    pub(super) fn take(&mut self, index: usize, outcome: Outcome) -> bool {
        self.progress.advance();
        self.waiting.insert(index, outcome);
        while self.failed.is_none()
            && let Some(outcome) = self.waiting.remove(&self.next)
        {
            self.next += 1;
            self.failed = self.tell(&outcome).err();
        }
        self.failed.is_none()
    }

    fn tell(&mut self, outcome: &Outcome) -> io::Result<()> {
        self.summary.count(outcome);
        match &outcome.result {
            Ok(told) => {
                if let Some(note) = text::note(&told.notes) {
                    self.progress.say(&format!("{}: note: {note}", outcome.file));
                }
            }
            Err(error) => self.progress.say(error),
        }
        let text = match (self.format, &outcome.result) {
            (BacktestFormat::Json, _) => outcome.json()? + "\n",
            (BacktestFormat::Text, Ok(told)) => text::series(&outcome.file, told),
            (BacktestFormat::Text, Err(_)) => return Ok(()),
        };
        let out = &mut self.out;
        self.progress.beside(|| out.write_all(text.as_bytes()))
    }

    /// The end: the summary for people, and the counts.
    ///
    /// # Errors
    /// The first one of writing.
    pub(super) fn finish(mut self) -> io::Result<Summary> {
        self.progress.finish();
        if let Some(error) = self.failed {
            return Err(error);
        }
        if self.format == BacktestFormat::Text {
            writeln!(self.out, "{}", text::summary(&self.summary))?;
        }
        self.out.flush()?;
        Ok(self.summary)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(file: &str) -> Outcome {
        Outcome { file: file.into(), result: Err(format!("{file}: why")) }
    }

    #[test]
    fn outcomes_are_written_in_the_order_of_their_series() {
        let mut out = Vec::new();
        let mut teller = Teller::new(&mut out, BacktestFormat::Json, Progress::none());
        for (index, file, waiting) in [(2, "c", 1), (0, "a", 1), (3, "d", 2), (1, "b", 0)] {
            assert!(teller.take(index, failed(file)));
            assert_eq!(teller.waiting.len(), waiting, "after {file}");
        }
        assert_eq!(teller.finish().expect("written").unreadable, 4);
        let files: Vec<_> = out.split(|byte| *byte == b'\n').map(|line| line.get(9)).collect();
        assert_eq!(files, [Some(&b'a'), Some(&b'b'), Some(&b'c'), Some(&b'd'), None]);
    }

    #[test]
    fn where_nobody_reads_the_work_ends() {
        struct Closed;
        impl Write for Closed {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let mut teller = Teller::new(Closed, BacktestFormat::Json, Progress::none());
        assert!(!teller.take(0, failed("a")));
        assert_eq!(teller.finish().expect_err("closed").kind(), io::ErrorKind::BrokenPipe);
    }
}
