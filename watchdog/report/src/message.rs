//! The words of a report, shared by every sink. Pure text: no colour, no markup, no limit of any receiver.
//!
//! Names, paths and evidence come from outside: they are cleaned here, so that no sink can be made to print an
//! escape sequence or to reorder its text.

pub mod group;

use jiff::Timestamp;
use watchdog_core::culprit::Culprit;
use watchdog_core::incident::{Incident, State};
use watchdog_core::profile::Frame;
use watchdog_core::units::{BytesPerSecond, WallTime, span};
use watchdog_core::verdict::Kind;

/// `text` with control characters, line ends and direction marks made visible or blank.
pub fn clean(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '\n' | '\r' | '\t' => ' ',
            // Bidirectional overrides and isolates, line and paragraph separators, invisible marks.
            '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' => {
                '\u{fffd}'
            }
            '\u{feff}' => '\u{fffd}',
            c if c.is_control() => '\u{fffd}',
            c => c,
        })
        .collect()
}

/// At most `most` UTF-16 units of `text`, the last one an ellipsis when something was cut. Receivers that count
/// characters count fewer.
pub fn truncated(text: &str, most: usize) -> String {
    if text.chars().map(char::len_utf16).sum::<usize>() <= most {
        return text.to_owned();
    }
    let mut left = most.saturating_sub(1);
    let mut cut: String = text
        .chars()
        .take_while(|c| {
            let fits = c.len_utf16() <= left;
            left = left.saturating_sub(c.len_utf16());
            fits
        })
        .collect();
    cut.push('…');
    cut
}

/// A longer name would push what happens out of a title; Kubernetes names have 63 characters.
const MAX_NAME: usize = 64;

/// The target's name, never empty.
pub fn name(incident: &Incident) -> String {
    let name = truncated(clean(&incident.target.name).trim(), MAX_NAME);
    if name.is_empty() { format!("process {}", incident.target.pid) } else { name }
}

/// What happens to whom, in one line: `shop leaks memory: killed in 3 min 10 s (2 min 40 s – 4 min)`.
pub fn title(incident: &Incident) -> String {
    format!("{} {}", name(incident), headline(incident))
}

/// The title without the name.
pub fn headline(incident: &Incident) -> String {
    let growing = growing(incident.verdict.kind);
    let told = incident.told.zip(incident.closed).map(|(told, closed)| closed.0 - told.0);
    match (incident.state, forecast(incident)) {
        (State::Suspected, _) => "may be leaking".into(),
        (State::Confirmed, Some(forecast)) => format!("{growing}: {forecast}"),
        (State::Confirmed, None) => growing.into(),
        (State::Imminent, Some(forecast)) => format!("is about to be {forecast}"),
        (State::Imminent, None) => "is about to be killed".into(),
        (State::Recovered, _) => {
            format!("recovered after {}", span(incident.updated.0 - incident.opened.0))
        }
        (State::Killed, _) => match told {
            Some(lead) if lead > 0.0 => {
                format!("was killed for its memory, {} after the first report", span(lead))
            }
            _ => "was killed for its memory, unforeseen".into(),
        },
        (State::Gone, _) => "ended while it was growing".into(),
    }
}

/// What a kind of growth does: `leaks memory`.
fn growing(kind: Kind) -> &'static str {
    match kind {
        Kind::HeapLeak => "leaks memory",
        Kind::Fragmentation => "loses memory to fragmentation",
        Kind::OffHeap => "grows outside its allocator",
        Kind::Tmpfs => "fills its tmpfs",
        Kind::Undecided | Kind::Steady | Kind::PageCache | Kind::Load => "grows",
    }
}

/// `killed in 3 min 10 s (2 min 40 s – 4 min)`, counted from the incident's last change. `None` once it is over.
pub fn forecast(incident: &Incident) -> Option<String> {
    let soon = soon(incident)?;
    let kill = incident.kill.filter(|kill| kill.estimate.0 > incident.updated.0);
    let Some(kill) = kill else { return Some(soon) };
    let range = match kill.high {
        Some(high) => format!("{} – {}", until(incident, kill.low), until(incident, high)),
        None => format!("{} at the soonest", until(incident, kill.low)),
    };
    Some(format!("{soon} ({range})"))
}

/// The forecast without its range: `killed in 3 min 10 s`.
pub fn soon(incident: &Incident) -> Option<String> {
    let kill = incident.kill.filter(|_| !incident.state.is_closed())?;
    if kill.estimate.0 <= incident.updated.0 {
        return Some("killed any moment".into());
    }
    Some(format!("killed in {}", until(incident, kill.estimate)))
}

fn until(incident: &Incident, time: WallTime) -> String {
    span((time.0 - incident.updated.0).max(0.0))
}

/// `180.0 MiB of 256.0 MiB (70 %)`.
pub fn memory(incident: &Incident) -> String {
    match incident.limit {
        Some(limit) => {
            let percent = incident.used.fraction_of(limit) * 100.0;
            format!("{} of {limit} ({percent:.0} %)", incident.used)
        }
        None => format!("{}, no limit known", incident.used),
    }
}

/// `5.0 MiB/s (4.5 MiB/s – 5.5 MiB/s)`.
pub fn growth(incident: &Incident) -> Option<String> {
    incident.trend.map(|trend| format!("{} ({} – {})", trend.slope, trend.low, trend.high))
}

/// `heap-leak: The live allocations …`, or the kind alone.
pub fn verdict(incident: &Incident) -> String {
    let kind = incident.verdict.kind.as_str();
    match incident.verdict.sentence.trim() {
        "" => kind.into(),
        sentence => format!("{kind}: {}", clean(sentence)),
    }
}

/// `services/recommendations/src/cache.rs:42`, `None` without line tables.
pub fn location(frame: &Frame) -> Option<String> {
    let file = clean(frame.file.as_deref()?);
    Some(frame.line.map_or_else(|| file.clone(), |line| format!("{file}:{line}")))
}

/// `keeps 93 % of the growth: 30.0 MiB in 60 s, seen in 62 samples`; of a process that ended before a growth could be
/// seen, `held 93 % of the heap at its end: 30.0 MiB, seen in 62 samples`.
pub fn share(culprit: &Culprit) -> String {
    if culprit.profiles == 1 {
        return format!(
            "held {:.0} % of the heap at its end: {}, seen in {} samples",
            culprit.share * 100.0,
            culprit.growth,
            culprit.samples
        );
    }
    format!(
        "keeps {:.0} % of the growth: {} in {}, seen in {} samples",
        culprit.share * 100.0,
        culprit.growth,
        span(culprit.over_seconds),
        culprit.samples
    )
}

/// `grows 5.0 MiB/s (90 %: 4.5 MiB/s – 5.5 MiB/s)`; `None` where no rate is known.
pub fn rate(culprit: &Culprit) -> Option<String> {
    let [rate, low, high] = [culprit.rate, culprit.rate_low, culprit.rate_high].map(BytesPerSecond);
    (rate.0 > 0.0).then(|| format!("grows {rate} (90 %: {low} – {high})"))
}

/// The functions that were named, the largest growth first.
pub fn suspects(incident: &Incident) -> impl Iterator<Item = &Culprit> {
    // Incidents of earlier versions know the first only.
    let alone = incident.culprit.iter().filter(|_| incident.suspects.is_empty());
    incident.suspects.iter().chain(alone)
}

/// What else grows: `also shop::cart::add (25 %)`, one line for each function after the first.
pub fn others(incident: &Incident) -> Vec<String> {
    let also = |culprit: &Culprit| {
        format!("also {} ({:.0} %)", frame(&culprit.frame), culprit.share * 100.0)
    };
    incident.suspects.iter().skip(1).map(also).collect()
}

/// Up to `most` frames of the culprit's stack, innermost first, and a last line that counts the rest.
pub fn stack(culprit: &Culprit, most: usize) -> Vec<String> {
    let mut lines: Vec<String> = culprit.stack.iter().take(most).map(frame).collect();
    let more = culprit.stack.len().saturating_sub(most);
    if more > 0 {
        lines.push(format!("… {more} more"));
    }
    lines
}

/// `shop::cache::remember (src/cache.rs:42)`.
pub fn frame(frame: &Frame) -> String {
    let function = clean(&frame.function);
    place(frame).map_or_else(|| function.clone(), |place| format!("{function} ({place})"))
}

/// `src/cache.rs:42`: the last two parts of the path are enough for those who know the code.
pub fn place(frame: &Frame) -> Option<String> {
    let location = location(frame)?;
    let parts: Vec<&str> = location.rsplitn(3, '/').take(2).collect();
    Some(parts.into_iter().rev().collect::<Vec<_>>().join("/"))
}

/// `cache::remember` of `services_recommendations::cache::remember`: the last two parts of the name, whatever stands in
/// brackets; of Go's `github.com/acme/shop/cache.(*Store).Put` what follows the last slash.
pub fn short(function: &str) -> String {
    let function = clean(function);
    let (mut depth, mut parts, mut slash) = (0_usize, vec![0], 0);
    let mut before = ' ';
    for (at, c) in function.char_indices() {
        match c {
            '<' | '(' | '[' | '{' => depth += 1,
            // An arrow closes nothing.
            '>' if before == '-' => {}
            '>' | ')' | ']' | '}' => depth = depth.saturating_sub(1),
            ':' if depth == 0 && before == ':' => parts.push(at + 1),
            '/' if depth == 0 => slash = at + 1,
            _ => {}
        }
        before = c;
    }
    let last_two = parts[parts.len().saturating_sub(2)];
    function[last_two.max(slash)..].to_owned()
}

/// `2026-11-21 14:03:20 UTC`.
pub fn clock(time: WallTime) -> String {
    unix_seconds(time)
        .and_then(|seconds| Timestamp::from_second(seconds).ok())
        .map_or_else(|| "an unknown time".into(), |time| time.strftime("%F %T UTC").to_string())
}

/// Whole seconds since the Unix epoch, `None` for what is no time.
pub fn unix_seconds(time: WallTime) -> Option<i64> {
    // The year 9999, the last that receivers can show.
    (0.0..=253_402_300_799.0).contains(&time.0).then_some(time.0 as i64)
}

/// Everything that matters in one or two lines, as it is read on a lock screen.
pub fn summary(incident: &Incident) -> String {
    let mut parts = vec![title(incident), memory(incident)];
    if let Some(trend) = incident.trend.filter(|_| !incident.state.is_closed()) {
        parts.push(format!("growing {}", trend.slope));
    }
    if let Some(culprit) = &incident.culprit {
        let function = clean(&culprit.frame.function);
        parts.push(format!("culprit {function} ({:.0} %)", culprit.share * 100.0));
    }
    parts.join(" · ")
}

#[cfg(test)]
mod tests {
    use watchdog_core::forecast::KillWindow;
    use watchdog_core::units::Bytes;

    use super::*;

    /// The state is read from JSON, as core builds an incident only from what it observed.
    fn incident(state: State) -> Incident {
        let mut incident: Incident =
            serde_json::from_str(include_str!("../tests/report/confirmed.json"))
                .expect("the sample incident");
        incident.state = state;
        incident
    }

    #[test]
    fn one_profile_tells_what_was_held_and_several_what_grew() {
        let culprit = incident(State::Killed).culprit.expect("a culprit");
        assert_eq!(
            share(&Culprit { profiles: 1, ..culprit.clone() }),
            "held 93 % of the heap at its end: 30.0 MiB, seen in 62 samples"
        );
        assert!(share(&culprit).starts_with("keeps 93 % of the growth: 30.0 MiB in 1 min"));
        assert_eq!(rate(&culprit), None, "no rate is known of it");
        let (rate_low, rate_high) = (4.0 * 1_048_576.0, 6.0 * 1_048_576.0);
        let paced = Culprit { rate: 5.0 * 1_048_576.0, rate_low, rate_high, ..culprit };
        let words = rate(&paced).expect("a rate");
        assert_eq!(words, "grows 5.0 MiB/s (90 %: 4.0 MiB/s – 6.0 MiB/s)");
    }

    #[test]
    fn a_short_name_is_its_last_two_parts() {
        for (long, expected) in [
            ("services_recommendations::cache::remember", "cache::remember"),
            ("main", "main"),
            ("shop::Store<K, a::b::V>::insert", "Store<K, a::b::V>::insert"),
            ("<shop::a::B as core::fmt::Debug>::fmt", "<shop::a::B as core::fmt::Debug>::fmt"),
            ("shop::cart::add::{closure#0}", "add::{closure#0}"),
            ("shop::call::<fn(u8) -> u8>::run", "<fn(u8) -> u8>::run"),
            ("github.com/acme/shop/cache.(*Store).Put", "cache.(*Store).Put"),
            ("", ""),
        ] {
            assert_eq!(short(long), expected, "{long}");
        }
    }

    #[test]
    fn a_culprit_alone_is_the_only_suspect() {
        let mut incident = incident(State::Confirmed);
        assert_eq!(suspects(&incident).count(), 1);
        incident.suspects = vec![Culprit::default(), Culprit::default()];
        assert_eq!(suspects(&incident).count(), 2, "the first is the culprit itself");
    }

    #[test]
    fn the_title_says_who_and_when() {
        let title = title(&incident(State::Confirmed));
        assert_eq!(
            title,
            "recommendations leaks memory: killed in 3 min 10 s (2 min 40 s – 4 min)"
        );
        let imminent = headline(&incident(State::Imminent));
        assert_eq!(imminent, "is about to be killed in 3 min 10 s (2 min 40 s – 4 min)");
    }

    #[test]
    fn growth_that_may_stop_has_no_latest_time() {
        let mut incident = incident(State::Confirmed);
        incident.kill = incident.kill.map(|kill| KillWindow { high: None, ..kill });
        let words = forecast(&incident).expect("a forecast");
        assert_eq!(words, "killed in 3 min 10 s (2 min 40 s at the soonest)");
        incident.updated = incident.updated.plus(1000.0);
        assert_eq!(forecast(&incident).expect("a forecast"), "killed any moment");
    }

    #[test]
    fn a_kill_says_how_long_people_had() {
        let mut incident = incident(State::Killed);
        incident.closed = Some(incident.told.expect("told").plus(190.0));
        assert_eq!(
            headline(&incident),
            "was killed for its memory, 3 min 10 s after the first report"
        );
        incident.told = incident.closed;
        assert_eq!(headline(&incident), "was killed for its memory, unforeseen");
        assert_eq!(forecast(&incident), None, "what is over has no forecast");
    }

    #[test]
    fn the_summary_names_memory_pace_and_culprit() {
        assert_eq!(
            summary(&incident(State::Confirmed)),
            "recommendations leaks memory: killed in 3 min 10 s (2 min 40 s – 4 min) · \
             180.0 MiB of 256.0 MiB (70 %) · growing 409.6 KiB/s · \
             culprit services_recommendations::cache::remember (93 %)"
        );
    }

    #[test]
    fn an_unknown_limit_and_an_empty_name_are_said_plainly() {
        let mut incident = incident(State::Confirmed);
        incident.limit = None;
        incident.used = Bytes(512);
        incident.target.name = " ".into();
        assert_eq!(memory(&incident), "512 B, no limit known");
        assert_eq!(name(&incident), "process 4242");
    }

    #[test]
    fn no_name_can_smuggle_an_escape_sequence_or_reorder_the_text() {
        assert_eq!(clean("a\x1b[31mb\u{202e}c\nd\u{9b}"), "a\u{fffd}[31mb\u{fffd}c d\u{fffd}");
    }

    #[test]
    fn truncation_counts_utf16_units_and_never_splits_a_character() {
        assert_eq!(truncated("abc", 3), "abc");
        assert_eq!(truncated("abcd", 3), "ab…");
        assert_eq!(truncated("🦀🦀🦀", 4), "🦀…");
    }

    #[test]
    fn a_long_stack_ends_with_the_count_of_the_rest() {
        let incident = incident(State::Confirmed);
        let culprit = incident.culprit.expect("a culprit");
        let lines = stack(&culprit, 2);
        assert_eq!(lines[1], "services_recommendations::cache::remember (src/cache.rs:42)");
        assert_eq!(lines[2], "… 2 more");
    }

    #[test]
    fn what_is_no_time_is_said_to_be_none() {
        assert_eq!(clock(WallTime(1_795_269_800.4)), "2026-11-21 14:03:20 UTC");
        for time in [f64::NAN, f64::INFINITY, -1.0, 1e300] {
            assert_eq!(clock(WallTime(time)), "an unknown time");
        }
    }
}
