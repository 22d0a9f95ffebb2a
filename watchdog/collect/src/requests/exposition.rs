//! The sum of one counter's series in a text of Prometheus' exposition format, of which one line is held at a time.
//!
//! Source: <https://prometheus.io/docs/instrumenting/exposition_formats/> (text format 0.0.4) and the OpenMetrics 1.0
//! text format, whose counters end in `_total` and whose samples may carry an exemplar. What belongs to other metrics is
//! passed over unread.

use std::borrow::Cow;

/// A line is a name, labels and a number; a longer one has labels that nobody meant.
const MAX_LINE: usize = 16 * 1024;
/// What an error quotes.
const QUOTED: usize = 80;
/// The suffix of a counter's samples in OpenMetrics, where the metric itself is named without it.
const TOTAL: &[u8] = b"_total";

/// What the whole text says of the counter.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Found {
    /// The sum of all series with a finite value.
    Sum(f64),
    /// A line of it that cannot be read, counted from one.
    Malformed { line: usize, text: String },
    /// The metric of that name may fall.
    Gauge,
    /// The metric of that name is a histogram or a summary.
    Counted(&'static str),
    /// No series.
    Nothing,
}

/// Takes a text part by part.
pub(super) struct Exposition<'a> {
    name: &'a [u8],
    line: Vec<u8>,
    overlong: bool,
    number: usize,
    /// Samples of the name itself, and of the name with `_total` behind it.
    exact: Option<f64>,
    total: Option<f64>,
    kind: Option<&'static str>,
    malformed: Option<(usize, String)>,
}

impl<'a> Exposition<'a> {
    pub(super) fn new(name: &'a str) -> Self {
        Self {
            name: name.as_bytes(),
            line: Vec::new(),
            overlong: false,
            number: 0,
            exact: None,
            total: None,
            kind: None,
            malformed: None,
        }
    }

    /// The next part of the text, cut anywhere.
    pub(super) fn feed(&mut self, part: &[u8]) {
        for piece in part.split_inclusive(|byte| *byte == b'\n') {
            let text = piece.strip_suffix(b"\n").unwrap_or(piece);
            let room = MAX_LINE.saturating_sub(self.line.len());
            self.overlong |= text.len() > room;
            self.line.extend_from_slice(&text[..text.len().min(room)]);
            if text.len() < piece.len() {
                self.end_line();
            }
        }
    }

    /// The text is at its end; the last line need not be.
    pub(super) fn finish(mut self) -> Found {
        self.end_line();
        if let Some((line, text)) = self.malformed {
            return Found::Malformed { line, text };
        }
        match (self.kind, self.exact.or(self.total)) {
            (Some("gauge"), _) => Found::Gauge,
            (_, Some(sum)) => Found::Sum(sum),
            (Some(kind), None) => Found::Counted(kind),
            (None, None) => Found::Nothing,
        }
    }

    fn end_line(&mut self) {
        self.number += 1;
        let line = std::mem::take(&mut self.line);
        let text = line.trim_ascii();
        if let Some(comment) = text.strip_prefix(b"#") {
            self.comment(comment);
        } else {
            self.sample(text);
        }
        self.overlong = false;
        // The buffer is used again.
        self.line = line;
        self.line.clear();
    }

    /// `# TYPE name kind`; other comments say nothing.
    fn comment(&mut self, text: &[u8]) {
        let mut words = text.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
        if words.next() == Some(b"TYPE") && words.next() == Some(self.name) {
            self.kind = match words.next() {
                Some(b"gauge") => Some("gauge"),
                Some(b"histogram") => Some("histogram"),
                Some(b"summary") => Some("summary"),
                _ => None,
            };
        }
    }

    fn sample(&mut self, text: &[u8]) {
        let end = text.iter().position(|byte| !is_name(*byte)).unwrap_or(text.len());
        let (name, rest) = text.split_at(end);
        let suffix = name.strip_prefix(self.name);
        let sum = match suffix {
            Some(b"") => &mut self.exact,
            Some(TOTAL) => &mut self.total,
            _ => return,
        };
        match value(rest).filter(|_| !self.overlong) {
            // A series without a number is no evidence of zero requests.
            Some(value) if !value.is_finite() => {}
            Some(value) if value >= 0.0 => *sum = Some(sum.unwrap_or(0.0) + value),
            _ => drop(self.malformed.get_or_insert_with(|| (self.number, quoted(text)))),
        }
    }
}

/// Whether a metric's name may hold this.
pub(super) fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b':')
}

/// The number behind a sample's name: after its labels, before a time and an exemplar.
fn value(rest: &[u8]) -> Option<f64> {
    let rest = rest.trim_ascii_start();
    let rest = match rest.strip_prefix(b"{") {
        Some(labels) => &labels[end_of_labels(labels)?..],
        None => rest,
    };
    let word = rest.split(u8::is_ascii_whitespace).find(|word| !word.is_empty())?;
    std::str::from_utf8(word).ok()?.parse().ok()
}

/// Where the text goes on behind the closing brace, which may also stand in a label's value.
fn end_of_labels(text: &[u8]) -> Option<usize> {
    let (mut quoted, mut escaped) = (false, false);
    for (index, byte) in text.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'}' if !quoted => return Some(index + 1),
            _ => {}
        }
    }
    None
}

fn quoted(text: &[u8]) -> String {
    let text: Cow<'_, str> = String::from_utf8_lossy(text);
    text.chars().take(QUOTED).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TEXT: &str = r#"# HELP http_requests_total All requests.
# TYPE http_requests_total counter
http_requests_total{method="post",code="200"} 1027 1395066363000
http_requests_total{path="/a\"}b\\",code="4 0 0"}    3 1395066363000
http_requests_total 2e1
http_requests_total{code="500"} NaN

http_requests_totally 1000
http_requests_total_created{code="200"} 1.7e9
msdos_file_access_time_seconds{path="C:\\DIR\\FILE.TXT",error="Cannot find:\n\"F.TXT\""} 1.458255915e9
metric_without_timestamp_and_labels 12.47
"#;

    fn sum(name: &str, text: &str) -> Found {
        let mut exposition = Exposition::new(name);
        exposition.feed(text.as_bytes());
        exposition.finish()
    }

    #[test]
    fn all_series_of_the_name_are_summed_and_no_other() {
        assert_eq!(sum("http_requests_total", TEXT), Found::Sum(1050.0));
        assert_eq!(sum("metric_without_timestamp_and_labels", TEXT), Found::Sum(12.47));
        assert_eq!(sum("http_requests", TEXT), Found::Sum(1050.0), "the metric without its suffix");
        assert_eq!(sum("http_request", TEXT), Found::Nothing);
    }

    #[test]
    fn where_a_part_is_cut_does_not_matter() {
        let text = TEXT.replace('\n', "\r\n");
        for size in 1..40 {
            let mut exposition = Exposition::new("http_requests_total");
            text.as_bytes().chunks(size).for_each(|part| exposition.feed(part));
            assert_eq!(exposition.finish(), Found::Sum(1050.0), "parts of {size} bytes");
        }
    }

    #[test]
    fn open_metrics_is_understood_with_exemplars() {
        let text = "# TYPE foo counter\nfoo_total{a=\"}\"} 17.0 1520879607.789 # {trace_id=\"K # \"} 0.67\n\
                    foo_total 3 # {id=\"1\"} 1\nfoo_created 1.5e9\n# EOF";
        assert_eq!(sum("foo", text), Found::Sum(20.0));
        assert_eq!(sum("foo_total", text), Found::Sum(20.0));
    }

    #[test]
    fn the_name_itself_goes_before_the_name_with_a_suffix() {
        assert_eq!(sum("x", "x_total 5\nx 7\n"), Found::Sum(7.0));
    }

    #[test]
    fn a_line_that_cannot_be_read_is_named_by_number_unless_it_is_anothers() {
        for line in ["x", "x{a=\"}\" 5", "x{} five", "x -1", "x{}", "x\"5"] {
            let found = sum("x", &format!("other nonsense\n{line}\nx 1\n"));
            let expected = Found::Malformed { line: 2, text: line.into() };
            assert_eq!(found, expected, "{line}");
        }
    }

    #[test]
    fn what_is_no_counter_is_told_by_its_type() {
        assert_eq!(sum("x", "# TYPE x gauge\nx 5\n"), Found::Gauge);
        assert_eq!(sum("x", "# TYPE x histogram\nx_count 5\n"), Found::Counted("histogram"));
        assert_eq!(sum("x_count", "# TYPE x histogram\nx_count 5\n"), Found::Sum(5.0));
        assert_eq!(sum("x", "# TYPE x untyped\nx 5\n"), Found::Sum(5.0));
        assert_eq!(sum("x", "x NaN\nx +Inf\n"), Found::Nothing, "no number is no zero");
    }

    #[test]
    fn a_line_without_end_takes_a_bounded_buffer() {
        let mut exposition = Exposition::new("x");
        exposition.feed(b"y{a=\"");
        for _ in 0..100 {
            exposition.feed(&[b'a'; 64 * 1024]);
        }
        assert!(exposition.line.capacity() <= 2 * MAX_LINE, "{}", exposition.line.capacity());
        exposition.feed(b"\nx 3\n");
        assert_eq!(exposition.finish(), Found::Sum(3.0), "another metric's line is passed over");
        let own = format!("x{{a=\"{}\"}} 3\n", "a".repeat(MAX_LINE));
        assert!(matches!(sum("x", &own), Found::Malformed { line: 1, text } if text.len() == 80));
    }

    proptest! {
        #[test]
        fn any_bytes_in_any_parts_give_one_answer(
            bytes in prop::collection::vec(prop_oneof![
                Just(b'x'), Just(b'{'), Just(b'}'), Just(b'"'), Just(b'\\'), Just(b'\n'),
                Just(b'#'), Just(b' '), Just(b'1'), any::<u8>(),
            ], 0..200),
            size in 1_usize..50,
        ) {
            let whole = { let mut e = Exposition::new("x"); e.feed(&bytes); e.finish() };
            let mut parts = Exposition::new("x");
            bytes.chunks(size).for_each(|part| parts.feed(part));
            prop_assert_eq!(parts.finish(), whole);
        }

        #[test]
        fn whatever_a_label_holds_the_value_behind_it_is_found(
            label in any::<String>(), value in 0.0_f64..1e15, time in any::<Option<i64>>(),
        ) {
            let label = label.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            let time = time.map_or(String::new(), |time| time.to_string());
            let text = format!("x{{a=\"{label}\",b=\"\"}} {value} {time}\n");
            prop_assert_eq!(sum("x", &text), Found::Sum(value));
        }
    }
}
