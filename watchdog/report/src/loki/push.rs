//! The body of a push to Loki: `logproto.PushRequest` of Loki's `push.proto`, compressed with snappy.

use loki_api::logproto::{EntryAdapter, PushRequest, StreamAdapter};
use loki_api::prost::Message as _;
use loki_api::prost_types::Timestamp;

use crate::labels::MAX_VALUE;

/// One line of one stream at `seconds` since the Unix epoch, ready to be posted.
pub(super) fn push(
    labels: &[(&str, &str)],
    seconds: f64,
    line: String,
) -> Result<Vec<u8>, snap::Error> {
    // A float of today's times tells microseconds apart, not more.
    let micros = (seconds.fract() * 1e6).round().min(999_999.0);
    let timestamp = Timestamp { seconds: seconds as i64, nanos: micros as i32 * 1000 };
    let entries = vec![EntryAdapter { timestamp: Some(timestamp), line }];
    // The hash is for Loki's own parts to fill in.
    let stream = StreamAdapter { labels: selector(labels), entries, hash: 0 };
    let request = PushRequest { streams: vec![stream] };
    snap::raw::Encoder::new().compress_vec(&request.encode_to_vec())
}

/// `{job="oomen", target="shop"}`, sorted, without what is empty.
fn selector(labels: &[(&str, &str)]) -> String {
    let mut labels: Vec<_> = labels.iter().filter(|(_, value)| !value.is_empty()).collect();
    labels.sort_unstable();
    let pairs: Vec<_> =
        labels.iter().map(|(name, value)| format!("{name}=\"{}\"", quoted(value))).collect();
    format!("{{{}}}", pairs.join(", "))
}

/// As Loki's parser reads a string: it takes no control character, and the replacement character for damaged UTF-8.
fn quoted(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    for c in value.chars() {
        match c {
            '"' | '\\' => text.extend(['\\', c]),
            c if c.is_control() || c == '\u{fffd}' => text.push('_'),
            c => text.push(c),
        }
        if text.len() >= MAX_VALUE {
            break;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_sorted_quoted_and_never_empty() {
        let labels = [("target", "a\"b\\c"), ("job", "oomen"), ("namespace", "")];
        assert_eq!(selector(&labels), r#"{job="oomen", target="a\"b\\c"}"#);
    }

    #[test]
    fn what_lokis_parser_refuses_in_a_label_is_replaced() {
        assert_eq!(quoted("a\nb\u{fffd}c\u{9b}"), "a_b_c_");
        assert_eq!(quoted("größe"), "größe");
        assert!(quoted(&"\"".repeat(5000)).len() <= MAX_VALUE);
    }

    #[test]
    fn the_request_is_as_push_proto_writes_it() {
        let body = push(&[("job", "o")], 2.5, "l".into()).expect("compressed");
        let body = snap::raw::Decoder::new().decompress_vec(&body).expect("snappy");
        let expected: &[u8] = b"\x0a\x1a\
            \x0a\x09{job=\"o\"}\
            \x12\x0d\
            \x0a\x08\x08\x02\x10\x80\xca\xb5\xee\x01\x12\x01l";
        assert_eq!(body, expected);
    }
}
