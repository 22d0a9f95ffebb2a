//! What waits for one sink: one state per incident, bounded. Pure: the time is an argument.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use watchdog_core::incident::Incident;

use super::Options;
use super::backoff;

/// A state that waits.
#[derive(Clone, Debug)]
pub(super) struct Pending {
    pub(super) incident: Arc<Incident>,
    /// When it was handed over; the total deadline counts from here.
    since: Instant,
    not_before: Instant,
    failures: u32,
}

/// What the worker does next.
#[derive(Debug)]
pub(super) enum Next {
    Deliver(Pending),
    WaitUntil(Instant),
    Nothing,
}

/// What became of a state whose attempt failed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum AfterFailure {
    TryAgain,
    GiveUp,
}

/// In the order of submission.
#[derive(Default)]
pub(super) struct Queue {
    waiting: VecDeque<Pending>,
    /// The receiver takes nothing before this.
    paused_until: Option<Instant>,
}

impl Queue {
    /// Puts a state in, in place of an older one of the same incident. A newer state does not wait for the pauses
    /// of the older: it may be the one that matters. Returns what had to be dropped for it.
    pub(super) fn submit(
        &mut self,
        incident: Arc<Incident>,
        now: Instant,
        capacity: usize,
    ) -> Option<Arc<Incident>> {
        if let Some(waiting) = self.find(&incident.id) {
            *waiting = Pending { incident, since: now, not_before: now, failures: 0 };
            return None;
        }
        self.waiting.push_back(Pending { incident, since: now, not_before: now, failures: 0 });
        (self.waiting.len() > capacity).then(|| self.evict()).flatten()
    }

    fn evict(&mut self) -> Option<Arc<Incident>> {
        let closed = self.waiting.iter().position(|pending| pending.incident.state.is_closed());
        self.waiting.remove(closed.unwrap_or(0)).map(|pending| pending.incident)
    }

    fn find(&mut self, id: &str) -> Option<&mut Pending> {
        self.waiting.iter_mut().find(|pending| pending.incident.id == id)
    }

    /// The first state that is due, taken out, or when the next will be.
    pub(super) fn next(&mut self, now: Instant) -> Next {
        if let Some(until) = self.paused_until.filter(|until| *until > now) {
            return if self.waiting.is_empty() { Next::Nothing } else { Next::WaitUntil(until) };
        }
        if let Some(due) = self.waiting.iter().position(|pending| pending.not_before <= now) {
            return self.waiting.remove(due).map_or(Next::Nothing, Next::Deliver);
        }
        let soonest = self.waiting.iter().map(|pending| pending.not_before).min();
        soonest.map_or(Next::Nothing, Next::WaitUntil)
    }

    /// Puts a state back whose attempt failed in a way that may pass, unless its time is over. If a newer state of
    /// the same incident came meanwhile, that one takes over the pause and the failures, and its own deadline.
    pub(super) fn failed(
        &mut self,
        mut pending: Pending,
        after: Option<Duration>,
        now: Instant,
        options: &Options,
    ) -> AfterFailure {
        pending.failures = pending.failures.saturating_add(1);
        pending.not_before =
            now + backoff::pause(pending.failures, options.first_pause, options.longest_pause);
        if let Some(after) = after {
            // No longer than the total deadline: by then all that waits now is given up anyway.
            self.paused_until = Some(now + backoff::asked(after).min(options.total_deadline));
        }
        if let Some(newer) = self.find(&pending.incident.id) {
            newer.failures = pending.failures;
            newer.not_before = pending.not_before;
            return AfterFailure::TryAgain;
        }
        let resumes = self.paused_until.map_or(pending.not_before, |at| at.max(pending.not_before));
        if resumes >= pending.since + options.total_deadline {
            return AfterFailure::GiveUp;
        }
        self.waiting.push_back(pending);
        AfterFailure::TryAgain
    }

    /// Ends every pause but the one that the receiver asked for.
    pub(super) fn hurry(&mut self, now: Instant) {
        self.waiting.iter_mut().for_each(|pending| pending.not_before = now);
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(super) fn take_all(&mut self) -> Vec<Arc<Incident>> {
        self.waiting.drain(..).map(|pending| pending.incident).collect()
    }
}
