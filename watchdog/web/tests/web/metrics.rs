//! The metrics: byte for byte against the golden file, linted by promtool, and catalogued.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use watchdog_web::metrics::{catalogue_markdown, render};
use watchdog_web::status::Status;

use crate::fixed::{app, get, send, status, text};

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
    golden("tests/golden/metrics.prom", &render(&status()).expect("text"));
}

#[test]
fn the_catalogue_in_the_documentation_is_the_one_in_the_code() {
    golden("../../docs/metrics.md", &catalogue_markdown());
}

#[test]
fn every_metric_of_the_catalogue_is_in_the_golden_file() {
    let text = render(&status()).expect("text");
    for row in catalogue_markdown().lines().filter(|line| line.starts_with("| `")) {
        let name = row.split('`').nth(1).expect("a name");
        assert!(text.contains(&format!("# TYPE {name} ")), "{name}");
    }
}

#[test]
fn promtool_finds_nothing_to_complain_of() {
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics", "--extended"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool is missing: `cargo xtask test` installs it (Debian package prometheus)");
    let text = render(&status()).expect("text");
    promtool.stdin.take().expect("stdin").write_all(text.as_bytes()).expect("written");
    let output = promtool.wait_with_output().expect("an end");
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && complaints.is_empty(), "{complaints}");
    assert!(String::from_utf8_lossy(&output.stdout).contains("oomen_target_up"));
}

#[tokio::test]
async fn a_scrape_gets_the_text_under_its_content_type() {
    let (app, _dir) = app(true, None);
    let response = send(&app, get("/metrics", &[])).await;
    assert_eq!(response.headers()["content-type"], "text/plain; version=0.0.4");
    assert_eq!(text(response).await, render(&status()).expect("text"));
}

#[test]
fn five_hundred_targets_are_rendered_within_a_scrape() {
    let mut many: Status = status();
    let model = many.targets[0].clone();
    many.targets = (0..500)
        .map(|i| {
            let mut target = model.clone();
            target.identity.name = format!("target-{i}");
            target
        })
        .collect();
    // The best of five, as other work on the machine can only make it slower. A release build is to take less than
    // 20 ms; the bound is for a debug build on a busy machine and notices a change of order.
    let best = (0..5).map(|_| {
        let start = Instant::now();
        let text = render(&many).expect("text");
        assert_eq!(text.matches("oomen_target_up{").count(), 500);
        start.elapsed()
    });
    let best = best.min().expect("five");
    assert!(best.as_millis() < 500, "{best:?}");
}
