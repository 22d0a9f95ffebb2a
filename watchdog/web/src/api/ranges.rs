//! Parts of an answer: which bytes a client wants, and whether it still wants them (RFC 9110, sections 13 and 14).

use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, header};

/// What to send of a representation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Selection {
    /// All of it, with 200.
    Whole,
    /// `length` bytes from `first` on, with 206. Never empty, never beyond the end.
    Part {
        /// Offset of the first byte.
        first: u64,
        /// How many.
        length: u64,
    },
    /// Nothing, as what was wanted lies beyond the end: 416.
    Beyond,
    /// Nothing, as the client has it: 304.
    NotModified,
    /// Nothing, as the client wants another version: 412.
    PreconditionFailed,
}

/// What to send to a client that sent `headers`, of `length` bytes that are known by the strong entity tag `tag`.
/// Ranges of a method other than GET, ranges that are not understood and several ranges at once select the whole,
/// as the RFC allows.
pub(crate) fn select(method: &Method, headers: &HeaderMap, tag: &str, length: u64) -> Selection {
    if lists(headers, header::IF_MATCH).is_some_and(|wanted| !holds(&wanted, tag, false)) {
        return Selection::PreconditionFailed;
    }
    if lists(headers, header::IF_NONE_MATCH).is_some_and(|known| holds(&known, tag, true)) {
        return Selection::NotModified;
    }
    // A date never equals the tag: no date is sent with an answer, so none can come back.
    let unchanged = headers.get(header::IF_RANGE).is_none_or(|known| known == tag);
    match only(headers, header::RANGE).filter(|_| method == Method::GET && unchanged) {
        Some(range) => range.to_str().map_or(Selection::Whole, |range| part(range, length)),
        None => Selection::Whole,
    }
}

/// One `bytes=` range against `length` bytes.
fn part(range: &str, length: u64) -> Selection {
    let Some((unit, range)) = range.split_once('=') else { return Selection::Whole };
    let Some((first, last)) = range.trim().split_once('-') else { return Selection::Whole };
    if !unit.trim().eq_ignore_ascii_case("bytes") || length == 0 {
        return Selection::Whole;
    }
    match (number(first), number(last)) {
        (Some(first), Some(last)) if first > last => Selection::Whole,
        (Some(start), end) if end.is_some() || last.is_empty() => {
            let end = end.unwrap_or(u64::MAX).min(length - 1);
            let count = (end + 1).checked_sub(start).filter(|count| *count > 0);
            count.map_or(Selection::Beyond, |length| Selection::Part { first: start, length })
        }
        (None, Some(0)) if first.is_empty() => Selection::Beyond,
        (None, Some(count)) if first.is_empty() => {
            let count = count.min(length);
            Selection::Part { first: length - count, length: count }
        }
        _ => Selection::Whole,
    }
}

/// Digits only; a number that does not fit is as good as the largest that does.
fn number(digits: &str) -> Option<u64> {
    let all_digits = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    all_digits.then(|| digits.parse().unwrap_or(u64::MAX))
}

/// The header if it was sent once. Twice is not understood.
fn only(headers: &HeaderMap, name: HeaderName) -> Option<&HeaderValue> {
    let mut values = headers.get_all(name).into_iter();
    values.next().filter(|_| values.next().is_none())
}

/// All values of a header that may be sent several times; `None` when it was not sent.
fn lists(headers: &HeaderMap, name: HeaderName) -> Option<Vec<&str>> {
    headers.contains_key(&name).then(|| {
        headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok()).collect()
    })
}

/// Whether lists of entity tags hold ours, which is strong. `weak` lets a weak tag stand for it.
fn holds(lists: &[&str], tag: &str, weak: bool) -> bool {
    let mut tags = lists.iter().flat_map(|list| list.split(',')).map(str::trim);
    tags.any(|known| known == "*" || known == tag || weak && known.strip_prefix("W/") == Some(tag))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TAG: &str = "\"0123\"";

    fn selected(headers: &[(HeaderName, &str)], length: u64) -> Selection {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(name.clone(), HeaderValue::from_str(value).expect("a value"));
        }
        select(&Method::GET, &map, TAG, length)
    }

    fn range(range: &str, length: u64) -> Selection {
        selected(&[(header::RANGE, range)], length)
    }

    #[test]
    fn a_range_selects_its_bytes_and_no_others() {
        for (wanted, first, length) in [
            ("bytes=0-0", 0, 1),
            ("bytes=2-4", 2, 3),
            ("bytes=9-9", 9, 1),
            ("bytes=3-", 3, 7),
            ("bytes=3-99", 3, 7),
            ("bytes=3-99999999999999999999999999", 3, 7),
            ("bytes=-4", 6, 4),
            ("bytes=-10", 0, 10),
            ("bytes=-99999999999999999999999999", 0, 10),
            ("BYTES= 1-1", 1, 1),
        ] {
            assert_eq!(range(wanted, 10), Selection::Part { first, length }, "{wanted}");
        }
    }

    #[test]
    fn what_lies_beyond_the_end_is_not_satisfiable() {
        for wanted in ["bytes=10-", "bytes=10-12", "bytes=-0", "bytes=18446744073709551616-"] {
            assert_eq!(range(wanted, 10), Selection::Beyond, "{wanted}");
        }
    }

    #[test]
    fn what_is_not_one_range_of_bytes_selects_the_whole() {
        let many = format!("bytes={}", "0-0,".repeat(2000));
        for wanted in [
            "bytes=4-2",
            "bytes=0-1,3-4",
            "bytes=0-1,",
            "bytes=-1,-2",
            &many,
            "bytes=",
            "bytes=-",
            "bytes=--1",
            "bytes=+1-2",
            "bytes=1-+2",
            "bytes=0x1-2",
            "bytes=1-b",
            "bytes",
            "lines=0-1",
            "=0-1",
            "",
        ] {
            assert_eq!(range(wanted, 10), Selection::Whole, "{wanted}");
        }
        assert_eq!(range("bytes=0-", 0), Selection::Whole, "there is nothing to take a part of");
        let twice = [(header::RANGE, "bytes=0-1"), (header::RANGE, "bytes=3-4")];
        assert_eq!(selected(&twice, 10), Selection::Whole);
    }

    #[test]
    fn a_part_is_sent_only_of_the_version_the_client_has() {
        for (known, part) in [
            (TAG, true),
            ("\"4567\"", false),
            ("W/\"0123\"", false),
            ("*", false),
            ("Wed, 18 Nov 2026 11:06:30 GMT", false),
        ] {
            let sent = [(header::RANGE, "bytes=1-2"), (header::IF_RANGE, known)];
            assert_eq!(selected(&sent, 10) != Selection::Whole, part, "{known}");
        }
        assert_eq!(selected(&[(header::IF_RANGE, TAG)], 10), Selection::Whole);
    }

    #[test]
    fn preconditions_are_answered_before_ranges() {
        use Selection::{NotModified, PreconditionFailed, Whole};
        for (name, value, wanted) in [
            (header::IF_NONE_MATCH, TAG, NotModified),
            (header::IF_NONE_MATCH, "\"4567\", W/\"0123\"", NotModified),
            (header::IF_NONE_MATCH, "*", NotModified),
            (header::IF_NONE_MATCH, "\"4567\"", Whole),
            (header::IF_MATCH, TAG, Whole),
            (header::IF_MATCH, "*", Whole),
            (header::IF_MATCH, "\"4567\"", PreconditionFailed),
            (header::IF_MATCH, "W/\"0123\"", PreconditionFailed),
        ] {
            assert_eq!(selected(&[(name.clone(), value)], 10), wanted, "{name}: {value}");
        }
        let both = [(header::RANGE, "bytes=1-2"), (header::IF_NONE_MATCH, TAG)];
        assert_eq!(selected(&both, 10), NotModified);
    }

    #[test]
    fn a_range_means_nothing_to_another_method() {
        let headers =
            HeaderMap::from_iter([(header::RANGE, HeaderValue::from_static("bytes=1-2"))]);
        assert_eq!(select(&Method::HEAD, &headers, TAG, 10), Selection::Whole);
    }
}
