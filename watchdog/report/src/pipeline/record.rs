//! What one sink knows of one group of incidents: what was handed over, what was told, what to remember.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use watchdog_core::incident::Incident;
use watchdog_core::units::WallTime;

/// Incidents of one message at most: a watchdog watches sixteen processes of a name.
pub(super) const MAX_MEMBERS: usize = 64;
/// A larger memory is a sink's defect; it would be written to the disk with every step.
const MAX_MEMORY: usize = 64 << 10;

/// An incident as it was last handed over, and how much of it was told.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Member {
    /// The same for every sink: it may hold three stacks of a hundred frames.
    #[serde(with = "shared")]
    pub(super) incident: Arc<Incident>,
    /// The last revision that was told.
    told: Option<u32>,
    /// When the revision that is not told yet was handed over.
    submitted: WallTime,
}

/// An incident that others hold as well is written as it is.
mod shared {
    use super::{Arc, Incident};
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(one: &Arc<Incident>, to: S) -> Result<S::Ok, S::Error> {
        one.as_ref().serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Arc<Incident>, D::Error> {
        Incident::deserialize(from).map(Arc::new)
    }
}

/// Why a record waits for better times.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Dead {
    /// What failed.
    pub(super) reason: String,
    /// Whether it may go through once the sink takes something again; else only a restart tries it.
    pub(super) may_pass: bool,
    /// It was not the sink's doing: too many others waited.
    #[serde(default)]
    pub(super) crowded: bool,
}

/// One group of incidents of one sink, as it is kept on the disk.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Record {
    members: Vec<Member>,
    memory: Option<Value>,
    /// An attempt since then may have been taken without our knowing.
    pub(super) unsure_since: Option<WallTime>,
    /// The sink has said that another step is left.
    pub(super) more: bool,
    pub(super) dead: Option<Dead>,
    /// Figures moved that a refreshing sink has not seen.
    #[serde(skip)]
    moved: bool,
}

/// What is owed, the most urgent first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Debt {
    /// Nobody was told of the group.
    Untold,
    /// There is news of it.
    News,
    /// A step is left.
    Step,
    /// Figures moved.
    Figures,
}

impl Debt {
    /// Whether somebody is still to learn something, and not only to see it better.
    pub(super) fn is_news(self) -> bool {
        matches!(self, Self::Untold | Self::News)
    }
}

/// What a sink is given: the state of the group at that time.
#[derive(Clone, Debug)]
pub(super) struct Snapshot {
    pub(super) incidents: Vec<Incident>,
    pub(super) memory: Option<Value>,
    pub(super) unsure_since: Option<WallTime>,
}

/// A revision on its way.
pub(super) struct Told {
    pub(super) incident: Arc<Incident>,
    pub(super) submitted: WallTime,
}

impl Record {
    pub(super) fn of(incident: Arc<Incident>, now: WallTime) -> Self {
        let mut record = Self::default();
        record.take(incident, now);
        record
    }

    /// Takes over an incident's present state. Returns whether it is news; older states are passed over.
    pub(super) fn take(&mut self, incident: Arc<Incident>, now: WallTime) -> bool {
        match self.members.iter_mut().find(|member| member.incident.id == incident.id) {
            Some(member) => {
                if incident.revision < member.incident.revision {
                    return false;
                }
                let news = incident.revision > member.incident.revision;
                if news {
                    member.submitted = now;
                    self.dead = None;
                }
                self.moved |= member.incident != incident;
                member.incident = incident;
                news
            }
            None => {
                self.members.push(Member { incident, told: None, submitted: now });
                self.dead = None;
                true
            }
        }
    }

    pub(super) fn incidents(&self) -> impl Iterator<Item = &Incident> {
        self.members.iter().map(|member| member.incident.as_ref())
    }

    /// Whether it has this incident.
    pub(super) fn has(&self, id: &str) -> bool {
        self.incidents().any(|incident| incident.id == id)
    }

    /// Whether a further replica's incident belongs into its message: one of them is still going on.
    pub(super) fn welcomes(&self, incident: &Incident) -> bool {
        let workload = |incident: &Incident| {
            incident.target.workload.clone().unwrap_or_else(|| incident.target.name.clone())
        };
        let same = self.members.first().map(|first| workload(&first.incident));
        same == Some(workload(incident)) && self.members.len() < MAX_MEMBERS && self.is_open()
    }

    pub(super) fn is_open(&self) -> bool {
        self.incidents().any(|incident| !incident.state.is_closed())
    }

    /// What is owed to a sink; nothing while the record is given up.
    pub(super) fn debt(&self, refreshes: bool) -> Option<Debt> {
        if self.dead.is_some() {
            return None;
        }
        if self.members.iter().any(|member| member.told != Some(member.incident.revision)) {
            let untold = self.members.iter().all(|member| member.told.is_none());
            return Some(if untold { Debt::Untold } else { Debt::News });
        }
        if self.more {
            return Some(Debt::Step);
        }
        (refreshes && self.moved).then_some(Debt::Figures)
    }

    /// Whether it is over and all is told: kept only so that nothing is told twice.
    pub(super) fn is_done(&self) -> bool {
        !self.is_open() && self.debt(false).is_none() && self.dead.is_none()
    }

    /// The newest change of its incidents.
    pub(super) fn updated(&self) -> WallTime {
        let times = self.incidents().map(|incident| incident.updated.0);
        WallTime(times.fold(0.0, f64::max))
    }

    pub(super) fn snapshot(&self) -> Snapshot {
        Snapshot {
            incidents: self.incidents().cloned().collect(),
            memory: self.memory.clone(),
            unsure_since: self.unsure_since,
        }
    }

    /// A step for `snapshot` worked. Returns what was told by it for the first time.
    pub(super) fn stepped(
        &mut self,
        snapshot: &Snapshot,
        memory: Option<Value>,
        more: bool,
    ) -> Vec<Told> {
        let fits = memory.as_ref().is_none_or(|memory| memory.to_string().len() <= MAX_MEMORY);
        if fits {
            self.memory = memory;
        }
        self.more = more;
        self.unsure_since = None;
        self.dead = None;
        self.moved = false;
        let mut told = Vec::new();
        for given in &snapshot.incidents {
            let member = self.members.iter_mut().find(|member| member.incident.id == given.id);
            let Some(member) = member else { continue };
            self.moved |= *member.incident != *given;
            if member.told.is_none_or(|revision| revision < given.revision) {
                member.told = Some(given.revision);
                told.push(Told { incident: Arc::new(given.clone()), submitted: member.submitted });
            }
        }
        told
    }

    /// The news that was not told.
    pub(super) fn untold(&self) -> Vec<Told> {
        let owed = self.members.iter().filter(|one| one.told != Some(one.incident.revision));
        let told =
            |one: &Member| Told { incident: Arc::clone(&one.incident), submitted: one.submitted };
        owed.map(told).collect()
    }

    /// Forgets what cannot be delivered but news: steps and figures are not worth a dead letter. Returns whether news is
    /// among what is owed.
    pub(super) fn give_up(&mut self, dead: Dead) -> bool {
        self.more = false;
        self.moved = false;
        let news = self.debt(false).is_some();
        if news {
            self.dead = Some(dead);
        }
        news
    }
}

#[cfg(test)]
mod tests {
    use watchdog_core::incident::State;

    use super::*;

    fn incident(id: &str, revision: u32) -> Arc<Incident> {
        let mut incident: Incident =
            serde_json::from_str(include_str!("../../tests/report/confirmed.json"))
                .expect("the sample incident");
        (incident.id, incident.revision) = (id.into(), revision);
        Arc::new(incident)
    }

    fn tell(record: &mut Record, more: bool) -> usize {
        let snapshot = record.snapshot();
        record.stepped(&snapshot, None, more).len()
    }

    #[test]
    fn only_what_is_news_is_owed_and_figures_only_to_whom_they_matter() {
        let mut record = Record::of(incident("a", 1), WallTime(1.0));
        assert_eq!(record.debt(false), Some(Debt::Untold));
        assert_eq!(tell(&mut record, true), 1);
        assert_eq!(record.debt(false), Some(Debt::Step));
        assert_eq!(tell(&mut record, false), 0);
        assert_eq!(record.debt(true), None);
        let moved = Incident { updated: WallTime(9.0), ..Arc::unwrap_or_clone(incident("a", 1)) };
        assert!(!record.take(moved.into(), WallTime(2.0)));
        assert_eq!((record.debt(false), record.debt(true)), (None, Some(Debt::Figures)));
        assert!(record.take(incident("a", 2), WallTime(3.0)));
        assert_eq!(record.debt(false), Some(Debt::News));
        assert!(!record.take(incident("a", 1), WallTime(4.0)), "an older state");
        assert_eq!(record.snapshot().incidents[0].revision, 2);
    }

    #[test]
    fn news_that_came_during_a_step_is_still_owed() {
        let mut record = Record::of(incident("a", 1), WallTime(1.0));
        let given = record.snapshot();
        record.take(incident("a", 2), WallTime(2.0));
        assert_eq!(record.stepped(&given, None, false).len(), 1);
        assert_eq!(record.debt(false), Some(Debt::News));
    }

    #[test]
    fn replicas_join_while_one_of_them_goes_on() {
        let mut record = Record::of(incident("a", 1), WallTime(1.0));
        let other = incident("b", 1);
        assert!(record.welcomes(&other));
        let mut elsewhere = Arc::unwrap_or_clone(incident("c", 1));
        elsewhere.target.workload = Some("another".into());
        assert!(!record.welcomes(&elsewhere));
        let over = Incident { state: State::Killed, ..Arc::unwrap_or_clone(incident("a", 2)) };
        record.take(over.into(), WallTime(2.0));
        assert!(!record.welcomes(&other), "that incident is over");
    }

    #[test]
    fn given_up_is_only_news_and_newer_news_is_tried_again() {
        let dead = || Dead { reason: "no such channel".into(), may_pass: false, crowded: false };
        let mut record = Record::of(incident("a", 1), WallTime(1.0));
        assert!(record.give_up(dead()));
        assert_eq!(record.debt(true), None);
        record.take(incident("a", 2), WallTime(2.0));
        assert_eq!(record.debt(true), Some(Debt::Untold));
        tell(&mut record, true);
        assert!(!record.give_up(dead()), "a step is not news");
        assert_eq!((record.debt(true), record.dead.is_some()), (None, false));
    }
}
