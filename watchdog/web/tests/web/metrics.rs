//! The metrics: byte for byte against the golden file, linted by promtool, and catalogued.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use axum::body::to_bytes;
use watchdog_core::incident::Incident;
use watchdog_web::metrics::{
    Format, SERIES_OF_WATCHDOG, SERIES_PER_SINK, SERIES_PER_STORE, SERIES_PER_TARGET,
    catalogue_markdown, render,
};
use watchdog_web::status::Status;

use crate::fixed::{app, context, get, header, incident, send, status, text};

/// Compares with the file, or writes it when `UPDATE_GOLDEN` is set.
fn golden(path: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, text).expect("written");
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        kept == text,
        "{} is not what the code says; look at the difference after `UPDATE_GOLDEN=1 cargo test -p watchdog-web`",
        path.display()
    );
}

#[test]
fn the_metrics_of_a_fixed_status_are_the_golden_file() {
    golden("tests/golden/metrics.prom", &render(&status(), Format::Text));
}

#[test]
fn the_catalogue_in_the_documentation_is_the_one_in_the_code() {
    golden("../../docs/metrics.md", &catalogue_markdown());
}

#[test]
fn every_metric_of_the_catalogue_is_in_the_golden_file() {
    let text = render(&status(), Format::Text);
    for row in catalogue_markdown().lines().filter(|line| line.starts_with("| `")) {
        let name = row.split('`').nth(1).expect("a name");
        assert!(text.contains(&format!("# TYPE {name} ")), "{name}");
    }
}

/// What a program makes of a text on its stdin: its stdout and its stderr.
fn filtered(program: &str, args: &[&str], text: &str) -> (String, String) {
    let mut child = Command::new(program)
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|_| panic!("{program} is missing: `cargo xtask test` installs it"));
    child.stdin.take().expect("stdin").write_all(text.as_bytes()).expect("written");
    let output = child.wait_with_output().expect("an end");
    let complaints = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{complaints}");
    (String::from_utf8_lossy(&output.stdout).into_owned(), complaints)
}

#[test]
fn promtool_finds_nothing_to_complain_of() {
    let text = render(&status(), Format::Text);
    let (said, complaints) = filtered("promtool", &["check", "metrics", "--extended"], &text);
    assert!(complaints.is_empty(), "{complaints}");
    assert!(said.contains("oomen_target_up"));
}

#[tokio::test]
async fn a_scrape_gets_the_form_it_asks_for_under_its_content_type() {
    let (app, _dir) = app(true, None);
    for (accept, format) in [
        ("*/*", Format::Text),
        ("application/json", Format::Text),
        ("text/plain;version=0.0.4", Format::Text),
        ("application/openmetrics-text;version=1.0.0,text/plain;q=0.5", Format::OpenMetrics),
    ] {
        let response = send(&app, get("/metrics", &[("accept", accept)])).await;
        assert_eq!(response.status(), 200, "{accept}");
        assert_eq!(header(&response, "content-type"), format.content_type(), "{accept}");
        assert_eq!(header(&response, "vary"), "accept, accept-encoding");
        let served = text(response).await;
        let all = render(&status(), format);
        let but_scrapes = |text: &str| -> Vec<String> {
            let lines = text.lines().filter(|line| !line.starts_with("oomen_scrape_"));
            lines.map(str::to_owned).collect()
        };
        assert_eq!(but_scrapes(&served), but_scrapes(&all), "{accept}");
    }
}

#[tokio::test]
async fn a_scrape_that_says_nothing_gets_plain_text_and_scrapes_are_counted() {
    let (app, _dir) = app(true, None);
    let first = send(&app, get("/metrics", &[])).await;
    assert_eq!(header(&first, "content-type"), "text/plain; version=0.0.4; charset=utf-8");
    assert!(text(first).await.contains("oomen_scrape_duration_seconds_count 0\n"));
    let second = text(send(&app, get("/metrics", &[])).await).await;
    assert!(second.contains("oomen_scrape_duration_seconds_count 1\n"), "{second}");
}

#[tokio::test]
async fn only_a_large_answer_is_compressed_and_only_for_who_takes_it() {
    let (context, _dir) = context(many(500), None);
    let large = watchdog_web::router(context, true);
    let (small, _other) = app(true, None);
    let gzip = [("accept-encoding", "gzip")];
    let encoding = async |app, headers: &[(&str, &str)]| {
        header(&send(app, get("/metrics", headers)).await, "content-encoding")
    };
    assert_eq!(encoding(&small, &gzip).await, "");
    assert_eq!(encoding(&large, &[]).await, "");
    assert_eq!(encoding(&large, &[("accept-encoding", "gzip;q=0")]).await, "");
    let packed = send(&large, get("/metrics", &gzip)).await;
    assert_eq!(header(&packed, "content-encoding"), "gzip");
    let packed = to_bytes(packed.into_body(), 1 << 24).await.expect("a body");
    let mut unpacked = String::new();
    flate2::read::GzDecoder::new(packed.as_ref()).read_to_string(&mut unpacked).expect("gzip");
    assert_eq!(unpacked.matches("oomen_target_up{").count(), 500);
    assert!(packed.len() * 5 < unpacked.len(), "{} of {}", packed.len(), unpacked.len());
}

#[test]
fn both_forms_say_the_same_samples() {
    let [text, open] = [Format::Text, Format::OpenMetrics].map(|f| render(&status(), f));
    let samples = |text: &str| -> Vec<String> {
        text.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect()
    };
    assert_eq!(samples(&text), samples(&open));
    assert!(open.ends_with("\n# EOF\n") && open.matches("# EOF").count() == 1);
    assert!(open.contains("# TYPE oomen_incidents counter\n"));
}

/// Python's own client library reads OpenMetrics more strictly than Prometheus does.
#[test]
fn a_strict_parser_of_openmetrics_finds_nothing_to_complain_of() {
    const READ: &str = "import sys\n\
        from prometheus_client.openmetrics.parser import text_string_to_metric_families as read\n\
        print(sum(len(family.samples) for family in read(sys.stdin.read())))";
    let open = render(&status(), Format::OpenMetrics);
    let (said, complaints) = filtered("/usr/bin/python3", &["-c", READ], &open);
    assert!(complaints.is_empty(), "{complaints}");
    let samples = open.lines().filter(|line| !line.starts_with('#')).count();
    assert_eq!(said.trim().parse(), Ok(samples));
}

/// So many leaking targets with everything known, each with an open incident.
fn many(targets: usize) -> Status {
    let mut many = status();
    let model = many.targets[0].clone();
    let name = |i| format!("checkout-{i}");
    many.targets = (0..targets)
        .map(|i| {
            let mut target = model.clone();
            target.identity.name = name(i);
            target
        })
        .collect();
    let open = incident();
    let of = |i| {
        let mut incident = open.clone();
        incident.target.name = name(i);
        incident
    };
    many.incidents = (0..targets).map(of).collect();
    many
}

/// Each sample without its value.
fn series(status: &Status) -> BTreeSet<String> {
    let text = render(status, Format::Text);
    let samples = text.lines().filter(|line| !line.starts_with('#'));
    let series: Vec<_> = samples.filter_map(|line| Some(line.rsplit_once(' ')?.0)).collect();
    let unique: BTreeSet<String> = series.iter().map(|series| (*series).to_owned()).collect();
    assert_eq!(unique.len(), series.len(), "a series is there twice");
    unique
}

#[test]
fn a_target_with_everything_known_has_exactly_the_stated_number_of_series() {
    assert_eq!(series(&many(2)).len() - series(&many(1)).len(), SERIES_PER_TARGET);
}

#[test]
fn the_watchdog_and_each_sink_have_exactly_the_stated_number_of_series() {
    let all = series(&many(0));
    let of = |label: &str| all.iter().filter(|series| series.contains(label)).count();
    assert_eq!(of("sink=\"slack\""), SERIES_PER_SINK);
    let selectors = of("selector=");
    assert_eq!(selectors, status().selections.len());
    let of_stores = of("store=");
    assert_eq!(of_stores, status().rules.len() * SERIES_PER_STORE);
    assert_eq!(all.len() - of("sink=") - selectors - of_stores, SERIES_OF_WATCHDOG);
}

#[test]
fn incidents_processes_and_hostile_names_do_not_make_more_series() {
    let before = many(1);
    let mut after = before.clone();
    let next = |i: u32| {
        let mut incident: Incident = before.incidents[0].clone();
        incident.id = format!("{}-{i}", incident.id);
        incident.target.pid = i;
        if let Some(culprit) = &mut incident.culprit {
            culprit.frame.function = format!("f{i}\"}} 1\n{}", "x".repeat(10_000));
        }
        incident
    };
    // Some closed, some open: of processes that went, and of one that is watched now.
    after.incidents = (0..200).map(next).collect();
    after.targets[0].identity.pid = 4711;
    after.targets[0].identity.version = Some("2".into());
    assert_eq!(series(&after).len(), series(&before).len());
    let text = render(&after, Format::Text);
    assert!(text.lines().all(|line| line.len() < 500), "a label without a bound");
}

#[test]
fn five_hundred_targets_are_rendered_within_a_scrape() {
    let many = many(500);
    // The best of five, as other work on the machine can only make it slower. A release build is to take less than
    // 20 ms; the bound is for a debug build on a busy machine and notices a change of order.
    let best = (0..5).map(|_| {
        let start = Instant::now();
        let text = render(&many, Format::Text);
        assert_eq!(text.matches("oomen_target_up{").count(), 500);
        assert!(text.len() <= 2 << 20, "{} bytes", text.len());
        start.elapsed()
    });
    let best = best.min().expect("five");
    assert!(best.as_millis() < 500, "{best:?}");
}
