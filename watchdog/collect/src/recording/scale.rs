//! From the file's unit to whole bytes.

use watchdog_core::units::Bytes;

use super::error::Problem;

/// From here on an amount is taken to be in bytes or KiB, of which none are lost by rounding that would matter: one in
/// a million. No service lives below a mebibyte, and shares, percent, MiB and GiB are below it.
const IN_BYTES: f64 = (1u64 << 20) as f64;
/// Where a smaller first amount is moved: 36 bits below it (the error is far below that of any sensor), 27 above it
/// for growth in files that begin near zero and give no limit.
const AIM: i32 = 36;
/// Above it sums of two amounts would no longer fit.
const TOO_LARGE: f64 = (1u64 << 63) as f64;

/// The power of two of one file, fixed by its first amount that is not zero.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Scale {
    exponent: Option<i32>,
}

impl Scale {
    /// Fixes the power, if it is not fixed yet, by the limit or the largest value of a row.
    pub(super) fn settle(&mut self, amount: f64) {
        if self.exponent.is_none() && amount > 0.0 {
            let moved = if amount >= IN_BYTES { 0 } else { AIM - amount.log2().ceil() as i32 };
            self.exponent = Some(moved);
        }
    }

    /// An amount of the file, not negative and not `NaN`, as bytes.
    pub(super) fn bytes(&self, amount: f64) -> Result<Bytes, Problem> {
        // Before the power is fixed every amount was zero. In two steps: the whole factor may exceed what a float holds.
        let exponent = self.exponent.unwrap_or(0);
        let half = exponent / 2;
        let scaled = amount * 2f64.powi(half) * 2f64.powi(exponent - half);
        if scaled >= TOO_LARGE {
            return Err(Problem::TooLarge { value: amount });
        }
        Ok(Bytes(scaled.round() as u64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scale(first: f64) -> Scale {
        let mut scale = Scale::default();
        scale.settle(first);
        scale
    }

    #[test]
    fn bytes_stay_bytes() {
        let scale = scale(256.0 * 1024.0 * 1024.0);
        assert_eq!(scale.bytes(123_456_789.0).expect("fits"), Bytes(123_456_789));
    }

    #[test]
    fn a_share_keeps_its_digits() {
        let scale = scale(1.0);
        let (a, b) = (scale.bytes(0.25).expect("fits"), scale.bytes(0.250_000_001).expect("fits"));
        assert_eq!(a, Bytes(1 << (AIM - 2)));
        assert!((b.as_f64() / a.as_f64() - 1.000_000_004).abs() < 1e-9);
    }

    #[test]
    fn zeros_do_not_fix_the_scale() {
        let mut scale = scale(0.0);
        assert_eq!(scale.bytes(0.0).expect("fits"), Bytes(0));
        scale.settle(0.5);
        assert_eq!(scale.bytes(0.5).expect("fits"), Bytes(1 << AIM));
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        assert!(scale(1e9).bytes(1e19).is_err());
        assert!(scale(1e-300).bytes(1.0).is_err());
    }

    #[test]
    fn the_smallest_amount_there_is_keeps_its_scale() {
        for least in [f64::MIN_POSITIVE, f64::from_bits(1)] {
            assert_eq!(scale(least).bytes(least).expect("fits"), Bytes(1 << AIM), "{least:e}");
        }
    }
}
