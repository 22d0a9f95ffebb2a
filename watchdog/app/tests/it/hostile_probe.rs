//! A probe that misbehaves in every way: sampling goes on, the failure is counted and said, memory stays bounded.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use watchdog_fixtures::hostile::{HostileServer, Mode};

use crate::support::{Idle, Watchdog, value};

/// The watchdog's own limit in a pod is half of it.
const MOST_MEMORY: u64 = 64 << 20;

struct Counts {
    sampled: f64,
    refused: f64,
    lost: f64,
}

async fn counts(watchdog: &Watchdog) -> Counts {
    let text = watchdog.metrics().await;
    let read = |series: &str| value(&text, series).expect("a series");
    Counts {
        sampled: read("oomen_source_reads_total{target=\"sleep\",source=\"proc\",outcome=\"ok\"}"),
        refused: read(
            "oomen_source_reads_total{target=\"sleep\",source=\"allocator\",outcome=\"error\"}",
        ),
        lost: read("oomen_heap_captures_total{target=\"sleep\",outcome=\"failed\"}"),
    }
}

async fn survives(probe: &str) {
    let service = Idle::start().await;
    let watchdog = Watchdog::start(&[
        &format!("--pid={}", service.program.pid()),
        "--name=sleep",
        "--limit=32MiB",
        &format!("--probe={probe}"),
    ])
    .await;
    let lost = "oomen_heap_captures_total{target=\"sleep\",outcome=\"failed\"}";
    let refused =
        "oomen_source_reads_total{target=\"sleep\",source=\"allocator\",outcome=\"error\"}";
    watchdog.metric_fits(lost, |count| count >= 1.0).await;
    watchdog.metric_fits(refused, |count| count >= 1.0).await;
    let before = counts(&watchdog).await;

    // One more on request, during which sampling is watched.
    let (stored, gap) = tokio::join!(watchdog.capture("sleep"), longest_gap(&watchdog));
    assert!(!stored, "a heap profile from a probe that has none");
    let after = counts(&watchdog).await;
    assert!(after.lost > before.lost, "the failed capture was not counted");
    assert!(after.refused >= before.refused);
    assert!(after.sampled >= before.sampled + 10.0, "sampling stopped");
    assert!(gap < 1.0, "no sample for {gap} s");

    let log = watchdog.program.stderr();
    assert!(log.contains("no heap profile"), "{log}");
    assert!(log.contains("the allocator's statistics cannot be read"), "{log}");
    let peak = peak_memory(watchdog.program.pid());
    assert!(peak < MOST_MEMORY, "the watchdog took {} MiB", peak >> 20);
    assert_eq!(watchdog.stop().await.code(), Some(0));
}

/// The age of the last sample at its greatest, over forty samples.
async fn longest_gap(watchdog: &Watchdog) -> f64 {
    let mut longest = 0.0_f64;
    let first = counts(watchdog).await.sampled;
    while counts(watchdog).await.sampled < first + 40.0 {
        let text = watchdog.metrics().await;
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let last = value(&text, "oomen_target_last_sample_timestamp_seconds{target=\"sleep\"}");
        longest = longest.max(now.expect("a time").as_secs_f64() - last.expect("a series"));
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    longest
}

/// The most that was ever resident.
fn peak_memory(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("a status");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
    let kib: u64 = line.trim().trim_end_matches(" kB").parse().expect("a number");
    kib << 10
}

async fn survives_mode(mode: Mode) {
    let server = HostileServer::start(mode).await.expect("a server");
    survives(&server.url()).await;
    assert!(server.requests() >= 3, "the probe was hardly asked");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_probe_that_hangs_does_not_stop_sampling() {
    survives_mode(Mode::Hang).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_probe_that_answers_500_does_not_stop_sampling() {
    survives_mode(Mode::Status(500)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_probe_that_speaks_no_http_does_not_stop_sampling() {
    survives_mode(Mode::Garbage).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_probe_that_answers_with_another_text_does_not_stop_sampling() {
    let body = "heap_v2/1\n  t*: -1: nonsense [0: 0]\n".repeat(100);
    survives_mode(Mode::Answer { content_type: "text/plain".into(), body: body.into_bytes() })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_probe_that_resets_its_connections_does_not_stop_sampling() {
    survives_mode(Mode::Reset).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_probe_that_sends_ten_gigabytes_takes_no_memory_of_the_watchdog() {
    survives_mode(Mode::Endless).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_probe_that_sends_without_end_and_without_a_length_takes_no_memory_of_the_watchdog() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let server = tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.expect("a connection");
            tokio::spawn(send_without_end(stream));
        }
    });
    survives(&url).await;
    server.abort();
}

/// A heap profile's first line, and then one that never ends, until the client has had enough.
async fn send_without_end(mut stream: tokio::net::TcpStream) -> Option<()> {
    stream.read(&mut [0; 4096]).await.ok().filter(|read| *read > 0)?;
    let head =
        "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\nconnection: close\r\n\r\nheap_v2/1\n";
    stream.write_all(head.as_bytes()).await.ok()?;
    let chunk = vec![b'a'; 64 << 10];
    loop {
        stream.write_all(&chunk).await.ok()?;
    }
}
