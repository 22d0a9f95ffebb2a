//! Tells the two formats of a profile apart and reads either.

use std::io::{Read, Write};

use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use serde::{Deserialize, Serialize};
use watchdog_core::profile::Profile;
use watchdog_core::units::WallTime;

use super::Captured;
use crate::jemalloc::{self, ParseError, ParseLimits};
use crate::pprof::{self, PprofError, ReadLimits};
use crate::symbols::Symbols;

const HEAP_V2: &[u8] = b"heap_v2/";

/// The format of a profile's bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Encoding {
    /// jemalloc's own text, `heap_v2`.
    #[default]
    JemallocText,
    /// pprof protobuf, gzip-compressed.
    Pprof,
}

impl Encoding {
    /// What a file of it is called after the last dot of its name: `heap` or `pb.gz`.
    pub const fn extension(self) -> &'static str {
        match self {
            Self::JemallocText => "heap",
            Self::Pprof => "pb.gz",
        }
    }

    /// The word used in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::JemallocText => "jemalloc-text",
            Self::Pprof => "pprof",
        }
    }

    /// The format that bytes are in, or would be in if they were a profile. Protobuf has control characters near its
    /// beginning, the tags and lengths of its first fields, and text has none but those between words and lines.
    fn of(bytes: &[u8]) -> Self {
        let binary = |byte: &u8| byte.is_ascii_control() && !byte.is_ascii_whitespace();
        if pprof::is_gzip(bytes) || bytes.iter().take(64).any(binary) {
            Self::Pprof
        } else {
            Self::JemallocText
        }
    }
}

/// Why bytes are no profile.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// Not jemalloc's text, nor anything else that is known.
    #[error(transparent)]
    Jemalloc(#[from] ParseError),
    /// Not a pprof profile of memory, or not to be unpacked.
    #[error(transparent)]
    Pprof(#[from] PprofError),
}

impl DecodeError {
    /// Whether it is the beginning of a text that may still be being written.
    pub(super) fn is_cut_short(&self) -> bool {
        use jemalloc::Fault;
        matches!(self, Self::Jemalloc(error) if matches!(error.fault, Fault::CutShort | Fault::NoMappings))
    }
}

/// Reads a profile of either format; `taken` is the time that is noted in it, `limit` the bytes that unpacking may make
/// of `raw`. jemalloc's text may be gzip-compressed and pprof may lack its compression or have it twice; what is kept
/// as `raw` is then as it should have come.
///
/// # Errors
/// [`DecodeError`] when the bytes are not one whole profile within bounds.
pub fn decode(raw: Vec<u8>, taken: WallTime, limit: usize) -> Result<Captured, DecodeError> {
    let raw = unwrapped(raw, limit)?;
    match Encoding::of(&raw) {
        encoding @ Encoding::JemallocText => {
            let profile = jemalloc::parse(&raw, taken, &ParseLimits::default())?;
            Ok(Captured { raw, encoding, profile, symbols: Symbols::default() })
        }
        encoding @ Encoding::Pprof => {
            let (profile, symbols) = read_pprof(&raw, taken, limit)?;
            let raw = if pprof::is_gzip(&raw) { raw } else { compressed(&raw)? };
            Ok(Captured { raw, encoding, profile, symbols })
        }
    }
}

/// The time is the caller's and not the one in the profile, so that profiles of one series share one clock.
fn read_pprof(raw: &[u8], taken: WallTime, limit: usize) -> Result<(Profile, Symbols), PprofError> {
    let read = pprof::read(raw, &limits(limit))?;
    Ok((Profile { taken, ..read.profile }, read.symbols))
}

/// Limits under which each part of a profile, read, takes about `limit` bytes at most: eight for a frame, about
/// 64 for a sample, a location or a function without its texts.
fn limits(limit: usize) -> ReadLimits {
    let usual = ReadLimits::default();
    let entries = limit / 64;
    ReadLimits {
        max_bytes: usual.max_bytes.min(limit),
        max_frames: usual.max_frames.min(limit / 8),
        max_samples: usual.max_samples.min(entries),
        max_locations: usual.max_locations.min(entries),
        max_functions: usual.max_functions.min(entries),
        max_strings: usual.max_strings.min(entries),
        max_text: usual.max_text.min(limit),
        ..usual
    }
}

/// Takes off a compression that was put around jemalloc's text, or around a pprof profile that has its own: servers
/// and proxies do that. Any other content stays packed, as the reader of pprof unpacks it by itself.
fn unwrapped(raw: Vec<u8>, limit: usize) -> Result<Vec<u8>, PprofError> {
    if !pprof::is_gzip(&raw) {
        return Ok(raw);
    }
    let mut head = Vec::with_capacity(HEAP_V2.len());
    let unpacked =
        MultiGzDecoder::new(raw.as_slice()).take(HEAP_V2.len() as u64).read_to_end(&mut head);
    // What is broken is left to the reader of pprof to refuse.
    if unpacked.is_err() || !pprof::is_gzip(&head) && head != HEAP_V2 {
        return Ok(raw);
    }
    pprof::gunzip(&raw, limit)
}

fn compressed(protobuf: &[u8]) -> Result<Vec<u8>, PprofError> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    let written = packed.write_all(protobuf).and_then(|()| packed.finish());
    written.map_err(|error| PprofError::Gzip(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DUMP: &[u8] = b"heap_v2/524288
@ 0x1010
  t*: 16: 8388608 [0: 0]

MAPPED_LIBRARIES:
1000-2000 r-xp 00001000 08:01 42 /usr/bin/shop
";

    fn pprof_of(profile: &Profile) -> Vec<u8> {
        let mut raw = Vec::new();
        pprof::write(profile, &Symbols::default(), &mut raw).expect("written");
        raw
    }

    fn profile() -> Profile {
        decode(DUMP.to_vec(), WallTime(5.0), 1 << 20).expect("a profile").profile
    }

    #[test]
    fn either_format_is_told_from_its_bytes_and_gives_the_same_profile() {
        let text = decode(DUMP.to_vec(), WallTime(5.0), 1 << 20).expect("a profile");
        assert_eq!((text.encoding, text.raw.as_slice()), (Encoding::JemallocText, DUMP));

        let raw = pprof_of(&text.profile);
        let proto = decode(raw.clone(), WallTime(6.0), 1 << 20).expect("a profile");
        assert_eq!((proto.encoding, proto.raw), (Encoding::Pprof, raw));
        assert_eq!(proto.profile.taken, WallTime(6.0), "the time is the caller's");
        assert_eq!(proto.profile.inuse_space(), text.profile.inuse_space());
    }

    #[test]
    fn compression_that_was_put_around_is_taken_off() {
        let wrapped = decode(compressed(DUMP).expect("packed"), WallTime(5.0), 1 << 20);
        let wrapped = wrapped.expect("a profile");
        assert_eq!((wrapped.encoding, wrapped.raw.as_slice()), (Encoding::JemallocText, DUMP));

        let raw = pprof_of(&profile());
        let twice = compressed(&raw).expect("packed");
        let wrapped = decode(twice, WallTime(5.0), 1 << 20).expect("a profile");
        assert_eq!((wrapped.encoding, wrapped.raw), (Encoding::Pprof, raw));
    }

    #[test]
    fn pprof_without_its_compression_is_kept_with_it() {
        let plain = pprof::gunzip(&pprof_of(&profile()), 1 << 20).expect("unpacked");
        let captured = decode(plain.clone(), WallTime(5.0), 1 << 20).expect("a profile");
        assert_eq!(captured.encoding, Encoding::Pprof);
        assert_eq!(pprof::gunzip(&captured.raw, 1 << 20), Ok(plain));
        assert_eq!(captured.profile.inuse_space(), profile().inuse_space());
    }

    #[test]
    fn a_bomb_around_a_dump_is_unpacked_up_to_the_limit() {
        let mut bomb = DUMP.to_vec();
        bomb.resize(4 << 20, b'\n');
        let bomb = compressed(&bomb).expect("packed");
        assert!(bomb.len() < 64 << 10);
        let error = decode(bomb, WallTime(5.0), 1 << 20).expect_err("a bomb");
        assert!(matches!(error, DecodeError::Pprof(PprofError::TooLarge(1_048_576))), "{error}");
    }

    #[test]
    fn a_bomb_within_pprof_is_unpacked_up_to_the_limit() {
        let mut bomb = pprof::gunzip(&pprof_of(&profile()), 1 << 20).expect("unpacked");
        // Comments without end: field 13, each the text of index zero.
        for _ in 0..1 << 20 {
            bomb.extend_from_slice(&[0x68, 0]);
        }
        let bomb = compressed(&bomb).expect("packed");
        let error = decode(bomb, WallTime(5.0), 1 << 20).expect_err("a bomb");
        assert!(matches!(error, DecodeError::Pprof(PprofError::TooLarge(1_048_576))), "{error}");
    }

    #[test]
    fn whatever_else_comes_is_an_error() {
        for bytes in
            [&b""[..], b"<html>\n", b"\x1f\x8b", b"\x1f\x8b\x08\0", b"\n", b"\x12\xff", b"heap_v2/"]
        {
            decode(bytes.to_vec(), WallTime(5.0), 1 << 20).expect_err("no profile");
        }
    }
}
