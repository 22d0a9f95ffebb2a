//! Order statistics, and figures as people read them.

/// The middle value; not a number for none.
pub(crate) fn median(values: &[f64]) -> f64 {
    quantile(values, 0.5)
}

/// The value below which that share of the values lies, interpolated; not a number for none.
pub(crate) fn quantile(values: &[f64], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let Some(last) = sorted.len().checked_sub(1) else { return f64::NAN };
    let place = share.clamp(0.0, 1.0) * last as f64;
    let (below, above) = (place.floor() as usize, place.ceil() as usize);
    sorted[below] + (sorted[above] - sorted[below]) * place.fract()
}

/// The largest value; not a number for none.
pub(crate) fn largest(values: &[f64]) -> f64 {
    values.iter().copied().fold(f64::NAN, f64::max)
}

/// Ratios of values that were measured in the same round.
pub(crate) fn ratios(values: &[f64], to: &[f64]) -> Vec<f64> {
    values.iter().zip(to).map(|(value, to)| value / to).collect()
}

/// Seconds as people read them.
pub(crate) fn seconds(value: f64) -> String {
    match value {
        _ if value >= 10.0 => format!("{value:.0} s"),
        _ if value >= 1.0 => format!("{value:.2} s"),
        _ if value >= 0.1 => format!("{:.0} ms", value * 1e3),
        _ if value >= 1e-3 => format!("{:.1} ms", value * 1e3),
        _ => format!("{:.0} µs", value * 1e6),
    }
}

/// Bytes as people read them.
pub(crate) fn bytes(value: f64) -> String {
    let mib = value / f64::from(1 << 20);
    match mib.abs() {
        size if size >= 100.0 => format!("{mib:.0} MiB"),
        size if size >= 1.0 => format!("{mib:.1} MiB"),
        _ => format!("{:.0} KiB", value / 1024.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_lie_between_the_values() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0]), 2.5);
        assert_eq!(quantile(&[0.0, 10.0, 20.0], 0.75), 15.0);
        assert_eq!(largest(&[1.0, 9.0, 3.0]), 9.0);
        assert!(median(&[]).is_nan() && largest(&[]).is_nan());
    }

    #[test]
    fn a_ratio_compares_what_was_measured_in_the_same_round() {
        assert_eq!(ratios(&[2.0, 9.0], &[1.0, 3.0]), [2.0, 3.0]);
    }

    #[test]
    fn figures_have_units_that_fit_them() {
        let said = [12.0, 3.456, 0.25, 0.0125, 0.00005].map(seconds);
        assert_eq!(said, ["12 s", "3.46 s", "250 ms", "12.5 ms", "50 µs"]);
        let said = [3.0 * 1024.0, 1.5 * 1_048_576.0, 300.0 * 1_048_576.0].map(bytes);
        assert_eq!(said, ["3 KiB", "1.5 MiB", "300 MiB"]);
    }
}
