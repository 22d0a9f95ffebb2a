//! Reads recorded series: CSV files, plain or gzip, row by row into the samples that the detector takes.
//!
//! One line and one row are held at a time, whatever the file's length. The first line names the columns, in any
//! order; cells are separated by commas, may be quoted and may have spaces around them.
//!
//! | column | becomes |
//! |---|---|
//! | `t_seconds` | the sample's time; needed. Its zero has no meaning: a Unix time will do |
//! | `rss_bytes` or `value_bytes` | resident memory; `anon_bytes` where neither is there |
//! | `anon_bytes` | anonymous memory, the leak signal; else resident memory less `file_bytes` and `shmem_bytes` |
//! | `file_bytes` | file pages; else resident less anonymous and shared memory |
//! | `shmem_bytes` | shared memory; else resident less anonymous memory and file pages, where all three are there |
//! | `swap_bytes` | swapped-out memory |
//! | `allocated_bytes` | the allocator's statistics, together with `resident_bytes` or `active_bytes`, either of which stands in for the other; alone it is not used, as everything else would look off-heap |
//! | `retained_bytes`, `metadata_bytes`, `mapped_bytes` | the same statistics' other figures |
//! | `limit_bytes` | the limit in that row |
//! | `load` | requests a second, or any other measure of work |
//!
//! # Units
//! A [`Sample`] counts whole bytes. Where the first limit, or else the first value, is below a mebibyte, the file is
//! taken to be in another unit (a share, percent, GiB) and all its amounts are multiplied by one power of two, which
//! changes no comparison and loses no digit that matters. Amounts in such samples mean nothing outside the file.
//!
//! # Treatment of bad input
//! An error refuses the whole file and names file and line.
//!
//! | input | treatment |
//! |---|---|
//! | empty file; header only; no row with a value | error |
//! | no `t_seconds`; none of `rss_bytes`, `value_bytes`, `anon_bytes` | error |
//! | a column named twice | error |
//! | `rss_bytes` beside `value_bytes` | `rss_bytes` is used, the other ignored and noted |
//! | a column of another name | ignored and noted |
//! | a cell that is no number | error |
//! | a memory cell that is empty, `NaN` or infinite | the row is a gap: left out and counted |
//! | an allocator cell that is empty, `NaN` or infinite | the row has no allocator statistics |
//! | a negative amount of memory | error |
//! | a limit that is empty or `NaN` | the limit of the row before holds |
//! | a limit that is zero, negative, infinite or at least 2^62, the kernel's "none" | the file sets no limit from this row on |
//! | a load that is empty, negative, `NaN` or infinite | no load is known in that row |
//! | a time that is empty, `NaN`, infinite or beyond 10^11 (milliseconds, most likely) | error |
//! | a time equal to the row before's | the later row is left out and counted |
//! | a time before the row before's | error |
//! | gaps of hours or days | kept as they are; what they mean is the detector's to say |
//! | a row with more or fewer cells than the header; a quote that is not closed in its line | error |
//! | a line longer than 64 KiB | error |
//! | an amount over 2^63 after the change of unit | error |
//! | CRLF, a byte-order mark, spaces around cells, quoted cells, empty lines | accepted |
//! | text that is not UTF-8 | error |
//! | gzip under any name; several gzip members after one another | accepted |
//! | gzip that is cut short or damaged | error that says how many lines could be read |
//! | a directory without series; a path that cannot be read | error |

mod directory;
mod error;
mod header;
mod lines;
mod row;
mod scale;

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use watchdog_core::sample::Sample;
use watchdog_core::units::{Moment, WallTime};

pub use directory::{Listing, Series, list};
pub use error::{Problem, RecordingError};
use header::Header;
use lines::{Line, Lines};
use row::Row;
use scale::Scale;

/// Later than any clock that counts seconds: the year 5138. Milliseconds since 1973 are beyond it.
const LAST_TIME: f64 = 1e11;

/// What was left out of a series, so that it can be said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notes {
    /// Columns that were not used, as the header names them.
    pub ignored: Vec<String>,
    /// Rows without a value.
    pub gaps: u64,
    /// Rows with the time of the row before.
    pub repeated: u64,
}

/// A series that is being read: an iterator over its samples, which ends after the first error.
#[derive(Debug)]
pub struct Recording {
    path: PathBuf,
    lines: Lines,
    header: Header,
    /// The limit that the file itself gave last; `None` before it spoke.
    own_limit: Option<Option<f64>>,
    /// The limit where the file sets none.
    limit: Option<f64>,
    scale: Scale,
    first: Option<f64>,
    last: f64,
    samples: u64,
    notes: Notes,
    ended: bool,
}

impl Recording {
    /// Opens a series and reads its header. `limit`, in the unit of the file, counts where the file sets none.
    ///
    /// # Errors
    /// When the file cannot be opened or its header cannot be used.
    pub fn open(path: &Path, limit: Option<f64>) -> Result<Self, RecordingError> {
        let file =
            File::open(path).map_err(|source| Problem::Unreadable { source }.of_file(path))?;
        Self::read(path, file, limit)
    }

    /// The same from any reader; `path` only names it in errors.
    ///
    /// # Errors
    /// When the header cannot be read or used.
    pub fn read(
        path: &Path,
        input: impl Read + Send + 'static,
        limit: Option<f64>,
    ) -> Result<Self, RecordingError> {
        let mut lines =
            Lines::new(input).map_err(|source| Problem::Unreadable { source }.of_file(path))?;
        let header = match lines.next_line() {
            Ok(Some(Line { number, text })) => {
                Header::parse(text).map_err(|problem| problem.of_line(path, number))?
            }
            Ok(None) => return Err(Problem::Empty.of_line(path, 1)),
            Err(problem) => return Err(problem.of_line(path, lines.number())),
        };
        Ok(Self {
            path: path.to_path_buf(),
            lines,
            notes: Notes { ignored: header.ignored().to_vec(), ..Notes::default() },
            header,
            own_limit: None,
            limit: limit.and_then(row::limit),
            scale: Scale::default(),
            first: None,
            last: f64::NEG_INFINITY,
            samples: 0,
            ended: false,
        })
    }

    /// What was left out so far.
    pub fn notes(&self) -> &Notes {
        &self.notes
    }

    fn next_sample(&mut self) -> Result<Option<Sample>, Problem> {
        while let Some(line) = self.lines.next_line()? {
            let row = self.header.row(line.text)?;
            let t = time(&row)?;
            if t < self.last {
                return Err(Problem::Backwards { t, last: self.last });
            }
            if t == self.last {
                self.notes.repeated += 1;
                continue;
            }
            self.last = t;
            let first = *self.first.get_or_insert(t);
            self.own_limit = row.limit().or(self.own_limit);
            let allocator = row.allocator()?;
            let Some(memory) = row.memory()? else {
                self.notes.gaps += 1;
                continue;
            };
            let limit = self.own_limit.flatten().or(self.limit);
            self.scale.settle(limit.unwrap_or(memory.most()));
            self.samples += 1;
            return Ok(Some(Sample {
                at: Moment(t),
                wall: WallTime(t),
                memory: memory.scaled(&self.scale)?,
                limit: limit.map(|limit| self.scale.bytes(limit)).transpose()?,
                cgroup: None,
                allocator: allocator.map(|seen| seen.scaled(&self.scale)).transpose()?,
                load: row.load(),
                age: t - first,
            }));
        }
        if self.samples == 0 {
            return Err(Problem::NoValues);
        }
        Ok(None)
    }
}

impl Iterator for Recording {
    type Item = Result<Sample, RecordingError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let next = self.next_sample().transpose();
        self.ended = !matches!(next, Some(Ok(_)));
        next.map(|next| next.map_err(|problem| problem.of_line(&self.path, self.lines.number())))
    }
}

fn time(row: &Row) -> Result<f64, Problem> {
    let t = row.time().ok_or(Problem::NoTime)?;
    if t.abs() > LAST_TIME { Err(Problem::NotSeconds { t }) } else { Ok(t) }
}
