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

/// The factor of one file: a power of two, fixed by its first amount that is not zero.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Scale {
    factor: Option<f64>,
}

impl Scale {
    /// Fixes the factor, if it is not fixed yet, by the limit or the largest value of a row.
    pub(super) fn settle(&mut self, amount: f64) {
        if self.factor.is_none() && amount > 0.0 {
            let factor =
                if amount >= IN_BYTES { 1.0 } else { 2f64.powi(AIM - amount.log2().ceil() as i32) };
            // Finite also for amounts near the smallest number there is.
            self.factor = Some(factor.min(2f64.powi(1000)));
        }
    }

    /// An amount of the file, not negative and not `NaN`, as bytes.
    pub(super) fn bytes(&self, amount: f64) -> Result<Bytes, Problem> {
        // Before the factor is fixed every amount was zero.
        let scaled = amount * self.factor.unwrap_or(1.0);
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
        assert!(scale(f64::MIN_POSITIVE).bytes(f64::MIN_POSITIVE).is_ok());
    }
}
