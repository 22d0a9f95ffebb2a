//! What is known of a dump, and the names dumps get.

use serde::{Deserialize, Serialize};
use watchdog_core::units::{Bytes, WallTime};
use watchdog_core::verdict::Kind;

/// Longest part of an id that comes from the target's name.
const MAX_NAME: usize = 64;

/// Longest id: the name, two numbers of at most 20 digits, two dashes.
const MAX_ID: usize = MAX_NAME + 42;

/// Longest reason that is kept, in characters.
const MAX_REASON: usize = 500;

/// A dump that is to be stored.
#[derive(Clone, Debug, PartialEq)]
pub struct NewDump {
    /// Name of the target.
    pub target: String,
    /// Its process.
    pub pid: u32,
    /// When the dump was taken.
    pub taken: WallTime,
    /// Bytes in use according to the dump, corrected for sampling.
    pub inuse_space: Bytes,
    /// Memory the target used then, if known.
    pub used: Option<Bytes>,
    /// Its limit, if it has one.
    pub limit: Option<Bytes>,
    /// What was thought of it then.
    pub verdict: Kind,
    /// Why the dump was taken, for people.
    pub reason: String,
}

/// A stored dump.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DumpMeta {
    /// Names the dump: letters, digits, `.`, `_` and `-` only.
    pub id: String,
    /// Name of the target.
    pub target: String,
    /// Its process.
    pub pid: u32,
    /// When the dump was taken, in seconds since the Unix epoch.
    pub taken: WallTime,
    /// Size of the raw dump.
    pub bytes: Bytes,
    /// Bytes in use according to the dump, corrected for sampling.
    pub inuse_space: Bytes,
    /// Memory the target used then, if known.
    pub used: Option<Bytes>,
    /// Its limit, if it has one.
    pub limit: Option<Bytes>,
    /// What was thought of it then.
    pub verdict: Kind,
    /// Why the dump was taken, for people; at most 500 characters.
    pub reason: String,
}

impl DumpMeta {
    pub(super) fn new(dump: &NewDump, sequence: u64, bytes: Bytes) -> Self {
        // A float below zero or beyond u64 stops at the ends; the second is only for people to read.
        let second = dump.taken.0 as u64;
        Self {
            id: format!("{}-{second}-{sequence}", file_name(&dump.target)),
            target: dump.target.clone(),
            pid: dump.pid,
            taken: dump.taken,
            bytes,
            inuse_space: dump.inuse_space,
            used: dump.used,
            limit: dump.limit,
            verdict: dump.verdict,
            reason: dump.reason.chars().take(MAX_REASON).collect(),
        }
    }

    /// Order of storing, which a jump of the wall clock cannot change.
    pub(super) fn sequence(&self) -> u64 {
        sequence(&self.id).unwrap_or(0)
    }
}

/// The sequence number at the end of an id; `None` for anything a store would not name a dump.
pub(super) fn sequence(id: &str) -> Option<u64> {
    let (name, number) = id.rsplit_once('-')?;
    let (name, second) = name.rsplit_once('-')?;
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let ours = id.len() <= MAX_ID && !name.is_empty() && name == file_name(name);
    (ours && digits(second) && digits(number)).then(|| number.parse().ok())?
}

/// A target's name made fit for a file name: no separators, no hidden files, not too long.
fn file_name(target: &str) -> String {
    let fit = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let name = target.chars().take(MAX_NAME).map(|c| if fit(c) { c } else { '_' });
    name.enumerate().map(|(at, c)| if at == 0 && c == '.' { '_' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn target_names_become_harmless_file_names() {
        for (target, name) in [
            ("shop-recommendations", "shop-recommendations"),
            ("../../etc/passwd", "_._.._etc_passwd"),
            (".hidden", "_hidden"),
            ("pod/ünï\0code\n", "pod__n__code_"),
        ] {
            assert_eq!(file_name(target), name);
        }
        assert_eq!(file_name(&"x".repeat(1000)).len(), MAX_NAME);
    }

    #[test]
    fn only_ids_that_a_store_gives_are_ids() {
        assert_eq!(sequence("shop-1790000000-17"), Some(17));
        assert_eq!(sequence("a-b-1-2"), Some(2));
        for id in [
            "",
            "shop",
            "shop-1",
            "-1-2",
            "../x-1-2",
            ".x-1-2",
            "a/b-1-2",
            "a\0-1-2",
            "shop--2",
            "shop-1-",
            "shop-1-+2",
            "shop-1-99999999999999999999",
            "shöp-1-2",
        ] {
            assert_eq!(sequence(id), None, "{id:?}");
        }
        assert_eq!(sequence(&format!("{}-1-2", "x".repeat(200))), None);
    }
}
