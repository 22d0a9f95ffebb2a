//! Units as types: bytes, bytes per second, a moment on the sampling clock, a time on the wall.

use std::fmt;
use std::ops::{Add, Sub};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// An amount of memory in bytes. Subtraction stops at zero.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Bytes(pub u64);

impl Bytes {
    /// `n` kibibytes, the unit of `/proc/PID/status`.
    pub const fn from_kib(n: u64) -> Self {
        Self(n.saturating_mul(1024))
    }

    /// `n` mebibytes.
    pub const fn from_mib(n: u64) -> Self {
        Self(n.saturating_mul(1024 * 1024))
    }

    /// As a float, for arithmetic that may go below zero.
    pub fn as_f64(self) -> f64 {
        self.0 as f64
    }

    /// This amount as a fraction of `whole`; zero when `whole` is zero.
    pub fn fraction_of(self, whole: Self) -> f64 {
        if whole.0 == 0 { 0.0 } else { self.as_f64() / whole.as_f64() }
    }
}

impl Add for Bytes {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl Sub for Bytes {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&scaled(self.as_f64()))
    }
}

/// Binary scale with one decimal from KiB up: `512 B`, `24.0 MiB`.
fn scaled(bytes: f64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if bytes.abs() < 1024.0 {
        return format!("{bytes:.0} B");
    }
    let mut value = bytes / 1024.0;
    let mut unit = UNITS[0];
    for next in &UNITS[1..] {
        if value.abs() < 1023.95 {
            break;
        }
        value /= 1024.0;
        unit = next;
    }
    format!("{value:.1} {unit}")
}

/// Text that is not an amount of memory.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not an amount of memory: write bytes, or a number with a unit such as 256MiB, 1Gi or 500M"
)]
pub struct ParseBytesError(String);

impl FromStr for Bytes {
    type Err = ParseBytesError;

    /// Accepts plain bytes, binary units (`Ki`, `KiB` … `Ti`, `TiB`) and decimal ones (`k`, `kB` … `T`, `TB`),
    /// which covers the quantities of Kubernetes and of `systemd`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || ParseBytesError(text.chars().take(40).collect());
        let trimmed = text.trim();
        let digits =
            trimmed.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(trimmed.len());
        let number: f64 = trimmed[..digits].parse().map_err(|_| error())?;
        let factor: f64 = match trimmed[digits..].trim() {
            "" | "B" => 1.0,
            "k" | "K" | "kB" | "KB" => 1e3,
            "M" | "MB" => 1e6,
            "G" | "GB" => 1e9,
            "T" | "TB" => 1e12,
            "Ki" | "KiB" => 1024.0,
            "Mi" | "MiB" => 1024.0 * 1024.0,
            "Gi" | "GiB" => 1024.0 * 1024.0 * 1024.0,
            "Ti" | "TiB" => 1024.0 * 1024.0 * 1024.0 * 1024.0,
            _ => return Err(error()),
        };
        let bytes = number * factor;
        if !bytes.is_finite() || bytes >= u64::MAX as f64 {
            return Err(error());
        }
        Ok(Self(bytes.round() as u64))
    }
}

/// A rate of growth; negative when memory shrinks.
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BytesPerSecond(pub f64);

impl fmt::Display for BytesPerSecond {
    /// Per second from 64 KiB/s up, per hour below: nobody pictures 300 bytes a second.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.abs() >= 65_536.0 {
            write!(f, "{}/s", scaled(self.0))
        } else {
            write!(f, "{}/h", scaled(self.0 * 3600.0))
        }
    }
}

/// Seconds on the sampling clock, which never goes back. Its zero has no meaning.
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Moment(pub f64);

impl Moment {
    /// Seconds from `earlier` to this moment; never negative.
    pub fn since(self, earlier: Self) -> f64 {
        (self.0 - earlier.0).max(0.0)
    }
}

/// Seconds since the Unix epoch on the wall clock, which may jump: for people only, never for arithmetic on trends.
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(transparent)]
pub struct WallTime(pub f64);

impl WallTime {
    /// This time moved by `seconds`.
    pub fn plus(self, seconds: f64) -> Self {
        Self(self.0 + seconds)
    }
}

/// A span in words a person reads at a glance: `42 s`, `3 min 10 s`, `3 h 10 min`, `2 d 4 h`.
pub fn span(seconds: f64) -> String {
    if !seconds.is_finite() {
        return "never".into();
    }
    let whole = seconds.max(0.0).round() as u64;
    let (days, hours, minutes, secs) =
        (whole / 86_400, whole / 3600 % 24, whole / 60 % 60, whole % 60);
    let two = |a: u64, a_unit: &str, b: u64, b_unit: &str| {
        if b == 0 { format!("{a} {a_unit}") } else { format!("{a} {a_unit} {b} {b_unit}") }
    };
    match whole {
        0 if seconds > 0.0 => format!("{seconds:.1} s"),
        1..=9 => format!("{seconds:.1} s"),
        0 | 10..60 => format!("{whole} s"),
        60..3600 => two(minutes, "min", secs, "s"),
        3600..86_400 => two(hours, "h", minutes, "min"),
        _ => two(days, "d", hours, "h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_in_every_common_unit() {
        for (text, bytes) in [
            ("0", 0),
            ("1024", 1024),
            ("256MiB", 256 << 20),
            ("256Mi", 256 << 20),
            ("1.5Gi", 3 << 29),
            ("500M", 500_000_000),
            ("20 kB", 20_000),
        ] {
            assert_eq!(text.parse::<Bytes>(), Ok(Bytes(bytes)), "{text}");
        }
    }

    #[test]
    fn nonsense_is_refused_with_a_hint() {
        for text in ["", "MiB", "-5", "1e3x", "12 parsecs", "1.2.3", "99999999999999999999T"] {
            let error = text.parse::<Bytes>().expect_err(text).to_string();
            assert!(error.contains("256MiB"), "{error}");
        }
    }

    #[test]
    fn sizes_and_rates_read_well() {
        assert_eq!(Bytes(512).to_string(), "512 B");
        assert_eq!(Bytes::from_mib(1024).to_string(), "1.0 GiB");
        assert_eq!(BytesPerSecond(5.0 * 1024.0 * 1024.0).to_string(), "5.0 MiB/s");
        assert_eq!(BytesPerSecond(1024.0).to_string(), "3.5 MiB/h");
    }

    #[test]
    fn spans_read_well() {
        assert_eq!(span(4.25), "4.2 s");
        assert_eq!(span(190.0), "3 min 10 s");
        assert_eq!(span(11_400.0), "3 h 10 min");
        assert_eq!(span(f64::INFINITY), "never");
    }

    #[test]
    fn subtraction_stops_at_zero() {
        assert_eq!(Bytes(3) - Bytes(5), Bytes(0));
    }
}
