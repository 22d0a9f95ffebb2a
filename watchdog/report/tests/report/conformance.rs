//! Every sink against a receiver that misbehaves: whether to try again, how long it takes, and that no secret is told.

mod log;
mod sinks;
mod trusted;

use std::time::{Duration, Instant};

use watchdog_fixtures::hostile::{HostileServer, Mode};
use watchdog_report::sink::{DeliveryError, ErrorKind};

use crate::sample::confirmed;
use log::Log;
use sinks::{ATTEMPT_DEADLINE, Case, DEADLINE, Speaks, cases};

/// Foreign text and our own words around it.
const LONGEST_TEXT: usize = 1000;

const RETRY: ErrorKind = ErrorKind::Retry { after: None };

async fn server(mode: Mode) -> HostileServer {
    HostileServer::start(mode).await.expect("a server")
}

/// One attempt; it ends in time, and nothing that it says holds a secret.
async fn attempt(case: &Case, url: &str) -> Result<(), DeliveryError> {
    let sink = (case.sink)(url);
    let started = Instant::now();
    let incident = confirmed();
    let result = tokio::time::timeout(ATTEMPT_DEADLINE, sink.once(&incident)).await;
    let result = result.unwrap_or_else(|_| panic!("{}: still busy", case.name));
    assert!(started.elapsed() < ATTEMPT_DEADLINE, "{}: {:?}", case.name, started.elapsed());
    let said = format!("{} {result:?}", sink.debug);
    for secret in case.secrets {
        assert!(!said.contains(secret), "{}: {secret} is in {said}", case.name);
    }
    if let Err(error) = &result {
        assert!(error.text.len() < LONGEST_TEXT, "{}: {error}", case.name);
        assert!(!error.text.contains(char::is_control), "{}: {error:?}", case.name);
    }
    result
}

/// One attempt that fails, after a single request.
async fn fails(case: &Case, mode: Mode) -> DeliveryError {
    let server = server(mode.clone()).await;
    let result = attempt(case, &server.url()).await;
    assert!(server.connections() <= 1, "{}: {mode:?} was asked again", case.name);
    result.expect_err(&format!("{}: {mode:?} is no success", case.name))
}

#[tokio::test]
async fn what_was_taken_is_a_success_whatever_else_comes() {
    for case in cases() {
        for mode in case.successes() {
            let server = server(mode.clone()).await;
            let result = attempt(&case, &server.url()).await;
            assert_eq!(result, Ok(()), "{}: {mode:?}", case.name);
            assert_eq!(server.requests(), 1, "{}: {mode:?}", case.name);
        }
    }
}

#[tokio::test]
async fn a_refusal_that_stays_is_permanent_and_names_the_status() {
    for case in cases() {
        for status in [400, 401, 403, 404, 405, 406, 407, 409, 410, 413, 415, 422, 451, 499] {
            let error = fails(&case, Mode::Status(status)).await;
            assert_eq!(error.kind, ErrorKind::Permanent, "{}: {status}: {error}", case.name);
            assert!(error.text.contains(&status.to_string()), "{}: {error}", case.name);
        }
    }
}

#[tokio::test]
async fn a_failure_that_may_pass_is_to_be_retried_and_unsure_where_it_may_have_been_taken() {
    for case in cases() {
        let sure: &[u16] = match case.speaks {
            Speaks::Http => &[408, 425, 429, 503],
            // Other bare statuses are not Slack's.
            Speaks::SlackApi => &[429],
        };
        for status in [408, 425, 429, 500, 501, 502, 503, 504, 507, 599] {
            if (status, case.speaks) == (425, Speaks::SlackApi) {
                // Slack has no such status.
                continue;
            }
            let error = fails(&case, Mode::Status(status)).await;
            assert_eq!(error.kind, RETRY, "{}: {status}: {error}", case.name);
            let unsure = !sure.contains(&status) && !case.repeatable;
            assert_eq!(error.unsure, unsure, "{}: {status}", case.name);
        }
    }
}

#[tokio::test]
async fn retry_after_is_obeyed_in_every_form_and_nonsense_is_none() {
    let in_a_minute = jiff::Timestamp::now().as_second() + 60;
    let date = jiff::Timestamp::from_second(in_a_minute).expect("a time");
    let date = date.strftime("%a, %d %b %Y %T GMT").to_string();
    for case in cases().into_iter().filter(|case| case.speaks == Speaks::Http) {
        for status in [429, 503] {
            let after = async |value: &str| {
                let error = fails(&case, Mode::retry_after(status, value)).await;
                assert!(!error.unsure, "{}: {error}", case.name);
                match error.kind {
                    ErrorKind::Retry { after } => after,
                    ErrorKind::Permanent => panic!("{}: {error}", case.name),
                }
            };
            assert_eq!(after("7").await, Some(Duration::from_secs(7)), "{}", case.name);
            let dated = after(&date).await.expect("a pause");
            assert!((50..=60).contains(&dated.as_secs()), "{}: {dated:?}", case.name);
            for nonsense in ["soon", "-5", "", "1e9"] {
                assert_eq!(after(nonsense).await, None, "{}: {nonsense}", case.name);
            }
            let endless = after("18446744073709551615").await.expect("a pause");
            assert!(endless <= Duration::from_secs(86_400), "{}: {endless:?}", case.name);
        }
    }
}

#[tokio::test]
async fn slack_asks_for_time_in_seconds() {
    for case in cases().into_iter().filter(|case| case.speaks == Speaks::SlackApi) {
        for (value, after) in [("7", Some(Duration::from_secs(7))), ("soon", None), ("-5", None)] {
            let headers = [("content-type", "application/json"), ("retry-after", value)];
            let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
            let body = br#"{"ok":false,"error":"ratelimited"}"#.into();
            let error = fails(&case, Mode::Reply { status: 429, headers, body }).await;
            assert_eq!((error.kind, error.unsure), (ErrorKind::Retry { after }, false), "{value}");
        }
    }
}

#[tokio::test]
async fn an_answer_that_is_none_leaves_it_unsure() {
    for case in cases() {
        for mode in [Mode::Garbage, Mode::EndlessHead, Mode::Reset, Mode::ResetAtOnce] {
            let error = fails(&case, mode.clone()).await;
            assert_eq!(error.kind, RETRY, "{}: {mode:?}: {error}", case.name);
            assert_eq!(error.unsure, !case.repeatable, "{}: {mode:?}: {error}", case.name);
        }
    }
}

#[tokio::test]
async fn what_never_reached_the_receiver_is_to_be_retried_and_is_not_unsure() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let closed = format!("http://{}", listener.local_addr().expect("an address"));
    drop(listener);
    let plain = server(Mode::Status(200)).await;
    let tls = HostileServer::start_tls(Mode::Status(200)).await.expect("a server");
    for case in cases() {
        for (url, words) in [
            (closed.as_str(), "refused"),
            ("http://no-such-host.invalid", "no-such-host.invalid"),
            (&tls.url(), "TLS"),
            (&plain.https_url(), "TLS"),
        ] {
            let error = attempt(&case, url).await.expect_err("a failure");
            assert_eq!(error.kind, RETRY, "{}: {url}: {error}", case.name);
            assert!(!error.unsure, "{}: {url}: {error}", case.name);
            if case.speaks == Speaks::Http {
                assert!(error.text.contains(words), "{}: {url}: {error}", case.name);
            }
        }
    }
    assert_eq!((plain.requests(), tls.requests()), (0, 0));
}

#[tokio::test]
async fn a_redirect_is_not_followed_and_only_its_host_is_told() {
    let other = server(Mode::Status(200)).await;
    for case in cases() {
        for status in [301, 302, 303, 307, 308] {
            let leads = format!("{}/{}", other.url_at("localhost"), case.secrets.join("/"));
            let error = fails(&case, Mode::redirect(status, &leads)).await;
            assert_eq!(error.kind, ErrorKind::Permanent, "{}: {status}: {error}", case.name);
            let says_where = case.speaks == Speaks::Http;
            assert_eq!(error.text.contains("localhost"), says_where, "{}: {error}", case.name);
        }
        // To https, within the host, to nowhere, and not at all.
        for leads in ["https://127.0.0.1:1/", "/elsewhere", "http://[", "data:,"] {
            let error = fails(&case, Mode::redirect(308, leads)).await;
            assert_eq!(error.kind, ErrorKind::Permanent, "{}: {leads}: {error}", case.name);
        }
        let error = fails(&case, Mode::Status(304)).await;
        assert_eq!(error.kind, ErrorKind::Permanent, "{}: {error}", case.name);
    }
    assert_eq!(other.connections(), 0, "another host was asked");
}

/// What a receiver says that repeats all it was sent, among bytes that are no text.
fn echo(case: &Case) -> Vec<u8> {
    let mut text = b"\x1b[31mno\r\n".to_vec();
    for secret in case.secrets {
        text.extend_from_slice(secret.as_bytes());
        text.extend_from_slice(b" \xff\n");
    }
    text
}

#[tokio::test]
async fn a_receiver_that_repeats_what_it_was_sent_gets_no_secret_into_an_error() {
    for case in cases() {
        for status in [400, 401, 429, 500, 503] {
            let mode = Mode::Reply { status, headers: Vec::new(), body: echo(&case) };
            fails(&case, mode).await;
        }
        for secret in case.secrets {
            let leads = format!("http://{secret}.invalid/{secret}");
            fails(&case, Mode::redirect(307, &leads)).await;
            // Cut off in the middle of it.
            let body = format!("{}{}", "x".repeat(40), &secret[..secret.len() - 1]).into_bytes();
            let cut = [("content-length".to_owned(), "9999".to_owned())];
            let mode = Mode::Reply { status: 400, headers: cut.into(), body };
            let server = server(mode).await;
            let error = attempt(&case, &server.url()).await.expect_err("refused");
            assert!(!error.text.contains(&secret[..secret.len() - 1]), "{}: {error}", case.name);
        }
    }
}

#[tokio::test]
async fn a_refusal_of_any_size_is_read_to_a_bound() {
    for case in cases() {
        for status in [400, 500] {
            let body = vec![b'x'; 16 << 20];
            let error = fails(&case, Mode::Reply { status, headers: Vec::new(), body }).await;
            let says_it = case.speaks == Speaks::Http;
            assert_eq!(error.text.contains(&status.to_string()), says_it, "{}: {error}", case.name);
        }
    }
    let resident = resident();
    assert!(resident < 1 << 30, "{resident} bytes: an endless body was kept");
}

fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("status");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("VmHWM");
    let kib: u64 = line.trim().trim_end_matches(" kB").parse().expect("a number");
    kib * 1024
}

#[tokio::test]
async fn no_secret_is_in_any_log_line_at_any_level() {
    let log = Log::start();
    let tls = HostileServer::start_tls(Mode::Status(200)).await.expect("a server");
    for case in cases() {
        for mode in [
            Mode::Status(200),
            Mode::Status(400),
            Mode::Garbage,
            Mode::Reset,
            Mode::redirect(302, &format!("http://localhost/{}", case.secrets.join("/"))),
            Mode::Reply { status: 401, headers: Vec::new(), body: echo(&case) },
        ] {
            let server = server(mode).await;
            drop(attempt(&case, &server.url()).await);
        }
        drop(attempt(&case, &tls.url()).await);
        drop(attempt(&case, "http://no-such-host.invalid").await);
    }
    let text = log.text();
    assert!(text.contains("no-such-host.invalid"), "the clients' own events are in the log");
    for secret in cases().iter().flat_map(|case| case.secrets) {
        assert!(!text.contains(secret), "{secret} is in the log");
    }
}

#[tokio::test]
async fn a_receiver_that_hangs_is_left_before_the_pipeline_gives_up() {
    for case in cases().into_iter().filter(|case| case.speaks == Speaks::Http) {
        let started = Instant::now();
        let error = fails(&case, Mode::Hang).await;
        assert!(started.elapsed() >= DEADLINE / 2, "{}: it was given time", case.name);
        assert_eq!((error.kind, error.unsure), (RETRY, !case.repeatable), "{}", case.name);
    }
}
