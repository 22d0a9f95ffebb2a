//! A thousand incidents, a Slack that fails at random, and a teller that is killed and started again ten times: every
//! incident ends up told, none has two messages, none is lost.
//!
//! The teller is a process of its own, this test's program started again: only a process can really be killed. It stands
//! for the watchdog from the decision on: it submits a course of states that it knows by heart, and notes how far it came.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use watchdog_core::incident::{Incident, State};
use watchdog_core::units::WallTime;
use watchdog_fixtures::slack::{Chaos, Event, Message, SlackServer};
use watchdog_report::pipeline::{Options, Pipeline};
use watchdog_report::sink::{self, Delivery, Habits, Sink};
use watchdog_report::slack::SlackSink;

use crate::sample::confirmed;
use crate::slack::options;

const INCIDENTS: usize = 1000;
const KILLS: usize = 10;
/// Every tenth incident has two replicas that follow it.
const REPLICAS: usize = 10;
/// Steps of the course between two states of an incident.
const APART: usize = 20;
const STATES: [State; 3] = [State::Confirmed, State::Imminent, State::Killed];
/// A teller that was killed tells the last steps anew, as a detector would: what it had decided last was not noted yet.
const REPEATED: usize = 5;
const DIR: &str = "OOMEN_CHAOS_DIR";
const URL: &str = "OOMEN_CHAOS_URL";
const PATIENCE: Duration = Duration::from_secs(240);

/// The Slack sink without its pace: a thousand messages at one a second are a quarter of an hour.
struct Hasty(SlackSink);

impl Sink for Hasty {
    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn habits(&self) -> Habits {
        Habits { pace: None, ..self.0.habits() }
    }

    fn deliver<'a>(&'a self, delivery: Delivery<'a>) -> sink::Attempt<'a> {
        self.0.deliver(delivery)
    }
}

fn id(n: usize) -> String {
    format!("chaos-{n:04}")
}

/// The incident of that number in its present state.
fn incident(n: usize, stage: usize) -> Incident {
    let mut incident = confirmed();
    let state = STATES[stage];
    (incident.id, incident.state, incident.revision) = (id(n), state, stage as u32 + 1);
    (incident.target.name, incident.target.pod) = (id(n), Some(id(n)));
    let leader = if n % REPLICAS < 3 { n - n % REPLICAS } else { n };
    incident.target.workload = Some(format!("workload-{leader}"));
    let now = std::time::SystemTime::UNIX_EPOCH.elapsed().expect("a clock").as_secs_f64();
    (incident.updated, incident.told) = (WallTime(now), Some(WallTime(now)));
    if state.is_closed() {
        (incident.closed, incident.kill) = (Some(WallTime(now)), None);
        incident.evidence = Some("oom_kill went from 0 to 1.".into());
    }
    incident
}

/// What is decided at one step of the course: an incident begins, an older one goes on, a still older one ends.
fn course(step: usize) -> Vec<Incident> {
    let of = |stage: usize| {
        let n = step.checked_sub(stage * APART)?;
        (n < INCIDENTS).then(|| incident(n, stage))
    };
    (0..STATES.len()).filter_map(of).collect()
}

/// The teller. Without its variables, as when all ignored tests are run, there is nothing to tell.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "the process that is killed; the test below starts it"]
async fn teller() {
    let (Ok(dir), Ok(url)) = (std::env::var(DIR), std::env::var(URL)) else { return };
    let dir = Path::new(&dir);
    let log = std::fs::File::options().create(true).append(true).open(dir.join("log"));
    let log = tracing_subscriber::fmt().with_ansi(false).with_writer(Arc::new(log.expect("a log")));
    log.init();
    let options_of_pipeline = Options {
        attempt_deadline: Duration::from_millis(250),
        first_pause: Duration::from_millis(10),
        longest_pause: Duration::from_millis(200),
        ..Options::default()
    };
    let sink = Hasty(SlackSink::new(options(&url)).expect("a sink"));
    let sinks: Vec<Box<dyn Sink>> = vec![Box::new(sink)];
    let nobody = Arc::new(()) as _;
    let pipeline = Pipeline::resume(sinks, &options_of_pipeline, &dir.join("outbox"), &nobody);
    let pipeline = pipeline.expect("an outbox");
    let progress = dir.join("progress");
    let done = std::fs::read_to_string(&progress).unwrap_or_default().lines().count();
    let mut notes = std::fs::File::options().create(true).append(true).open(&progress);
    let notes = notes.as_mut().expect("the progress file");
    let last = INCIDENTS + STATES.len() * APART;
    for step in done.saturating_sub(REPEATED)..last {
        course(step).iter().for_each(|incident| pipeline.submit(incident));
        pipeline.settled().await;
        if step >= done {
            writeln!(notes, "{step}").expect("noted");
        }
        // The course goes no faster than it is told, as more than the queue's capacity would be put aside.
        while pipeline.stats()[0].queued > 100 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    loop {
        let stats = pipeline.stats()[0];
        if (stats.queued, stats.dead) == (0, 0) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    std::fs::write(dir.join("finished"), "").expect("noted");
}

fn start(dir: &Path, url: &str) -> Child {
    let program = std::env::current_exe().expect("this program");
    let mut command = Command::new(program);
    command.args(["--exact", "chaos::teller", "--ignored", "--nocapture"]);
    command.env(DIR, dir).env(URL, url).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().expect("a teller")
}

/// What the tellers logged of an incident.
fn log_of(dir: &Path, n: usize) -> String {
    let log = std::fs::read_to_string(dir.join("log")).unwrap_or_default();
    log.lines().filter(|line| line.contains(&id(n))).collect::<Vec<_>>().join("\n")
}

fn steps(dir: &Path) -> usize {
    std::fs::read_to_string(dir.join("progress")).unwrap_or_default().lines().count()
}

async fn until(what: &str, mut is: impl FnMut() -> bool) {
    let waiting = async {
        while !is() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, waiting).await.is_ok(), "not within time: {what}");
}

/// What each root says now, by its `ts`, and how often it was posted.
fn roots(messages: &[Message]) -> BTreeMap<&str, String> {
    let roots = messages.iter().filter(|message| message.thread_ts.is_none());
    let mut now = BTreeMap::new();
    for message in roots {
        let said = serde_json::to_string(&(&message.blocks, &message.attachments));
        now.insert(message.ts.as_str(), said.expect("JSON"));
    }
    now
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_incidents_are_each_told_once_through_every_failure_and_ten_kills() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = SlackServer::start().await.expect("a server");
    let stall = Duration::from_secs(10);
    server.set_chaos(Some(Chaos::of_every_kind(7, 0.08, stall)));
    let mut teller = start(dir.path(), &server.url());
    for kill in 1..=KILLS {
        let far = INCIDENTS * kill / (KILLS + 1);
        until("the teller comes as far as it is to be killed", || steps(dir.path()) >= far).await;
        teller.kill().expect("killed");
        teller.wait().expect("ended");
        teller = start(dir.path(), &server.url());
    }
    until("the teller ends", || dir.path().join("finished").exists()).await;
    teller.wait().expect("ended");

    let messages = server.messages();
    let roots = roots(&messages);
    let posts = |message: &&Message| message.event == Event::Post && message.thread_ts.is_none();
    assert_eq!(messages.iter().filter(posts).count(), roots.len());
    let mut told: BTreeMap<usize, Vec<&str>> = BTreeMap::new();
    for (ts, said) in &roots {
        for n in (0..INCIDENTS).filter(|n| said.contains(&id(*n))) {
            told.entry(n).or_default().push(ts);
        }
    }
    let all: BTreeSet<usize> = (0..INCIDENTS).collect();
    let missing: Vec<_> = all.iter().filter(|n| !told.contains_key(n)).collect();
    assert!(missing.is_empty(), "lost: {missing:?}");
    let twice: Vec<_> = told.iter().filter(|(_, places)| places.len() > 1).collect();
    assert!(twice.is_empty(), "told twice: {twice:?}");
    let goes_on = |n: &&usize| told[n].iter().any(|ts| !roots[ts].contains("killed for"));
    let unfinished: Vec<_> = all.iter().filter(goes_on).collect();
    let log = || log_of(dir.path(), unfinished.first().map_or(0, |n| **n));
    assert!(unfinished.is_empty(), "the end is not told: {unfinished:?}\n{}", log());
    let failed = server.requests().iter().filter(|request| request.refused.is_some()).count();
    assert!(failed > 100, "the server hardly failed: {failed}");
}
