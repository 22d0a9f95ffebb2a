//! The terminal sink: what a person sees, what a script reads, and writers that fail or block.

use std::io::{self, Write};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use watchdog_core::incident::{Incident, State};
use watchdog_report::sink::ErrorKind;
use watchdog_report::terminal::{Format, TerminalSink, text};

use crate::sample::{confirmed, tell};

#[test]
fn a_confirmed_leak_reads_well() {
    assert_eq!(text(&confirmed(), false), include_str!("confirmed.txt"));
}

#[test]
fn a_kill_shows_its_evidence_last_and_no_forecast() {
    let confirmed = confirmed();
    let incident = Incident {
        state: State::Killed,
        closed: confirmed.told.map(|told| told.plus(190.0)),
        evidence: Some("memory.events counted oom_kill 1".into()),
        culprit: None,
        culprit_pending: Some("no function named yet: profiling is off".into()),
        ..confirmed
    };
    assert_eq!(text(&incident, false), include_str!("killed.txt"));
}

#[test]
fn only_the_state_is_coloured_and_only_if_asked() {
    let coloured = text(&confirmed(), true);
    assert!(coloured.starts_with("\x1b[1;33mCONFIRMED\x1b[0m  recommendations"), "{coloured}");
    assert_eq!(coloured.matches('\x1b').count(), 2);
    assert!(!text(&confirmed(), false).contains('\x1b'));
}

#[test]
fn no_part_of_an_incident_can_send_an_escape_sequence_or_a_line_of_its_own() {
    let mut incident = confirmed();
    let hostile = "x\x1b[2J\nFAKE  line\u{202e}";
    incident.target.name = hostile.into();
    incident.id = hostile.into();
    incident.evidence = Some(hostile.repeat(100));
    incident.verdict.sentence = hostile.into();
    if let Some(culprit) = &mut incident.culprit {
        culprit.frame.function = hostile.into();
        culprit.stack[0].file = Some(hostile.into());
    }
    let text = text(&incident, false);
    assert!(!text.contains('\x1b') && !text.contains('\u{202e}'), "{text}");
    assert!(!text.lines().any(|line| line.starts_with("FAKE")), "{text}");
    assert!(text.lines().all(|line| line.chars().count() < 420), "{text}");
}

#[tokio::test]
async fn as_json_a_report_is_one_line_that_holds_the_whole_incident() {
    let (out, written) = sync_channel(1);
    let sink = TerminalSink::new(Out { written: out, gate: None }, Format::Json).expect("a sink");
    tell(&sink, &confirmed()).await.expect("written");
    let line = written.recv().expect("a line");
    assert_eq!(line.iter().filter(|byte| **byte == b'\n').count(), 1);
    let incident: Incident = serde_json::from_slice(&line).expect("JSON");
    assert_eq!(incident, confirmed());
}

/// A writer that says what was written, once the gate lets it.
struct Out {
    written: SyncSender<Vec<u8>>,
    gate: Option<Receiver<()>>,
}

impl Write for Out {
    fn write(&mut self, part: &[u8]) -> io::Result<usize> {
        self.written.send(part.to_vec()).map_err(io::Error::other)?;
        if let Some(gate) = &self.gate {
            gate.recv().map_err(io::Error::other)?;
        }
        Ok(part.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_terminal_that_takes_nothing_blocks_nobody() {
    let (out, written) = sync_channel(8);
    let (open, gate) = sync_channel(8);
    let out = Out { written: out, gate: Some(gate) };
    let sink = TerminalSink::new(out, Format::Text { color: false }).expect("a sink");
    let incident = confirmed();
    let mut first = Box::pin(tell(&sink, &incident));
    assert!(
        std::future::poll_fn(|cx| std::task::Poll::Ready(first.as_mut().poll(cx).is_pending()))
            .await
    );
    written.recv().expect("the first is being written");
    let mut second = Box::pin(tell(&sink, &incident));
    assert!(
        std::future::poll_fn(|cx| std::task::Poll::Ready(second.as_mut().poll(cx).is_pending()))
            .await
    );
    let third = tell(&sink, &incident).await.expect_err("no place");
    assert_eq!(third.kind, ErrorKind::Retry { after: None });
    open.send(()).expect("opened");
    open.send(()).expect("opened");
    first.await.expect("written");
    second.await.expect("written");
}

#[tokio::test]
async fn a_writer_that_fails_is_an_error_that_says_why() {
    let (out, written) = sync_channel(1);
    drop(written);
    let sink = TerminalSink::new(Out { written: out, gate: None }, Format::Json).expect("a sink");
    let error = tell(&sink, &confirmed()).await.expect_err("a failure");
    assert_eq!(error.kind, ErrorKind::Permanent);
    assert!(error.text.contains("cannot write the report"), "{error}");
}
