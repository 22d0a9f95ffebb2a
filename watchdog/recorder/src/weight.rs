//! How many bytes and objects one sample stands for.

/// Objects are counted in parts of this size, so that adding and taking away are exact: `1024` is one object.
pub const OBJECT_UNIT: u64 = 1 << 10;

/// What one sampled object stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Weight {
    /// Bytes allocated, estimated without bias.
    pub bytes: u64,
    /// Objects allocated, estimated without bias, in parts of [`OBJECT_UNIT`].
    pub objects: u64,
}

impl Weight {
    /// jemalloc samples an object of `usable` with the probability `1 - exp(-usize/R)`, where `R` is the mean
    /// number of bytes between samples (its `PROFILING_INTERNALS.md`, and `prof_unbias_map_init` in `prof_data.c`).
    /// One sample therefore stands for the inverse of it. The result depends on the arguments alone, so that what is
    /// taken away at the end of an object is exactly what was added at its start.
    pub fn of(usable: u64, period: f64) -> Self {
        // An object of no bytes is never sampled; this keeps the division finite.
        let size = usable.max(1) as f64;
        let likely = -(-size / period).exp_m1();
        Self {
            bytes: (size / likely).round() as u64,
            objects: (OBJECT_UNIT as f64 / likely).round() as u64,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PERIOD: f64 = (1_u64 << 19) as f64;

    #[test]
    fn a_small_object_stands_for_the_whole_period() {
        let weight = Weight::of(1024, PERIOD);
        // 1024 / (1 - exp(-1/512)) = 1024 x 512.5 and a little.
        assert_eq!(weight.bytes, 524_800);
        assert_eq!(weight.objects, 524_800);
    }

    #[test]
    fn a_large_object_stands_for_itself() {
        assert_eq!(Weight::of(1 << 30, PERIOD), Weight { bytes: 1 << 30, objects: OBJECT_UNIT });
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn a_sample_never_stands_for_less_than_itself(size in 1_u64..1 << 46, lg in 0_u32..40) {
            let weight = Weight::of(size, (1_u64 << lg) as f64);
            prop_assert!(weight.bytes >= size);
            prop_assert!(weight.objects >= OBJECT_UNIT);
        }
    }
}
