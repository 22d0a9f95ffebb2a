//! Mail: messages sent over SMTP, beside the mailbox.
//!
//! A mail waits as a row until the server has taken it or will never take it. One that was taken when the process died
//! is sent again, with the same `Message-ID`, by which mail programs tell the two are one.

mod options;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures_util::future::join_all;
use lettre::message::header::ContentType;
use lettre::message::{Mailbox, Message};
use lettre::{Address, AsyncSmtpTransport, AsyncTransport as _, Tokio1Executor};
use services_kit::catalogue::notifications::{MAILS, MAILS_PENDING};
use services_kit::prometheus::{IntCounterVec, IntGauge, Registry};
use services_kit::store::{Database, StoreError, Tx, now_ms};
use sqlx::Row as _;
use sqlx::any::AnyRow;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

pub use self::options::MailOptions;
use crate::letter::Letter;
use crate::mailbox::Addressee;

type Transport = AsyncSmtpTransport<Tokio1Executor>;

/// How many are sent at once: a server of one's own bears it, and others allow it.
const BATCH: i64 = 8;

/// How long the server may take for one (RFC 5321, 4.5.3.2 would have minutes; a mail is not worth a connection that
/// long, and it is tried again).
const PATIENCE: Duration = Duration::from_secs(30);

/// How long a mail is held while it is sent: longer than [`PATIENCE`].
const CLAIM: Duration = Duration::from_secs(60);

/// The pauses between attempts double from the first to the longest; after the last attempt it is given up, in all
/// two days after it was written (RFC 5321, 4.5.4.1 asks for days).
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(3600);
const ATTEMPTS: i64 = 60;

/// How often it is looked for mails, beside when it is told that there are some.
const LOOK: Duration = Duration::from_secs(1);

/// The task that sends mails.
pub struct Mail {
    store: Database,
    transport: Transport,
    from: Mailbox,
    outcomes: IntCounterVec,
    pending: IntGauge,
    due: Arc<Notify>,
}

struct Waiting {
    message_id: String,
    name: String,
    address: String,
    letter: Letter,
    written_at: i64,
    attempts: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Sent,
    Retried,
    Refused,
    GivenUp,
}

impl Outcome {
    fn name(self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::Retried => "retried",
            Self::Refused => "refused",
            Self::GivenUp => "given_up",
        }
    }
}

impl Mail {
    /// What sends mails, if a server is configured, with its metrics.
    ///
    /// # Errors
    /// When the options make no sense, or metrics are registered twice.
    pub fn of(
        options: &MailOptions,
        registry: &Registry,
        store: Database,
    ) -> anyhow::Result<Option<Self>> {
        let (outcomes, pending) = (MAILS.counter(registry)?, MAILS_PENDING.plain_gauge(registry)?);
        let Some(transport) = options.transport()? else { return Ok(None) };
        let transport = transport.timeout(Some(PATIENCE)).build();
        let (from, due) = (options.from.clone(), Arc::default());
        Ok(Some(Self { store, transport, from, outcomes, pending, due }))
    }

    /// To be notified when there may be mails to send.
    pub fn wake(&self) -> Arc<Notify> {
        Arc::clone(&self.due)
    }

    /// Sends until it is told to stop.
    pub async fn run(self, stopping: CancellationToken) {
        while !stopping.is_cancelled() {
            match stopping.run_until_cancelled(self.round()).await {
                None => return,
                Some(Ok(0)) => {}
                Some(Ok(_)) => continue,
                Some(Err(error)) => tracing::warn!(%error, "mails wait for the store"),
            }
            tokio::select! {
                () = stopping.cancelled() => return,
                () = self.due.notified() => {}
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    }

    /// Sends what is due, or a batch of it; how many that were.
    async fn round(&self) -> Result<usize, StoreError> {
        let waiting = claim(&self.store, now_ms()).await?;
        let sent = join_all(waiting.iter().map(|mail| self.send(mail))).await;
        for (mail, outcome) in waiting.iter().zip(sent) {
            settle(&self.store, mail, outcome).await?;
            self.outcomes.with_label_values(&[outcome.name()]).inc();
        }
        self.pending.set(count(&self.store).await?);
        Ok(waiting.len())
    }

    async fn send(&self, mail: &Waiting) -> Outcome {
        let message = match self.message(mail) {
            Ok(message) => message,
            Err(error) => {
                tracing::warn!(message = mail.message_id, error, "a mail cannot be addressed");
                return Outcome::Refused;
            }
        };
        match self.transport.send(message).await {
            Ok(_) => Outcome::Sent,
            Err(error) if error.is_permanent() => {
                tracing::warn!(message = mail.message_id, %error, "the mail server refuses a mail");
                Outcome::Refused
            }
            Err(error) if mail.attempts >= ATTEMPTS => {
                tracing::error!(message = mail.message_id, %error, "a mail was given up");
                Outcome::GivenUp
            }
            Err(error) => {
                tracing::warn!(message = mail.message_id, attempt = mail.attempts, %error, "a mail is sent again later");
                Outcome::Retried
            }
        }
    }

    fn message(&self, mail: &Waiting) -> Result<Message, String> {
        // The address itself is not repeated: it is a customer's.
        let address: Address =
            mail.address.parse().map_err(|_| "its address is none".to_owned())?;
        let written = Duration::from_millis(u64::try_from(mail.written_at).unwrap_or(0));
        let id = format!("<{}@{}>", mail.message_id, self.from.email.domain());
        Message::builder()
            .from(self.from.clone())
            .to(Mailbox::new(Some(plain(&mail.name)), address))
            .message_id(Some(id))
            .date(SystemTime::UNIX_EPOCH + written)
            .subject(plain(&mail.letter.subject))
            .header(ContentType::TEXT_PLAIN)
            .body(mail.letter.body.clone())
            .map_err(|error| error.to_string())
    }
}

/// Queues a message to be sent, with the transaction that it is put into the mailbox in.
pub(crate) async fn queue(
    tx: &mut Tx,
    message: Uuid,
    to: &Addressee,
    letter: &Letter,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO mails (message_id, name, address, subject, body, written_at, attempts, due_at)
         VALUES ($1, $2, $3, $4, $5, $6, 0, $6)",
    )
    .bind(message.to_string())
    .bind(&to.name)
    .bind(&to.address)
    .bind(&letter.subject)
    .bind(&letter.body)
    .bind(now_ms())
    .execute(tx.conn())
    .await?;
    Ok(())
}

async fn claim(store: &Database, now: i64) -> Result<Vec<Waiting>, StoreError> {
    store
        .transaction(|mut tx| async move {
            let sql = tx.pick(
                "UPDATE mails SET attempts = attempts + 1, due_at = $1 WHERE message_id IN (
                     SELECT message_id FROM mails WHERE due_at <= $2 ORDER BY due_at LIMIT $3)
                 RETURNING message_id, name, address, subject, body, written_at, attempts",
                "UPDATE mails SET attempts = attempts + 1, due_at = $1 WHERE message_id IN (
                     SELECT message_id FROM mails WHERE due_at <= $2 ORDER BY due_at LIMIT $3
                     FOR UPDATE SKIP LOCKED)
                 RETURNING message_id, name, address, subject, body, written_at, attempts",
            );
            let rows = sqlx::query(sql).bind(now + millis(CLAIM)).bind(now).bind(BATCH);
            let rows = rows.fetch_all(tx.conn()).await?;
            let waiting = rows.iter().map(waiting).collect::<Result<_, _>>()?;
            Ok::<_, StoreError>(tx.done(waiting))
        })
        .await
}

fn waiting(row: &AnyRow) -> Result<Waiting, sqlx::Error> {
    Ok(Waiting {
        message_id: row.try_get("message_id")?,
        name: row.try_get("name")?,
        address: row.try_get("address")?,
        letter: Letter { subject: row.try_get("subject")?, body: row.try_get("body")? },
        written_at: row.try_get("written_at")?,
        attempts: row.try_get("attempts")?,
    })
}

async fn settle(store: &Database, mail: &Waiting, outcome: Outcome) -> Result<(), StoreError> {
    let again = now_ms() + millis(pause_after(mail.attempts));
    store
        .transaction(|mut tx| async move {
            if outcome == Outcome::Retried {
                sqlx::query("UPDATE mails SET due_at = $2 WHERE message_id = $1")
                    .bind(&mail.message_id)
                    .bind(again)
                    .execute(tx.conn())
                    .await?;
            } else {
                sqlx::query("DELETE FROM mails WHERE message_id = $1")
                    .bind(&mail.message_id)
                    .execute(tx.conn())
                    .await?;
            }
            Ok::<_, StoreError>(tx.done(()))
        })
        .await
}

async fn count(store: &Database) -> Result<i64, StoreError> {
    let row = sqlx::query("SELECT COUNT(*) AS mails FROM mails").fetch_one(store.pool()).await?;
    Ok(row.try_get("mails")?)
}

/// For the head of a mail, where a line's end would begin another field.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

fn pause_after(attempts: i64) -> Duration {
    let doublings = u32::try_from(attempts.clamp(1, 20) - 1).unwrap_or(0);
    LONGEST_PAUSE.min(FIRST_PAUSE * 2_u32.pow(doublings))
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mail_is_tried_for_two_days() {
        let pauses: Duration = (1..ATTEMPTS).map(pause_after).sum();
        assert!((44..52).contains(&(pauses.as_secs() / 3600)), "{pauses:?}");
    }
}
