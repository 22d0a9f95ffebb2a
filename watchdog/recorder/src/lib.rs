//! The flight recorder: a heap profile in shared memory, written by the watched process and read by anybody.
//!
//! The allocator samples; the watched process counts each sample in a file of fixed size that both sides share. So
//! the profile is always current, costs no request to read, and is still there after the process was killed.
//!
//! | who | does what | with |
//! |---|---|---|
//! | watchdog | makes the files and keeps some spare | [`Keeper`] |
//! | watched process | claims a spare, records samples and their end | [`claim`], [`Writer`] |
//! | watchdog | reads what was recorded, at any time | [`Reader`], [`Snapshot`] |
//!
//! The write side allocates nothing, takes no lock and never waits: it runs inside the allocator. The read side
//! trusts no byte of the file: whatever is in it, reading gives an answer or an error within a bound on memory.
//!
//! What is in the file, in words of eight bytes in the machine's own order:
//!
//! | part | size | what |
//! |---|---|---|
//! | header | one page | version, sizes, who writes, drops, allocator statistics |
//! | stacks | 64 bytes each | a hash of the frames, where they are, what was allocated and freed with them |
//! | arena | words | the frames, one word each, innermost first |
//! | keys | a word each | pointers of sampled objects that are alive |
//! | values | two words each | size and stack of the object under the key of the same index |

mod create;
mod directory;
mod error;
mod file;
mod fork;
mod geometry;
mod identity;
mod layout;
mod map;
mod reader;
mod statistics;
mod table;
mod weight;
mod writer;

pub use create::create;
pub use directory::{Claimed, Keeper, claim};
pub use error::RecorderError;
pub use geometry::Geometry;
pub use identity::Identity;
pub use reader::{Drops, Reader, RecordedStack, Snapshot, Source};
pub use statistics::AllocatorStatistics;
pub use weight::{OBJECT_UNIT, Weight};
pub use writer::Writer;
