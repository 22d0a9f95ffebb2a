//! The report as Block Kit, every part within Slack's limits whatever the incident holds.
//!
//! Each part has a budget of its own, counted in UTF-16 units after escaping. The budgets add up to about 5 000; as
//! JSON may double quotes and backslashes, the whole stays below the 13 000 that Slack takes without saying so.

use slack_morphism::prelude::*;
use url::Url;
use watchdog_core::culprit::Culprit;
use watchdog_core::incident::{Incident, State};
use watchdog_core::units::WallTime;

use crate::message;

/// Slack's own limit on a header.
const HEADER: usize = 150;
const TEXT: usize = 500;
const FIELD: usize = 200;
const SENTENCE: usize = 600;
const CONTEXT: usize = 150;
const FUNCTION: usize = 300;
const LINE: usize = 150;
const FRAMES: usize = 8;
/// A longer link is left out: cut, it would lead nowhere.
const LINK: usize = 400;

/// The message for an incident's present state.
pub(super) fn content(incident: &Incident, page: Option<&Url>) -> SlackMessageContent {
    let emoji = emoji(incident.state);
    let title = escaped(&format!("{emoji} {}", message::title(incident)), HEADER);
    let text = escaped(&format!("{emoji} {}", message::summary(incident)), TEXT);
    let mut blocks: Vec<SlackBlock> = vec![
        SlackHeaderBlock::new(pt!(title)).into(),
        SlackSectionBlock::new().with_fields(fields(incident)).into(),
    ];
    let sentences = [Some(&incident.verdict.sentence), incident.evidence.as_ref()];
    for sentence in sentences.into_iter().flatten().filter(|text| !text.trim().is_empty()) {
        blocks.push(section(escaped(&message::clean(sentence), SENTENCE)));
    }
    match (&incident.culprit, &incident.culprit_pending) {
        (Some(culprit), _) => {
            blocks.push(section(code_block(culprit, &message::others(incident))));
        }
        (None, Some(reason)) if !reason.trim().is_empty() => {
            blocks.push(section(escaped(&message::clean(reason), SENTENCE)));
        }
        _ => {}
    }
    blocks.push(SlackContextBlock::new(context(incident, page)).into());
    SlackMessageContent::new().with_text(text).with_blocks(blocks)
}

fn section(text: String) -> SlackBlock {
    SlackSectionBlock::new().with_text(md!(text)).into()
}

fn emoji(state: State) -> &'static str {
    match state {
        State::Suspected => "👀",
        State::Confirmed => "⚠️",
        State::Imminent => "🚨",
        State::Recovered => "✅",
        State::Killed => "💀",
        State::Gone => "⏹️",
    }
}

fn fields(incident: &Incident) -> Vec<SlackBlockText> {
    let mut fields = vec![field("Memory", &message::memory(incident))];
    fields.extend(message::growth(incident).map(|growth| field("Growth", &growth)));
    match (incident.closed, incident.kill) {
        (Some(closed), _) => fields.push(dated("Ended", &date(closed))),
        (None, Some(kill)) => {
            let range = format!("{}\nat the soonest {}", date(kill.estimate), date(kill.low));
            fields.push(dated("Killed about", &range));
        }
        (None, None) => {}
    }
    fields.push(field("Verdict", incident.verdict.kind.as_str()));
    fields
}

fn field(label: &str, value: &str) -> SlackBlockText {
    dated(label, &escaped(value, FIELD))
}

/// A field whose value is markup of ours.
fn dated(label: &str, value: &str) -> SlackBlockText {
    md!(format!("*{label}*\n{value}"))
}

/// A time that Slack shows in the reader's own time zone.
fn date(time: WallTime) -> String {
    let fallback = message::clock(time);
    match message::unix_seconds(time) {
        Some(seconds) => {
            format!("<!date^{seconds}^{{date_short_pretty}} {{time_secs}}|{fallback}>")
        }
        None => fallback,
    }
}

fn code_block(culprit: &Culprit, others: &[String]) -> String {
    let mut lines = vec![escaped(&message::clean(&culprit.frame.function), FUNCTION)];
    lines
        .extend(message::location(&culprit.frame).map(|at| format!("  at {}", escaped(&at, LINE))));
    lines.push(format!("  {}", escaped(&message::share(culprit), LINE)));
    lines.extend(message::rate(culprit).map(|rate| format!("  {rate}")));
    lines.extend(others.iter().map(|other| format!("  {}", escaped(other, LINE))));
    if !culprit.stack.is_empty() {
        lines.push(String::new());
        lines.extend(message::stack(culprit, FRAMES).iter().map(|line| escaped(line, LINE)));
    }
    // Three backticks in a name would end the block.
    format!("```\n{}\n```", lines.join("\n").replace("```", "'''"))
}

fn context(incident: &Incident, page: Option<&Url>) -> Vec<SlackContextBlockElement> {
    let target = &incident.target;
    let place = [target.namespace.as_deref(), target.pod.as_deref()];
    let place: Vec<&str> = place.into_iter().flatten().collect();
    let id = escaped(&message::clean(&incident.id), CONTEXT);
    let mut elements = vec![match link(page, &["api", "v1", "incidents", &incident.id]) {
        Some(link) => format!("<{link}|{id}>"),
        None => id,
    }];
    if let Some(dump) = incident.dumps.last()
        && let Some(link) = link(page, &["api", "v1", "heap-dumps", dump])
    {
        elements.push(format!("<{link}|heap dump>"));
    }
    elements.push(format!("pid {}", target.pid));
    if !place.is_empty() {
        elements.push(escaped(&message::clean(&place.join("/")), CONTEXT));
    }
    if let Some(version) = &target.version {
        elements.push(escaped(&message::clean(&format!("version {version}")), CONTEXT));
    }
    elements.push(format!("oomen {}", env!("CARGO_PKG_VERSION")));
    elements.into_iter().filter(|text| !text.is_empty()).map(|text| md!(text)).collect()
}

/// The page's address with these path segments, as it may stand before a `|` in a link.
fn link(page: Option<&Url>, segments: &[&str]) -> Option<String> {
    let mut url = page?.clone();
    url.path_segments_mut().ok()?.pop_if_empty().extend(segments);
    let link = url.as_str().replace('|', "%7C").replace('&', "&amp;");
    (link.len() <= LINK).then_some(link)
}

/// `text` with Slack's three control characters escaped, cut to `most` UTF-16 units without cutting an escape apart.
fn escaped(text: &str, most: usize) -> String {
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

#[cfg(test)]
mod tests;
