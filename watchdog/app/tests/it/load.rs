//! A service that counts its requests: the load is read from its metrics, and a counter that is not there is said.

use std::process::Command;

use watchdog_fixtures::hostile::{HostileServer, Mode};

use crate::support::{Outcome, Program, SOON, Watchdog, eventually, free_port, shipped};

fn metrics(requests: u32) -> Mode {
    let half = requests / 2;
    let text = format!(
        "# TYPE http_requests_total counter\nhttp_requests_total{{code=\"200\"}} {half}\n\
         http_requests_total{{code=\"500\"}} {half}\nhttp_requests_in_flight 3\n"
    );
    Mode::Answer { content_type: "text/plain; version=0.0.4".into(), body: text.into_bytes() }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_load_is_in_the_api_and_a_failing_counter_stops_nothing() {
    let process = Program::start(Command::new("sleep").arg("600"));
    let server = HostileServer::start(metrics(1000)).await.expect("a server");
    let watchdog = Watchdog::start(&[
        &format!("--pid={}", process.pid()),
        "--name=job",
        "--limit=32MiB",
        &format!("--requests-url={}/metrics", server.url()),
        "--requests-counter=http_requests_total",
    ])
    .await;
    let reads = |outcome| {
        format!(
            "oomen_source_reads_total{{target=\"job\",source=\"requests\",outcome=\"{outcome}\"}}"
        )
    };
    watchdog.metric_fits(&reads("ok"), |count| count >= 1.0).await;
    assert!(
        watchdog.api("targets/job").await["sample"]["load"].is_null(),
        "one reading is no rate"
    );

    server.set(metrics(1600));
    let load = eventually("a load", SOON, async || {
        watchdog.api("targets/job").await["sample"]["load"].as_f64()
    })
    .await;
    // 600 requests in 15 s or a little more, by the watchdog's clock.
    assert!((30.0..=40.5).contains(&load), "{load} requests a second");
    eventually("a row with the load", SOON, async || {
        let series = watchdog.api("targets/job/series").await;
        let rows = series["rows"].as_array().expect("rows");
        rows.last().and_then(|row| row["load"].as_f64())
    })
    .await;
    let metric = watchdog.metric("oomen_target_requests_per_second{target=\"job\"}").await;
    let metric = metric.expect("the load as a metric");
    // Not to the last bit: a reader of JSON may round the last digit otherwise than one of text.
    assert!((metric - load).abs() < 1e-9, "{metric} is not {load}");
    assert_eq!(watchdog.stop().await.code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_metrics_port_that_hangs_or_refuses_is_counted_and_said_once() {
    let process = Program::start(Command::new("sleep").arg("600"));
    let watchdog = Watchdog::start(&[
        &format!("--pid={}", process.pid()),
        "--name=job",
        "--limit=32MiB",
        &format!("--requests-url=http://127.0.0.1:{}/metrics", free_port()),
        "--requests-counter=http_requests_total",
    ])
    .await;
    let failed = "oomen_source_reads_total{target=\"job\",source=\"requests\",outcome=\"error\"}";
    watchdog.metric_fits(failed, |count| count >= 1.0).await;
    watchdog.program.says("the request counter cannot be read; the load is not known").await;
    let sampled = "oomen_source_reads_total{target=\"job\",source=\"proc\",outcome=\"ok\"}";
    watchdog.metric_fits(sampled, |count| count >= 3.0).await;
}

async fn doctor(url: &str, counter: &str) -> Outcome {
    let data = tempfile::tempdir().expect("a directory");
    let pid = format!("--pid={}", std::process::id());
    let mut command = Command::new(shipped("oomen"));
    command.args(["doctor", &pid, "--limit=64GiB", "--listen=127.0.0.1:0", "--data-dir"]);
    command.arg(data.path()).args(["--requests-url", url, "--requests-counter", counter]);
    Program::run(&mut command, SOON).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_says_whether_the_counter_is_there_and_how_to_mend_it() {
    let server = HostileServer::start(metrics(1000)).await.expect("a server");
    let url = format!("{}/metrics", server.url());
    let outcome = doctor(&url, "http_requests_total").await;
    assert_eq!(outcome.code(), Some(0), "{outcome:?}");
    assert!(
        outcome.stdout.contains("ok      the request counter http_requests_total is read: 1000"),
        "{outcome:?}"
    );
    let nobody = format!("http://127.0.0.1:{}/metrics", free_port());
    for (url, counter, part) in [
        (&url, "requests_total", "has no counter `requests_total`"),
        (&nobody, "http_requests_total", "refused the connection"),
    ] {
        let outcome = doctor(url, counter).await;
        assert_eq!(outcome.code(), Some(1), "{outcome:?}");
        let broken = outcome.stdout.lines().skip_while(|line| !line.contains(part));
        let lines: Vec<_> = broken.take(2).collect();
        assert!(lines[0].starts_with("broken") && lines[1].contains("mend: "), "{lines:?}");
    }
}
