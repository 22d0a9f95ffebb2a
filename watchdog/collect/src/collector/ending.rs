//! From the kernel's kill counter and what was last seen to how a process ended.

use watchdog_core::incident::Ending;
use watchdog_core::units::{Bytes, Moment};

/// Seconds for which a process may still be seen after the kernel killed it: giving back tens of gigabytes
/// takes that long. Shorter, and a sample in between would put the kill down to a neighbour; longer, and
/// a neighbour's kill would be put down to a process that ends for its own reasons soon after.
const DYING: f64 = 5.0;
/// Who dies this close to the limit was probably killed for it, where no counter can be read that would know.
const NEAR_LIMIT: f64 = 0.97;

/// Kills in the cgroup, told apart by whether the process outlived them.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct KillCounter {
    /// Kills that the process outlived; they hit others.
    outlived: Option<u64>,
    latest: u64,
    grew_at: Option<Moment>,
}

impl KillCounter {
    pub(super) fn start(&mut self, kills: u64) {
        *self = Self { outlived: Some(kills), latest: kills, grew_at: None };
    }

    /// Takes the counter as seen while the process was still there.
    pub(super) fn observe(&mut self, kills: u64, at: Moment) {
        if self.outlived.is_none() {
            self.start(kills);
        } else if kills > self.latest {
            self.latest = kills;
            self.grew_at = Some(at);
        }
    }

    /// Puts a kill down to a neighbour once the process has outlived it for long enough.
    pub(super) fn settle(&mut self, at: Moment) {
        if self.grew_at.is_some_and(|grew| at.since(grew) > DYING) {
            self.start(self.latest);
        }
    }

    /// From and to which value it grew around the death; `now` is `None` if it can no longer be read.
    fn grown(self, now: Option<u64>) -> Option<(u64, u64)> {
        let before = self.outlived?;
        let now = now.unwrap_or(self.latest);
        (now > before).then_some((before, now))
    }
}

/// What was last seen before the death.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct LastSeen {
    pub(super) used: Option<Bytes>,
    pub(super) limit: Option<Bytes>,
}

impl LastSeen {
    fn is_near_limit(self) -> bool {
        self.used.zip(self.limit).is_some_and(|(used, limit)| used.fraction_of(limit) >= NEAR_LIMIT)
    }

    fn words(self) -> String {
        match (self.used, self.limit) {
            (Some(used), Some(limit)) => format!("last seen {used} of {limit}"),
            (Some(used), None) => format!("last seen {used}, limit unknown"),
            (None, _) => "never sampled".into(),
        }
    }
}

/// The kill counter after the death.
#[derive(Debug)]
pub(super) struct Counted {
    /// Its file and line, such as `memory.events oom_kill`.
    pub(super) item: String,
    /// The cgroup.
    pub(super) path: String,
    /// Its value, `None` if the cgroup went with the process.
    pub(super) now: Option<u64>,
}

pub(super) fn judge(counted: Option<&Counted>, kills: KillCounter, last: LastSeen) -> Ending {
    let last_words = last.words();
    let counter = match counted {
        None => "no kill counter could be read".to_owned(),
        Some(Counted { item, path, now }) => {
            if let Some((before, now)) = kills.grown(*now) {
                return Ending::OomKilled(format!(
                    "{item} went from {before} to {now} in {path}; {last_words}"
                ));
            }
            match now {
                Some(now) => format!("{item} stayed at {now} in {path}"),
                None => format!("{item} of {path} could no longer be read"),
            }
        }
    };
    // A counter that can be read and did not grow is proof of another ending, however close the limit was.
    let knows = counted.is_some_and(|counted| counted.now.is_some());
    if last.is_near_limit() && !knows {
        Ending::OomKilled(format!("probably killed for its memory: {last_words}, though {counter}"))
    } else {
        Ending::Other(format!("{counter}; {last_words}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(now: Option<u64>) -> Counted {
        Counted { item: "memory.events oom_kill".into(), path: "/pod/app".into(), now }
    }

    fn last(mib: u64) -> LastSeen {
        LastSeen { used: Some(Bytes::from_mib(mib)), limit: Some(Bytes::from_mib(256)) }
    }

    fn counter(start: u64) -> KillCounter {
        let mut counter = KillCounter::default();
        counter.observe(start, Moment(0.0));
        counter
    }

    #[test]
    fn a_counter_that_grew_proves_the_kill() {
        let ending = judge(Some(&counted(Some(1))), counter(0), last(250));
        let words =
            "memory.events oom_kill went from 0 to 1 in /pod/app; last seen 250.0 MiB of 256.0 MiB";
        assert_eq!(ending, Ending::OomKilled(words.into()));
    }

    #[test]
    fn a_counter_that_stayed_and_memory_far_from_the_limit_is_another_ending() {
        let ending = judge(Some(&counted(Some(4))), counter(4), last(100));
        let words =
            "memory.events oom_kill stayed at 4 in /pod/app; last seen 100.0 MiB of 256.0 MiB";
        assert_eq!(ending, Ending::Other(words.into()));
    }

    #[test]
    fn a_death_close_to_the_limit_without_a_counter_is_probably_a_kill() {
        for source in [Some(counted(None)), None] {
            let Ending::OomKilled(words) = judge(source.as_ref(), counter(0), last(249)) else {
                panic!("{source:?} is taken for another ending");
            };
            assert!(words.starts_with("probably") && words.contains("249.0 MiB"), "{words}");
        }
    }

    #[test]
    fn a_counter_that_stayed_is_believed_also_close_to_the_limit() {
        let ending = judge(Some(&counted(Some(0))), counter(0), last(255));
        assert!(matches!(ending, Ending::Other(words) if words.contains("stayed at 0")));
    }

    #[test]
    fn a_kill_seen_while_the_process_was_dying_is_its_own() {
        let mut kills = counter(0);
        kills.observe(1, Moment(10.0));
        kills.settle(Moment(10.5));
        let ending = judge(Some(&counted(None)), kills, last(100));
        assert!(matches!(ending, Ending::OomKilled(words) if words.contains("from 0 to 1")));
    }

    #[test]
    fn a_kill_that_the_process_outlived_was_a_neighbours() {
        let mut kills = counter(0);
        kills.observe(1, Moment(10.0));
        kills.settle(Moment(20.0));
        let ending = judge(Some(&counted(Some(1))), kills, last(100));
        assert!(matches!(ending, Ending::Other(words) if words.contains("stayed at 1")));
    }

    #[test]
    fn a_counter_first_read_late_does_not_count_what_came_before() {
        let mut kills = KillCounter::default();
        kills.observe(7, Moment(3.0));
        let ending = judge(Some(&counted(Some(7))), kills, last(100));
        assert!(matches!(ending, Ending::Other(_)));
    }
}
