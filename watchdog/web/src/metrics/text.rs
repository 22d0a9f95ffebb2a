//! The two text forms: Prometheus' format 0.0.4 and OpenMetrics 1.0.
//!
//! They say the same samples line by line; they differ in how a counter is described, in how quotes are escaped in a
//! description, and in the mark at the end.
//! <https://prometheus.io/docs/instrumenting/exposition_formats/>,
//! <https://prometheus.io/docs/specs/om/open_metrics_spec/>

use std::fmt::Write as _;

/// A form of the exposition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Prometheus' text format, version 0.0.4, which everything reads.
    Text,
    /// OpenMetrics 1.0.
    OpenMetrics,
}

impl Format {
    /// What it is called over HTTP.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }

    /// What stands behind the last metric.
    pub(super) fn end(self) -> &'static str {
        match self {
            Self::Text => "",
            Self::OpenMetrics => "# EOF\n",
        }
    }
}

/// The lines before a metric's samples: its name, its type, its help.
pub(super) fn describe(format: Format, (name, kind, help): (&str, &str, &str), to: &mut String) {
    // OpenMetrics calls a counter without the ending of its samples.
    let name = match format {
        Format::OpenMetrics if kind == "counter" => name.strip_suffix("_total").unwrap_or(name),
        _ => name,
    };
    let _ = write!(to, "# HELP {name} ");
    escape(help, format == Format::OpenMetrics, to);
    let _ = writeln!(to, "\n# TYPE {name} {kind}");
}

/// One sample; `bound` is that of a histogram's bucket.
pub(super) fn sample<'a>(
    (name, ending): (&str, &str),
    labels: impl Iterator<Item = (&'a str, &'a str)>,
    bound: Option<f64>,
    value: f64,
    to: &mut String,
) {
    to.push_str(name);
    to.push_str(ending);
    let mut separator = '{';
    for (name, value) in labels {
        to.push(separator);
        separator = ',';
        to.push_str(name);
        to.push_str("=\"");
        escape(value, true, to);
        to.push('"');
    }
    if let Some(bound) = bound {
        to.push(separator);
        separator = ',';
        to.push_str("le=\"");
        number(bound, to);
        to.push('"');
    }
    if separator == ',' {
        to.push('}');
    }
    to.push(' ');
    number(value, to);
    to.push('\n');
}

/// A number as Go's `strconv.ParseFloat` reads it. Writing to a String cannot fail.
fn number(value: f64, to: &mut String) {
    /// Up to here every whole number is exact, and an integer is written in half the time.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    let _ = match value {
        _ if value.fract() == 0.0 && value.abs() < EXACT => write!(to, "{}", value as i64),
        f64::INFINITY => write!(to, "+Inf"),
        f64::NEG_INFINITY => write!(to, "-Inf"),
        _ if value.is_nan() => write!(to, "NaN"),
        _ => write!(to, "{value}"),
    };
}

/// Everything that could end a value or a line.
fn escape(text: &str, quotes: bool, to: &mut String) {
    if !text.contains(['\\', '\n', '"']) {
        return to.push_str(text);
    }
    for c in text.chars() {
        match c {
            '\\' => to.push_str("\\\\"),
            '\n' => to.push_str("\\n"),
            '"' if quotes => to.push_str("\\\""),
            c => to.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(value: f64) -> String {
        let mut text = String::new();
        number(value, &mut text);
        text
    }

    #[test]
    fn numbers_are_written_as_short_as_they_are_exact() {
        for (value, text) in [
            (0.0, "0"),
            (-3.0, "-3"),
            (0.0625, "0.0625"),
            (1_795_000_000.5, "1795000000.5"),
            (f64::INFINITY, "+Inf"),
            (f64::NEG_INFINITY, "-Inf"),
            (f64::NAN, "NaN"),
        ] {
            assert_eq!(written(value), text);
        }
        let large = u64::MAX as f64;
        assert_eq!(written(large).parse(), Ok(large));
    }

    #[test]
    fn a_counter_is_described_by_each_form_as_it_wants() {
        let described = |format| {
            let mut text = String::new();
            describe(format, ("reads_total", "counter", "a \"b\""), &mut text);
            text
        };
        assert_eq!(
            described(Format::Text),
            "# HELP reads_total a \"b\"\n# TYPE reads_total counter\n"
        );
        assert_eq!(
            described(Format::OpenMetrics),
            "# HELP reads a \\\"b\\\"\n# TYPE reads counter\n"
        );
    }

    #[test]
    fn a_bucket_has_its_bound_as_the_last_label() {
        let mut text = String::new();
        let labels = [("source", "a\\b")].into_iter();
        sample(("took_seconds", "_bucket"), labels, Some(f64::INFINITY), 7.0, &mut text);
        sample(("took_seconds", "_sum"), std::iter::empty(), None, 0.5, &mut text);
        assert_eq!(
            text,
            "took_seconds_bucket{source=\"a\\\\b\",le=\"+Inf\"} 7\ntook_seconds_sum 0.5\n"
        );
    }
}
