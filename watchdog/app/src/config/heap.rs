//! What of the configuration is about heap profiles: the recorder, the store, debug files, Pyroscope.

use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;
use url::Url;
use watchdog_core::units::Bytes;

use super::section::Section;
use super::{Config, read_secret};
use crate::cli::WatchArgs;

/// Four ramps of a target with the first, the last and three between of each.
const DEFAULT_KEEP: usize = 20;
const DEFAULT_TARGET_BYTES: Bytes = Bytes::from_mib(64);
const DEFAULT_TOTAL_BYTES: Bytes = Bytes::from_mib(256);
const DAY: f64 = 86_400.0;
/// Long enough for who comes back from a holiday to an incident.
const DEFAULT_AGE: f64 = 30.0 * DAY;
/// Pyroscope shows profiles over time in steps of this length by default.
const DEFAULT_PUSH: f64 = 15.0;
/// Directories of debug files; a machine has one or two.
const MAX_DEBUG_DIRS: usize = 8;

/// How heap profiles are recorded, kept and passed on.
#[derive(Debug)]
pub struct HeapConfig {
    /// Directory that the services see as well, for flight recorders.
    pub recorder_dir: Option<PathBuf>,
    /// Directories of debug files by build id.
    pub debug_dirs: Vec<PathBuf>,
    /// Dumps kept per target.
    pub keep: usize,
    /// Bytes that the dumps of one target may take.
    pub bytes_per_target: Bytes,
    /// Bytes that all dumps may take together.
    pub max_bytes: Bytes,
    /// Age beyond which a dump goes unless it is its target's newest.
    pub max_age: Duration,
    /// Where profiles are pushed to.
    pub pyroscope: Option<PyroscopeConfig>,
}

/// A Pyroscope-compatible server.
#[derive(Debug)]
pub struct PyroscopeConfig {
    /// Its address.
    pub url: Url,
    /// How often a profile of each target is pushed.
    pub interval: Duration,
    /// Bearer token, where it wants one.
    pub token: Option<SecretString>,
    /// `X-Scope-OrgID`, where it has several tenants.
    pub tenant: Option<String>,
}

impl Default for HeapConfig {
    fn default() -> Self {
        Self {
            recorder_dir: None,
            debug_dirs: Vec::new(),
            keep: DEFAULT_KEEP,
            bytes_per_target: DEFAULT_TARGET_BYTES,
            max_bytes: DEFAULT_TOTAL_BYTES,
            max_age: Duration::from_secs_f64(DEFAULT_AGE),
            pyroscope: None,
        }
    }
}

impl Config {
    pub(super) fn read_heap(&mut self, root: &mut Section, args: &WatchArgs) {
        let named = root.string("recorder_dir").map(PathBuf::from);
        self.heap.recorder_dir = args.recorder_dir.clone().or(named);
        let listed = root.strings("debug_dirs", MAX_DEBUG_DIRS).unwrap_or_default();
        self.heap.debug_dirs = match args.debug_dirs.as_slice() {
            [] => listed.into_iter().map(PathBuf::from).collect(),
            dirs => dirs.to_vec(),
        };
        self.read_dumps(root);
        self.read_pyroscope(root);
    }

    fn read_dumps(&mut self, root: &mut Section) {
        let mut dumps = root.section("dumps");
        let keep = dumps.integer("keep", 2..=1000).and_then(|keep| usize::try_from(keep).ok());
        let age = dumps.seconds("max_age", 60.0..=3660.0 * DAY);
        let default = HeapConfig::default();
        self.heap.keep = keep.unwrap_or(default.keep);
        self.heap.max_bytes = dumps.parsed("max_bytes").unwrap_or(default.max_bytes);
        let per_target = dumps.parsed("bytes_per_target");
        self.heap.bytes_per_target =
            per_target.unwrap_or(default.bytes_per_target.min(self.heap.max_bytes));
        self.heap.max_age = age.map_or(default.max_age, Duration::from_secs_f64);
        root.absorb(dumps);
    }

    fn read_pyroscope(&mut self, root: &mut Section) {
        let present = root.has("pyroscope");
        let mut section = root.section("pyroscope");
        if present && !section.has("url") {
            section.mistake("url", "is missing: the server, as \"http://127.0.0.1:4040\"");
        }
        let url = section.parsed::<Url>("url");
        if url.as_ref().is_some_and(|url| !matches!(url.scheme(), "http" | "https")) {
            section.mistake("url", "must begin with http:// or https://");
        }
        let interval = section.seconds("interval", 1.0..=3600.0).unwrap_or(DEFAULT_PUSH);
        let token_file = section.string("token_file").map(PathBuf::from);
        let token = token_file.and_then(|file| read_secret(&mut section, "token_file", &file));
        let tenant = section.string("tenant");
        self.heap.pyroscope = url.map(|url| PyroscopeConfig {
            url,
            interval: Duration::from_secs_f64(interval),
            token,
            tenant,
        });
        root.absorb(section);
    }
}
