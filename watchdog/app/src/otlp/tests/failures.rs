//! A collector that is not there, hangs, refuses, or is none.

use super::*;
use watchdog_fixtures::hostile::{HostileServer, Mode};
use watchdog_fixtures::otlp::Answer;

const FAILS: &str = "OTLP export fails";
const WORKS: &str = "OTLP export works again";

fn traces_alone(url: &str) -> OtlpConfig {
    OtlpConfig { logs: false, ..config(url) }
}

fn traces(otlp: &Otlp) -> Counts {
    otlp.counts().next().expect("traces")
}

/// Looks until it is so; what is looked at has nothing that could wake anybody.
async fn until(mut is_so: impl FnMut() -> bool) {
    let looking = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    soon(looking).await;
}

#[tokio::test]
async fn a_collector_that_is_busy_for_a_while_gets_everything_and_is_complained_of_once() {
    let collector = OtlpCollector::start().await.expect("a collector");
    collector.answer([Answer::Status(503), Answer::RetryAfter(429, 1)], Answer::Take);
    let otlp = Otlp::start(&traces_alone(&collector.url())).expect("started");
    let captured = Captured::start(&otlp);
    let asked = Instant::now();
    otlp.changed(&later(&shop(), State::Gone, 1.0));
    soon(collector.until(|received| received.spans.len() == 1)).await;
    assert!(asked.elapsed() >= Duration::from_secs(1), "it came back before it was asked to");
    until(|| traces(&otlp).exported == 1).await;
    assert_eq!((captured.said(FAILS).1, captured.said(WORKS).1), (1, 1), "{:?}", captured.said(""));
}

#[tokio::test]
async fn what_a_collector_refuses_is_dropped_counted_and_said_once() {
    let collector = OtlpCollector::start().await.expect("a collector");
    collector.answer([], Answer::Status(500));
    let otlp = Otlp::start(&traces_alone(&collector.url())).expect("started");
    let captured = Captured::start(&otlp);
    for lost in 1..=3 {
        otlp.changed(&later(&shop(), State::Gone, 1.0));
        until(|| traces(&otlp).lost == lost).await;
    }
    assert_eq!(collector.received().requests["/v1/traces"], 3, "500 is not tried again");
    let (log, count) = captured.said(FAILS);
    assert!(count == 1 && log.contains("500 Internal Server Error"), "{log}");
    collector.answer([], Answer::Take);
    otlp.changed(&later(&shop(), State::Gone, 1.0));
    until(|| traces(&otlp).exported == 1).await;
    let (log, count) = captured.said(WORKS);
    assert!(count == 1 && log.contains("lost=3"), "{log}");
}

#[tokio::test]
async fn a_refused_token_is_said_with_what_to_check_and_without_the_token() {
    let collector = OtlpCollector::start().await.expect("a collector");
    collector.answer([], Answer::Status(401));
    let mut config = traces_alone(&collector.url());
    config.headers = vec![("authorization".into(), "Bearer hunter2".into())];
    let otlp = Otlp::start(&config).expect("started");
    let captured = Captured::start(&otlp);
    otlp.changed(&later(&shop(), State::Gone, 1.0));
    until(|| traces(&otlp).lost == 1).await;
    let (log, _) = captured.said("");
    assert!(log.contains("check the headers of [otlp]") && !log.contains("hunter2"), "{log}");
}

#[tokio::test]
async fn what_a_collector_takes_only_in_part_is_counted_as_lost() {
    let collector = OtlpCollector::start().await.expect("a collector");
    collector.answer([], Answer::Partly(1));
    let otlp = Otlp::start(&traces_alone(&collector.url())).expect("started");
    let captured = Captured::start(&otlp);
    for lost in 1..=2 {
        otlp.changed(&later(&shop(), State::Gone, 1.0));
        until(|| traces(&otlp).lost == lost && traces(&otlp).waiting == 0).await;
    }
    assert_eq!(traces(&otlp).exported, 0);
    let (log, count) = captured.said(FAILS);
    assert!(count == 1 && log.contains("rejected 1 items"), "{log}");
    assert_eq!(captured.said(WORKS).1, 0);
}

#[tokio::test]
async fn a_web_page_is_no_collector() {
    let collector = OtlpCollector::start().await.expect("a collector");
    let page = b"<!doctype html><title>Welcome</title>".to_vec();
    let endless = vec![b'\n'; 1 << 20];
    collector.answer([Answer::Bytes(page)], Answer::Bytes(endless));
    let otlp = Otlp::start(&traces_alone(&collector.url())).expect("started");
    let captured = Captured::start(&otlp);
    for lost in 1..=2 {
        otlp.changed(&later(&shop(), State::Gone, 1.0));
        until(|| traces(&otlp).lost == lost).await;
    }
    let (log, count) = captured.said(FAILS);
    assert!(count == 1 && log.contains("does not speak OTLP"), "{log}");
}

#[tokio::test]
async fn nobody_waits_for_a_collector_that_is_not_there_or_is_none_and_the_end_comes_in_time() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let closed = format!("http://{}", listener.local_addr().expect("its address"));
    drop(listener);
    let garbage = HostileServer::start(Mode::Garbage).await.expect("a server");
    let hanging = HostileServer::start(Mode::Hang).await.expect("a server");
    let within = Duration::from_millis(400);
    for url in [closed, garbage.url(), hanging.url()] {
        let mut config = traces_alone(&url);
        config.batching = Batching { queue: 50, batch: 10, every: EVERY };
        let otlp = Otlp::start(&config).expect("started");
        let captured = Captured::start(&otlp);
        let began = Instant::now();
        for _ in 0..500 {
            otlp.changed(&later(&shop(), State::Gone, 1.0));
        }
        let took = began.elapsed();
        assert!(took < Duration::from_secs(1), "{url}: submitting took {took:?}");
        let counts = traces(&otlp);
        assert_eq!((counts.waiting, counts.lost), (50, 450), "{url}: the queue is bounded");
        if url != hanging.url() {
            until(|| captured.said(FAILS).1 > 0).await;
        }
        let began = Instant::now();
        soon(otlp.shutdown(within)).await;
        let took = began.elapsed();
        assert!(took < within + Duration::from_millis(600), "{url}: the end took {took:?}");
        let (log, count) = captured.said("not everything was exported");
        assert!(count == 1 && log.contains("lost=500"), "{url}: {log}");
        assert!(captured.said(FAILS).1 <= 1, "{url}: {log}");
    }
}

#[tokio::test]
async fn a_flood_is_bounded_and_what_it_cost_is_said_once() {
    let collector = OtlpCollector::start().await.expect("a collector");
    let mut config = traces_alone(&collector.url());
    config.batching = Batching { queue: 50, batch: 10, every: EVERY };
    let otlp = Otlp::start(&config).expect("started");
    let captured = Captured::start(&otlp);
    // This thread is the collector's as well, so nothing is taken meanwhile.
    for _ in 0..80 {
        otlp.changed(&later(&shop(), State::Gone, 1.0));
    }
    until(|| traces(&otlp).exported == 50).await;
    assert_eq!(traces(&otlp).lost, 30);
    let (log, count) = captured.said("the queue for OTLP was full");
    assert!(count == 1 && log.contains("lost=30"), "{log}");
}

#[tokio::test]
async fn a_batch_under_way_gets_one_more_try_at_the_end_without_waiting() {
    let collector = OtlpCollector::start().await.expect("a collector");
    collector.answer([Answer::RetryAfter(503, 100)], Answer::Take);
    let otlp = Otlp::start(&traces_alone(&collector.url())).expect("started");
    otlp.changed(&later(&shop(), State::Gone, 1.0));
    soon(collector.until(|received| received.requests.contains_key("/v1/traces"))).await;
    soon(otlp.shutdown(SOON)).await;
    assert_eq!(collector.received().spans.len(), 1);
    assert_eq!(traces(&otlp).exported, 1);
}

#[tokio::test]
async fn a_failing_export_of_the_log_is_said_but_not_exported() {
    let collector = OtlpCollector::start().await.expect("a collector");
    collector.answer([Answer::Status(400)], Answer::Take);
    let otlp = Otlp::start(&OtlpConfig { traces: false, ..config(&collector.url()) });
    let otlp = otlp.expect("started");
    let captured = Captured::start(&otlp);
    tracing::info!("the first");
    until(|| captured.said(FAILS).1 == 1).await;
    tracing::info!("the second");
    until(|| captured.said(WORKS).1 == 1).await;
    tracing::info!("the third");
    let received = soon(collector.until(|received| received.logs.len() == 2)).await;
    let bodies =
        received.logs.iter().map(|(_, log)| watchdog_fixtures::otlp::shown(log.body.as_ref()));
    assert_eq!(bodies.collect::<Vec<_>>(), ["the second", "the third"]);
}

#[tokio::test]
async fn whoever_forgets_the_end_is_not_held_up_by_a_collector_that_hangs() {
    let hanging = HostileServer::start(Mode::Hang).await.expect("a server");
    let otlp = Otlp::start(&config(&hanging.url())).expect("started");
    let captured = Captured::start(&otlp);
    tracing::info!("something");
    until(|| hanging.requests() == 1).await;
    drop(captured);
    let began = Instant::now();
    drop(otlp);
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
}
