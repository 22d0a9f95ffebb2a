//! How much later than intended a look at the process begins, and how long its reading takes.

use std::time::{Duration, Instant};

use super::Watcher;

/// When a look began.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look(Instant);

impl Look {
    /// A look that begins now.
    pub(super) fn begins() -> Self {
        Self(Instant::now())
    }

    /// How late the next look is that begins now and was to begin `pause` after this one. What this look itself took is
    /// part of it, so that one that waited for something shows.
    pub(super) fn delay_of_next(self, pause: Duration) -> Duration {
        self.delay_at(Instant::now(), pause)
    }

    fn delay_at(self, now: Instant, pause: Duration) -> Duration {
        now.saturating_duration_since(self.0).saturating_sub(pause)
    }
}

impl Watcher {
    /// What a look took, as far as it was reading.
    pub(super) fn sampled(&self, took: Duration) {
        let of_cgroup = self.collector.cgroup_took();
        self.context.meter(|meters| {
            meters.reads.proc.add(took.saturating_sub(of_cgroup.unwrap_or_default()));
            if let Some(of_cgroup) = of_cgroup {
                meters.reads.cgroup.add(of_cgroup);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_is_late_by_what_passed_beyond_the_pause() {
        let look = Look::begins();
        let [now, pause, long] = [30, 20, 1000].map(Duration::from_millis);
        assert_eq!(look.delay_at(look.0 + now, pause), Duration::from_millis(10));
        assert_eq!(look.delay_at(look.0 + now, now), Duration::ZERO);
        assert_eq!(look.delay_at(look.0 + now, long), Duration::ZERO);
    }
}
