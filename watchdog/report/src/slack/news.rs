//! What the thread is told: each turn of an incident and the function's name, short and understood without the rest.
//!
//! Slack notifies nobody of an edit, and of a reply only those who follow the thread. So the two turns that must not be
//! missed, a near kill and a kill, are shown in the channel as well (`reply_broadcast`): each once for a message, which
//! with the message itself makes three lines at most, however many replicas there are. A kill that nears while people
//! have only just been called is left to the thread: it would tell them twice. What is shown in the channel has two lines:
//! the message, which holds the rest, is not far above it.

use std::collections::HashSet;

use slack_morphism::prelude::*;
use watchdog_core::incident::{Incident, State};

use super::blocks::{emoji, replica};
use super::memory::{self, Memory, Told};
use super::plan::now;
use super::suspects::sentence;
use super::text::{clock, code, foreign, joined, markup, window, words};
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
    /// Whether its state is new.
    turned: bool,
    /// Whether its function is.
    named: bool,
}

impl Piece<'_> {
    /// The state, and with what it rests on unless that is to be short.
    fn turn(&self, several: bool, short: bool) -> Vec<String> {
        let incident = self.incident;
        if !self.turned {
            return Vec::new();
        }
        let at = clock(incident.updated, incident.updated);
        let memory = words(&message::memory(incident), LINE);
        let title = words(&title(incident, several), LINE);
        let mut lines =
            vec![format!("{} *{title}*", emoji(incident.state)), format!("{memory} at {at}")];
        if short {
            return lines;
        }
        if let Some(kill) = incident.kill.filter(|_| !incident.state.is_closed()) {
            lines.push(format!("Killed {}", window(&kill, incident.updated)));
        }
        let evidence = incident.evidence.as_deref().map(str::trim).filter(|text| !text.is_empty());
        lines.extend(evidence.map(|evidence| words(evidence, LINE)));
        lines
    }

    /// What its function does, and its name in full.
    fn function(&self) -> Vec<String> {
        let Some(culprit) = self.incident.culprit.as_ref().filter(|_| self.named) else {
            return Vec::new();
        };
        let name = code(&culprit.frame.function, NAME);
        let place = message::place(&culprit.frame).map(|place| code(&place, NAME));
        let place = place.map_or_else(String::new, |place| format!(" at {place}"));
        let over = self.incident.state.is_closed();
        vec![sentence(culprit, over, LINE), format!("{name}{place}")]
    }
}

/// What happens to one, under the name that the message has for it: of several that of its line there.
fn title(incident: &Incident, several: bool) -> String {
    let name = if several { group::replica(incident) } else { message::name(incident) };
    // Asterisks in a name would end the bold.
    format!("{name} {}", message::headline(incident)).replace('*', "∗")
}

/// What the thread does not tell yet; `None` when it tells all.
pub(super) fn untold(memory: &Memory, incidents: &[Incident]) -> Option<News> {
    let mut news = pieces(memory, incidents, true);
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
    if broadcast {
        // The function follows in a reply of its own.
        news = pieces(memory, incidents, false);
    }
    let first = news.first()?.incident;
    let several = incidents.len() > 1;
    let title = if news.len() > 1 { group::title(incidents) } else { title(first, several) };
    let title = words(&title, LINE);
    let text = format!("{} {title}", emoji(first.state));
    let body = match news.len() {
        1 => joined(&[news[0].turn(several, broadcast), news[0].function()].concat(), 0),
        _ if broadcast => format!("{} *{title}*\n{}", emoji(first.state), names(&news)),
        2..=FEW => in_full(&news),
        _ => in_short(&news),
    };
    let told = news.iter().map(|piece| (memory::key(piece.incident), piece.told)).collect();
    let key = format!("{}{:08x}", place_in_thread(memory), checksum(&news));
    Some(News { key, broadcast, text, body, near, killed, told })
}

/// What is new of each incident, the most dangerous first. A function that the thread or the message has named of one
/// replica is no news of another: they run the same program. Without `functions` they stay untold.
fn pieces<'a>(memory: &Memory, incidents: &'a [Incident], functions: bool) -> Vec<Piece<'a>> {
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
        let (function, names) = before.map_or((0, 0), |told| (told.function, told.names));
        let mut told = Told { names, ..memory::told(incident) };
        let turned = before.is_none_or(|before| before.state != told.state);
        let named = functions && names < MAX_NAMES && named.insert(told.function);
        if named {
            told.names = names + 1;
        } else if !functions {
            told.function = function;
        }
        if turned || named {
            news.push(Piece { incident, told, turned, named });
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

/// Everything of a few.
fn in_full(news: &[Piece<'_>]) -> String {
    let lines = news.iter().flat_map(|piece| [piece.turn(true, false), piece.function()].concat());
    joined(&lines.collect::<Vec<_>>(), 0)
}

/// Of many a line each, below the functions.
fn in_short(news: &[Piece<'_>]) -> String {
    let functions =
        news.iter().map(|piece| piece.function().join("\n")).filter(|text| !text.is_empty());
    let lines = news.iter().take(MAX_TOLD).map(|piece| replica(piece.incident, NAME));
    let parts: Vec<String> = functions.take(FEW).chain(lines).collect();
    joined(&parts, news.len().saturating_sub(MAX_TOLD))
}

/// Of several no more than who they are, in one line.
fn names(news: &[Piece<'_>]) -> String {
    let name = |Piece { incident, .. }: &Piece<'_>| {
        // No line ends between the two.
        format!("{}\u{a0}{}", emoji(incident.state), foreign(&group::replica(incident), NAME))
    };
    let mut names: Vec<String> = news.iter().take(FEW).map(name).collect();
    let more = news.len().saturating_sub(FEW);
    if more > 0 {
        names.push(format!("… {more} more"));
    }
    names.join(" · ")
}
