//! The names of files in a recorder directory.

use std::fs;
use std::path::Path;

use crate::error::RecorderError;
use crate::identity::Identity;

/// Held by the watchdog that tends the directory.
pub(super) const LOCK: &str = ".keeper.lock";
/// A file that is not whole yet.
pub(super) const UNFINISHED: &str = ".unfinished.rec";

/// More files than this in the directory are not ours, and not looked at.
const MOST_ENTRIES: usize = 4096;

/// What a file is, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Name {
    Spare(u64),
    Claimed(Identity),
}

impl Name {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let stem = text.strip_suffix(".rec")?;
        let name = if let Some(number) = stem.strip_prefix("spare-") {
            Self::Spare(number.parse().ok()?)
        } else {
            let (pid, start) = stem.strip_prefix("claimed-")?.split_once('-')?;
            Self::Claimed(Identity { pid: pid.parse().ok()?, start_ticks: start.parse().ok()? })
        };
        // Only the one way of writing a name: no `+1`, no leading zeros.
        (name.to_string() == text).then_some(name)
    }
}

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Spare(number) => write!(f, "spare-{number}.rec"),
            Self::Claimed(identity) => {
                write!(f, "claimed-{}-{}.rec", identity.pid, identity.start_ticks)
            }
        }
    }
}

/// All recorders in the directory, by name only, in order.
pub(super) fn list(directory: &Path) -> Result<Vec<Name>, RecorderError> {
    let entries = fs::read_dir(directory).map_err(RecorderError::io("list", directory))?;
    let mut names: Vec<Name> = entries
        .take(MOST_ENTRIES)
        .filter_map(|entry| Name::parse(entry.ok()?.file_name().to_str()?))
        .collect();
    names.sort_unstable();
    Ok(names)
}
