//! What the thread is told: each turn of an incident and the function's name, short and understood without the rest.
//!
//! Slack notifies nobody of an edit, and of a reply only those who follow the thread. So the two turns that must not be
//! missed, a near kill and a kill, are shown in the channel as well (`reply_broadcast`): each once for a message, which
//! with the message itself makes three lines at most, however many replicas there are. A kill that nears while people
//! have only just been called is left to the thread: it would tell them twice.

use std::collections::HashSet;

use slack_morphism::prelude::*;
use watchdog_core::incident::{Incident, State};

use super::blocks::emoji;
use super::memory::{self, Memory, Told};
use super::plan::now;
use super::text::{code, date, expected, foreign, joined, markup};
use crate::message::{self, group};

/// Seconds after the post in which people are not called again for a kill that nears.
const JUST_CALLED: f64 = 120.0;
/// Replicas told of in full in one reply, and in a line each.
const FEW: usize = 3;
const MAX_TOLD: usize = 10;
/// Names told of one incident: one that keeps changing is no news, and the message holds the present one.
const MAX_NAMES: u8 = 3;
const LINE: usize = 300;
const NAME: usize = 200;

/// One reply.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct News {
    /// What it is found by: the message, its number in the thread and what it tells.
    pub(super) key: String,
    /// Shown in the channel as well.
    pub(super) broadcast: bool,
    text: String,
    body: String,
    near: bool,
    killed: bool,
    /// What is told with it, of each incident.
    told: Vec<(String, Told)>,
}

impl News {
    /// The reply as Slack takes it.
    pub(super) fn content(&self) -> SlackMessageContent {
        let text = markup(self.body.clone()).into();
        let section = SlackSectionBlock::new().with_text(text);
        let section = section.with_block_id(SlackBlockId(self.key.clone()));
        SlackMessageContent::new().with_text(self.text.clone()).with_blocks(vec![section.into()])
    }

    /// The thread tells it now.
    pub(super) fn remember(self, memory: &mut Memory) {
        memory.told.extend(self.told);
        memory.replies = memory.replies.saturating_add(1);
        memory.told_near |= self.near;
        memory.told_kill |= self.killed;
    }
}

/// The part of a reply's key that says which reply of the message it is.
pub(super) fn place_in_thread(memory: &Memory) -> String {
    format!("oomen:reply:{}:", memory.replies)
}

/// What is new of one incident.
struct Piece<'a> {
    incident: &'a Incident,
    /// What is known of it once this is told.
    told: Told,
    /// Its state, unless that was told.
    turn: Vec<String>,
    /// Its function, unless that was told.
    function: Vec<String>,
}

/// What the thread does not tell yet; `None` when it tells all.
pub(super) fn untold(memory: &Memory, incidents: &[Incident]) -> Option<News> {
    let news = pieces(memory, incidents);
    let first = news.first()?.incident;
    let title = match news.len() {
        1 => message::title(first),
        _ => group::title(incidents),
    };
    let text = foreign(&format!("{} {title}", emoji(first.state)), LINE);
    let any = |state| {
        let before = |piece: &Piece<'_>| memory.told.get(&memory::key(piece.incident));
        news.iter().any(|piece| {
            piece.told.state == state && before(piece).is_none_or(|told| told.state != state)
        })
    };
    let (near, killed) = (any(State::Imminent), any(State::Killed));
    let just_called = now(incidents).0 - memory.posted.0 < JUST_CALLED;
    let broadcast = (killed && !memory.told_kill)
        || (near && !memory.told_near && !just_called)
        || (memory.frozen && State::ALL.into_iter().any(any));
    let body = body(&news);
    let told = news.iter().map(|piece| (memory::key(piece.incident), piece.told)).collect();
    let key = format!("{}{:08x}", place_in_thread(memory), checksum(&news));
    Some(News { key, broadcast, text, body, near, killed, told })
}

/// What is new of each incident, the most dangerous first. A function that the thread or the message has named of one
/// replica is no news of another: they run the same program.
fn pieces<'a>(memory: &Memory, incidents: &'a [Incident]) -> Vec<Piece<'a>> {
    let mut named: HashSet<u32> = memory.told.values().map(|told| told.function).collect();
    named.insert(0);
    // Two of one key, by whatever accident, would tell the thread of each other's turns for ever.
    let mut seen = HashSet::new();
    let mut news = Vec::new();
    for incident in group::ranked(incidents) {
        let key = memory::key(incident);
        let before = memory.told.get(&key);
        if !seen.insert(key) {
            continue;
        }
        let names = before.map_or(0, |told| told.names);
        let mut told = Told { names, ..memory::told(incident) };
        let turned = before.is_none_or(|before| before.state != told.state);
        let turn = if turned { turn(incident) } else { Vec::new() };
        let mut function = Vec::new();
        if names < MAX_NAMES && named.insert(told.function) {
            function = self::function(incident);
            told.names = names + 1;
        }
        if turned || !function.is_empty() {
            news.push(Piece { incident, told, turn, function });
        }
    }
    news
}

/// Of what is told, not of how: figures move.
fn checksum(news: &[Piece<'_>]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    for Piece { incident, told, .. } in news {
        hasher.update(incident.id.as_bytes());
        hasher.update(incident.state.as_str().as_bytes());
        hasher.update(&told.function.to_le_bytes());
    }
    hasher.finalize()
}

/// In full of a few; of many a line each, below the functions.
fn body(news: &[Piece<'_>]) -> String {
    if news.len() <= FEW {
        let lines = news.iter().flat_map(|piece| piece.turn.iter().chain(&piece.function));
        return joined(&lines.cloned().collect::<Vec<_>>(), 0);
    }
    let line = |Piece { incident, .. }: &Piece<'_>| {
        let replica = code(&group::replica(incident), NAME);
        format!("{} {replica} {}", emoji(incident.state), foreign(&group::line(incident), LINE))
    };
    let functions = news
        .iter()
        .map(|piece| piece.function.join("\n"))
        .filter(|text| !text.is_empty())
        .take(FEW);
    let parts: Vec<String> = functions.chain(news.iter().take(MAX_TOLD).map(line)).collect();
    joined(&parts, news.len().saturating_sub(MAX_TOLD))
}

/// The incident's present state, with what it rests on.
fn turn(incident: &Incident) -> Vec<String> {
    let at = date(incident.closed.unwrap_or(incident.updated));
    let title = foreign(&message::headline(incident), LINE);
    let who = code(&group::replica(incident), NAME);
    let memory = foreign(&message::memory(incident), LINE);
    let emoji = emoji(incident.state);
    let mut lines = vec![format!("{emoji} {who} *{title}*"), format!("{at}: {memory}")];
    if let Some(kill) = incident.kill.filter(|_| !incident.state.is_closed()) {
        let about = expected(&kill, incident.updated).replace('\n', " ");
        lines.push(format!("Killed about {about}"));
    }
    let evidence = incident.evidence.as_deref().map(str::trim).filter(|text| !text.is_empty());
    lines.extend(evidence.map(|evidence| foreign(evidence, LINE)));
    lines
}

/// Who keeps the memory.
fn function(incident: &Incident) -> Vec<String> {
    let Some(culprit) = &incident.culprit else { return Vec::new() };
    let name = code(&culprit.frame.function, NAME);
    let mut about = foreign(&message::share(culprit), LINE);
    if let Some(rate) = message::rate(culprit) {
        about.push_str("; it ");
        about.push_str(&foreign(&rate, LINE));
    }
    let place = message::location(&culprit.frame).map(|place| code(&place, NAME));
    let place = place.map_or_else(String::new, |place| format!(" {place}"));
    let of = code(&group::replica(incident), NAME);
    vec![format!("🔎 {name} {about}"), format!("{of}{place}")]
}
