//! The life of an incident: from first suspicion to recovered, killed or gone.

use serde::{Deserialize, Serialize};

use crate::culprit::Culprit;
use crate::detector::{Assessment, Level};
use crate::forecast::KillWindow;
use crate::trend::Trend;
use crate::units::{Bytes, Moment, WallTime};
use crate::verdict::Verdict;

/// Who is watched. One process: a pid that was reused or a restart is another identity.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct TargetIdentity {
    /// The target's stable name, the same over restarts; the label of its metrics.
    pub name: String,
    /// What its replicas share: the target's name without the number that tells several processes of it apart.
    #[serde(default)]
    pub workload: Option<String>,
    /// Process id in the watchdog's pid namespace.
    pub pid: u32,
    /// Start time in clock ticks since boot (`/proc/PID/stat` field 22); tells a reused pid apart.
    pub start_ticks: u64,
    /// Kubernetes namespace, where known.
    pub namespace: Option<String>,
    /// Kubernetes pod, where known.
    pub pod: Option<String>,
    /// The service's version, where known.
    pub version: Option<String>,
}

/// Where an incident stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// A trend; nobody is told.
    Suspected,
    /// A leak; people are told.
    Confirmed,
    /// The kill is near.
    Imminent,
    /// The growth stopped.
    Recovered,
    /// The kernel killed the process for its memory.
    Killed,
    /// The process ended for another reason.
    Gone,
}

impl State {
    /// Every state, for exhaustive metrics.
    pub const ALL: [Self; 6] = [
        Self::Suspected,
        Self::Confirmed,
        Self::Imminent,
        Self::Recovered,
        Self::Killed,
        Self::Gone,
    ];

    /// The word used in metrics, JSON and messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Suspected => "suspected",
            Self::Confirmed => "confirmed",
            Self::Imminent => "imminent",
            Self::Recovered => "recovered",
            Self::Killed => "killed",
            Self::Gone => "gone",
        }
    }

    /// Whether the incident is over.
    pub fn is_closed(self) -> bool {
        matches!(self, Self::Recovered | Self::Killed | Self::Gone)
    }
}

/// How a watched process ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// By the kernel, for its memory; the evidence in words.
    OomKilled(String),
    /// Otherwise, as far as known; the evidence in words.
    Other(String),
}

/// Everything that is known of one incident. A report is made of this and of nothing else.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Incident {
    /// Unique and stable: target name, pid and the second it opened.
    pub id: String,
    /// Rises by one with every change that is news; the figures in between move without it.
    #[serde(default)]
    pub revision: u32,
    /// Whose memory it is.
    pub target: TargetIdentity,
    /// Where it stands.
    pub state: State,
    /// When the suspicion rose.
    pub opened: WallTime,
    /// When this was last changed.
    pub updated: WallTime,
    /// When it ended.
    pub closed: Option<WallTime>,
    /// When people were first to be told; `None` while it is only suspected.
    pub told: Option<WallTime>,
    /// What counted against the limit when last seen.
    pub used: Bytes,
    /// The limit.
    pub limit: Option<Bytes>,
    /// How fast it grows.
    pub trend: Option<Trend>,
    /// When it will be killed.
    pub kill: Option<KillWindow>,
    /// What kind of growth.
    pub verdict: Verdict,
    /// Which function keeps the memory: the first of `suspects`.
    pub culprit: Option<Culprit>,
    /// All functions that were named, the largest growth first.
    #[serde(default)]
    pub suspects: Vec<Culprit>,
    /// Why no function is named, while none is.
    pub culprit_pending: Option<String>,
    /// How it ended, in words.
    pub evidence: Option<String>,
    /// Ids of the heap dumps taken for it, oldest first.
    pub dumps: Vec<String>,
}

/// Dumps listed with an incident at most; the store keeps its own bound.
const MAX_DUMPS: usize = 16;
/// Seconds without suspicion after which an incident has recovered.
const RECOVERED_AFTER: f64 = 30.0;
/// The same for a watchdog that has just come back: at first its detector is calm because it has seen little. What it saw
/// in the last minute before is lost, and the windows need as long again to speak.
const RECOVERED_AFTER_RESUMING: f64 = 180.0;

/// Follows one process from assessment to assessment and keeps its open incident.
#[derive(Clone, Debug)]
pub struct IncidentTracker {
    target: TargetIdentity,
    open: Option<Incident>,
    calm_since: Option<Moment>,
    /// Functions that would be named if people were told. A name is an accusation, and a suspicion is none.
    candidates: Vec<Culprit>,
    /// The incident is an earlier watchdog's, and the growth was not seen to go on yet.
    resuming: bool,
}

/// The incident as it is after a change that somebody may want to hear of.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// The whole incident.
    pub incident: Incident,
    /// Whether people are told of it; false while it is only suspected.
    pub tell: bool,
}

impl IncidentTracker {
    /// A tracker with no open incident.
    pub fn new(target: TargetIdentity) -> Self {
        Self { target, open: None, calm_since: None, candidates: Vec::new(), resuming: false }
    }

    /// Goes on with the incident that an earlier watchdog left open, if it is of this very process. Returns whether it is.
    pub fn resume(&mut self, incident: &Incident) -> bool {
        let (was, is) = (&incident.target, &self.target);
        let same = (was.pid, was.start_ticks) == (is.pid, is.start_ticks);
        let resumes = same && self.open.is_none() && !incident.state.is_closed();
        if resumes {
            self.open = Some(Incident { target: self.target.clone(), ..incident.clone() });
            self.resuming = true;
        }
        resumes
    }

    /// Whose memory it is.
    pub fn identity(&self) -> &TargetIdentity {
        &self.target
    }

    /// The open incident.
    pub fn open(&self) -> Option<&Incident> {
        self.open.as_ref()
    }

    /// Takes an assessment; returns the incident if it was opened, rose in state or recovered.
    pub fn observe(&mut self, assessment: &Assessment, wall: WallTime) -> Option<Change> {
        let state = match assessment.level {
            Level::Calm => return self.calm(assessment, wall),
            Level::Suspect => State::Suspected,
            Level::Leak => State::Confirmed,
            Level::Imminent => State::Imminent,
        };
        self.calm_since = None;
        self.resuming = false;
        let opened = self.open.is_none();
        let incident = self.open.get_or_insert_with(|| Incident::opened(&self.target, wall));
        let rose = rank(state) > rank(incident.state);
        incident.update(assessment, wall);
        if rose {
            incident.state = state;
        }
        if rank(incident.state) >= rank(State::Confirmed) {
            incident.tell(wall, &mut self.candidates);
        }
        (opened || rose).then(|| change(incident))
    }

    fn calm(&mut self, assessment: &Assessment, wall: WallTime) -> Option<Change> {
        let incident = self.open.as_mut()?;
        // On the clock that cannot jump: the wall's may.
        let since = *self.calm_since.get_or_insert(assessment.at);
        let patience = if self.resuming { RECOVERED_AFTER_RESUMING } else { RECOVERED_AFTER };
        if assessment.at.since(since) < patience {
            return None;
        }
        incident.update(assessment, wall);
        incident.kill = None;
        self.close(State::Recovered, "The growth stopped.".into(), wall)
    }

    /// Names the functions, the largest growth first, or brings their figures up to date; returns the incident if one of
    /// the names is news. While people are not told, the names wait until they are.
    pub fn name_culprits(&mut self, suspects: Vec<Culprit>, wall: WallTime) -> Option<Change> {
        let incident = self.open.as_mut()?;
        if incident.told.is_none() {
            self.candidates = suspects;
            return None;
        }
        let names = |suspects: &[Culprit]| -> Vec<String> {
            suspects.iter().map(|suspect| suspect.frame.function.clone()).collect()
        };
        let news = names(&incident.suspects) != names(&suspects);
        incident.name(suspects);
        incident.updated = wall;
        news.then(|| change(incident))
    }

    /// Says why no function is named; returns the incident if that is news. Names that wait are dropped: what was a growth
    /// has settled. Those that were told stay.
    pub fn culprit_pending(&mut self, reason: String, wall: WallTime) -> Option<Change> {
        let incident = self.open.as_mut()?;
        self.candidates.clear();
        if incident.culprit.is_some() || incident.culprit_pending.as_ref() == Some(&reason) {
            return None;
        }
        incident.culprit_pending = Some(reason);
        incident.updated = wall;
        Some(change(incident))
    }

    /// Adds a heap dump to the open incident.
    pub fn add_dump(&mut self, id: String) {
        if let Some(incident) = &mut self.open
            && incident.dumps.len() < MAX_DUMPS
        {
            incident.dumps.push(id);
        }
    }

    /// Opens an incident if none is: for a kill that was not foreseen, so that what is found out about it has a place.
    pub fn open_now(&mut self, wall: WallTime) {
        self.open.get_or_insert_with(|| Incident::opened(&self.target, wall));
    }

    /// The process ended. A kill is an incident even if nothing was suspected: a missed kill must be seen.
    pub fn ended(
        &mut self,
        ending: Ending,
        used: Bytes,
        limit: Option<Bytes>,
        wall: WallTime,
    ) -> Option<Change> {
        match ending {
            Ending::OomKilled(evidence) => {
                self.open_now(wall);
                let incident = self.open.as_mut()?;
                incident.tell(wall, &mut self.candidates);
                incident.used = used;
                incident.limit = limit;
                self.close(State::Killed, evidence, wall)
            }
            Ending::Other(evidence) => self.close(State::Gone, evidence, wall),
        }
    }

    fn close(&mut self, state: State, evidence: String, wall: WallTime) -> Option<Change> {
        let mut incident = self.open.take()?;
        self.calm_since = None;
        self.resuming = false;
        self.candidates.clear();
        incident.state = state;
        incident.updated = wall;
        incident.closed = Some(wall);
        incident.evidence = Some(evidence);
        Some(change(&mut incident))
    }
}

/// What has become news.
fn change(incident: &mut Incident) -> Change {
    incident.revision = incident.revision.saturating_add(1);
    Change { incident: incident.clone(), tell: incident.told.is_some() }
}

fn rank(state: State) -> u8 {
    match state {
        State::Suspected => 0,
        State::Confirmed => 1,
        State::Imminent => 2,
        State::Recovered | State::Killed | State::Gone => 3,
    }
}

impl Incident {
    /// Ends an incident that was left open by an earlier watchdog and whose process is not there any more.
    pub fn abandon(mut self, wall: WallTime) -> Change {
        self.state = State::Gone;
        self.kill = None;
        (self.updated, self.closed) = (wall, Some(wall));
        self.evidence =
            Some("The process ended while no watchdog was looking; how is not known.".into());
        change(&mut self)
    }

    fn opened(target: &TargetIdentity, wall: WallTime) -> Self {
        Self {
            id: format!("{}-{}-{}", target.name, target.pid, wall.0.max(0.0) as u64),
            revision: 0,
            target: target.clone(),
            state: State::Suspected,
            opened: wall,
            updated: wall,
            closed: None,
            told: None,
            used: Bytes(0),
            limit: None,
            trend: None,
            kill: None,
            verdict: Verdict::default(),
            culprit: None,
            suspects: Vec::new(),
            culprit_pending: None,
            evidence: None,
            dumps: Vec::new(),
        }
    }

    /// From now on people are told, and of the functions as well.
    fn tell(&mut self, wall: WallTime, candidates: &mut Vec<Culprit>) {
        self.told.get_or_insert(wall);
        if !candidates.is_empty() {
            self.name(std::mem::take(candidates));
        }
    }

    fn name(&mut self, suspects: Vec<Culprit>) {
        self.culprit = suspects.first().cloned();
        self.suspects = suspects;
        self.culprit_pending = None;
    }

    fn update(&mut self, assessment: &Assessment, wall: WallTime) {
        self.updated = wall;
        self.used = assessment.used;
        self.limit = assessment.limit;
        if assessment.trend.is_some() {
            self.trend = assessment.trend;
        }
        self.kill = assessment.forecast.map(|forecast| forecast.from(wall));
        self.verdict = assessment.verdict.clone();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tracker() -> IncidentTracker {
        IncidentTracker::new(TargetIdentity { name: "shop".into(), pid: 7, ..Default::default() })
    }

    fn at(level: Level) -> Assessment {
        Assessment { level, used: Bytes(5), limit: Some(Bytes(10)), ..Assessment::default() }
    }

    #[test]
    fn what_was_left_open_goes_on_for_the_same_process_and_ends_for_another() {
        let mut before = tracker();
        let left = before.observe(&at(Level::Leak), WallTime(3.0)).expect("opened").incident;
        assert_eq!(left.revision, 1);
        let mut after = tracker();
        assert!(after.resume(&left));
        let calm = |at: f64| Assessment { at: Moment(at), ..self::at(Level::Calm) };
        assert_eq!(after.observe(&calm(1.0), WallTime(3.1)), None);
        assert_eq!(after.observe(&calm(60.0), WallTime(3.2)), None, "it has seen little yet");
        assert_eq!(after.observe(&at(Level::Leak), WallTime(4.0)), None, "nothing is news");
        let risen = after.observe(&at(Level::Imminent), WallTime(5.0)).expect("rose").incident;
        assert_eq!((risen.id.as_str(), risen.revision), (left.id.as_str(), 2));
        let reused = TargetIdentity { start_ticks: 9, ..before.identity().clone() };
        assert!(!IncidentTracker::new(reused).resume(&left), "the pid was reused");
        let ended = left.abandon(WallTime(6.0));
        assert!(ended.tell && !after.resume(&ended.incident));
        assert_eq!((ended.incident.state, ended.incident.revision), (State::Gone, 2));
    }

    #[test]
    fn people_are_told_from_confirmed_on_and_once_per_rise() {
        let mut tracker = tracker();
        let suspected = tracker.observe(&at(Level::Suspect), WallTime(1.0)).expect("opened");
        assert!(!suspected.tell);
        assert_eq!(tracker.observe(&at(Level::Suspect), WallTime(2.0)), None);
        let confirmed = tracker.observe(&at(Level::Leak), WallTime(3.0)).expect("rose");
        assert!(confirmed.tell);
        assert_eq!(confirmed.incident.id, "shop-7-1");
        assert_eq!(tracker.observe(&at(Level::Suspect), WallTime(4.0)), None, "it does not fall");
        let imminent = tracker.observe(&at(Level::Imminent), WallTime(5.0)).expect("rose");
        assert_eq!(imminent.incident.state, State::Imminent);
        assert_eq!(imminent.incident.told, Some(WallTime(3.0)));
    }

    #[test]
    fn growth_that_stops_recovers_after_a_while_and_the_next_is_another_incident() {
        let mut tracker = tracker();
        let calm = |at: f64| Assessment { at: Moment(at), ..self::at(Level::Calm) };
        tracker.observe(&at(Level::Leak), WallTime(1.0));
        assert_eq!(tracker.observe(&calm(2.0), WallTime(2.0)), None);
        assert_eq!(tracker.observe(&calm(20.0), WallTime(90_000.0)), None, "only the wall jumped");
        let change = tracker.observe(&calm(33.0), WallTime(33.0)).expect("recovered");
        assert_eq!(change.incident.state, State::Recovered);
        assert!(change.tell && tracker.open().is_none());
        let next = tracker.observe(&at(Level::Suspect), WallTime(50.0)).expect("opened");
        assert_ne!(next.incident.id, change.incident.id);
    }

    #[test]
    fn a_suspicion_that_comes_to_nothing_is_not_told() {
        let mut tracker = tracker();
        tracker.observe(&at(Level::Suspect), WallTime(1.0));
        tracker.observe(&at(Level::Calm), WallTime(2.0));
        let later = Assessment { at: Moment(60.0), ..at(Level::Calm) };
        let change = tracker.observe(&later, WallTime(60.0)).expect("recovered");
        assert!(!change.tell);
    }

    #[test]
    fn a_kill_that_nobody_foresaw_is_told_all_the_same() {
        let mut tracker = tracker();
        let ending = Ending::OomKilled("oom_kill went from 0 to 1".into());
        let change =
            tracker.ended(ending, Bytes(9), Some(Bytes(10)), WallTime(8.0)).expect("an incident");
        assert!(change.tell);
        assert_eq!(change.incident.state, State::Killed);
        assert!(change.incident.evidence.expect("evidence").contains("oom_kill"));
    }

    #[test]
    fn a_clean_exit_without_an_incident_is_no_incident() {
        let ending = Ending::Other("exited".into());
        assert_eq!(tracker().ended(ending, Bytes(1), None, WallTime(8.0)), None);
    }

    #[test]
    fn a_suspicion_accuses_nobody_and_the_names_come_with_the_first_report() {
        let mut tracker = tracker();
        let suspected = tracker.observe(&at(Level::Suspect), WallTime(1.0)).expect("opened");
        assert_eq!(tracker.name_culprits(vec![Culprit::default()], WallTime(2.0)), None);
        assert_eq!(suspected.incident.culprit, None);
        let confirmed = tracker.observe(&at(Level::Leak), WallTime(3.0)).expect("rose");
        assert!(confirmed.tell && confirmed.incident.culprit.is_some());
        assert_eq!(confirmed.incident.suspects.len(), 1);
    }

    #[test]
    fn names_that_nobody_was_told_are_dropped_when_the_growth_settles() {
        let mut tracker = tracker();
        tracker.observe(&at(Level::Suspect), WallTime(1.0));
        tracker.name_culprits(vec![Culprit::default()], WallTime(2.0));
        let change = tracker.culprit_pending("it has settled".into(), WallTime(3.0)).expect("news");
        assert_eq!(change.incident.culprit_pending.as_deref(), Some("it has settled"));
        let confirmed = tracker.observe(&at(Level::Leak), WallTime(4.0)).expect("rose");
        assert_eq!(confirmed.incident.culprit, None);
    }

    #[test]
    fn naming_the_culprit_completes_the_same_incident() {
        let mut tracker = tracker();
        let opened = tracker.observe(&at(Level::Leak), WallTime(1.0)).expect("opened");
        let reason = tracker.culprit_pending("too few samples".into(), WallTime(2.0));
        assert!(reason.is_some());
        assert_eq!(tracker.culprit_pending("too few samples".into(), WallTime(2.5)), None);
        let frame = |function: &str| crate::profile::Frame {
            function: function.into(),
            ..crate::profile::Frame::default()
        };
        let culprit = Culprit { frame: frame("f"), growth: Bytes(1), ..Culprit::default() };
        let named = tracker.name_culprits(vec![culprit.clone()], WallTime(3.0)).expect("news");
        assert_eq!(named.incident.id, opened.incident.id);
        assert_eq!(named.incident.culprit_pending, None);
        let more = Culprit { growth: Bytes(2), ..culprit };
        let again = tracker.name_culprits(vec![more.clone()], WallTime(4.0));
        assert_eq!(again, None, "the same name is no news");
        let kept = tracker.open().and_then(|open| open.culprit.as_ref()).expect("a culprit");
        assert_eq!(kept.growth, Bytes(2));
        assert_eq!(tracker.culprit_pending("settled".into(), WallTime(4.5)), None, "it was told");
        let second = Culprit { frame: frame("g"), ..Culprit::default() };
        let both = tracker.name_culprits(vec![more, second], WallTime(5.0)).expect("a second one");
        assert_eq!(both.incident.suspects.len(), 2);
    }
}
