//! A heap profile as pure data: raw stacks and what each still holds.

use serde::{Deserialize, Serialize};

use crate::units::{Bytes, WallTime};

/// One call stack and the memory that allocations made there still hold. Values are already corrected for sampling.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct StackSample {
    /// Return addresses in the target's address space, innermost first.
    pub stack: Vec<u64>,
    /// `inuse_space`: bytes allocated here and not yet freed.
    pub inuse_space: Bytes,
    /// `inuse_objects`: allocations made here and not yet freed.
    pub inuse_objects: u64,
    /// `alloc_space`: bytes ever allocated here; 0 where the source does not count them.
    pub alloc_space: Bytes,
    /// `alloc_objects`: allocations ever made here; 0 where the source does not count them.
    pub alloc_objects: u64,
    /// How many sampled allocations the figures in use rest on; the relative error is about `1/sqrt` of it.
    pub samples: u64,
    /// How the figures divide by label, where the source labels allocations; empty otherwise. The parts add up to
    /// the figures above, so that only who asks for labels has to look here.
    #[serde(default)]
    pub labelled: Vec<Labelled>,
}

/// The part of a stack's figures that carries one set of labels, which may be the empty set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Labelled {
    /// The labels, in the order of the source.
    pub labels: Vec<Label>,
    /// As [`StackSample::inuse_space`].
    pub inuse_space: Bytes,
    /// As [`StackSample::inuse_objects`].
    pub inuse_objects: u64,
    /// As [`StackSample::alloc_space`].
    pub alloc_space: Bytes,
    /// As [`StackSample::alloc_objects`].
    pub alloc_objects: u64,
}

/// A label of pprof: a key, and a text or a number with its unit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Label {
    /// Its name, such as `thread` or `bytes`.
    pub key: String,
    /// What it says.
    pub value: LabelValue,
}

/// What a label says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LabelValue {
    /// A text.
    Text(String),
    /// A number; an empty unit is none.
    Number {
        /// The number.
        value: i64,
        /// Its unit, such as `bytes`.
        unit: String,
    },
}

/// A part of the target's address space that is backed by a file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mapping {
    /// First address.
    pub start: u64,
    /// One past the last address.
    pub end: u64,
    /// Offset in the file of the first address.
    pub file_offset: u64,
    /// Path as the target sees it.
    pub path: String,
    /// The file's GNU build id in lower-case hexadecimal, where it is known.
    pub build_id: Option<String>,
}

/// A heap profile of one process at one time.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Profile {
    /// When it was taken.
    pub taken: WallTime,
    /// One entry per distinct stack.
    pub stacks: Vec<StackSample>,
    /// File-backed executable mappings, by ascending start.
    pub mappings: Vec<Mapping>,
    /// Mean bytes between two samples (`1 << lg_prof_sample`).
    pub sample_period: Bytes,
    /// Sampled allocations that the source could not record, so that they are missing here.
    pub lost_samples: u64,
}

impl Profile {
    /// All bytes still held, over all stacks.
    pub fn inuse_space(&self) -> Bytes {
        self.stacks.iter().fold(Bytes(0), |sum, stack| sum + stack.inuse_space)
    }
}

/// One frame of a stack after symbolizing; inlined calls are frames of their own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Frame {
    /// Demangled function name without its hash, or `module+0xoffset` when no symbol covers the address.
    pub function: String,
    /// Source file, where the binary has line tables.
    pub file: Option<String>,
    /// Source line, where the binary has line tables.
    pub line: Option<u32>,
}
