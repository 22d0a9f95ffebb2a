//! What is known of a dump, and the names dumps get.

use std::ops::Deref;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use watchdog_core::units::{Bytes, BytesPerSecond, WallTime};
use watchdog_core::verdict::Kind;

use crate::capture::{Encoding, SourceKind};

/// Longest part of an id that comes from the target's name.
const MAX_NAME: usize = 64;

/// Longest id: the name, two numbers of at most 20 digits, two dashes.
const MAX_ID: usize = MAX_NAME + 42;

/// Longest reason that is kept, in characters.
const MAX_REASON: usize = 500;

/// Longest name of an incident or a ramp that is kept, in characters.
const MAX_REFERENCE: usize = 128;

/// Most modules that are kept of a process. A service has a few; what is beyond stays without a build id.
const MAX_MODULES: usize = 64;

/// Longest path of a module in bytes. A longer one is left out: cut off it would name another file.
const MAX_PATH: usize = 256;

/// Longest build id in characters; the usual SHA-1 has 40.
const MAX_BUILD_ID: usize = 128;

/// A dump that is to be stored.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NewDump {
    /// Name of the target.
    pub target: String,
    /// Its process.
    pub pid: u32,
    /// When the dump was taken.
    pub taken: WallTime,
    /// The format of the raw bytes.
    pub encoding: Encoding,
    /// Where they came from.
    pub source: SourceKind,
    /// Bytes in use according to the dump, corrected for sampling.
    pub inuse_space: Bytes,
    /// Sampled allocations that the source could not record.
    pub lost_samples: u64,
    /// Memory the target used then, if known.
    pub used: Option<Bytes>,
    /// Its limit, if it has one.
    pub limit: Option<Bytes>,
    /// What was thought of it then.
    pub verdict: Kind,
    /// How fast its memory grew then, if that was known.
    pub growth: Option<BytesPerSecond>,
    /// The incident the dump belongs to.
    pub incident: Option<String>,
    /// Names the rise of memory that the dump is a point of, such as the incident or the process's start. Retention
    /// keeps the first, the last and three between of each.
    pub ramp: String,
    /// The build id of the program, lower-case hexadecimal.
    pub build_id: Option<String>,
    /// The files that were mapped into the process, so that addresses can be named later.
    pub modules: Vec<Module>,
    /// Why the dump was taken, for people.
    pub reason: String,
}

/// A stored dump. Fields that a description lacks have their default.
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
    /// The format of the raw bytes.
    #[serde(default)]
    pub encoding: Encoding,
    /// Where they came from.
    #[serde(default)]
    pub source: SourceKind,
    /// Bytes in use according to the dump, corrected for sampling.
    pub inuse_space: Bytes,
    /// Sampled allocations that the source could not record.
    #[serde(default)]
    pub lost_samples: u64,
    /// Memory the target used then, if known.
    pub used: Option<Bytes>,
    /// Its limit, if it has one.
    pub limit: Option<Bytes>,
    /// What was thought of it then.
    pub verdict: Kind,
    /// How fast its memory grew then, in bytes per second, if that was known.
    #[serde(default)]
    pub growth: Option<BytesPerSecond>,
    /// The incident the dump belongs to; at most 128 characters.
    #[serde(default)]
    pub incident: Option<String>,
    /// Names the rise of memory that the dump is a point of; at most 128 characters.
    #[serde(default)]
    pub ramp: String,
    /// The build id of the program, lower-case hexadecimal.
    #[serde(default)]
    pub build_id: Option<String>,
    /// The files that were mapped into the process; at most 64.
    #[serde(default)]
    pub modules: Modules,
    /// Why the dump was taken, for people; at most 500 characters.
    pub reason: String,
}

/// A file that was mapped into the process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Module {
    /// Path as the process saw it, at most 256 bytes.
    pub path: String,
    /// Its GNU build id in lower-case hexadecimal, where it has one.
    pub build_id: Option<String>,
}

/// The modules of a process; the dumps of one process share them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<Module>", into = "Vec<Module>")]
pub struct Modules(Arc<[Module]>);

impl Deref for Modules {
    type Target = [Module];

    fn deref(&self) -> &[Module] {
        &self.0
    }
}

impl From<Vec<Module>> for Modules {
    /// Leaves out what is too many or too long.
    fn from(modules: Vec<Module>) -> Self {
        let fit = modules.into_iter().filter(|module| module.path.len() <= MAX_PATH);
        let fit = fit.map(|module| Module { build_id: build_id(module.build_id), ..module });
        Self(fit.take(MAX_MODULES).collect())
    }
}

impl From<Modules> for Vec<Module> {
    fn from(modules: Modules) -> Self {
        modules.to_vec()
    }
}

impl DumpMeta {
    pub(super) fn new(dump: &NewDump, sequence: u64, bytes: Bytes) -> Self {
        // A time that is no number cannot be written as JSON.
        let taken = if dump.taken.0.is_finite() { dump.taken } else { WallTime(0.0) };
        // A float below zero or beyond u64 stops at the ends; the second is only for people to read.
        let second = taken.0 as u64;
        Self {
            id: format!("{}-{second}-{sequence}", file_name(&dump.target)),
            target: dump.target.clone(),
            pid: dump.pid,
            taken,
            bytes,
            encoding: dump.encoding,
            source: dump.source,
            inuse_space: dump.inuse_space,
            lost_samples: dump.lost_samples,
            used: dump.used,
            limit: dump.limit,
            verdict: dump.verdict,
            growth: dump.growth.filter(|growth| growth.0.is_finite()),
            incident: dump.incident.as_deref().map(|id| beginning(id, MAX_REFERENCE)),
            ramp: beginning(&dump.ramp, MAX_REFERENCE),
            build_id: build_id(dump.build_id.clone()),
            modules: Modules::from(dump.modules.clone()),
            reason: beginning(&dump.reason, MAX_REASON),
        }
    }

    /// What the file with the raw bytes is called.
    pub(super) fn file(&self) -> String {
        format!("{}.{}", self.id, self.encoding.extension())
    }

    /// Lets equal modules of two dumps be one in memory.
    pub(super) fn share_modules(&mut self, other: &Self) {
        if self.modules == other.modules {
            self.modules = other.modules.clone();
        }
    }
}

fn beginning(text: &str, characters: usize) -> String {
    text.chars().take(characters).collect()
}

/// A build id, if it is one.
fn build_id(id: Option<String>) -> Option<String> {
    let hexadecimal =
        |id: &String| id.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) && !id.is_empty();
    id.filter(hexadecimal).filter(|id| id.len() <= MAX_BUILD_ID)
}

/// The number at the end of an id: the order of storing, which a jump of the wall clock cannot change. `None` for anything a store would not name a dump.
pub(super) fn sequence(id: &str) -> Option<u64> {
    let (name, number) = id.rsplit_once('-')?;
    let (name, second) = name.rsplit_once('-')?;
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let ours = id.len() <= MAX_ID && !name.is_empty() && name == file_name(name);
    (ours && digits(second) && digits(number)).then(|| number.parse().ok())?
}

/// The id that a file of a store belongs to.
pub(super) fn id_of(file: &str) -> Option<&str> {
    let endings = [".json", ".heap", ".pb.gz"];
    endings.iter().find_map(|ending| file.strip_suffix(ending)).filter(|id| sequence(id).is_some())
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

    #[test]
    fn the_files_of_a_dump_are_known_by_their_endings() {
        for (file, id) in [
            ("a-1-2.json", Some("a-1-2")),
            ("a-1-2.heap", Some("a-1-2")),
            ("a-1-2.pb.gz", Some("a-1-2")),
            ("a-1-2.gz", None),
            ("a-1-2", None),
            ("a.json", None),
        ] {
            assert_eq!(id_of(file), id, "{file}");
        }
    }

    #[test]
    fn what_is_too_long_or_no_number_is_not_kept() {
        let module = |path: &str, id: &str| Module { path: path.into(), build_id: Some(id.into()) };
        let mut modules = vec![module("/bin/shop", "AB"), module(&"x".repeat(257), "ab")];
        modules.extend((0..100).map(|n| module(&format!("/lib/{n}.so"), "00ff")));
        let new = NewDump {
            target: "a".into(),
            taken: WallTime(f64::NAN),
            growth: Some(BytesPerSecond(f64::INFINITY)),
            incident: Some("é".repeat(200)),
            build_id: Some("f".repeat(129)),
            modules,
            ..NewDump::default()
        };
        let meta = DumpMeta::new(&new, 1, Bytes(1));
        assert_eq!(meta.taken, WallTime(0.0));
        assert_eq!(meta.growth, None);
        assert_eq!(meta.incident.map(|id| id.chars().count()), Some(128));
        assert_eq!(meta.build_id, None);
        assert_eq!(meta.modules.len(), 64);
        assert_eq!(meta.modules[0], Module { path: "/bin/shop".into(), build_id: None });
        assert_eq!(meta.modules[1], module("/lib/0.so", "00ff"));
    }
}
