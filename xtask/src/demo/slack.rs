//! The Slack-compatible server's record, read line by line as it comes.

use std::io::{BufRead, BufReader};
use std::process::ChildStdout;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// Messages of one round are few; a full queue only makes the server's output wait.
const QUEUE: usize = 1024;

/// One message that Slack's side accepted.
#[derive(Debug, Clone)]
pub(crate) struct Message {
    /// When it was accepted, in Unix seconds.
    pub(crate) at_unix: f64,
    /// Its plain text.
    pub(crate) text: String,
    /// Everything that was sent, as JSON text.
    pub(crate) raw: String,
}

/// The server's stdout.
#[derive(Debug)]
pub(crate) struct SlackRecord {
    lines: Receiver<String>,
    /// Where the server listens.
    pub(crate) url: String,
}

impl SlackRecord {
    /// Reads the first line, which says where the server listens, and goes on in the background.
    pub(crate) fn follow(stdout: ChildStdout) -> Result<Self> {
        let (sender, lines) = sync_channel(QUEUE);
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        let first =
            lines.recv_timeout(Duration::from_secs(10)).context("slack-server is silent")?;
        let parsed: Value = serde_json::from_str(&first).context("slack-server's first line")?;
        match parsed["url"].as_str() {
            Some(url) => Ok(Self { lines, url: url.to_owned() }),
            None => bail!("slack-server did not say where it listens: {first}"),
        }
    }

    /// The next message within `patience`.
    pub(crate) fn next(&self, patience: Duration) -> Result<Option<Message>> {
        let raw = match self.lines.recv_timeout(patience) {
            Ok(raw) => raw,
            Err(RecvTimeoutError::Timeout) => return Ok(None),
            Err(RecvTimeoutError::Disconnected) => bail!("slack-server ended"),
        };
        let value: Value = serde_json::from_str(&raw).context("a line of slack-server")?;
        Ok(Some(Message {
            at_unix: value["at_unix"].as_f64().context("at_unix is missing")?,
            text: value["text"].as_str().unwrap_or_default().to_owned(),
            raw,
        }))
    }
}
