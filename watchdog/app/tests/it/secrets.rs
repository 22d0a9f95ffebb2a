//! No secret is ever written where somebody may read it.

use std::process::Command;

use crate::support::{Program, SOON, Shop, Watchdog, shipped};

const SLACK: &str = "xoxb-very-secret-of-slack";
const WEB: &str = "very-secret-of-the-page";

#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_in_no_log_metric_page_or_process_title() {
    let shop = Shop::new();
    let service = shop.start().await;
    let web = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(web.path(), WEB).expect("written");
    let mut command = Command::new(shipped("oomen"));
    command.env("OOMEN_SLACK_TOKEN", SLACK).env("RUST_LOG", "trace");
    let data = tempfile::tempdir().expect("a directory");
    let flags = [
        format!("--pid={}", service.pid()),
        "--slack-channel=#oncall".into(),
        "--slack-api-url=http://127.0.0.1:1".into(),
        format!("--web-token-file={}", web.path().display()),
    ];
    let watchdog =
        Watchdog::start_as(&mut command, data.path(), &flags.each_ref().map(String::as_str)).await;
    watchdog.program.says("the sink is not ready").await;
    let text = watchdog.everything_readable().await;
    let title = std::fs::read_to_string(format!("/proc/{}/cmdline", watchdog.program.pid()));
    let text = text + &title.expect("a title");
    assert!(!text.contains(SLACK) && !text.contains(WEB), "a secret can be read");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_doctor_that_finds_a_bad_token_does_not_show_it() {
    let mut command = Command::new(shipped("oomen"));
    command.env("OOMEN_SLACK_TOKEN", SLACK).current_dir(std::env::temp_dir()).args([
        "doctor",
        "--process=nobody-is-called-this",
        "--slack-channel=#oncall",
        "--slack-api-url=http://127.0.0.1:1",
        "--data-dir=/proc/no-directory",
    ]);
    let outcome = Program::run(&mut command, SOON).await;
    assert_eq!(outcome.code(), Some(1), "{outcome:?}");
    assert!(outcome.stdout.contains("slack cannot be told"), "{outcome:?}");
    assert!(!format!("{outcome:?}").contains(SLACK), "the token can be read");
}
