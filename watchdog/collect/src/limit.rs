//! Which limit counts, and who said so.

use std::fmt;

use watchdog_core::units::Bytes;

/// The environment variable that the Downward API fills (`resourceFieldRef: limits.memory`).
pub const DOWNWARD_VARIABLE: &str = "OOMEN_LIMIT_BYTES";

/// Who gave the limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LimitSource {
    /// The user, with `--limit` or in the configuration.
    Explicit,
    /// The kernel: the smallest limit on the way from the process's cgroup up.
    Cgroup,
    /// Kubernetes, through [`DOWNWARD_VARIABLE`]. It goes stale when a pod is resized in place.
    DownwardApi,
}

impl LimitSource {
    /// The word used in JSON and messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Explicit => "explicit",
            Self::Cgroup => "cgroup",
            Self::DownwardApi => "downward-api",
        }
    }
}

impl fmt::Display for LimitSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A limit and where it is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// The amount whose crossing kills.
    pub bytes: Bytes,
    /// Who said so.
    pub source: LimitSource,
}

/// The explicit limit before the cgroup's before the Downward API's; none is an answer too.
pub fn resolve(
    explicit: Option<Bytes>,
    cgroup: Option<Bytes>,
    downward: Option<Bytes>,
) -> Option<Limit> {
    [
        (explicit, LimitSource::Explicit),
        (cgroup, LimitSource::Cgroup),
        (downward, LimitSource::DownwardApi),
    ]
    .into_iter()
    .find_map(|(bytes, source)| bytes.map(|bytes| Limit { bytes, source }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_explicit_limit_wins_then_the_cgroup_then_the_downward_api() {
        let (a, b, c) = (Some(Bytes(1)), Some(Bytes(2)), Some(Bytes(3)));
        let limit = |bytes, source| Some(Limit { bytes: Bytes(bytes), source });
        assert_eq!(resolve(a, b, c), limit(1, LimitSource::Explicit));
        assert_eq!(resolve(None, b, c), limit(2, LimitSource::Cgroup));
        assert_eq!(resolve(None, None, c), limit(3, LimitSource::DownwardApi));
        assert_eq!(resolve(None, None, None), None);
    }
}
