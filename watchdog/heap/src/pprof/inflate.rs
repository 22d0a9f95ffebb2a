//! Decompresses within a bound, so that a bomb of a kilobyte stays one.

use std::io::Read;

use flate2::bufread::MultiGzDecoder;

use super::PprofError;

/// Whether bytes begin as gzip does (RFC 1952, section 2.3.1).
pub(crate) fn is_gzip(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0x1f, 0x8b])
}

/// Decompresses gzip of at most `most` bytes.
///
/// # Errors
/// [`PprofError::Gzip`] and [`PprofError::TooLarge`].
pub(crate) fn gunzip(bytes: &[u8], most: usize) -> Result<Vec<u8>, PprofError> {
    // Profiles compress about four to one; no more than that is taken up front.
    let mut out = Vec::with_capacity(bytes.len().saturating_mul(4).min(most).min(16 << 20));
    MultiGzDecoder::new(bytes)
        .take(most as u64 + 1)
        .read_to_end(&mut out)
        .map_err(|error| PprofError::Gzip(error.to_string()))?;
    if out.len() > most {
        return Err(PprofError::TooLarge(most));
    }
    Ok(out)
}
