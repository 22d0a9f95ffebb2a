//! What one sink is owed: one record per group of incidents, bounded. Pure: the times are arguments.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;
use watchdog_core::incident::Incident;
use watchdog_core::units::WallTime;

use super::Options;
use super::backoff;
use super::pacer::Pacer;
use super::record::{Dead, Debt, Record, Snapshot, Told};
use crate::sink::Habits;

/// Identifies a record in the queue and on the disk; later ones are greater.
pub(super) type Key = u64;

/// Records kept that are over and told, so that who hands one over again does not have it told again.
const MAX_DONE: usize = 64;

/// A record and when it is tried.
#[derive(Debug)]
struct Slot {
    record: Record,
    /// When its oldest debt arose; the total deadline counts from here.
    since: Instant,
    /// Since when there is news that was not told, newer news or not; means nothing without.
    waits: Instant,
    not_before: Instant,
    failures: u32,
}

impl Slot {
    fn new(record: Record, now: Instant) -> Self {
        Self { record, since: now, waits: now, not_before: now, failures: 0 }
    }
}

/// What the worker does next.
#[derive(Debug)]
pub(super) enum Next {
    Deliver(Key, Snapshot),
    WaitUntil(Instant),
    Nothing,
}

/// What became of a step that failed.
pub(super) enum AfterFailure {
    TryAgain,
    /// This news was given up after so many attempts.
    GiveUp(Vec<Told>, u32),
    /// Only a step or figures were.
    Skip,
}

/// What has changed of a record.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Changes {
    /// To be written to the disk.
    pub(super) changed: Vec<Key>,
    /// To be removed from it.
    pub(super) removed: Vec<Key>,
    /// News given up for want of room.
    pub(super) given_up: Vec<String>,
}

/// Records in the order in which they began.
#[derive(Debug)]
pub(super) struct Queue {
    slots: BTreeMap<Key, Slot>,
    habits: Habits,
    pacer: Pacer,
    /// The receiver takes nothing before this.
    paused_until: Option<Instant>,
    /// The one that is being delivered.
    busy: Option<Key>,
}

impl Queue {
    /// A queue that goes on with what an earlier one left. What was given up is tried again.
    pub(super) fn new(habits: Habits, left: Vec<(Key, Record)>, now: Instant) -> Self {
        let slots = left.into_iter().map(|(key, mut record)| {
            record.dead = None;
            (key, Slot::new(record, now))
        });
        let pacer = Pacer::new(habits.pace);
        Self { slots: slots.collect(), habits, pacer, paused_until: None, busy: None }
    }

    /// Takes over an incident's present state, into its own record, into that of its replicas, or into a new one. News
    /// does not wait for the pauses of what came before: it may be what matters.
    pub(super) fn submit(
        &mut self,
        incident: Arc<Incident>,
        now: Instant,
        wall: WallTime,
        options: &Options,
    ) -> Changes {
        let groups = self.habits.groups;
        let own = self.slots.iter().find(|(_, slot)| slot.record.has(&incident.id));
        let fits = |slot: &Slot| groups && slot.record.welcomes(&incident);
        let place = own.or_else(|| self.slots.iter().find(|(_, slot)| fits(slot)));
        let key = place.map(|(key, _)| *key);
        let mut changes = Changes::default();
        let Some((key, slot)) = key.and_then(|key| Some((key, self.slots.get_mut(&key)?))) else {
            let key = self.slots.last_key_value().map_or(1, |(last, _)| last + 1);
            let record = Record::of(incident, wall);
            self.slots.insert(key, Slot::new(record, now));
            changes.changed.push(key);
            self.make_room(options.capacity, &mut changes);
            return changes;
        };
        let owed = slot.record.debt(self.habits.refreshes);
        if !owed.is_some_and(Debt::is_news) {
            slot.waits = now;
        }
        let news = slot.record.take(incident, wall);
        if news {
            (slot.not_before, slot.failures) = (now, 0);
        }
        if news || owed.is_none() {
            slot.since = now;
        }
        if news || self.habits.refreshes {
            changes.changed.push(key);
        }
        changes
    }

    /// Beyond the capacity the oldest closed untold record is put aside, else the oldest; of those that are over only the
    /// newest are kept, and of those that were given up as many as may wait.
    fn make_room(&mut self, capacity: usize, changes: &mut Changes) {
        let refreshes = self.habits.refreshes;
        let idle = |key: &Key| self.busy != Some(*key);
        let owed: Vec<(Key, bool)> = self
            .slots
            .iter()
            .filter(|(key, slot)| idle(key) && slot.record.debt(refreshes).is_some())
            .map(|(key, slot)| (*key, slot.record.is_open()))
            .collect();
        if owed.len() > capacity {
            let closed = owed.iter().find(|(_, open)| !open).or(owed.first());
            if let Some(slot) = closed.and_then(|(key, _)| self.slots.get_mut(key)) {
                let reason = "too many reports wait".to_owned();
                if slot.record.give_up(Dead { reason, may_pass: true, crowded: true }) {
                    changes.given_up.extend(slot.record.incidents().map(|one| one.id.clone()));
                    changes.changed.extend(closed.map(|(key, _)| *key));
                }
            }
        }
        let is_done: fn(&Record) -> bool = Record::is_done;
        for (kept, most) in [(is_done, MAX_DONE), (|record| record.dead.is_some(), capacity)] {
            let over = self.slots.iter().filter(|(key, slot)| idle(key) && kept(&slot.record));
            let over: Vec<Key> = over.map(|(key, _)| *key).collect();
            let excess = over.len().saturating_sub(most);
            for key in over.into_iter().take(excess) {
                self.slots.remove(&key);
                changes.removed.push(key);
            }
        }
    }

    /// The most urgent record that is due, or when the next will be. Nothing while one is being delivered.
    pub(super) fn next(&mut self, now: Instant, wall: WallTime) -> Next {
        let refreshes = self.habits.refreshes;
        let owed = self.slots.iter().filter_map(|(key, slot)| {
            let debt = slot.record.debt(refreshes)?;
            Some((debt, slot.since, *key, slot.not_before))
        });
        let owed: Vec<(Debt, Instant, Key, Instant)> = owed.collect();
        let allowed = self.paused_until.unwrap_or(now).max(self.pacer.next(now));
        let due = owed.iter().filter(|(.., not_before)| *not_before <= now).min();
        let (Some((_, _, key, _)), true) = (due, allowed <= now) else {
            let soonest = owed.iter().map(|(.., not_before)| (*not_before).max(allowed)).min();
            return soonest.map_or(Next::Nothing, Next::WaitUntil);
        };
        let Some(slot) = self.slots.get_mut(key) else { return Next::Nothing };
        self.busy = Some(*key);
        self.pacer.spend(now);
        let snapshot = slot.record.snapshot();
        // What if this attempt is never answered?
        slot.record.unsure_since.get_or_insert(wall);
        Next::Deliver(*key, snapshot)
    }

    /// A step worked. Returns what was told by it for the first time, and how many attempts that took.
    pub(super) fn stepped(
        &mut self,
        key: Key,
        snapshot: &Snapshot,
        memory: Option<Value>,
        more: bool,
        now: Instant,
    ) -> (Vec<Told>, u32) {
        self.busy = None;
        let Some(slot) = self.slots.get_mut(&key) else { return (Vec::new(), 0) };
        let attempts = slot.failures.saturating_add(1);
        (slot.since, slot.waits, slot.not_before, slot.failures) = (now, now, now, 0);
        (slot.record.stepped(snapshot, memory, more), attempts)
    }

    /// A step failed in a way that may pass: it is tried again unless its time is over. `unsure` says whether it may have
    /// been taken all the same.
    pub(super) fn failed(
        &mut self,
        key: Key,
        snapshot: &Snapshot,
        failure: Failure,
        now: Instant,
        options: &Options,
    ) -> AfterFailure {
        self.busy = None;
        if let Some(after) = failure.after {
            // No longer than the total deadline: by then all that waits now is given up anyway.
            self.paused_until = Some(now + backoff::asked(after).min(options.total_deadline));
        }
        let Some(slot) = self.slots.get_mut(&key) else { return AfterFailure::Skip };
        if !failure.unsure {
            slot.record.unsure_since = snapshot.unsure_since;
        }
        slot.failures = slot.failures.saturating_add(1);
        slot.not_before =
            now + backoff::pause(slot.failures, options.first_pause, options.longest_pause);
        let resumes = self.paused_until.map_or(slot.not_before, |at| at.max(slot.not_before));
        if failure.may_pass && resumes < slot.since + options.total_deadline {
            return AfterFailure::TryAgain;
        }
        let dead = Dead { reason: failure.text, may_pass: failure.may_pass, crowded: false };
        let untold = slot.record.untold();
        match slot.record.give_up(dead) {
            true => AfterFailure::GiveUp(untold, slot.failures),
            false => AfterFailure::Skip,
        }
    }

    /// The receiver takes something again: what was given up meanwhile has another chance. Returns those records.
    pub(super) fn revive(&mut self, now: Instant) -> Vec<Key> {
        let mut revived = Vec::new();
        for (key, slot) in &mut self.slots {
            if slot.record.dead.take_if(|dead| dead.may_pass).is_some() {
                (slot.since, slot.not_before, slot.failures) = (now, now, 0);
                revived.push(*key);
            }
        }
        revived
    }

    /// Ends every pause but the one that the receiver asked for.
    pub(super) fn hurry(&mut self, now: Instant) {
        self.slots.values_mut().for_each(|slot| slot.not_before = now);
    }

    /// Records that are owed something.
    pub(super) fn owed(&self) -> usize {
        let refreshes = self.habits.refreshes;
        self.slots.values().filter(|slot| slot.record.debt(refreshes).is_some()).count()
    }

    /// How long the news that waits longest has waited.
    pub(super) fn oldest(&self, now: Instant) -> Option<Duration> {
        let owed =
            self.slots.values().filter(|slot| slot.record.debt(false).is_some_and(Debt::is_news));
        owed.map(|slot| now.saturating_duration_since(slot.waits)).max()
    }

    /// Why each record was given up that was and is kept.
    pub(super) fn dead(&self) -> impl Iterator<Item = &Dead> {
        self.slots.values().filter_map(|slot| slot.record.dead.as_ref())
    }

    pub(super) fn record(&self, key: Key) -> Option<&Record> {
        self.slots.get(&key).map(|slot| &slot.record)
    }

    /// The newest state of every incident that is known.
    pub(super) fn incidents(&self) -> impl Iterator<Item = &Incident> {
        self.slots.values().flat_map(|slot| slot.record.incidents())
    }

    /// Ids of the incidents with news that nobody was told.
    pub(super) fn untold(&self) -> Vec<String> {
        let owed =
            self.slots.values().filter(|slot| slot.record.debt(false).is_some_and(Debt::is_news));
        owed.filter_map(|slot| slot.record.incidents().next().map(|one| one.id.clone())).collect()
    }
}

/// A step that failed.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) may_pass: bool,
    pub(super) after: Option<Duration>,
    pub(super) unsure: bool,
    pub(super) text: String,
}
