//! When an incident became imminent and its function was named: what is not in the incident itself.

use std::collections::VecDeque;

use watchdog_core::incident::{Incident, State};
use watchdog_core::units::WallTime;

/// Open incidents remembered at most; the oldest is forgotten first, and loses two events of its span.
const MAX_OPEN: usize = 256;

/// The times that are known.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Milestones {
    /// When the kill came near.
    pub(super) imminent: Option<WallTime>,
    /// When the function was known.
    pub(super) named: Option<WallTime>,
}

/// What is remembered of the open incidents.
#[derive(Debug, Default)]
pub(super) struct OpenIncidents(VecDeque<Open>);

#[derive(Debug)]
struct Open {
    id: String,
    imminent: Mark,
    named: Mark,
}

/// A time that is known, is still to come, or went by before this watchdog was there.
#[derive(Clone, Copy, Debug)]
enum Mark {
    ToCome,
    At(WallTime),
    Missed,
}

impl Mark {
    fn reached(&mut self, at: WallTime) {
        if matches!(self, Self::ToCome) {
            *self = Self::At(at);
        }
    }

    fn time(self) -> Option<WallTime> {
        match self {
            Self::At(time) => Some(time),
            Self::ToCome | Self::Missed => None,
        }
    }
}

impl OpenIncidents {
    /// Takes a change; what is known of the incident if it has ended.
    pub(super) fn changed(&mut self, incident: &Incident) -> Option<Milestones> {
        let known = self.0.iter().position(|open| open.id == incident.id);
        let mut open = match known.and_then(|at| self.0.remove(at)) {
            Some(open) => open,
            None => Open::new(incident),
        };
        if incident.state == State::Imminent {
            open.imminent.reached(incident.updated);
        }
        if incident.culprit.is_some() {
            open.named.reached(incident.updated);
        }
        if incident.state.is_closed() {
            return Some(Milestones { imminent: open.imminent.time(), named: open.named.time() });
        }
        if self.0.len() == MAX_OPEN {
            self.0.pop_front();
        }
        self.0.push_back(open);
        None
    }
}

impl Open {
    /// What an incident that is not at its first change has reached already, it reached at a time that nobody here saw.
    fn new(incident: &Incident) -> Self {
        let mark = |reached| if reached { Mark::Missed } else { Mark::ToCome };
        let before = incident.revision > 1;
        // The state before a kill cannot be told from the incident.
        let imminent = before && (incident.state == State::Imminent || incident.state.is_closed());
        let named = before && incident.culprit.is_some();
        Self { id: incident.id.clone(), imminent: mark(imminent), named: mark(named) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::otlp::tests::incident;
    use watchdog_core::culprit::Culprit;
    use watchdog_core::incident::TargetIdentity;

    fn at(revision: u32, state: State, updated: f64) -> Incident {
        let incident = incident("shop-7-1", TargetIdentity::default());
        Incident { revision, state, updated: WallTime(updated), ..incident }
    }

    #[test]
    fn the_first_time_of_each_is_kept_until_the_incident_ends() {
        let mut open = OpenIncidents::default();
        assert_eq!(open.changed(&at(1, State::Suspected, 1.0)), None);
        assert_eq!(open.changed(&at(2, State::Imminent, 2.0)), None);
        let named = |incident| Incident { culprit: Some(Culprit::default()), ..incident };
        assert_eq!(open.changed(&named(at(3, State::Imminent, 3.0))), None);
        assert_eq!(open.changed(&named(at(4, State::Imminent, 4.0))), None);
        let end = open.changed(&named(at(5, State::Killed, 5.0)));
        let times = Milestones { imminent: Some(WallTime(2.0)), named: Some(WallTime(3.0)) };
        assert_eq!(end, Some(times));
        assert!(open.0.is_empty());
    }

    #[test]
    fn what_came_before_a_restart_of_the_watchdog_is_left_out_not_guessed() {
        let mut open = OpenIncidents::default();
        assert_eq!(open.changed(&at(3, State::Imminent, 9.0)), None);
        let end = open.changed(&at(4, State::Killed, 10.0));
        assert_eq!(end, Some(Milestones::default()));
    }

    #[test]
    fn no_more_incidents_are_remembered_than_there_is_room_for() {
        let mut open = OpenIncidents::default();
        for number in 0..MAX_OPEN * 2 {
            let incident = Incident { id: number.to_string(), ..at(1, State::Suspected, 1.0) };
            open.changed(&incident);
        }
        assert_eq!(open.0.len(), MAX_OPEN);
        assert_eq!(open.0.front().map(|open| open.id.as_str()), Some("256"));
    }
}
