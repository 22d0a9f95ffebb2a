//! The inbox: events have their effect once, however often they are delivered.
//!
//! One transaction holds the event's id, what the handler does, and the events that it adds to the outbox; the bus
//! hears that the message is done with after the commit. A duplicate finds its id and does nothing. A handler that
//! fails is tried again with growing pauses, counted in the store; after the last attempt the event becomes a dead
//! letter: a row with the reason, that an operator can drive again. While the store is away nothing is counted.

mod attempt;
mod consumer;
mod dead;
mod routes;

use async_trait::async_trait;

pub use consumer::Consumer;
pub use dead::{DeadLetter, Driven};

use crate::events::Event;
use crate::store::{Contention, Migration, StoreError, Tx};

/// What a service does when something happened.
#[async_trait]
pub trait Handler: Send + Sync + 'static {
    /// Has the event's effect, in the transaction and nowhere else: it may be done again. Events of one key come in
    /// order; still, an event may come after one that followed it, when it was a dead letter in between.
    async fn handle(&self, tx: &mut Tx, event: &Event) -> Result<(), HandlerError>;
}

/// Why an event had no effect.
#[derive(Debug, thiserror::Error)]
pub enum HandlerError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It may go better later: counted, and tried again after a pause.
    #[error("{0}")]
    Again(String),
    /// It never will: a dead letter at once.
    #[error("{0}")]
    Never(String),
}

impl From<sqlx::Error> for HandlerError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

impl Contention for HandlerError {
    fn is_contention(&self) -> bool {
        matches!(self, Self::Store(error) if error.is_contention())
    }
}

pub(crate) const MIGRATION: Migration =
    Migration { version: 2, name: "inbox", sql: include_str!("inbox/tables.sql") };
