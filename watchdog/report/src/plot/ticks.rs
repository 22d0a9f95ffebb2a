//! The steps of the scales: powers of two of memory, and times as people count them, from now.

use watchdog_core::units::Bytes;

/// Up to six amounts from zero to `top` at steps of a power of two.
pub(super) fn amounts(top: f64) -> Vec<u64> {
    let mut step = 1.0_f64;
    while top / step > 6.0 {
        step *= 2.0;
    }
    (0..=6).map(|n| step * f64::from(n)).take_while(|at| *at <= top).map(|at| at as u64).collect()
}

/// `64 MiB`: without the decimals of a round amount.
pub(super) fn amount(bytes: u64) -> String {
    if bytes == 0 { "0".into() } else { Bytes(bytes).to_string().replace(".0 ", " ") }
}

const MINUTE: f64 = 60.0;
const HOUR: f64 = 3600.0;
const DAY: f64 = 86_400.0;

/// Steps that people count in, in seconds.
const STEPS: [f64; 23] = [
    1.0,
    2.0,
    5.0,
    10.0,
    15.0,
    30.0,
    MINUTE,
    2.0 * MINUTE,
    3.0 * MINUTE,
    5.0 * MINUTE,
    10.0 * MINUTE,
    15.0 * MINUTE,
    20.0 * MINUTE,
    30.0 * MINUTE,
    HOUR,
    2.0 * HOUR,
    3.0 * HOUR,
    6.0 * HOUR,
    12.0 * HOUR,
    DAY,
    2.0 * DAY,
    3.0 * DAY,
    4.0 * DAY,
];

/// The times between `from` and `to` that are labelled, at most `most`, now among them; seconds from now, and the step.
pub(super) fn times(from: f64, to: f64, most: usize) -> (Vec<f64>, f64) {
    let fits = |step: &f64| (to - from) / step < most.max(2) as f64;
    let mut step = STEPS.into_iter().find(fits).unwrap_or(7.0 * DAY);
    while !fits(&step) {
        step *= 2.0;
    }
    let (first, last) = ((from / step).ceil() as i64, (to / step).floor() as i64);
    ((first..=last).map(|n| n as f64 * step).collect(), step)
}

/// `−10 min`, `+3 min`, and for zero what it is called.
pub(super) fn time(t: f64, step: f64, zero: &str) -> String {
    let (unit, length) = match step {
        step if step < MINUTE => ("s", 1.0),
        step if step < HOUR => ("min", MINUTE),
        step if step < DAY => ("h", HOUR),
        _ => ("d", DAY),
    };
    match t / length {
        0.0 => zero.into(),
        n if n < 0.0 => format!("−{:.0} {unit}", -n),
        n => format!("+{n:.0} {unit}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_round_in_binary() {
        let words = |top| amounts(top).into_iter().map(amount).collect::<Vec<_>>();
        assert_eq!(words(300.0 * 1_048_576.0), ["0", "64 MiB", "128 MiB", "192 MiB", "256 MiB"]);
        assert_eq!(words(1536.0), ["0", "256 B", "512 B", "768 B", "1 KiB", "1.2 KiB", "1.5 KiB"]);
        for top in [1.0, 1024.0, 3e9, u64::MAX as f64 * 1.3] {
            assert!((3..=7).contains(&amounts(top).len()) || top == 1.0, "{top}");
        }
    }

    #[test]
    fn times_are_counted_from_now() {
        let words = |from, to| {
            let (times, step) = times(from, to, 7);
            times.into_iter().map(|t| time(t, step, "now")).collect::<Vec<_>>()
        };
        assert_eq!(
            words(-600.0, 190.0),
            ["−10 min", "−8 min", "−6 min", "−4 min", "−2 min", "now", "+2 min"]
        );
        let seconds = ["−60 s", "−50 s", "−40 s", "−30 s", "−20 s", "−10 s", "now"];
        assert_eq!(words(-60.0, 2.4), seconds);
        let hours = ["−6 h", "−3 h", "now", "+3 h", "+6 h"];
        assert_eq!(words(-30_000.0, 30_000.0), hours);
        assert!(words(-1e9, 1e12).len() <= 8);
    }
}
