//! The steps beside the text: the plot, the heap profiles, and deleting plots that nothing shows any more.
//!
//! Each returns whether Slack was asked for something. None of them makes a report fail. One that fails is tried twice
//! more and then left out; one that takes too long counts as failed before the pipeline's own deadline would.
//!
//! A plot is uploaded without a channel, so that only the message shows it: of a plot in the thread that a newer one has
//! replaced, the thread would go on saying that a file was deleted. An image block may show any file that whoever posts it
//! has access to (docs.slack.dev, "Slack file object"), and the app has access to what it uploaded. The plot of the end is
//! replaced by none, so it goes into the thread and stays. Where Slack keeps refusing a file that stands in no channel,
//! that is the only further plot.

use std::future::Future;
use std::time::Duration;

use slack_morphism::errors::SlackClientError;
use slack_morphism::prelude::*;
use watchdog_core::incident::Incident;

use super::SlackSink;
use super::failure;
use super::memory::{Drawn, Memory, Place};
use super::plan::{is_over, now};
use super::text::foreign;
use crate::message::{self, group};
use crate::plot::Plot;
use crate::sink::{DeliveryError, ErrorKind};

/// How long an optional step may take: below the pipeline's deadline for an attempt, which would count as a report that
/// failed.
const DEADLINE: Duration = Duration::from_secs(8);
/// Tries of an optional step.
const MAX_TRIES: u8 = 3;
/// A larger profile is not sent: it would hold up other reports.
const MAX_PROFILE: usize = 8 << 20;

/// A file to upload.
struct File {
    name: String,
    title: String,
    alt: Option<String>,
    comment: Option<String>,
    content_type: &'static str,
    bytes: Vec<u8>,
}

/// What became of an optional step.
enum Outcome<T> {
    Done(T),
    /// It failed and may be tried again.
    Again,
    /// It is left out.
    LeftOut,
}

impl SlackSink {
    /// Draws and uploads the plot of the incident in this place.
    pub(super) async fn plot(
        &self,
        memory: &mut Memory,
        incidents: &[Incident],
        place: usize,
    ) -> Result<bool, DeliveryError> {
        let (Some(incident), Some(root)) = (incidents.get(place), memory.root.clone()) else {
            return Ok(false);
        };
        let over = is_over(incidents);
        let step = async {
            let Some(bytes) = self.draw(incident).await else { return Ok(None) };
            self.upload(over.then_some(&root), plot_file(incident, bytes)).await.map(Some)
        };
        let outcome = self.optional(memory, step).await?;
        if matches!(outcome, Outcome::Again) {
            return Ok(true);
        }
        memory.drawn = Some(Drawn {
            at: now(incidents),
            incident: crc32fast::hash(incident.id.as_bytes()),
            revision: incident.revision,
            kill: incident.kill.map(|kill| kill.estimate),
            over,
        });
        let Outcome::Done(Some(file)) = outcome else {
            return Ok(matches!(outcome, Outcome::LeftOut));
        };
        memory.replace_plot(file, over);
        Ok(true)
    }

    /// The picture, drawn aside: it takes longer than a runtime's thread may be kept.
    async fn draw(&self, incident: &Incident) -> Option<Vec<u8>> {
        let rows = self.evidence.series(&incident.target.name);
        let (incident, theme) = (incident.clone(), self.theme);
        let drawn =
            tokio::task::spawn_blocking(move || Plot::of(&incident, &rows).png(theme)).await;
        match drawn {
            Ok(Ok(bytes)) => Some(bytes),
            Ok(Err(error)) => {
                tracing::warn!(%error, "no plot for slack");
                None
            }
            Err(_) => {
                tracing::error!("drawing a plot failed, which is a defect");
                None
            }
        }
    }

    /// Sends a heap profile into the thread.
    pub(super) async fn profile(
        &self,
        memory: &mut Memory,
        incident: Option<&Incident>,
        dump: String,
        ended: bool,
    ) -> Result<bool, DeliveryError> {
        let (Some(incident), Some(root)) = (incident, memory.root.clone()) else {
            return Ok(false);
        };
        let step = async {
            let profile = self.evidence.profile(&dump).await;
            match profile.filter(|bytes| (1..=MAX_PROFILE).contains(&bytes.len())) {
                Some(bytes) => {
                    self.upload(Some(&root), profile_file(incident, bytes, ended)).await.map(Some)
                }
                None => Ok(None),
            }
        };
        let outcome = self.optional(memory, step).await?;
        if matches!(outcome, Outcome::Again) {
            return Ok(true);
        }
        let sent = &mut memory.profiles;
        sent.named |= !ended;
        sent.ended |= ended;
        sent.last = Some(dump);
        Ok(!matches!(outcome, Outcome::Done(None)))
    }

    /// Deletes a file that nothing shows any more. One that cannot be deleted stays.
    pub(super) async fn delete(
        &self,
        memory: &mut Memory,
        file: &str,
    ) -> Result<bool, DeliveryError> {
        let request = SlackApiFilesDeleteRequest::new(SlackFileId(file.into()));
        let session = self.api.session();
        let outcome = self.optional(memory, async { session.files_delete(&request).await }).await?;
        if !matches!(outcome, Outcome::Again) {
            memory.old_files.retain(|old| old != file);
        }
        Ok(true)
    }

    /// Runs an optional step. Only being asked to slow down is an error: then texts have to wait as well.
    async fn optional<T>(
        &self,
        memory: &mut Memory,
        step: impl Future<Output = Result<T, SlackClientError>>,
    ) -> Result<Outcome<T>, DeliveryError> {
        let error = match tokio::time::timeout(DEADLINE, step).await {
            Ok(Ok(done)) => {
                memory.tries = 0;
                return Ok(Outcome::Done(done));
            }
            Ok(Err(error)) => Some(error),
            Err(_) => None,
        };
        if error.as_ref().is_some_and(failure::is_about_files) {
            memory.no_files = true;
        }
        let explained = match error.map(|error| self.api.explain(&error)) {
            Some(error) if matches!(error.kind, ErrorKind::Retry { after: Some(_) }) => {
                return Err(error);
            }
            Some(error) => error.text,
            None => format!("not done within {DEADLINE:?}"),
        };
        if memory.no_files {
            self.once.files.say(&explained);
            return Ok(Outcome::LeftOut);
        }
        memory.tries = memory.tries.saturating_add(1);
        if memory.tries < MAX_TRIES {
            tracing::debug!(error = explained, "a file of a slack report failed, trying again");
            return Ok(Outcome::Again);
        }
        memory.tries = 0;
        tracing::warn!(error = explained, "a file of a slack report is left out");
        Ok(Outcome::LeftOut)
    }

    /// Uploads a file, into the thread of `root` or without showing it anywhere; returns its id.
    async fn upload(&self, root: Option<&Place>, file: File) -> Result<String, SlackClientError> {
        let session = self.api.session();
        let mut request =
            SlackApiFilesGetUploadUrlExternalRequest::new(file.name, file.bytes.len());
        request.alt_txt = file.alt;
        let announced = session.get_upload_url_external(&request).await?;
        self.api.send_file(announced.upload_url.0, &file.bytes, file.content_type).await?;
        let id = announced.file_id;
        let complete = SlackApiFilesComplete::new(id.clone()).with_title(file.title);
        let mut request = SlackApiFilesCompleteUploadExternalRequest::new(vec![complete]);
        request.channel_id = root.map(|root| root.channel.clone());
        request.thread_ts = root.map(|root| root.ts.clone());
        request.initial_comment = file.comment;
        session.files_complete_upload_external(&request).await?;
        Ok(id.0)
    }
}

fn plot_file(incident: &Incident, bytes: Vec<u8>) -> File {
    File {
        name: "memory.png".into(),
        title: format!("Memory of {}", group::replica(incident)),
        alt: Some(message::truncated(&message::title(incident), 500)),
        comment: None,
        content_type: "image/png",
        bytes,
    }
}

fn profile_file(incident: &Incident, bytes: Vec<u8>, ended: bool) -> File {
    let replica = group::replica(incident);
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let name: String = replica.chars().map(|c| if plain(c) { c } else { '-' }).collect();
    let when = if ended { "at the end" } else { "when the function was named" };
    let comment = format!(
        "Heap profile of {} {when}: `go tool pprof -http=: FILE` opens it.",
        foreign(&replica, 100).replace('`', "'")
    );
    File {
        name: format!("{name}.pb.gz"),
        title: format!("Heap profile of {replica}"),
        alt: None,
        comment: Some(comment),
        content_type: "application/octet-stream",
        bytes,
    }
}
