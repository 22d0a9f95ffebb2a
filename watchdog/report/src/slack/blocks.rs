//! The report as Block Kit: one incident, or the replicas of a workload, right at a glance and within Slack's limits
//! whatever the incidents hold.
//!
//! On a phone everything stands one below the other, so what is asked first comes first: what happens to whom and when,
//! why, the picture, the function, the figures, where to look next.
//!
//! Each part has a budget of its own, counted in UTF-16 units after escaping, and what is still too long as a whole is
//! laid out again with less detail.
//!
//! The state's colour is that of the emoji in front of the title. A coloured bar needs the legacy attachments, which
//! stand below all blocks and whose content Slack folds away; the emoji is seen on lock screens and through webhooks too.

use slack_morphism::prelude::*;
use url::Url;
use watchdog_core::incident::{Incident, State};
use watchdog_core::units::{Bytes, span};

use super::suspects::suspects;
use super::text::{
    address, capitalized, clock, code, date, foreign, joined, linked, markup, range, section,
    usable, window, words,
};
use crate::message::{self, group};

/// Slack's own limit on a header.
const HEADER: usize = 150;
/// The whole as JSON. Slack refuses from about 13 200 characters on, without documenting it; the rest is for what stands
/// around the content.
const WHOLE: usize = 12_500;

/// How much of each part is shown, in UTF-16 units unless said otherwise.
pub(super) struct Detail {
    text: usize,
    field: usize,
    sentence: usize,
    context: usize,
    /// Replicas in the list.
    replicas: usize,
    replica: usize,
    pub(super) name: usize,
    pub(super) line: usize,
    /// Frames of the stack.
    pub(super) frames: usize,
}

/// From the richest on: the first that fits is taken. JSON may double quotes and backslashes, and a stack is the first
/// thing to go.
const DETAILS: [Detail; 3] = [
    Detail {
        text: 500,
        field: 200,
        sentence: 600,
        context: 150,
        replicas: 15,
        replica: 160,
        name: 300,
        line: 150,
        frames: 8,
    },
    Detail {
        text: 400,
        field: 120,
        sentence: 300,
        context: 100,
        replicas: 10,
        replica: 120,
        name: 200,
        line: 100,
        frames: 4,
    },
    Detail {
        text: 300,
        field: 80,
        sentence: 150,
        context: 60,
        replicas: 6,
        replica: 100,
        name: 100,
        line: 80,
        frames: 0,
    },
];

/// What stands around an incident's own words.
#[derive(Clone, Copy, Default)]
pub(super) struct Surroundings<'a> {
    /// The watchdog's page.
    pub(super) page: Option<&'a Url>,
    /// What to do about a leak.
    pub(super) runbook: Option<&'a Url>,
    /// The uploaded plot's file id.
    pub(super) plot: Option<&'a str>,
    /// What the message is found by.
    pub(super) key: &'a str,
}

/// The message for the incidents' present state. Nothing but an empty text of no incident.
pub(super) fn content(incidents: &[Incident], around: Surroundings<'_>) -> SlackMessageContent {
    let mut content = SlackMessageContent::new();
    for detail in &DETAILS {
        content = laid_out(incidents, around, detail);
        if length(&content) <= WHOLE {
            break;
        }
    }
    content
}

/// Characters of the content as JSON.
fn length(content: &SlackMessageContent) -> usize {
    // What cannot be written is not sent either.
    serde_json::to_string(content).map_or(0, |json| json.encode_utf16().count())
}

fn laid_out(
    incidents: &[Incident],
    around: Surroundings<'_>,
    detail: &Detail,
) -> SlackMessageContent {
    let ranked = group::ranked(incidents);
    let Some(worst) = ranked.first() else { return SlackMessageContent::new() };
    let emoji = emoji(worst.state);
    let title = words(&format!("{emoji} {}", group::title(incidents)), HEADER);
    let text = words(&format!("{emoji} {}", group::lock_screen(incidents)), detail.text);
    let header = SlackHeaderBlock::new(pt!(title)).with_block_id(SlackBlockId(around.key.into()));
    let mut blocks: Vec<SlackBlock> = vec![header.into()];
    let several = ranked.len() > 1;
    if several {
        blocks.push(section(replicas(&ranked, detail)).into());
    }
    blocks.push(section(sentences(worst, detail)).into());
    blocks.extend(around.plot.map(|file| plot(worst, file, detail)));
    blocks.push(section(culprit(&ranked, detail)).into());
    blocks.push(section(figures(worst, several, detail)).into());
    blocks.retain(|block| !is_empty(block));
    let buttons = buttons(worst, around);
    if !buttons.is_empty() {
        blocks.push(SlackActionsBlock::new(buttons).into());
    }
    blocks.push(SlackContextBlock::new(context(worst, around, detail)).into());
    SlackMessageContent::new().with_text(text).with_blocks(blocks)
}

fn is_empty(block: &SlackBlock) -> bool {
    let SlackBlock::Section(section) = block else { return false };
    match (&section.text, &section.fields) {
        (Some(SlackBlockText::MarkDown(text)), None) => text.text.is_empty(),
        _ => false,
    }
}

pub(super) fn emoji(state: State) -> &'static str {
    match state {
        State::Suspected => "👀",
        State::Confirmed => "⚠️",
        State::Imminent => "🚨",
        State::Recovered => "✅",
        State::Killed => "💀",
        State::Gone => "⏹️",
    }
}

/// One line for each replica, the worst first, and a last one that counts the rest.
fn replicas(ranked: &[&Incident], detail: &Detail) -> String {
    let shown = ranked.iter().take(detail.replicas);
    let lines: Vec<String> = shown.map(|incident| replica(incident, detail.replica)).collect();
    joined(&lines, ranked.len() - lines.len())
}

/// One of several in a line, two on a phone.
pub(super) fn replica(incident: &Incident, most: usize) -> String {
    let name = code(&group::replica(incident), most);
    format!("{} {name} · {}", emoji(incident.state), words(&group::line(incident), most))
}

/// How it ended, and the verdict, which is of the time before that.
fn sentences(incident: &Incident, detail: &Detail) -> String {
    let verdict = words(incident.verdict.sentence.trim(), detail.sentence);
    let before = if incident.state.is_closed() { "*Before:* " } else { "" };
    let evidence = words(incident.evidence.as_deref().unwrap_or_default().trim(), detail.sentence);
    match (evidence.is_empty(), verdict.is_empty()) {
        (_, true) => evidence,
        (true, false) => format!("{before}{verdict}"),
        (false, false) => format!("{evidence}\n{before}{verdict}"),
    }
}

/// Who keeps the memory, or why nobody is named. Of a group the first that knows: replicas run the same program.
fn culprit(ranked: &[&Incident], detail: &Detail) -> String {
    let known = ranked.iter().enumerate().find_map(|(place, incident)| {
        let known = suspects(incident, detail)?;
        let of = code(&group::replica(incident), detail.replica);
        Some(if place == 0 { known } else { format!("Of {of}:\n{known}") })
    });
    let pending = || {
        let pending = ranked.iter().find_map(|incident| incident.culprit_pending.as_deref());
        words(&capitalized(pending.unwrap_or_default().trim()), detail.sentence)
    };
    known.unwrap_or_else(pending)
}

/// The figures, each on a line with its label: Slack's own fields take two lines each on a phone. Growth is told in the
/// unit that the verdict and the function are told in.
fn figures(incident: &Incident, several: bool, detail: &Detail) -> String {
    let closed = incident.state.is_closed();
    let labelled = |label: &str, value: String| format!("*{label}* {value}");
    let mut lines = vec![labelled("Memory", words(&message::memory(incident), detail.field))];
    if let Some(trend) = incident.trend {
        let mut pace = format!("{} ({})", trend.slope, range(&trend.low, &trend.high));
        let slope = trend.slope.to_string();
        if slope.ends_with("/s") {
            // How much until somebody is back at the desk.
            let hourly = Bytes((trend.slope.0 * 3600.0).max(0.0) as u64);
            pace = format!("{pace}, {hourly} an hour");
        }
        lines.push(labelled(if closed { "Grew" } else { "Grows" }, words(&pace, detail.field)));
    }
    if let Some(kill) = incident.kill.filter(|_| !closed) {
        lines.push(labelled("Killed", window(&kill, incident.updated)));
    }
    // Of several, whose figures these are.
    let label = if several { "Worst" } else { "Pod" };
    lines.extend(place(incident, several, detail).map(|place| labelled(label, place)));
    lines.join("\n")
}

/// Namespace and pod; of several without one, what else tells them apart.
fn place(incident: &Incident, several: bool, detail: &Detail) -> Option<String> {
    let target = &incident.target;
    let given = |part: &Option<String>| {
        let part = part.as_deref().unwrap_or_default().trim();
        (!part.is_empty()).then(|| foreign(part, detail.field))
    };
    match (given(&target.namespace), given(&target.pod)) {
        (Some(namespace), Some(pod)) => Some(format!("{namespace}/{pod}")),
        (None, Some(pod)) => Some(pod),
        (_, None) => several.then(|| foreign(&group::replica(incident), detail.field)),
    }
}

fn plot(incident: &Incident, file: &str, detail: &Detail) -> SlackBlock {
    let file = SlackFileIdOrUrl::Id { id: SlackFileId(file.into()) };
    let alt = format!("Memory of {}: {}", message::name(incident), message::memory(incident));
    let alt = message::truncated(&alt, detail.text);
    SlackImageBlock::new(SlackImageUrlOrFile::SlackFile { slack_file: file }, alt).into()
}

/// Where to look next: only what has an address.
fn buttons(incident: &Incident, around: Surroundings<'_>) -> Vec<SlackActionBlockElement> {
    let dump = incident.dumps.last().map(String::as_str);
    let dump = |query| address(around.page, &["api", "v1", "heap-dumps", dump?], query);
    let buttons = [
        ("page", "Watchdog", around.page.map(|page| card(page, incident)).and_then(usable)),
        ("flamegraph", "Flamegraph", dump(Some("format=flamegraph"))),
        ("heap-dump", "Heap dump", dump(Some("format=pprof"))),
        ("runbook", "Runbook", around.runbook.cloned().and_then(usable)),
    ];
    let button = |(action, label, url): (&str, &str, Option<Url>)| {
        let button = SlackBlockButtonElement::new(pt!(label)).with_url(url?);
        Some(button.with_action_id(action.into()).into())
    };
    buttons.into_iter().filter_map(button).collect()
}

/// Where the page shows the incident's target.
fn card(page: &Url, incident: &Incident) -> Url {
    let mut url = page.clone();
    url.set_fragment(Some(&message::clean(&incident.target.name)));
    url
}

fn context(
    incident: &Incident,
    around: Surroundings<'_>,
    detail: &Detail,
) -> Vec<SlackContextBlockElement> {
    let id = foreign(incident.id.trim(), detail.context);
    let id = if id.is_empty() { "incident".into() } else { id };
    let link = address(around.page, &["api", "v1", "incidents", &incident.id], None);
    let version = incident.target.version.as_deref().unwrap_or_default().trim();
    let version = (!version.is_empty()).then(|| format!("version {version}"));
    let elements = [
        when(incident),
        linked(link.as_ref(), id),
        version.map(|version| foreign(&version, detail.context)).unwrap_or_default(),
        incident.verdict.kind.as_str().to_owned(),
        format!("pid {}", incident.target.pid),
        concat!("oomen ", env!("CARGO_PKG_VERSION")).into(),
    ];
    let elements = elements.into_iter().filter(|text| !text.is_empty());
    elements.map(|text| markup(text).into()).collect()
}

/// When it began and of when this is; once it is over, from when to when it lasted.
fn when(incident: &Incident) -> String {
    let opened = date(incident.opened);
    let Some(closed) = incident.closed else {
        return format!("since {opened}, as of {}", clock(incident.updated, incident.opened));
    };
    let lasted = span((closed.0 - incident.opened.0).max(0.0));
    format!("{opened} – {} ({})", clock(closed, incident.opened), words(&lasted, 20))
}

#[cfg(test)]
mod tests;
