//! A profile, or the difference of two, in the form that somebody wants it in.

use std::io;

use watchdog_core::profile::Profile;
use watchdog_heap::difference::Difference;
use watchdog_heap::flamegraph::{self, FlamegraphError};
use watchdog_heap::symbols::Symbols;
use watchdog_heap::{collapsed, jemalloc, pprof, top};
use watchdog_web::dumps::Format;

/// Functions in a table that nobody asked the length of.
pub const TOP_ROWS: usize = 50;

/// What is to be shown.
#[derive(Clone, Copy)]
pub enum Subject<'a> {
    /// One profile.
    Profile(&'a Profile),
    /// What has changed between two.
    Difference(&'a Difference),
}

/// Why it cannot be shown in this form.
#[derive(Debug, thiserror::Error)]
pub enum RenderError {
    /// There is no such form of a difference.
    #[error("a difference can be had as pprof, flamegraph or top, not as {0}")]
    NotOfDifference(&'static str),
    /// No picture.
    #[error(transparent)]
    Flamegraph(#[from] FlamegraphError),
    /// Writing failed.
    #[error("it cannot be written: {0}")]
    Io(#[from] io::Error),
}

/// The whole of it in memory.
///
/// # Errors
/// [`RenderError`].
pub fn bytes(
    subject: Subject<'_>,
    symbols: &Symbols,
    format: Format,
    title: &str,
) -> Result<Vec<u8>, RenderError> {
    let mut out = Vec::new();
    match (subject, format) {
        (Subject::Profile(profile), Format::Pprof) => pprof::write(profile, symbols, &mut out)?,
        (Subject::Profile(profile), Format::Flamegraph) => {
            flamegraph::svg(profile, symbols, title, &mut out)?;
        }
        (Subject::Profile(profile), Format::Collapsed) => {
            collapsed::write(profile, symbols, &mut out)?;
        }
        (Subject::Profile(profile), Format::Raw) => jemalloc::write(profile, &mut out)?,
        (Subject::Profile(profile), Format::Top) => {
            out = top::text(&top::rows(profile, symbols, TOP_ROWS)).into_bytes();
        }
        (Subject::Difference(difference), Format::Pprof) => {
            pprof::write_difference(difference, symbols, &mut out)?;
        }
        (Subject::Difference(difference), Format::Flamegraph) => {
            flamegraph::difference_svg(difference, symbols, title, &mut out)?;
        }
        (Subject::Difference(difference), Format::Top) => {
            let rows = top::difference_rows(difference, symbols, TOP_ROWS);
            out = top::difference_text(&rows).into_bytes();
        }
        (Subject::Difference(_), Format::Collapsed | Format::Raw) => {
            return Err(RenderError::NotOfDifference(format.as_str()));
        }
    }
    Ok(out)
}
