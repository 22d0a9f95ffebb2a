//! Why bytes are not a heap profile in pprof's format.

/// Why bytes are not a heap profile in pprof's format, or not one within the limits.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PprofError {
    /// The compressed bytes do not decompress.
    #[error("pprof: the gzip data is damaged or cut short ({0}); take the profile again")]
    Gzip(String),
    /// More bytes than the limit.
    #[error(
        "pprof: more than {0} bytes when decompressed; raise the sample period so that fewer stacks are sampled"
    )]
    TooLarge(usize),
    /// Not protobuf, or not a profile.
    #[error("pprof: {0}")]
    Malformed(#[from] Malformed),
    /// A reference to something that is not there.
    #[error("pprof: {0}")]
    Missing(#[from] Missing),
    /// Two of the same kind with the same id.
    #[error("pprof: two {what}s have the id {id}")]
    Duplicate {
        /// Kind of what is there twice.
        what: &'static str,
        /// The id.
        id: u64,
    },
    /// The profile measures something else.
    #[error(
        "pprof: not a heap profile: it measures {found}, while inuse_space or alloc_space in bytes is needed"
    )]
    NotAHeapProfile {
        /// What it measures, as `type/unit` and so on.
        found: String,
    },
    /// A difference of two profiles.
    #[error(
        "pprof: a sample has the negative value {0}, so this is the difference of two profiles; give the two profiles themselves"
    )]
    Negative(i64),
    /// More of something than the limit.
    #[error("pprof: more than {limit} {what}")]
    TooMany {
        /// What there is too much of.
        what: &'static str,
        /// How many are read.
        limit: usize,
    },
}

/// Why bytes are not protobuf, or not a profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// It ends inside a field.
    #[error("the profile ends in the middle of a field: it was cut short or is something else")]
    CutShort,
    /// A number that does not end.
    #[error("a number is longer than 64 bits: this is no profile")]
    EndlessNumber,
    /// A kind of field that protobuf 3 does not have.
    #[error("a field of the unknown kind {0}: this is no profile")]
    Kind(u64),
    /// Field numbers start at one.
    #[error("a field with the number 0: this is no profile")]
    FieldZero,
    /// A text where a number belongs, or the other way round.
    #[error("a number stands where a message belongs, or the other way round: this is no profile")]
    WrongKind,
    /// There must be a text of index zero.
    #[error("the table of texts does not begin with the empty text: this is no profile")]
    NoStringTable,
    /// A sample whose values are not as many as the types.
    #[error("a sample has {found} values where {wanted} types are declared")]
    Values {
        /// Values of the sample.
        found: usize,
        /// Declared types.
        wanted: usize,
    },
}

/// A reference to something that is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{by} refers to {what} {id}, which does not exist")]
pub struct Missing {
    /// What has the reference.
    pub by: &'static str,
    /// Kind of what is missing.
    pub what: &'static str,
    /// Its id or index.
    pub id: u64,
}
