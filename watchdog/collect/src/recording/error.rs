//! Why a recorded series cannot be used, with file and line.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use super::lines::LONGEST;

/// What is wrong with a series, and where: `FILE:LINE: what`, or `FILE: what` where no line is to blame.
#[derive(Debug)]
pub struct RecordingError {
    /// The file, or the directory.
    pub path: PathBuf,
    /// The line, counted from one.
    pub line: Option<u64>,
    /// What is wrong.
    pub problem: Problem,
}

impl fmt::Display for RecordingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, line, problem } = self;
        match line {
            Some(line) => write!(f, "{}:{line}: {problem}", path.display()),
            None => write!(f, "{}: {problem}", path.display()),
        }
    }
}

impl std::error::Error for RecordingError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.problem.source()
    }
}

/// What is wrong with a series.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// The file or directory cannot be opened or listed.
    #[error("cannot be read: {source}")]
    Unreadable {
        /// What the kernel said.
        source: io::Error,
    },
    /// Reading broke off in the middle: a damaged or truncated gzip file, or a failing disk.
    #[error("cannot be read further, after {lines} whole lines: {source}")]
    BrokenOff {
        /// Lines that could be read to their end.
        lines: u64,
        /// What the decompressor or the kernel said.
        source: io::Error,
    },
    /// A directory holds no `*.csv` or `*.csv.gz` but `index.csv`.
    #[error(
        "this directory holds no *.csv or *.csv.gz (directories inside it are not looked into)"
    )]
    NoSeries,
    /// `index.csv` cannot be used, so that no limit of the directory is known.
    #[error("the index cannot be used: {reason}")]
    Index {
        /// What stood in the way.
        reason: String,
    },
    /// Not even a header.
    #[error(
        "the file is empty; its first line should name the columns, such as t_seconds,rss_bytes"
    )]
    Empty,
    /// A header, but no row with a value.
    #[error("there is no row with a value in this file")]
    NoValues,
    /// A column that is needed is missing.
    #[error("there is no column {wanted}; the header is `{header}`")]
    MissingColumn {
        /// The column, or the columns of which one is needed.
        wanted: &'static str,
        /// The header, cut to 80 characters.
        header: String,
    },
    /// A column is there twice.
    #[error("the column {name} is there twice")]
    DuplicateColumn {
        /// Its name.
        name: &'static str,
    },
    /// A row has more or fewer cells than the header.
    #[error("{found} cells, but the header has {wanted}")]
    Ragged {
        /// Cells of the header.
        wanted: usize,
        /// Cells of this row.
        found: usize,
    },
    /// A quoted cell does not end in its line.
    #[error("a quote is not closed in this line")]
    OpenQuote,
    /// A line is too long.
    #[error("longer than {} KiB; is this a CSV file?", LONGEST / 1024)]
    TooLong,
    /// Not text.
    #[error("not UTF-8 text; save the file as UTF-8")]
    NotUtf8,
    /// A cell is not a number.
    #[error("{column} cannot be `{text}`")]
    NotANumber {
        /// The column.
        column: &'static str,
        /// The cell, cut to 80 characters.
        text: String,
    },
    /// There is no less than no memory.
    #[error("{column} cannot be negative, as {value} is")]
    Negative {
        /// The column.
        column: &'static str,
        /// The cell.
        value: f64,
    },
    /// An amount that 64 bits do not hold.
    #[error(
        "{value} is too large beside the file's first limit or value; give the limit if the file has none"
    )]
    TooLarge {
        /// The cell, in the file's unit.
        value: f64,
    },
    /// A row without a time.
    #[error("t_seconds is empty or no finite number")]
    NoTime,
    /// A time in another unit.
    #[error("t_seconds is {t}, which cannot be seconds; are these milliseconds?")]
    NotSeconds {
        /// The time.
        t: f64,
    },
    /// The rows are not in the order of their time.
    #[error("t_seconds goes back from {last} to {t}; sort the rows by time")]
    Backwards {
        /// The time of this row.
        t: f64,
        /// The time of the row before.
        last: f64,
    },
}

impl Problem {
    pub(super) fn of_file(self, path: &Path) -> RecordingError {
        RecordingError { path: path.to_path_buf(), line: None, problem: self }
    }

    pub(super) fn of_line(self, path: &Path, line: u64) -> RecordingError {
        RecordingError { path: path.to_path_buf(), line: Some(line), problem: self }
    }
}

/// The start of a text that others wrote, for messages.
pub(super) fn excerpt(text: &str) -> String {
    text.chars().take(80).collect()
}
