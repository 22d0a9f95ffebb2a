//! What kind of growth it is, in a word for machines and in a sentence for people.

use serde::{Deserialize, Serialize};

/// The kind of growth. Too little evidence is `Undecided`, never "fine".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Too little evidence for any of the others.
    #[default]
    Undecided,
    /// Watched long enough, and memory does not grow.
    Steady,
    /// Live allocations grow with anonymous memory: a leak, or a cache without a bound.
    HeapLeak,
    /// The allocator holds pages that hold little: resident grows, allocated does not.
    Fragmentation,
    /// Anonymous memory grows outside the allocator.
    OffHeap,
    /// File pages grow; the kernel drops them when needed.
    PageCache,
    /// Shared memory or tmpfs grows.
    Tmpfs,
    /// Memory follows the load up and down.
    Load,
}

impl Kind {
    /// Every kind, for exhaustive metrics.
    pub const ALL: [Self; 8] = [
        Self::Undecided,
        Self::Steady,
        Self::HeapLeak,
        Self::Fragmentation,
        Self::OffHeap,
        Self::PageCache,
        Self::Tmpfs,
        Self::Load,
    ];

    /// The word used in metrics, JSON and messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Undecided => "undecided",
            Self::Steady => "steady",
            Self::HeapLeak => "heap-leak",
            Self::Fragmentation => "fragmentation",
            Self::OffHeap => "off-heap",
            Self::PageCache => "page-cache",
            Self::Tmpfs => "tmpfs",
            Self::Load => "load",
        }
    }
}

/// A kind and the sentence that explains it with its numbers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// The kind of growth.
    pub kind: Kind,
    /// One sentence a tired on-call engineer understands.
    pub sentence: String,
}
