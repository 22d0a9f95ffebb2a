//! What is remembered of a message, over restarts as well: where it stands and what it and its thread have told.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use slack_morphism::{SlackChannelId, SlackTs};
use watchdog_core::incident::{Incident, State};
use watchdog_core::units::WallTime;

/// How often Slack may refuse an image before it is left out. An upload is processed for some seconds before a message
/// can show it, and steps are a second apart.
const MAX_REFUSALS: u8 = 5;
/// Files that wait for their deletion at most.
const MAX_OLD_FILES: usize = 8;

/// The memory of one message.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Memory {
    /// The message, once it is posted.
    pub(super) root: Option<Place>,
    /// The time of the incident when it was posted.
    pub(super) posted: WallTime,
    /// Checksum of the words it holds, without the image.
    pub(super) words: u32,
    /// How often it was posted anew, as it was lost.
    pub(super) reposts: u8,
    /// It can be edited no more.
    pub(super) frozen: bool,
    /// It was deleted too often to be posted again.
    pub(super) abandoned: bool,
    /// What the thread was told of each incident.
    pub(super) told: BTreeMap<String, Told>,
    /// Replies sent.
    pub(super) replies: u32,
    /// A near kill was told in the thread or in the message itself.
    pub(super) told_near: bool,
    /// The same of a kill.
    pub(super) told_kill: bool,
    /// The newest plot.
    pub(super) plot: Option<Upload>,
    /// The file that the message shows.
    pub(super) shown: Option<String>,
    /// What the newest plot, or the newest attempt at one, is of.
    pub(super) drawn: Option<Drawn>,
    /// Files that are shown no more.
    pub(super) old_files: Vec<String>,
    /// The heap profiles in the thread.
    pub(super) profiles: Profiles,
    /// How often the present optional step has failed.
    pub(super) tries: u8,
    /// Slack takes no files.
    pub(super) no_files: bool,
    /// It does not show one that stands in no channel.
    pub(super) shown_if_shared: bool,
}

/// Where a message stands: edits take the channel's id, not its name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Place {
    pub(super) channel: SlackChannelId,
    pub(super) ts: SlackTs,
}

/// What people know of one incident.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Told {
    pub(super) state: State,
    /// Checksum of the function's name, 0 for none.
    pub(super) function: u32,
    /// How many names the thread was told.
    #[serde(default)]
    pub(super) names: u8,
}

/// An uploaded plot.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Upload {
    pub(super) file: String,
    /// How often Slack refused to show it.
    pub(super) refused: u8,
    /// Whether it stands in the thread, where it stays.
    #[serde(default)]
    pub(super) shared: bool,
}

/// What a plot is of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Drawn {
    pub(super) at: WallTime,
    /// Checksum of the incident's id.
    pub(super) incident: u32,
    pub(super) revision: u32,
    pub(super) kill: Option<WallTime>,
    /// All was over then.
    pub(super) over: bool,
}

/// Which heap profiles were sent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Profiles {
    /// The one that names the function.
    pub(super) named: bool,
    /// The one at the end.
    pub(super) ended: bool,
    /// The id of the newest one sent.
    pub(super) last: Option<String>,
}

impl Memory {
    /// What was remembered. What cannot be read is forgotten: then the message is posted anew.
    pub(super) fn read(memory: Option<&Value>) -> Self {
        let Some(memory) = memory else { return Self::default() };
        Self::deserialize(memory).unwrap_or_else(|error| {
            tracing::warn!(%error, "what was remembered of a slack message cannot be read");
            Self::default()
        })
    }

    /// As it is kept.
    pub(super) fn written(&self) -> Option<Value> {
        serde_json::to_value(self).ok()
    }

    /// The image to show: the newest plot, unless Slack does not take it; then the one that is shown already.
    pub(super) fn image(&self) -> Option<&str> {
        let newest = self.plot.as_ref().filter(|plot| plot.refused < MAX_REFUSALS);
        newest.map(|plot| plot.file.as_str()).or(self.shown.as_deref())
    }

    /// Slack did not take the message with `image`: what to show in its place.
    pub(super) fn refuse(&mut self, image: &str) -> Option<String> {
        if let Some(plot) = self.plot.as_mut().filter(|plot| plot.file == image) {
            plot.refused = plot.refused.saturating_add(1);
            self.shown_if_shared |= plot.refused >= MAX_REFUSALS && !plot.shared;
        }
        if self.shown.as_deref() == Some(image) {
            self.shown = None;
        }
        self.shown.clone()
    }

    /// No image is shown before there is another.
    pub(super) fn give_up_image(&mut self) {
        self.shown = None;
        if let Some(plot) = &mut self.plot {
            plot.refused = MAX_REFUSALS;
        }
    }

    /// A new plot takes the place of the older one. That is deleted once it is not shown any more, unless the thread would
    /// say in its place that a file was deleted.
    pub(super) fn replace_plot(&mut self, file: String, shared: bool) {
        if let Some(old) = self.plot.replace(Upload { file, refused: 0, shared })
            && !old.shared
            && self.old_files.len() < MAX_OLD_FILES
        {
            self.old_files.push(old.file);
        }
    }

    /// A file that nothing shows any more.
    pub(super) fn superseded(&self) -> Option<&String> {
        self.old_files.iter().find(|file| self.shown.as_ref() != Some(file))
    }

    /// The root tells all there is to tell of these.
    pub(super) fn tell_all(&mut self, incidents: &[Incident]) {
        self.told = incidents.iter().map(|incident| (key(incident), told(incident))).collect();
        self.told_near |= incidents.iter().any(|incident| incident.state == State::Imminent);
        self.told_kill |= incidents.iter().any(|incident| incident.state == State::Killed);
    }

    /// A message was found whose words are not known: it told at least that these are leaks, and whatever it lacks of
    /// the rest is told in the thread.
    pub(super) fn tell_least(&mut self, incidents: &[Incident]) {
        self.tell_all(incidents);
        for told in self.told.values_mut() {
            told.state = State::Confirmed;
        }
        (self.told_near, self.told_kill) = (false, false);
    }
}

/// What an incident is remembered by: ids may be long.
pub(super) fn key(incident: &Incident) -> String {
    format!("{:08x}", crc32fast::hash(incident.id.as_bytes()))
}

/// All that is known of an incident, as told.
pub(super) fn told(incident: &Incident) -> Told {
    let name = incident.culprit.as_ref().map(|culprit| culprit.frame.function.as_bytes());
    // Zero stands for none.
    let function = name.map_or(0, |name| crc32fast::hash(name).max(1));
    Told { state: incident.state, function, names: u8::from(function != 0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_read_is_forgotten_and_what_is_written_can_be_read() {
        let nonsense = serde_json::json!({"root": 5});
        assert_eq!(Memory::read(Some(&nonsense)), Memory::default());
        let root = Some(Place { channel: "C1".into(), ts: "1.2".into() });
        let memory = Memory { root, words: 7, ..Memory::default() };
        assert_eq!(Memory::read(memory.written().as_ref()), memory);
    }

    #[test]
    fn an_image_that_slack_keeps_refusing_is_left_out_and_the_older_one_stays() {
        let mut memory = Memory { shown: Some("F1".into()), ..Memory::default() };
        memory.replace_plot("F1".into(), false);
        memory.replace_plot("F2".into(), false);
        assert_eq!(memory.superseded(), None, "F1 is still shown");
        for _ in 0..MAX_REFUSALS {
            assert_eq!(memory.image(), Some("F2"));
            assert_eq!(memory.refuse("F2").as_deref(), Some("F1"));
        }
        assert_eq!(memory.image(), Some("F1"));
        assert_eq!(memory.refuse("F1"), None, "nor is the older one taken any more");
        assert_eq!(memory.image(), None);
        assert_eq!(memory.superseded().map(String::as_str), Some("F1"));
        assert!(memory.shown_if_shared);
    }

    #[test]
    fn a_plot_in_the_thread_stays_there() {
        let mut memory = Memory::default();
        memory.replace_plot("F1".into(), true);
        memory.replace_plot("F2".into(), false);
        assert_eq!(memory.superseded(), None);
    }

    #[test]
    fn the_memory_of_64_incidents_is_small() {
        let sample: Incident =
            serde_json::from_str(include_str!("../../tests/report/confirmed.json"))
                .expect("the sample incident");
        let many: Vec<Incident> = (0..64)
            .map(|n| Incident { id: format!("{n}").repeat(500), ..sample.clone() })
            .collect();
        let mut memory = Memory::default();
        memory.tell_all(&many);
        assert_eq!(memory.told.len(), 64);
        let text = memory.written().expect("JSON").to_string();
        assert!(text.len() < 8 << 10, "{} bytes", text.len());
    }
}
