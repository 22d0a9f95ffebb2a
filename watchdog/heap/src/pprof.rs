//! pprof's protobuf, in and out: what `go tool pprof`, Grafana, Parca and speedscope open.
//!
//! The messages are those of `profile.proto` in github.com/google/pprof; a profile needs so few shapes of fields
//! that they are written and read here without a generator. Two conventions of that format matter:
//!
//! - A location's address is the one of the call, while stacks here hold the address the call returns to: one is
//!   taken away when writing and added when reading.
//! - The frames of a location are one per function, the innermost call that was inlined first.

mod error;
mod inflate;
mod message;
mod read;
mod samples;
mod tables;
mod wire;
mod write;

pub use error::{Missing, PprofError};
pub(crate) use inflate::{gunzip, is_gzip};
pub use read::{Read, ReadLimits, read};
pub use write::{write, write_difference, write_with_comments};

/// Types of values and their units, in the order in which Go's heap profiles have them.
const VALUE_TYPES: [(&str, &str); 4] = [
    ("alloc_objects", "count"),
    ("alloc_space", "bytes"),
    ("inuse_objects", "count"),
    ("inuse_space", "bytes"),
];
