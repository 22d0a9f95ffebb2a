//! Programs in other languages: `go/main.go` and `c/leak.c`. Only the truth about them is here.

use crate::catalogue::{Entry, Expected, Language};

const fn go(name: &'static str, what: &'static str, culprits: &'static [Expected]) -> Entry {
    Entry { name, language: Language::Go, leaks: true, what, culprits, make: None }
}

/// A map that is never emptied.
pub(crate) const GO_MAP_CACHE: Entry = go(
    "go-map-cache",
    "Go: a global map keeps the page rendered for each visit.",
    &[Expected { function: "main.rememberPage", file: "gallery/go/main.go" }],
);

/// Goroutines that wait for what never comes.
pub(crate) const GO_GOROUTINES: Entry = go(
    "go-goroutines",
    "Go: goroutines with their buffers wait on a channel that nobody sends to.",
    &[Expected { function: "main.receiveUpload", file: "gallery/go/main.go" }],
);

/// A few bytes that hold a large array.
pub(crate) const GO_SLICE_RETENTION: Entry = go(
    "go-slice-retention",
    "Go: the first bytes of each upload are kept, and with them the whole array they are a slice of.",
    &[Expected { function: "main.readUpload", file: "gallery/go/main.go" }],
);

/// Memory that nobody frees.
pub(crate) const C_SESSIONS: Entry = Entry {
    name: "c-sessions",
    language: Language::C,
    leaks: true,
    what: "C with jemalloc preloaded: sessions that are opened and not closed.",
    culprits: &[Expected { function: "open_session", file: "gallery/c/leak.c" }],
    make: None,
};
