//! What the pipeline keeps on the disk: nothing is lost and nothing is told twice, whenever the watchdog ends.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use watchdog_core::incident::{Incident, State};
use watchdog_report::pipeline::{Ended, Observer, Options, Pipeline};
use watchdog_report::sink::{self, Delivery, DeliveryError, Habits, Pace, Progress, Sink};

use crate::sample::incident;

const SOON: Duration = Duration::from_secs(20);

/// One call: the incidents with their revisions, what was remembered, and whether an earlier call may have been taken.
type Call = (Vec<(String, u32)>, Option<Value>, bool);

/// How the sink answers.
#[derive(Clone, Copy, PartialEq)]
enum Answer {
    Take,
    /// In so many steps.
    Steps(u64),
    Refuse,
    Lose,
    Hang,
}

#[derive(Clone)]
struct Notebook {
    calls: Arc<Mutex<Vec<Call>>>,
    answer: Arc<Mutex<Answer>>,
    habits: Habits,
}

impl Notebook {
    fn new(answer: Answer) -> Self {
        let answer = Arc::new(Mutex::new(answer));
        Self { calls: Arc::default(), answer, habits: Habits::default() }
    }

    fn start(&self, dir: &Path) -> Pipeline {
        let sinks: Vec<Box<dyn Sink>> = vec![Box::new(self.clone())];
        Pipeline::resume(sinks, &Options::default(), dir, &(Arc::new(()) as _)).expect("an outbox")
    }

    fn calls(&self) -> Vec<Call> {
        self.calls.lock().expect("calls").clone()
    }

    async fn called(&self, times: usize) -> Vec<Call> {
        let waiting = async {
            while self.calls().len() < times {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        let came = tokio::time::timeout(SOON, waiting).await;
        assert!(came.is_ok(), "{} calls of {times}: {:?}", self.calls().len(), self.calls());
        self.calls()
    }
}

impl Sink for Notebook {
    fn name(&self) -> &'static str {
        "notebook"
    }

    fn habits(&self) -> Habits {
        self.habits
    }

    fn deliver<'a>(&'a self, delivery: Delivery<'a>) -> sink::Attempt<'a> {
        let ids = delivery.incidents.iter().map(|one| (one.id.clone(), one.revision)).collect();
        let memory = delivery.memory.cloned();
        self.calls.lock().expect("calls").push((
            ids,
            memory.clone(),
            delivery.unsure_since.is_some(),
        ));
        let steps = memory.and_then(|memory| memory["steps"].as_u64()).unwrap_or(0) + 1;
        let answer = *self.answer.lock().expect("answer");
        Box::pin(async move {
            let memory = Some(json!({"steps": steps}));
            match answer {
                Answer::Take => Ok(Progress { memory, more: false }),
                Answer::Steps(most) => Ok(Progress { memory, more: steps < most }),
                Answer::Refuse => Err(DeliveryError::permanent("no such channel")),
                Answer::Lose => Err(DeliveryError::unsure("the connection was reset")),
                Answer::Hang => std::future::pending().await,
            }
        })
    }
}

/// Ends the pipeline as a kill does: nothing is finished and nothing is said.
async fn kill(pipeline: Pipeline) {
    drop(pipeline);
    tokio::task::yield_now().await;
}

fn ids(call: &Call) -> Vec<&str> {
    call.0.iter().map(|(id, _)| id.as_str()).collect()
}

#[tokio::test]
async fn what_was_told_is_not_told_again_and_is_remembered() {
    let dir = tempfile::tempdir().expect("a directory");
    let sink = Notebook::new(Answer::Take);
    let pipeline = sink.start(dir.path());
    pipeline.submit(&incident("a", State::Confirmed));
    sink.called(1).await;
    pipeline.drain(SOON).await;
    kill(pipeline).await;

    let sink = Notebook::new(Answer::Take);
    let pipeline = sink.start(dir.path());
    assert_eq!(pipeline.incidents(), [incident("a", State::Confirmed)]);
    pipeline.submit(&incident("a", State::Confirmed));
    pipeline.submit(&incident("a", State::Killed));
    let calls = sink.called(1).await;
    assert_eq!(calls[0].1, Some(json!({"steps": 1})), "the memory is that of the first life");
    assert_eq!(calls[0].0[0].1, State::Killed as u32);
    assert!(!calls[0].2, "the first life's attempt was answered");
    assert_eq!(pipeline.drain(SOON).await, 0);
    assert_eq!(sink.calls().len(), 1, "the confirmed state was told before");
}

#[tokio::test]
async fn an_attempt_during_which_the_watchdog_died_may_have_been_taken() {
    let dir = tempfile::tempdir().expect("a directory");
    let sink = Notebook::new(Answer::Hang);
    let pipeline = sink.start(dir.path());
    pipeline.submit(&incident("a", State::Confirmed));
    assert!(!sink.called(1).await[0].2, "nothing was tried before");
    pipeline.submit(&incident("b", State::Confirmed));
    let second = dir.path().join("notebook/0000000002.json");
    while !second.exists() {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    kill(pipeline).await;

    let sink = Notebook::new(Answer::Take);
    let pipeline = sink.start(dir.path());
    let calls = sink.called(2).await;
    let unsure: Vec<_> = calls.iter().map(|call| (ids(call), call.2)).collect();
    assert_eq!(unsure, [(vec!["a"], true), (vec!["b"], false)]);
    drop(pipeline);
}

#[tokio::test]
async fn a_lost_answer_is_said_to_the_next_attempt_and_a_refusal_is_not() {
    let dir = tempfile::tempdir().expect("a directory");
    let sink = Notebook::new(Answer::Lose);
    let pipeline = sink.start(dir.path());
    pipeline.submit(&incident("a", State::Confirmed));
    let calls = sink.called(2).await;
    assert_eq!((calls[0].2, calls[1].2), (false, true));
    drop(pipeline);

    let dir = tempfile::tempdir().expect("a directory");
    let sink = Notebook::new(Answer::Refuse);
    let pipeline = sink.start(dir.path());
    pipeline.submit(&incident("a", State::Confirmed));
    sink.called(1).await;
    pipeline.submit(&incident("a", State::Imminent));
    assert!(!sink.called(2).await[1].2);
}

#[tokio::test]
async fn what_was_given_up_is_tried_again_at_the_next_start() {
    let dir = tempfile::tempdir().expect("a directory");
    let sink = Notebook::new(Answer::Refuse);
    let pipeline = sink.start(dir.path());
    pipeline.submit(&incident("a", State::Confirmed));
    sink.called(1).await;
    pipeline.drain(SOON).await;
    assert_eq!(pipeline.stats()[0].dead, 1);
    kill(pipeline).await;

    let sink = Notebook::new(Answer::Take);
    let pipeline = sink.start(dir.path());
    assert_eq!(ids(&sink.called(1).await[0]), ["a"]);
    pipeline.drain(SOON).await;
    assert_eq!(pipeline.stats()[0].dead, 0);
}

#[tokio::test]
async fn a_damaged_record_costs_itself_and_a_full_disk_no_report() {
    let dir = tempfile::tempdir().expect("a directory");
    let sink = Notebook::new(Answer::Refuse);
    let pipeline = sink.start(dir.path());
    for id in ["a", "b", "c"] {
        pipeline.submit(&incident(id, State::Confirmed));
    }
    sink.called(3).await;
    pipeline.drain(SOON).await;
    kill(pipeline).await;
    let outbox = dir.path().join("notebook");
    std::fs::write(outbox.join("0000000002.json"), "{\"members\": [").expect("damaged");
    std::fs::write(outbox.join("0000000007.new"), "").expect("unfinished");

    let sink = Notebook::new(Answer::Take);
    let pipeline = sink.start(dir.path());
    let calls = sink.called(2).await;
    let told: Vec<_> = calls.iter().flat_map(ids).collect();
    assert_eq!(told, ["a", "c"]);
    assert!(!outbox.join("0000000007.new").exists());
    // Nothing can be written any more.
    std::fs::remove_dir_all(dir.path()).expect("removed");
    pipeline.submit(&incident("d", State::Confirmed));
    assert_eq!(ids(&sink.called(3).await[2]), ["d"]);
}

#[tokio::test(start_paused = true)]
async fn an_incident_that_nobody_was_told_of_comes_before_another_ones_further_steps() {
    let sink = Notebook::new(Answer::Steps(3));
    let pipeline = Pipeline::start(vec![Box::new(sink.clone())], &Options::default());
    pipeline.submit(&incident("a", State::Confirmed));
    pipeline.submit(&incident("b", State::Confirmed));
    tokio::time::sleep(Duration::from_millis(1)).await;
    let calls = sink.calls();
    let order: Vec<_> = calls.iter().flat_map(ids).collect();
    assert_eq!(order, ["a", "b", "a", "a", "b", "b"]);
    assert_eq!(pipeline.stats()[0].delivered, 2);
}

#[tokio::test(start_paused = true)]
async fn a_sink_with_a_pace_gets_a_burst_and_then_one_step_at_a_time() {
    let every = Duration::from_secs(1);
    let habits = Habits { pace: Some(Pace { burst: 2, every }), ..Habits::default() };
    let sink = Notebook { habits, ..Notebook::new(Answer::Take) };
    let pipeline = Pipeline::start(vec![Box::new(sink.clone())], &Options::default());
    for n in 0..5 {
        pipeline.submit(&incident(&format!("incident {n}"), State::Confirmed));
    }
    for (millis, calls) in [(1, 2), (998, 2), (10, 3), (1000, 4), (1000, 5)] {
        tokio::time::sleep(Duration::from_millis(millis)).await;
        assert_eq!(sink.calls().len(), calls);
    }
}

#[tokio::test(start_paused = true)]
async fn replicas_that_leak_at_once_are_one_delivery_where_the_sink_wants_it() {
    let habits = Habits { groups: true, ..Habits::default() };
    let sink = Notebook { habits, ..Notebook::new(Answer::Take) };
    let alone = Notebook::new(Answer::Take);
    let sinks: Vec<Box<dyn Sink>> = vec![Box::new(sink.clone()), Box::new(alone.clone())];
    let pipeline = Pipeline::start(sinks, &Options::default());
    let replica = |id: &str, state| {
        let mut incident = incident(id, state);
        incident.target.workload = Some("shop".into());
        incident
    };
    for (id, state) in [
        ("a", State::Confirmed),
        ("b", State::Confirmed),
        ("a", State::Killed),
        ("c", State::Confirmed),
        ("b", State::Recovered),
        ("c", State::Gone),
        ("d", State::Confirmed),
    ] {
        pipeline.submit(&replica(id, state));
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let calls = sink.calls();
    let groups: Vec<_> = calls.iter().map(ids).collect();
    assert_eq!(groups[..2], [vec!["a"], vec!["a", "b"]]);
    assert_eq!(groups[5], ["a", "b", "c"]);
    assert_eq!(groups[6], ["d"], "all of the first group had ended");
    assert!(alone.calls().iter().all(|call| call.0.len() == 1));
}

#[tokio::test(start_paused = true)]
async fn figures_that_moved_go_only_to_a_sink_that_refreshes() {
    let habits = Habits { refreshes: true, ..Habits::default() };
    let (fresh, other) =
        (Notebook { habits, ..Notebook::new(Answer::Take) }, Notebook::new(Answer::Take));
    let sinks: Vec<Box<dyn Sink>> = vec![Box::new(fresh.clone()), Box::new(other.clone())];
    let pipeline = Pipeline::start(sinks, &Options::default());
    let first = incident("a", State::Confirmed);
    let moved = Incident { updated: first.updated.plus(30.0), ..first.clone() };
    for state in [&first, &first, &moved] {
        pipeline.submit(state);
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!((fresh.calls().len(), other.calls().len()), (2, 1));
}

/// The incident, the attempts, whether the times are in order, and why it was given up.
type Entry = (String, u32, bool, Option<String>);

/// Remembers what was delivered and what was given up.
#[derive(Default)]
struct Witness(Mutex<Vec<Entry>>);

impl Observer for Witness {
    fn ended(&self, ended: &Ended<'_>) {
        let ordered = ended.submitted.0 <= ended.started.0 && ended.started.0 <= ended.finished.0;
        let given_up = ended.outcome.err().map(str::to_owned);
        let entry = (ended.incident.id.clone(), ended.attempts, ordered, given_up);
        self.0.lock().expect("entries").push(entry);
    }
}

#[tokio::test]
async fn whoever_looks_is_told_of_each_piece_of_news_and_the_attempts_it_took() {
    let dir = tempfile::tempdir().expect("a directory");
    let sink = Notebook::new(Answer::Lose);
    let witness = Arc::new(Witness::default());
    let sinks: Vec<Box<dyn Sink>> = vec![Box::new(sink.clone())];
    let observer = Arc::clone(&witness) as Arc<dyn Observer>;
    let pipeline = Pipeline::resume(sinks, &Options::default(), dir.path(), &observer);
    let pipeline = pipeline.expect("an outbox");
    pipeline.submit(&incident("a", State::Confirmed));
    sink.called(1).await;
    *sink.answer.lock().expect("answer") = Answer::Steps(3);
    assert_eq!(pipeline.drain(SOON).await, 0);
    let seen = witness.0.lock().expect("entries").clone();
    assert_eq!(seen.len(), 1, "{seen:?}");
    assert!(seen[0].1 >= 2 && seen[0].2 && seen[0].3.is_none(), "{seen:?}");

    *sink.answer.lock().expect("answer") = Answer::Refuse;
    let sinks: Vec<Box<dyn Sink>> = vec![Box::new(sink.clone())];
    let elsewhere = dir.path().join("elsewhere");
    let refused = Pipeline::resume(sinks, &Options::default(), &elsewhere, &observer);
    let refused = refused.expect("an outbox");
    refused.submit(&incident("b", State::Confirmed));
    refused.drain(SOON).await;
    let last = witness.0.lock().expect("entries").last().cloned().expect("an entry");
    assert_eq!(last, ("b".into(), 1, true, Some("no such channel".into())));
}
