//! The report as Block Kit: one incident, or the replicas of a workload, right at a glance and within Slack's limits
//! whatever the incidents hold.
//!
//! Each part has a budget of its own, counted in UTF-16 units after escaping, and what is still too long as a whole is
//! laid out again with less detail.
//!
//! The state's colour is that of the emoji in front of the title. A coloured bar needs the legacy attachments, which
//! stand below all blocks and whose content Slack folds away; the emoji is seen on lock screens and through webhooks too.

use slack_morphism::prelude::*;
use url::Url;
use watchdog_core::incident::{Incident, State};
use watchdog_core::units::span;

use super::suspects::code_block;
use super::text::{
    address, code, date, expected, foreign, joined, linked, markup, section, usable,
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
    let title = foreign(&format!("{emoji} {}", group::title(incidents)), HEADER);
    let text = foreign(&format!("{emoji} {}", group::lock_screen(incidents)), detail.text);
    let header = SlackHeaderBlock::new(pt!(title)).with_block_id(SlackBlockId(around.key.into()));
    let mut blocks: Vec<SlackBlock> = vec![header.into()];
    if ranked.len() > 1 {
        blocks.push(section(replicas(&ranked, detail)).into());
    }
    let mut fields = fields(worst, detail);
    if ranked.len() > 1 {
        // Whose figures these are.
        fields.insert(0, field("Worst", &service(worst, detail)));
    } else {
        fields.push(field("Service", &service(worst, detail)));
    }
    blocks.push(SlackSectionBlock::new().with_fields(fields).into());
    blocks.extend(sentences(worst, detail).into_iter().map(|text| section(text).into()));
    blocks.push(section(culprit(&ranked, detail)).into());
    blocks.retain(|block| !is_empty(block));
    blocks.extend(around.plot.map(|file| plot(worst, file, detail)));
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
    let line = |incident: &&Incident| {
        let name = code(&group::replica(incident), detail.replica);
        let words = foreign(&group::line(incident), detail.replica);
        format!("{} {name} {words}", emoji(incident.state))
    };
    let lines: Vec<String> = ranked.iter().take(detail.replicas).map(line).collect();
    joined(&lines, ranked.len() - lines.len())
}

/// What is asked first comes first: on a phone they stand one below the other.
fn fields(incident: &Incident, detail: &Detail) -> Vec<SlackBlockText> {
    let mut fields = Vec::new();
    if let Some(kill) = incident.kill.filter(|_| !incident.state.is_closed()) {
        fields.push(field("Killed about", &expected(&kill, incident.updated)));
    }
    fields.push(field("Memory", &foreign(&message::memory(incident), detail.field)));
    if let Some(trend) = incident.trend {
        let [low, high] = [trend.low, trend.high].map(message::hourly);
        let pace = foreign(&message::pace(trend.slope), detail.field);
        let range = foreign(&format!("{low} – {high}"), detail.field);
        let label = if incident.state.is_closed() { "Grew by" } else { "Grows by" };
        fields.push(field(label, &format!("{pace}\n({range})")));
    }
    fields.push(field("Since", &since(incident)));
    fields
}

/// Name, version, namespace and pod.
fn service(incident: &Incident, detail: &Detail) -> String {
    let target = &incident.target;
    let version = target.version.as_deref().unwrap_or_default();
    let name = format!("{} {version}", message::name(incident));
    let place = [target.namespace.as_deref(), target.pod.as_deref()];
    let place: Vec<&str> =
        place.into_iter().flatten().filter(|part| !part.trim().is_empty()).collect();
    let lines = [name.trim_end().to_owned(), place.join("/")];
    let lines = lines.iter().filter(|line| !line.is_empty());
    lines.map(|line| foreign(line, detail.field)).collect::<Vec<_>>().join("\n")
}

/// When it began, and when and after how long it ended.
fn since(incident: &Incident) -> String {
    let opened = date(incident.opened);
    match incident.closed {
        Some(closed) => {
            let lasted = span((closed.0 - incident.opened.0).max(0.0));
            format!("{opened}\nended {}, after {lasted}", date(closed))
        }
        None => opened,
    }
}

fn field(label: &str, markup_of_ours: &str) -> SlackBlockText {
    markup(format!("*{label}*\n{markup_of_ours}")).into()
}

/// The verdict's sentence and how it ended.
fn sentences(incident: &Incident, detail: &Detail) -> Vec<String> {
    let kind = incident.verdict.kind.as_str();
    let verdict = foreign(incident.verdict.sentence.trim(), detail.sentence);
    let mut sentences = vec![format!("*{kind}* {verdict}").trim_end().to_owned()];
    let evidence = incident.evidence.as_deref().unwrap_or_default().trim();
    if !evidence.is_empty() {
        sentences.push(foreign(evidence, detail.sentence));
    }
    sentences
}

/// Who keeps the memory, or why nobody is named. Of a group the first that knows: replicas run the same program.
fn culprit(ranked: &[&Incident], detail: &Detail) -> String {
    let known = ranked.iter().enumerate().find_map(|(place, incident)| {
        let block = code_block(incident, detail)?;
        let of = code(&group::replica(incident), detail.replica);
        Some(if place == 0 { block } else { format!("Of {of}:\n{block}") })
    });
    let pending = || {
        let pending = ranked.iter().find_map(|incident| incident.culprit_pending.as_deref());
        foreign(pending.unwrap_or_default().trim(), detail.sentence)
    };
    known.unwrap_or_else(pending)
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
        ("page", "Watchdog", around.page.cloned().and_then(usable)),
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

fn context(
    incident: &Incident,
    around: Surroundings<'_>,
    detail: &Detail,
) -> Vec<SlackContextBlockElement> {
    let id = foreign(incident.id.trim(), detail.context);
    let id = if id.is_empty() { "incident".into() } else { id };
    let link = address(around.page, &["api", "v1", "incidents", &incident.id], None);
    let as_of = format!("as of {}", date(incident.updated));
    let pid = format!("pid {}", incident.target.pid);
    let elements = [
        as_of,
        linked(link.as_ref(), id),
        pid,
        concat!("oomen ", env!("CARGO_PKG_VERSION")).into(),
    ];
    elements.map(|text| markup(text).into()).into()
}

#[cfg(test)]
mod tests;
