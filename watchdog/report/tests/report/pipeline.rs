//! The pipeline's promises, in paused time: every pause below is virtual and exact.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::{Instant, sleep};
use watchdog_core::incident::State;
use watchdog_report::pipeline::{Options, Pipeline, SinkStats};
use watchdog_report::sink::{self, Delivery, DeliveryError, Progress, Sink};

use crate::sample::incident;

/// What the sink does with an attempt; `Deliver` once the script has ended.
#[derive(Clone, Copy)]
enum Act {
    Deliver,
    DeliverAfter(Duration),
    Fail,
    Ask(Duration),
    Refuse,
    Hang,
    Panic,
}

/// One attempt: when, of which incident, in which state.
type Attempt = (Duration, String, State);

#[derive(Clone)]
struct Scripted {
    script: Arc<Mutex<VecDeque<Act>>>,
    then: Act,
    attempts: Arc<Mutex<Vec<Attempt>>>,
    started: Instant,
}

impl Scripted {
    fn new(script: impl IntoIterator<Item = Act>, then: Act) -> Self {
        Self {
            script: Arc::new(Mutex::new(script.into_iter().collect())),
            then,
            attempts: Arc::default(),
            started: Instant::now(),
        }
    }

    fn attempts(&self) -> Vec<Attempt> {
        self.attempts.lock().expect("attempts").clone()
    }

    fn gaps(&self) -> Vec<f64> {
        let attempts = self.attempts();
        attempts.windows(2).map(|pair| (pair[1].0 - pair[0].0).as_secs_f64()).collect()
    }

    fn seen(&self) -> Vec<(String, State)> {
        self.attempts().into_iter().map(|(_, id, state)| (id, state)).collect()
    }

    fn start(&self, options: &Options) -> Pipeline {
        Pipeline::start(vec![Box::new(self.clone())], options)
    }
}

impl Sink for Scripted {
    fn name(&self) -> &'static str {
        "scripted"
    }

    fn deliver<'a>(&'a self, delivery: Delivery<'a>) -> sink::Attempt<'a> {
        Box::pin(async move {
            let incident = &delivery.incidents[0];
            let attempt = (self.started.elapsed(), incident.id.clone(), incident.state);
            self.attempts.lock().expect("attempts").push(attempt);
            let act = self.script.lock().expect("script").pop_front().unwrap_or(self.then);
            match act {
                Act::Deliver => Ok(Progress::done()),
                Act::DeliverAfter(time) => {
                    sleep(time).await;
                    Ok(Progress::done())
                }
                Act::Fail => Err(DeliveryError::retry("scripted")),
                Act::Ask(after) => Err(DeliveryError::retry_after(Some(after), "scripted")),
                Act::Refuse => Err(DeliveryError::permanent("scripted")),
                Act::Hang => std::future::pending().await,
                Act::Panic => panic!("scripted"),
            }
        })
    }
}

const HOUR: Duration = Duration::from_secs(3600);

fn stats(pipeline: &Pipeline) -> SinkStats {
    pipeline.stats()[0]
}

#[tokio::test(start_paused = true)]
async fn a_report_is_delivered_at_once() {
    let sink = Scripted::new([], Act::Deliver);
    let pipeline = sink.start(&Options::default());
    pipeline.submit(&incident("a", State::Confirmed));
    sleep(Duration::from_millis(1)).await;
    assert_eq!(sink.attempts(), [(Duration::ZERO, "a".into(), State::Confirmed)]);
    let seen = stats(&pipeline);
    assert!(seen.last_success.is_some_and(|at| at.0 > 1.7e9), "{seen:?}");
    let expected = SinkStats {
        sink: "scripted",
        delivered: 1,
        capacity: 256,
        last_success: seen.last_success,
        ..SinkStats::default()
    };
    assert_eq!(seen, expected);
}

#[tokio::test(start_paused = true)]
async fn a_sink_that_hangs_delays_neither_the_submitter_nor_another_sink() {
    let (hanging, healthy) = (Scripted::new([], Act::Hang), Scripted::new([], Act::Deliver));
    let sinks: Vec<Box<dyn Sink>> = vec![Box::new(hanging.clone()), Box::new(healthy.clone())];
    let pipeline = Pipeline::start(sinks, &Options::default());
    for n in 0..100 {
        pipeline.submit(&incident(&format!("incident-{n}"), State::Confirmed));
    }
    assert_eq!(healthy.started.elapsed(), Duration::ZERO, "submitting takes no time");
    sleep(Duration::from_millis(1)).await;
    assert_eq!(healthy.attempts().len(), 100);
    assert_eq!(hanging.attempts().len(), 1);
    assert_eq!(pipeline.stats()[0].queued, 100, "ninety-nine wait and one is under way");
}

#[tokio::test(start_paused = true)]
async fn a_newer_state_replaces_an_older_one_that_still_waits() {
    let sink = Scripted::new([Act::DeliverAfter(Duration::from_secs(1))], Act::Deliver);
    let pipeline = sink.start(&Options::default());
    pipeline.submit(&incident("a", State::Confirmed));
    sleep(Duration::from_millis(1)).await;
    pipeline.submit(&incident("a", State::Imminent));
    pipeline.submit(&incident("a", State::Killed));
    assert_eq!(stats(&pipeline).queued, 1);
    sleep(Duration::from_secs(2)).await;
    assert_eq!(sink.seen(), [("a".into(), State::Confirmed), ("a".into(), State::Killed)]);
}

#[tokio::test(start_paused = true)]
async fn the_report_that_waits_longest_keeps_its_age_while_there_is_newer_news_of_it() {
    let sink = Scripted::new([Act::Ask(Duration::from_secs(60))], Act::Deliver);
    let pipeline = sink.start(&Options::default());
    assert_eq!(stats(&pipeline).oldest, None);
    pipeline.submit(&incident("a", State::Confirmed));
    sleep(Duration::from_secs(20)).await;
    pipeline.submit(&incident("a", State::Imminent));
    pipeline.submit(&incident("b", State::Confirmed));
    sleep(Duration::from_secs(20)).await;
    let waiting = stats(&pipeline);
    assert_eq!((waiting.oldest, waiting.last_success), (Some(Duration::from_secs(40)), None));
    sleep(HOUR).await;
    assert_eq!(stats(&pipeline).oldest, None);
    assert!(stats(&pipeline).last_success.is_some());
}

#[tokio::test(start_paused = true)]
async fn why_a_report_was_given_up_is_counted() {
    let refusing = Scripted::new([], Act::Refuse);
    let pipeline = refusing.start(&Options::default());
    pipeline.submit(&incident("a", State::Confirmed));
    sleep(Duration::from_secs(1)).await;
    let seen = stats(&pipeline);
    assert_eq!((seen.dead, seen.refused, seen.crowded), (1, 1, 0));
    assert_eq!(seen.oldest, None, "what was given up does not wait");
    let failing = Scripted::new([], Act::Fail);
    let pipeline = failing.start(&Options::default());
    pipeline.submit(&incident("a", State::Confirmed));
    sleep(HOUR).await;
    let seen = stats(&pipeline);
    assert_eq!((seen.dead, seen.refused, seen.crowded), (1, 0, 0));
    let hanging = Scripted::new([], Act::Hang);
    let pipeline = hanging.start(&Options { capacity: 1, ..Options::default() });
    for id in ["under way", "first", "second"] {
        pipeline.submit(&incident(id, State::Confirmed));
        sleep(Duration::from_millis(1)).await;
    }
    let seen = stats(&pipeline);
    assert_eq!((seen.dead, seen.refused, seen.crowded), (1, 0, 1));
}

#[tokio::test(start_paused = true)]
async fn failures_are_retried_with_doubling_jittered_pauses() {
    let sink = Scripted::new([Act::Fail; 4], Act::Deliver);
    let pipeline = sink.start(&Options::default());
    pipeline.submit(&incident("a", State::Confirmed));
    sleep(HOUR).await;
    let gaps = sink.gaps();
    assert_eq!(gaps.len(), 4);
    for (gap, full) in gaps.iter().zip([0.5, 1.0, 2.0, 4.0]) {
        // Tokio's clock has a grain of a millisecond.
        assert!(*gap >= full / 2.0 && *gap <= full + 0.002, "{gaps:?}");
    }
    let stats = stats(&pipeline);
    assert_eq!((stats.delivered, stats.retried, stats.failed, stats.queued), (1, 4, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_receiver_that_asks_for_time_gets_it_from_every_incident() {
    let sink = Scripted::new([Act::Ask(Duration::from_secs(30))], Act::Deliver);
    let pipeline = sink.start(&Options::default());
    pipeline.submit(&incident("a", State::Confirmed));
    sleep(Duration::from_millis(1)).await;
    pipeline.submit(&incident("b", State::Imminent));
    pipeline.submit(&incident("a", State::Imminent));
    sleep(Duration::from_secs(29)).await;
    assert_eq!(sink.attempts().len(), 1, "it is not disturbed meanwhile");
    sleep(Duration::from_secs(5)).await;
    let attempts = sink.attempts();
    assert_eq!(attempts.len(), 3);
    assert!(attempts[1].0 >= Duration::from_secs(30), "{attempts:?}");
}

#[tokio::test(start_paused = true)]
async fn a_receiver_that_asks_for_an_eternity_gets_no_more_than_the_total_deadline() {
    let sink = Scripted::new([Act::Ask(Duration::MAX)], Act::Deliver);
    let pipeline = sink.start(&Options::default());
    pipeline.submit(&incident("a", State::Confirmed));
    sleep(HOUR).await;
    assert_eq!((stats(&pipeline).failed, stats(&pipeline).dead), (1, 1));
    pipeline.submit(&incident("b", State::Confirmed));
    sleep(Duration::from_millis(1)).await;
    assert_eq!(stats(&pipeline).delivered, 2, "and what was given up goes with it");
}

#[tokio::test(start_paused = true)]
async fn a_refusal_for_good_is_not_repeated() {
    let sink = Scripted::new([Act::Refuse], Act::Deliver);
    let pipeline = sink.start(&Options::default());
    pipeline.submit(&incident("a", State::Confirmed));
    sleep(HOUR).await;
    assert_eq!(sink.attempts().len(), 1);
    assert_eq!((stats(&pipeline).failed, stats(&pipeline).retried), (1, 0));
    pipeline.submit(&incident("a", State::Imminent));
    sleep(Duration::from_millis(1)).await;
    assert_eq!(stats(&pipeline).delivered, 1, "the next state is tried all the same");
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_hangs_ends_at_its_deadline_and_is_repeated() {
    let sink = Scripted::new([Act::Hang], Act::Deliver);
    let pipeline = sink.start(&Options::default());
    pipeline.submit(&incident("a", State::Confirmed));
    sleep(Duration::from_secs(11)).await;
    let gap = sink.gaps()[0];
    assert!((10.25..=10.6).contains(&gap), "{gap}");
    assert_eq!(stats(&pipeline).delivered, 1);
}

#[tokio::test(start_paused = true)]
async fn a_state_is_given_up_after_the_total_deadline() {
    let sink = Scripted::new([], Act::Fail);
    let pipeline = sink.start(&Options::default());
    pipeline.submit(&incident("a", State::Confirmed));
    sleep(HOUR).await;
    let last = sink.attempts().last().expect("attempts").0;
    assert!(last <= Duration::from_secs(15 * 60), "{last:?}");
    assert!(last >= Duration::from_secs(13 * 60), "{last:?}");
    assert_eq!((stats(&pipeline).failed, stats(&pipeline).queued), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_newer_state_does_not_wait_for_the_pause_of_an_older_one() {
    let sink = Scripted::new([Act::Fail; 8], Act::Deliver);
    let pipeline = sink.start(&Options::default());
    pipeline.submit(&incident("a", State::Confirmed));
    // The pause after the eighth failure is at least half a minute.
    sleep(Duration::from_secs(64)).await;
    assert_eq!(sink.attempts().len(), 8);
    pipeline.submit(&incident("a", State::Imminent));
    sleep(Duration::from_millis(1)).await;
    assert_eq!(sink.seen()[8], ("a".into(), State::Imminent));
}

#[tokio::test(start_paused = true)]
async fn an_older_state_that_failed_is_not_repeated_once_a_newer_one_waits() {
    let sink = Scripted::new([Act::Hang], Act::Deliver);
    let pipeline = sink.start(&Options::default());
    pipeline.submit(&incident("a", State::Confirmed));
    sleep(Duration::from_secs(5)).await;
    pipeline.submit(&incident("a", State::Imminent));
    sleep(HOUR).await;
    assert_eq!(sink.seen(), [("a".into(), State::Confirmed), ("a".into(), State::Imminent)]);
    assert!(sink.gaps()[0] >= 10.25, "it waits for the pause of the failure that it saw");
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_puts_aside_the_oldest_closed_incident_and_then_the_oldest() {
    let sink = Scripted::new([Act::DeliverAfter(Duration::from_secs(1))], Act::Deliver);
    let pipeline = sink.start(&Options { capacity: 2, ..Options::default() });
    pipeline.submit(&incident("under way", State::Confirmed));
    sleep(Duration::from_millis(1)).await;
    for (id, state) in [
        ("open 1", State::Confirmed),
        ("closed", State::Recovered),
        ("open 2", State::Confirmed),
        ("open 3", State::Imminent),
    ] {
        pipeline.submit(&incident(id, state));
    }
    sleep(Duration::from_secs(2)).await;
    let seen: Vec<String> = sink.seen().into_iter().map(|(id, _)| id).collect();
    assert_eq!(seen, ["under way", "open 2", "open 3", "open 1", "closed"]);
    assert_eq!((stats(&pipeline).dropped, stats(&pipeline).dead), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn a_sink_that_panics_is_tried_again() {
    let sink = Scripted::new([Act::Panic], Act::Deliver);
    let pipeline = sink.start(&Options::default());
    pipeline.submit(&incident("a", State::Confirmed));
    sleep(Duration::from_secs(1)).await;
    assert_eq!((stats(&pipeline).delivered, stats(&pipeline).retried), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn draining_cuts_pauses_short_and_delivers_what_waits() {
    let sink = Scripted::new([Act::Fail; 8], Act::Deliver);
    let pipeline = sink.start(&Options::default());
    pipeline.submit(&incident("a", State::Confirmed));
    sleep(Duration::from_secs(64)).await;
    let before = Instant::now();
    assert_eq!(pipeline.drain(Duration::from_secs(5)).await, 0);
    assert!(before.elapsed() < Duration::from_millis(10), "{:?}", before.elapsed());
    assert_eq!(stats(&pipeline).delivered, 1);
}

#[tokio::test(start_paused = true)]
async fn draining_ends_at_its_deadline_and_counts_what_is_left() {
    let (hanging, healthy) = (Scripted::new([], Act::Hang), Scripted::new([], Act::Deliver));
    let sinks: Vec<Box<dyn Sink>> = vec![Box::new(hanging.clone()), Box::new(healthy.clone())];
    let pipeline = Pipeline::start(sinks, &Options::default());
    for id in ["a", "b"] {
        pipeline.submit(&incident(id, State::Confirmed));
    }
    let before = Instant::now();
    assert_eq!(pipeline.drain(Duration::from_secs(5)).await, 2);
    assert!(before.elapsed() <= Duration::from_millis(5002), "{:?}", before.elapsed());
    let stats = pipeline.stats();
    assert_eq!((stats[0].dropped, stats[0].queued, stats[1].delivered), (2, 0, 2));
}

#[tokio::test(start_paused = true)]
async fn what_comes_after_draining_is_counted_as_dropped() {
    let sink = Scripted::new([], Act::Deliver);
    let pipeline = sink.start(&Options::default());
    assert_eq!(pipeline.drain(Duration::from_secs(5)).await, 0);
    pipeline.submit(&incident("a", State::Confirmed));
    sleep(HOUR).await;
    assert_eq!((stats(&pipeline).dropped, sink.attempts().len()), (1, 0));
}

/// A sink whose connection never opens.
struct Cold(Scripted);

impl Sink for Cold {
    fn name(&self) -> &'static str {
        "cold"
    }

    fn deliver<'a>(&'a self, delivery: Delivery<'a>) -> sink::Attempt<'a> {
        self.0.deliver(delivery)
    }

    fn warm_up(&self) -> Pin<Box<dyn Future<Output = Result<(), DeliveryError>> + Send + '_>> {
        self.0.attempts.lock().expect("attempts").push((
            Duration::ZERO,
            "warm-up".into(),
            State::Suspected,
        ));
        Box::pin(std::future::pending())
    }
}

#[tokio::test(start_paused = true)]
async fn sinks_are_warmed_up_at_the_start_and_reports_do_not_wait_for_it() {
    let sink = Scripted::new([], Act::Deliver);
    let pipeline = Pipeline::start(vec![Box::new(Cold(sink.clone()))], &Options::default());
    sleep(Duration::from_millis(1)).await;
    assert_eq!(sink.seen(), [("warm-up".into(), State::Suspected)]);
    pipeline.submit(&incident("a", State::Confirmed));
    sleep(Duration::from_millis(1)).await;
    assert_eq!(sink.seen()[1], ("a".into(), State::Confirmed));
}
