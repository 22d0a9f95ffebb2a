//! Where a profile can come from, and what taking it costs the watched process.

use serde::{Deserialize, Serialize};
use watchdog_core::units::Bytes;

/// Where a profile comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SourceKind {
    /// The flight recorder's table in shared memory, read while the process lives.
    Recorder,
    /// The probe's dump over HTTP.
    #[default]
    Probe,
    /// Go's `net/http/pprof`.
    Go,
    /// Files that jemalloc writes by itself.
    Files,
    /// The flight recorder's table, read when the process was already dead.
    AfterKill,
}

impl SourceKind {
    /// Every kind, for exhaustive metrics.
    pub const ALL: [Self; 5] =
        [Self::Recorder, Self::Probe, Self::Go, Self::Files, Self::AfterKill];

    /// Memory that must be left under the process's limit so that it survives being asked.
    pub const fn headroom(self) -> Bytes {
        match self {
            // Nothing is asked of the process.
            Self::Recorder | Self::Files | Self::AfterKill => Bytes(0),
            // jemalloc formats a dump in a static buffer of 64 KiB; the rest is for the sockets and the pages of the
            // file that the probe sends, which the kernel can take back.
            Self::Probe => Bytes::from_mib(2),
            // Go's encoder allocated 17 MB for 30,000 stacks, and its collector may let the heap grow by as much again.
            Self::Go => Bytes::from_mib(32),
        }
    }

    /// The word used in metrics, JSON and messages.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Recorder => "recorder",
            Self::Probe => "probe",
            Self::Go => "go",
            Self::Files => "files",
            Self::AfterKill => "after-kill",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_word_in_json_is_the_word_in_metrics() {
        for kind in SourceKind::ALL {
            let json = serde_json::to_value(kind).expect("JSON");
            assert_eq!(json, kind.as_str());
        }
    }

    #[test]
    fn what_asks_nothing_of_the_process_needs_no_headroom() {
        for kind in SourceKind::ALL {
            let asks = matches!(kind, SourceKind::Probe | SourceKind::Go);
            assert_eq!(kind.headroom() > Bytes(0), asks, "{kind:?}");
        }
    }
}
