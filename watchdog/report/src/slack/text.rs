//! Slack's markup: text of others without effect, dates in the reader's time zone, links.

use std::fmt::Display;

use slack_morphism::prelude::*;
use url::Url;
use watchdog_core::forecast::KillWindow;
use watchdog_core::units::WallTime;

use crate::message;

/// Slack takes 3 000 in a paragraph; the rest is for what stands around the lines.
const SECTION: usize = 2_700;
/// A longer link is left out: cut, it would lead nowhere.
const LINK: usize = 400;

/// Markup. Verbatim, as Slack otherwise turns what looks like a channel, a person or an address into a link, also in a
/// function's name.
pub(super) fn markup(text: String) -> SlackBlockMarkDownText {
    SlackBlockMarkDownText { text, verbatim: Some(true) }
}

/// A paragraph.
pub(super) fn section(text: String) -> SlackSectionBlock {
    SlackSectionBlock::new().with_text(markup(text).into())
}

/// Words in a line of markup, which may hold what others wrote: as [`foreign`], with amounts and spans kept together.
pub(super) fn words(text: &str, most: usize) -> String {
    escaped(&bound(&message::clean(text)), most)
}

/// No line ends between a number and its unit, within a span such as `3 min 10 s`, or before a dash: on a phone lines are
/// short, and a line that begins with `s)` is read twice.
fn bound(text: &str) -> String {
    let words: Vec<&str> = text.split(' ').collect();
    let mut out = String::with_capacity(text.len());
    for (index, word) in words.iter().enumerate() {
        if let Some(before) = index.checked_sub(1).and_then(|index| words.get(index)) {
            let span = matches!(*before, "min" | "h" | "d")
                && word.starts_with(|c: char| c.is_ascii_digit())
                && words.get(index + 1).is_some_and(|unit| is_time(unit));
            let held = *word == "–" || span || (is_number(before) && is_unit(word));
            out.push(if held { '\u{a0}' } else { ' ' });
        }
        out.push_str(word);
    }
    out
}

fn is_number(word: &str) -> bool {
    word.trim_start_matches('(').starts_with(|c: char| c.is_ascii_digit())
}

fn is_time(word: &str) -> bool {
    matches!(bare(word), "s" | "min" | "h" | "d")
}

fn is_unit(word: &str) -> bool {
    let unit = bare(word);
    let unit = unit.strip_suffix("/s").or_else(|| unit.strip_suffix("/h")).unwrap_or(unit);
    matches!(unit, "B" | "KiB" | "MiB" | "GiB" | "TiB" | "%") || is_time(word)
}

fn bare(word: &str) -> &str {
    word.trim_end_matches([')', ',', ';', ':', '.'])
}

/// `344.1 – 479.2 KiB/s`: the unit once where both have the same.
pub(super) fn range(low: &dyn Display, high: &dyn Display) -> String {
    let (low, high) = (low.to_string(), high.to_string());
    let unit = |text: &str| text.split_once(' ').map(|(_, unit)| unit.to_owned());
    match low.split_once(' ').filter(|_| unit(&low) == unit(&high)) {
        Some((number, _)) => format!("{number} – {high}"),
        None => format!("{low} – {high}"),
    }
}

/// Text of others in a line of markup: cleaned, escaped, cut to `most` UTF-16 units.
pub(super) fn foreign(text: &str, most: usize) -> String {
    escaped(&message::clean(text), most)
}

/// Text of others in code. A backtick would end the code.
pub(super) fn code(text: &str, most: usize) -> String {
    format!("`{}`", foreign(text, most).replace('`', "'"))
}

/// `text` with Slack's three control characters escaped, cut to `most` UTF-16 units without cutting an escape apart.
pub(super) fn escaped(text: &str, most: usize) -> String {
    let mut out = String::new();
    let mut length = 0;
    // Where to cut so that an ellipsis still fits.
    let mut cut = 0;
    for c in text.chars() {
        let mut unescaped = [0; 4];
        let piece = match c {
            '&' => "&amp;",
            '<' => "&lt;",
            '>' => "&gt;",
            c => c.encode_utf8(&mut unescaped),
        };
        length += piece.encode_utf16().count();
        if length > most {
            out.truncate(cut);
            out.push('…');
            break;
        }
        out.push_str(piece);
        if length < most {
            cut = out.len();
        }
    }
    out
}

/// Whole lines, as many as a paragraph has room for, and a last one that counts the rest and `more`.
pub(super) fn joined(lines: &[String], more: usize) -> String {
    let mut left = SECTION;
    let mut shown = 0;
    for line in lines {
        let length = line.encode_utf16().count() + 1;
        if length > left {
            break;
        }
        left -= length;
        shown += 1;
    }
    let mut text = lines[..shown].join("\n");
    let rest = more + lines.len() - shown;
    if rest > 0 {
        text.push_str(&format!("\n… {rest} more"));
    }
    text
}

/// Times at most so many seconds apart are told by the clock alone; else by their days as well.
const HALF_A_DAY: f64 = 12.0 * 3600.0;
/// Times that are further apart are told without their seconds.
const HOUR: f64 = 3600.0;

/// The time in the reader's own time zone, with UTC for receivers that show no dates.
pub(super) fn date(time: WallTime) -> String {
    shown(time, "{date_short_pretty} {time_secs}")
}

/// As [`date`], without the day where that of `beside` stands beside it and is the same or next to it.
pub(super) fn clock(time: WallTime, beside: WallTime) -> String {
    if (time.0 - beside.0).abs() > HALF_A_DAY { date(time) } else { shown(time, "{time_secs}") }
}

fn shown(time: WallTime, form: &str) -> String {
    let fallback = message::clock(time);
    match message::unix_seconds(time) {
        Some(seconds) => format!("<!date^{seconds}^{form}|{fallback}>"),
        None => fallback,
    }
}

/// Within which time the kill is expected: `between 2:02:50 PM and 2:04:10 PM`.
pub(super) fn window(kill: &KillWindow, now: WallTime) -> String {
    let high = kill.high.unwrap_or(kill.estimate);
    let far = (high.0 - now.0).max(now.0 - kill.low.0) > HALF_A_DAY;
    let form = match high.0 - kill.low.0 {
        _ if far => "{date_short_pretty} {time}",
        wide if wide > HOUR => "{time}",
        _ => "{time_secs}",
    };
    let low = shown(kill.low, form);
    match kill.high {
        Some(high) => format!("between {low} and {}", shown(high, form)),
        None => format!("{low} at the soonest"),
    }
}

/// A sentence that begins a paragraph.
pub(super) fn capitalized(sentence: &str) -> String {
    let mut rest = sentence.chars();
    let first = rest.next().map(|first| first.to_ascii_uppercase());
    first.into_iter().chain(rest).collect()
}

/// The page's address with these path segments and this query.
pub(super) fn address(page: Option<&Url>, segments: &[&str], query: Option<&str>) -> Option<Url> {
    let mut url = page?.clone();
    url.path_segments_mut().ok()?.pop_if_empty().extend(segments);
    url.set_query(query);
    usable(url)
}

/// An address that fits.
pub(super) fn usable(url: Url) -> Option<Url> {
    (url.as_str().len() <= LINK).then_some(url)
}

/// A link in a line of markup.
pub(super) fn linked(url: Option<&Url>, text: String) -> String {
    match url {
        Some(url) => {
            let target = url.as_str().replace('|', "%7C").replace('&', "&amp;");
            format!("<{target}|{text}>")
        }
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_count_and_are_never_cut_apart() {
        assert_eq!(escaped("a<b>&c", 100), "a&lt;b&gt;&amp;c");
        assert_eq!(escaped("abc", 3), "abc");
        assert_eq!(escaped("abcd", 3), "ab…");
        assert_eq!(escaped("ab<c", 5), "ab…");
        assert_eq!(escaped("<<", 4), "…");
        assert_eq!(escaped("🦀🦀", 3), "🦀…");
    }

    #[test]
    fn lines_that_a_paragraph_has_no_room_for_are_left_out_whole() {
        assert_eq!(joined(&["a".into(), "b".into()], 0), "a\nb");
        let long = "x".repeat(SECTION / 2 - 1);
        assert_eq!(joined(&vec![long.clone(); 2], 0), format!("{long}\n{long}"));
        assert_eq!(joined(&vec![long.clone(); 3], 5), format!("{long}\n{long}\n… 6 more"));
    }

    #[test]
    fn code_is_not_ended_by_a_name() {
        assert_eq!(code("a`<!channel>`\nb", 100), "`a'&lt;!channel&gt;' b`");
    }

    #[test]
    fn links_are_encoded_and_left_out_when_too_long() {
        let page: Url = "https://oomen.example/base/".parse().expect("a url");
        let to = |id| address(Some(&page), &["incidents", id], Some("a=1&b=2"));
        let link = linked(to("a|b>&/c").as_ref(), "x".into());
        assert_eq!(link, "<https://oomen.example/base/incidents/a%7Cb%3E&amp;%2Fc?a=1&amp;b=2|x>");
        assert_eq!(to(&"x".repeat(LINK)), None);
        assert_eq!(linked(None, "x".into()), "x");
    }

    #[test]
    fn dates_are_in_the_readers_time_zone_with_a_fallback() {
        let date_of = |seconds| date(WallTime(seconds));
        assert_eq!(
            date_of(1_795_269_800.0),
            "<!date^1795269800^{date_short_pretty} {time_secs}|2026-11-21 14:03:20 UTC>"
        );
        assert_eq!(date_of(f64::NAN), "an unknown time");
    }

    #[test]
    fn a_kill_is_told_to_the_second_when_it_is_near_and_with_its_days_when_it_is_not() {
        let at = |seconds: f64| WallTime(1_795_269_800.0 + seconds);
        let mut kill = KillWindow { low: at(-30.0), estimate: at(0.0), high: Some(at(50.0)) };
        assert_eq!(
            window(&kill, at(-190.0)),
            "between <!date^1795269770^{time_secs}|2026-11-21 14:02:50 UTC> and \
             <!date^1795269850^{time_secs}|2026-11-21 14:04:10 UTC>"
        );
        assert_eq!(window(&kill, at(-90_000.0)).matches("{date_short_pretty} {time}").count(), 2);
        kill.high = Some(at(4000.0));
        assert_eq!(window(&kill, at(-190.0)).matches("{time}").count(), 2, "seconds are no help");
        kill.high = None;
        assert!(window(&kill, at(-190.0)).ends_with("14:02:50 UTC> at the soonest"));
        assert!(!window(&kill, at(-90_000.0)).contains("{time_secs}"));
        let days = |text: String| text.contains("{date_short_pretty}");
        assert!(!days(clock(at(0.0), at(60.0))) && days(clock(at(0.0), at(90_000.0))));
    }

    #[test]
    fn amounts_and_spans_are_kept_on_one_line() {
        let marked = |text: &str| words(text, 500).replace('\u{a0}', "_");
        for (text, expected) in [
            (
                "leaks memory: killed in 3 min 10 s (2 min 40 s – 4 min)",
                "leaks memory: killed in 3_min_10_s (2_min_40_s_– 4_min)",
            ),
            ("180.0 MiB of 256.0 MiB (70 %)", "180.0_MiB of 256.0_MiB (70_%)"),
            ("grow by 409.6 KiB/s, as fast", "grow by 409.6_KiB/s, as fast"),
            ("seen in 62 samples", "seen in 62 samples"),
            ("after 2 d 4 h; 3 of 4", "after 2_d_4_h; 3 of 4"),
            ("in 4 min 2 of them", "in 4_min 2 of them"),
        ] {
            assert_eq!(marked(text), expected);
        }
    }

    #[test]
    fn a_range_tells_its_unit_once_where_it_can() {
        assert_eq!(range(&"344.1 KiB/s", &"479.2 KiB/s"), "344.1 – 479.2 KiB/s");
        assert_eq!(range(&"900.0 KiB/s", &"1.1 MiB/s"), "900.0 KiB/s – 1.1 MiB/s");
    }

    #[test]
    fn a_paragraph_begins_with_a_capital() {
        assert_eq!(capitalized("no function named yet"), "No function named yet");
        assert_eq!(capitalized("éé"), "éé");
        assert_eq!(capitalized(""), "");
    }
}
