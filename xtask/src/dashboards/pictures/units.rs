//! Values as Grafana writes them in a unit.

/// Grafana's steps of a unit that is counted in powers of 1024.
const BINARY: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
const THOUSANDS: [&str; 4] = ["", " K", " Mil", " Bil"];
/// Seconds from which the next one is used.
const TIMES: [(f64, &str); 4] =
    [(604_800.0, " week"), (86_400.0, " day"), (3_600.0, " hour"), (60.0, " min")];

/// The value in its unit, with as many digits as fit a figure.
pub(super) fn figure(value: f64, unit: &str) -> String {
    let (scaled, suffix) = scale(value, unit);
    format!("{}{suffix}", digits(scaled))
}

/// The same without zeros at the end, for an axis whose marks are `step` apart.
pub(super) fn mark(value: f64, unit: &str, step: f64) -> String {
    let (scaled, suffix) = scale(value, unit);
    if scaled == 0.0 {
        return format!("0{suffix}");
    }
    let step = (step * scaled / value).abs();
    let decimals = if step >= 1.0 { 0 } else { (-step.log10()).ceil().clamp(1.0, 6.0) as usize };
    format!("{scaled:.decimals$}{suffix}")
}

/// Marks between these values, some `number` of them, in steps that are round in the unit.
pub(super) fn marks(low: f64, high: f64, number: f64, unit: &str) -> Vec<f64> {
    let rough = ((high - low) / number).max(f64::MIN_POSITIVE);
    let step = if is_binary(unit) && rough > 1.0 {
        2f64.powf(rough.log2().ceil())
    } else if unit == "s" && rough > 1.0 {
        round_time(rough)
    } else {
        round(rough)
    };
    let first = (low / step).ceil();
    let last = ((high / step) * (1.0 + 1e-9)).floor();
    (0..=(last - first).max(0.0) as u32).map(|index| (first + f64::from(index)) * step).collect()
}

/// The powers of ten between these values.
pub(super) fn powers(low: f64, high: f64) -> Vec<f64> {
    let (first, last) = (low.log10().ceil() as i32, high.log10().floor() as i32);
    (first..=last).map(|power| 10f64.powi(power)).collect()
}

/// The next of 1, 2, 5, 10, …
fn round(rough: f64) -> f64 {
    let power = 10f64.powf(rough.log10().floor());
    let steps = [1.0, 2.0, 5.0, 10.0].map(|step| step * power);
    steps.into_iter().find(|step| *step >= rough * (1.0 - 1e-9)).unwrap_or(rough)
}

/// The next that people count time in.
pub(super) fn round_time(rough: f64) -> f64 {
    const STEPS: [f64; 19] = [
        1.0,
        2.0,
        5.0,
        10.0,
        15.0,
        30.0,
        60.0,
        120.0,
        300.0,
        600.0,
        900.0,
        1800.0,
        3600.0,
        7200.0,
        21600.0,
        86400.0,
        172_800.0,
        604_800.0,
        1_209_600.0,
    ];
    STEPS.into_iter().find(|step| *step >= rough).unwrap_or_else(|| round(rough))
}

fn is_binary(unit: &str) -> bool {
    matches!(unit, "bytes" | "binBps")
}

fn scale(value: f64, unit: &str) -> (f64, String) {
    match unit {
        "bytes" | "binBps" => {
            let (scaled, name) = by(value, 1024.0, &BINARY);
            let per = if unit == "binBps" { "/s" } else { "" };
            (scaled, format!(" {name}{per}"))
        }
        "s" => time(value),
        "percentunit" => (value * 100.0, "%".into()),
        "reqps" => (value, " req/s".into()),
        "short" => {
            let (scaled, name) = by(value, 1000.0, &THOUSANDS);
            (scaled, name.into())
        }
        _ => (value, String::new()),
    }
}

fn by(value: f64, base: f64, names: &'static [&'static str]) -> (f64, &'static str) {
    let (mut scaled, mut place) = (value, 0);
    while scaled.abs() >= base && place + 1 < names.len() {
        (scaled, place) = (scaled / base, place + 1);
    }
    (scaled, names[place])
}

fn time(seconds: f64) -> (f64, String) {
    let long = TIMES.iter().find(|(from, _)| seconds.abs() >= *from);
    match long {
        Some((from, name)) => (seconds / from, (*name).into()),
        None if seconds == 0.0 || seconds.abs() >= 1.0 => (seconds, " s".into()),
        None if seconds.abs() >= 1e-3 => (seconds * 1e3, " ms".into()),
        None => (seconds * 1e6, " µs".into()),
    }
}

/// Three digits that count, a whole number as it is.
fn digits(value: f64) -> String {
    let decimals = match value.abs() {
        whole if whole.fract() < 1e-9 => 0,
        small if small < 10.0 => 2,
        middle if middle < 100.0 => 1,
        _ => 0,
    };
    format!("{value:.decimals$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_written_as_in_grafana() {
        for (value, unit, text) in [
            (1536.0, "bytes", "1.50 KiB"),
            (268_435_456.0, "bytes", "256 MiB"),
            (-5_242_880.0, "binBps", "-5 MiB/s"),
            (90.0, "s", "1.50 min"),
            (0.0125, "s", "12.5 ms"),
            (0.0, "s", "0 s"),
            (0.662, "percentunit", "66.2%"),
            (12_300.0, "short", "12.3 K"),
            (3.0, "none", "3"),
        ] {
            assert_eq!(figure(value, unit), text, "{value} {unit}");
        }
    }

    #[test]
    fn marks_are_round_in_their_unit_and_within_the_ends() {
        let mib = f64::from(1 << 20);
        assert_eq!(
            marks(0.0, 256.0 * mib, 4.0, "bytes"),
            [0.0, 64.0, 128.0, 192.0, 256.0].map(|m| m * mib)
        );
        assert_eq!(marks(0.0, 1.0, 5.0, "percentunit").len(), 6);
        assert_eq!(marks(0.0, 400.0, 5.0, "s"), [0.0, 120.0, 240.0, 360.0]);
        assert_eq!(mark(0.5, "percentunit", 0.25), "50%");
        assert_eq!(mark(0.5, "short", 0.5), "0.5");
        assert_eq!(powers(3.0, 4_000.0), [10.0, 100.0, 1_000.0]);
    }
}
