//! Programs that use memory well and only look like a leak to a rule of thumb. Nobody may be named in them.

pub(crate) mod batch_sawtooth;
pub(crate) mod bounded_cache;
pub(crate) mod churn;
pub(crate) mod connection_pool;
pub(crate) mod page_cache;
pub(crate) mod warm_up;

use crate::catalogue::{Entry, Language, Make};

const fn innocent(name: &'static str, what: &'static str, make: Make) -> Entry {
    let make = Some(make);
    Entry { name, language: Language::Rust, leaks: false, what, culprits: &[], make }
}

/// A program in Go that allocates much and keeps nothing. It is in `go/main.go`.
pub(crate) const GO_CHURN: Entry = Entry {
    name: "go-churn",
    language: Language::Go,
    leaks: false,
    what: "Go: much is allocated, and the garbage collector frees it all.",
    culprits: &[],
    make: None,
};
