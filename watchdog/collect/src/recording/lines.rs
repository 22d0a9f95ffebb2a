//! Numbered lines of a file that may be gzip, one at a time and none longer than a bound.
//!
//! The csv crate reads a quoted cell to its closing quote however far away that is, and counts lines only between
//! rows. Here a file of any length or shape takes the same memory, and every error knows its line.

use std::fmt;
use std::io::{self, BufRead, BufReader, Cursor, Read};

use flate2::bufread::MultiGzDecoder;

use super::error::Problem;

/// Longest line in bytes. A row of every known column takes under 400.
pub(super) const LONGEST: usize = 64 * 1024;
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
const BYTE_ORDER_MARK: char = '\u{feff}';

/// A line that is not empty, without its end.
#[derive(Debug)]
pub(super) struct Line<'a> {
    /// Counted from one.
    pub(super) number: u64,
    pub(super) text: &'a str,
}

pub(super) struct Lines {
    input: Box<dyn BufRead + Send>,
    buffer: Vec<u8>,
    /// Lines begun so far.
    number: u64,
}

impl fmt::Debug for Lines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lines").field("number", &self.number).finish_non_exhaustive()
    }
}

impl Lines {
    /// Lines of plain text or of gzip, which its first two bytes tell.
    pub(super) fn new(mut input: impl Read + Send + 'static) -> io::Result<Self> {
        let mut head = Vec::with_capacity(GZIP_MAGIC.len());
        input.by_ref().take(GZIP_MAGIC.len() as u64).read_to_end(&mut head)?;
        let gzip = head == GZIP_MAGIC;
        let whole = BufReader::new(Cursor::new(head).chain(input));
        let input: Box<dyn BufRead + Send> = if gzip {
            Box::new(BufReader::new(MultiGzDecoder::new(whole)))
        } else {
            Box::new(whole)
        };
        Ok(Self { input, buffer: Vec::new(), number: 0 })
    }

    /// The line read last, counted from one; one before the first.
    pub(super) fn number(&self) -> u64 {
        self.number.max(1)
    }

    /// The next line that is not empty; `None` at the end of the file.
    pub(super) fn next_line(&mut self) -> Result<Option<Line<'_>>, Problem> {
        loop {
            if !self.fill()? {
                return Ok(None);
            }
            if !self.buffer.is_empty() {
                break;
            }
        }
        let text = std::str::from_utf8(&self.buffer).map_err(|_| Problem::NotUtf8)?;
        let text = if self.number == 1 {
            text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text)
        } else {
            text
        };
        Ok(Some(Line { number: self.number, text }))
    }

    /// Puts the next line into the buffer, without its end; false at the end of the file.
    fn fill(&mut self) -> Result<bool, Problem> {
        self.buffer.clear();
        // Room for the longest line and its end, CRLF.
        let room = LONGEST as u64 + 2;
        let read = self.input.by_ref().take(room).read_until(b'\n', &mut self.buffer);
        let lines = self.number;
        self.number += u64::from(!matches!(read, Ok(0)));
        match read {
            Ok(0) => return Ok(false),
            Ok(_) => {}
            Err(source) => return Err(Problem::BrokenOff { lines, source }),
        }
        if self.buffer.pop_if(|last| *last == b'\n').is_some() {
            self.buffer.pop_if(|last| *last == b'\r');
        }
        if self.buffer.len() > LONGEST { Err(Problem::TooLong) } else { Ok(true) }
    }
}
