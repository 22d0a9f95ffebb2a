//! What a heap profile can be turned into, what may be asked of a live one, and why neither worked.

use std::future::Future;
use std::pin::Pin;
use std::str::FromStr;

use serde::Serialize;
use watchdog_core::units::WallTime;

/// The form in which a heap profile is handed out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// Protocol buffers of pprof, compressed with gzip.
    Pprof,
    /// A flamegraph as SVG.
    Flamegraph,
    /// One stack a line, outermost function first, with its bytes.
    Collapsed,
    /// The dump as it was taken.
    Raw,
    /// The functions that hold most, as a table in plain text.
    Top,
}

/// A format that does not exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no such format; there are `pprof`, `flamegraph`, `collapsed`, `raw` and `top`")]
pub struct UnknownFormat;

impl Format {
    /// Every format.
    pub const ALL: [Self; 5] =
        [Self::Pprof, Self::Flamegraph, Self::Collapsed, Self::Raw, Self::Top];

    /// The word for it in a query.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pprof => "pprof",
            Self::Flamegraph => "flamegraph",
            Self::Collapsed => "collapsed",
            Self::Raw => "raw",
            Self::Top => "top",
        }
    }

    /// Whether growth can be written in it. The dump itself is no difference, and a collapsed stack has no way to say
    /// that it shrank.
    pub fn shows_growth(self) -> bool {
        matches!(self, Self::Pprof | Self::Flamegraph | Self::Top)
    }
}

impl FromStr for Format {
    type Err = UnknownFormat;

    fn from_str(word: &str) -> Result<Self, UnknownFormat> {
        Self::ALL.into_iter().find(|format| format.as_str() == word).ok_or(UnknownFormat)
    }
}

/// What a dump is before anything is made of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Encoding {
    /// jemalloc's own text, `heap_v2`.
    #[default]
    JemallocText,
    /// Protocol buffers of pprof, compressed with gzip.
    Pprof,
}

impl Encoding {
    /// What the name of such a file ends in, without the leading dot.
    pub fn extension(self) -> &'static str {
        match self {
            Self::JemallocText => "heap",
            Self::Pprof => "pb.gz",
        }
    }
}

/// What is wanted of a live target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Live {
    /// The form of the answer; with `seconds` or `base` always one that [shows growth](Format::shows_growth).
    pub format: Format,
    /// Look for so many seconds, 1 to 300, and answer with the growth in that time. Never together with `base`.
    pub seconds: Option<u32>,
    /// Answer with the growth since this stored dump was taken.
    pub base: Option<String>,
}

/// A profile in the format that was asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Rendered {
    /// The whole of it.
    pub bytes: Vec<u8>,
    /// When the profile was taken.
    pub taken: WallTime,
    /// What the dump was before; says what the bytes are when [`Format::Raw`] was asked for.
    pub encoding: Encoding,
}

/// A profile in the making.
pub type RenderFuture<'a> =
    Pin<Box<dyn Future<Output = Result<Rendered, RenderError>> + Send + 'a>>;

/// Why there is no profile in the wanted form. The texts reach whoever asked, so they hold no secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RenderError {
    /// No stored dump has that id.
    #[error("no heap dump has the id `{0}`; `/api/v1/heap-dumps` lists those that are kept")]
    UnknownDump(String),
    /// No target has that name.
    #[error("no target is called `{0}`; `/api/v1/targets` lists them")]
    UnknownTarget(String),
    /// There is none now; the text says why and how to mend it.
    #[error("there is no heap profile now: {0}")]
    Unavailable(String),
    /// Too much of this is done at once.
    #[error("as many heap profiles as this watchdog makes at once are being made; try again soon")]
    Busy,
    /// It was tried and did not work; the text says what happened.
    #[error("the heap profile could not be made: {0}")]
    Failed(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_format_is_found_under_its_word_and_the_error_names_them_all() {
        for format in Format::ALL {
            assert_eq!(format.as_str().parse(), Ok(format));
            assert!(UnknownFormat.to_string().contains(&format!("`{}`", format.as_str())));
        }
        for word in ["", "PPROF", "svg", "pprof "] {
            assert_eq!(word.parse::<Format>(), Err(UnknownFormat), "{word}");
        }
    }
}
