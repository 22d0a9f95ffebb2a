//! Which message belongs to which incident. Bounded: the oldest is forgotten and would be posted anew.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use slack_morphism::{SlackChannelId, SlackTs};

/// Incidents whose message is known. Far more than are open at once.
const MAX_PLACES: usize = 512;

/// Where a message stands: updates take the channel's id, not its name.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Place {
    pub(super) channel: SlackChannelId,
    pub(super) ts: SlackTs,
}

#[derive(Default)]
pub(super) struct Posted(Mutex<VecDeque<(String, Place)>>);

impl Posted {
    fn places(&self) -> MutexGuard<'_, VecDeque<(String, Place)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn find(&self, id: &str) -> Option<Place> {
        self.places().iter().find(|(known, _)| known == id).map(|(_, place)| place.clone())
    }

    pub(super) fn forget(&self, id: &str) {
        self.places().retain(|(known, _)| known != id);
    }

    pub(super) fn remember(&self, id: &str, place: Place) {
        let mut places = self.places();
        if places.len() >= MAX_PLACES {
            places.pop_front();
        }
        places.push_back((id.to_owned(), place));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_newest_places_are_kept() {
        let posted = Posted::default();
        for n in 0..=MAX_PLACES {
            let place = Place { channel: "C1".into(), ts: n.to_string().into() };
            posted.remember(&format!("incident-{n}"), place);
        }
        assert_eq!(posted.find("incident-0"), None);
        assert_eq!(posted.find("incident-1").expect("a place").ts, "1".to_string().into());
        assert_eq!(posted.places().len(), MAX_PLACES);
        posted.forget("incident-1");
        assert_eq!(posted.find("incident-1"), None);
    }
}
