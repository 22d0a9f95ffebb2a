//! From counts of sampled allocations to what they stand for, and back.
//!
//! An allocation of size `s` is sampled with the probability `p = 1 - exp(-s / period)`. `jeprof` divides the
//! objects and the bytes of a stack by the `p` of their mean size; both directions here are that formula.

use super::lines::Counts;

/// Objects and bytes divided by the probability that an allocation of their mean size is sampled.
/// `jeprof` leaves bytes without an object as they are, and so does this.
pub(super) fn unbiased(counts: Counts, period: u64) -> (u64, u64) {
    let Counts { objects, bytes } = counts;
    if objects == 0 {
        return (0, bytes);
    }
    let sampled = probability(bytes as f64 / objects as f64, period);
    // A float beyond u64 becomes u64::MAX: absurd counts stay absurd and cannot wrap.
    ((objects as f64 / sampled).round() as u64, (bytes as f64 / sampled).round() as u64)
}

/// How likely an allocation of `size` bytes is sampled.
fn probability(size: f64, period: u64) -> f64 {
    // exp_m1 keeps its precision where 1 - exp(-ratio) would cancel to zero.
    -(-size / period as f64).exp_m1()
}

/// About how many sampled allocations stand behind `objects` of `space` bytes together; at least one when there is
/// anything. For sources that do not say it.
pub(crate) fn sampled_objects(space: u64, objects: u64, period: u64) -> u64 {
    match (space, objects) {
        (0, _) => 0,
        // Without a number of objects: small ones stand for one period each.
        (space, 0) => (space / period.max(1)).max(1),
        (space, objects) => {
            let sampled = probability(space as f64 / objects as f64, period.max(1));
            ((objects as f64 * sampled).round() as u64).max(1)
        }
    }
}

/// The counts from which [`unbiased`] makes `space` bytes again, with `samples` objects if there are counts of so
/// many that do. Where several counts do, those that make `objects` most nearly.
///
/// A reader never makes less than one period out of one object, so that fewer objects are written when `space` is
/// too small for them, and none, which readers take as it is, when it is too small for one.
pub(super) fn biased(space: u64, objects: u64, samples: u64, period: u64) -> Counts {
    // Room for half a byte of rounding; a product beyond a float's precision only makes it one object fewer.
    let most = (space as f64 - 0.5) / period as f64;
    let samples = samples.min(most.max(0.0) as u64);
    if space == 0 || samples == 0 {
        return Counts { objects: 0, bytes: space };
    }
    let solution = solve(space as f64, samples as f64 * period as f64);
    // The float is within a byte or two of the whole number wanted. As the slope is below one, each number of bytes
    // is made by one count or two.
    let near = [0_i64, -1, 1, -2, 2].map(|by| solution.saturating_add_signed(by).max(1));
    let made = |bytes: u64| unbiased(Counts { objects: samples, bytes }, period);
    let exact = near.into_iter().filter(|bytes| made(*bytes).1 == space);
    let nearest = exact.min_by_key(|bytes| made(*bytes).0.abs_diff(objects));
    Counts { objects: samples, bytes: nearest.unwrap_or(solution.max(1)) }
}

/// Solves `s / (1 - exp(-s / scale)) = space` for `s`; `space` is above `scale`, the smallest value there is.
/// Newton's method from above: the function is convex and its slope between 1/2 and 1, so it comes nearer with
/// every step and never leaves the right side.
fn solve(space: f64, scale: f64) -> u64 {
    let mut s = space;
    for _ in 0..40 {
        let ratio = s / scale;
        let sampled = -(-ratio).exp_m1();
        let value = s / sampled;
        let slope = (sampled - ratio * (-ratio).exp()) / (sampled * sampled);
        let step = (value - space) / slope;
        if step.is_nan() || step.abs() < 0.01 {
            break;
        }
        s = (s - step).max(0.5);
    }
    s.round() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `AdjustSamples` of jeprof, as it is written there.
    fn jeprof(n: f64, s: f64, period: f64) -> (f64, f64) {
        let ratio = (s / n) / period;
        let scale_factor = 1.0 / (1.0 - (-ratio).exp());
        (n * scale_factor, s * scale_factor)
    }

    fn counts(objects: u64, bytes: u64) -> Counts {
        Counts { objects, bytes }
    }

    #[test]
    fn the_correction_for_sampling_is_jeprofs() {
        for (objects, bytes) in [(1, 512), (3, 1536), (7, 7 << 20), (1000, 600_000_000), (1, 8)] {
            let (n, s) = jeprof(objects as f64, bytes as f64, 524_288.0);
            let (inuse_objects, inuse_space) = unbiased(counts(objects, bytes), 524_288);
            assert!((inuse_objects as f64 - n).abs() <= 0.5 + n * 1e-9, "{objects} {bytes}");
            assert!((inuse_space as f64 - s).abs() <= 0.5 + s * 1e-9, "{objects} {bytes}");
        }
    }

    #[test]
    fn one_sampled_small_object_stands_for_a_whole_period() {
        // 1 / (1 - exp(-512/524288)) = 1024.5, so 1,025 objects (rounded) and 524,544 bytes.
        assert_eq!(unbiased(counts(1, 512), 524_288), (1025, 524_544));
        assert_eq!(sampled_objects(524_544, 1025, 524_288), 1);
    }

    #[test]
    fn objects_much_larger_than_the_period_are_not_corrected() {
        assert_eq!(unbiased(counts(4, 4 << 30), 524_288), (4, 4 << 30));
    }

    #[test]
    fn absurd_counts_end_at_the_largest_number() {
        assert_eq!(unbiased(counts(u64::MAX, u64::MAX), 524_288), (u64::MAX, u64::MAX));
        assert_eq!(unbiased(counts(0, 7), 524_288), (0, 7));
    }

    #[test]
    fn counts_are_found_that_give_back_every_byte() {
        for period in [1_u64, 4096, 524_288] {
            for samples in [1_u64, 2, 3, 17, 1000] {
                for bytes_each in [8_u64, 512, 4097, 70_000, 524_288, 3 << 20] {
                    let sampled = counts(samples, samples * bytes_each);
                    let (objects, space) = unbiased(sampled, period);
                    let again = unbiased(biased(space, objects, samples, period), period);
                    assert_eq!(again.1, space, "{period} {samples} {bytes_each}");
                    assert_eq!(again.0, objects, "{period} {samples} {bytes_each}");
                }
            }
        }
    }

    #[test]
    fn space_that_no_sampled_object_can_make_is_written_without_one() {
        assert_eq!(biased(1000, 9, 3, 524_288), counts(0, 1000));
        assert_eq!(biased(0, 0, 3, 524_288), counts(0, 0));
        assert_eq!(biased(600_000, 9, 3, 524_288).objects, 1);
    }
}
