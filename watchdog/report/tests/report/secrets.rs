//! No secret reaches an error or a log, whatever the server does.

use std::io;
use std::sync::{Arc, Mutex};

use tracing_subscriber::fmt::MakeWriter;
use watchdog_fixtures::slack::{Failure, SlackServer, TOKEN};
use watchdog_report::slack::SlackSink;

use crate::sample::{confirmed, tell};
use crate::slack::options;

/// Everything that was logged.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, part: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("the log").extend_from_slice(part);
        Ok(part.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

impl Log {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().expect("the log")).into_owned()
    }
}

/// Takes down what this thread logs, at every level.
pub(crate) fn log() -> (Log, tracing::subscriber::DefaultGuard) {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing_subscriber::filter::LevelFilter::TRACE)
        .with_writer(log.clone())
        .finish();
    (log, tracing::subscriber::set_default(subscriber))
}

#[tokio::test]
async fn the_token_is_in_no_error_and_no_log_at_any_level() {
    let (log, _guard) = log();
    let server = SlackServer::start().await.expect("a server");
    let sink = SlackSink::new(options(&server.url())).expect("a sink");
    for failure in [
        // A server that puts the token into its error code is the worst case.
        Failure::Code(TOKEN),
        Failure::Code("invalid_auth"),
        Failure::Status(500),
        Failure::RateLimited(1),
        Failure::Garbage,
    ] {
        server.fail_next(1, failure);
        let error = tell(&sink, &confirmed()).await.expect_err("a failure");
        assert!(!format!("{error} {error:?}").contains(TOKEN), "{error:?}");
    }
    tell(&sink, &confirmed()).await.expect("delivered");
    let log = log.text();
    assert!(log.contains("chat.postMessage"), "the client's own events are in the log");
    assert!(!log.contains(TOKEN), "{log}");
}
