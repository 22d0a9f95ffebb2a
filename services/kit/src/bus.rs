//! The bus between services: RabbitMQ, or a SQLite file that the services of one machine share.
//!
//! Both keep a message until its consumer is done with it, deliver it again when the consumer dies, keep the order of
//! messages with the same key, and may deliver twice. What a message means, and what becomes of one that cannot be
//! handled, is the inbox's matter.

mod embedded;
mod keyed;
mod rabbit;

use std::sync::Arc;

use async_trait::async_trait;
use tokio_util::sync::CancellationToken;

pub use embedded::Embedded;
pub use rabbit::Rabbit;

use crate::Kit;
use crate::events::{EventType, SUBSCRIPTIONS};

/// How many messages a consumer works on at once.
const PREFETCH: usize = 64;

/// After so many deliveries without an end, a message is taken to kill its consumers. Far more than the deaths that
/// a healthy message meets by chance, as it is held for milliseconds.
const MOST_DELIVERIES: u32 = 100;

/// How long deliveries under way may take once the service stops; those that do not end are delivered again.
const DRAIN: std::time::Duration = std::time::Duration::from_secs(4);

/// A message on its way out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The event's id.
    pub id: String,
    /// The event's type: the routing key.
    pub event_type: String,
    /// What it is about.
    pub key: String,
    /// The event, encoded.
    pub body: Vec<u8>,
}

/// A message on its way in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// The id it was published with, if any.
    pub id: String,
    /// What it is about; empty when it came without.
    pub key: String,
    /// What should be an event.
    pub body: Vec<u8>,
    /// Whether it was delivered so often that it is not to be handled again.
    pub exhausted: bool,
}

/// What becomes of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is over with.
    Done,
    /// It is to be delivered again, later or to another.
    Again,
}

/// Takes deliveries. Those of one key come one after the other.
#[async_trait]
pub trait Receiver: Send + Sync + 'static {
    /// Deals with one. It may take its time, but must end soon after the service is told to stop.
    async fn receive(&self, delivery: Delivery) -> Verdict;
}

/// Why a message was not published.
#[derive(Clone, Debug, thiserror::Error)]
pub enum BusError {
    /// Nothing gets through now. Whether this message did is unknown.
    #[error("{0}")]
    Unavailable(String),
    /// The bus refuses this message.
    #[error("refused: {0}")]
    Refused(String),
}

impl BusError {
    /// Whether others would fare no better now.
    pub fn is_unavailable(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }
}

/// A bus.
#[async_trait]
pub trait Bus: Send + Sync + 'static {
    /// Publishes messages of different keys, or in the order given; Ok for each that is kept for all its consumers.
    async fn publish(&self, messages: &[&Message]) -> Vec<Result<(), BusError>>;

    /// Delivers what comes to a queue until it is told to stop; reconnects by itself.
    async fn consume(&self, queue: &str, receiver: Arc<dyn Receiver>, stopping: CancellationToken);

    /// Whether it answers; for `/health/ready`.
    ///
    /// # Errors
    /// When it does not.
    async fn check(&self) -> Result<(), BusError>;
}

/// The queues and what goes into each.
#[derive(Clone, Debug)]
pub struct Topology(Vec<(String, Vec<String>)>);

impl Topology {
    /// The shop's.
    pub fn shop() -> Self {
        Self::new(SUBSCRIPTIONS.iter().map(|(service, events)| (service.name(), *events)))
    }

    /// Any other.
    pub fn new<'a>(queues: impl Iterator<Item = (&'a str, &'a [EventType])>) -> Self {
        let names = |events: &[EventType]| events.iter().map(|e| e.name().to_owned()).collect();
        Self(queues.map(|(queue, events)| (queue.to_owned(), names(events))).collect())
    }

    fn queues(&self) -> impl Iterator<Item = (&str, &[String])> {
        self.0.iter().map(|(queue, events)| (queue.as_str(), events.as_slice()))
    }

    /// The queues that an event goes into.
    fn takers<'a>(&'a self, event_type: &'a str) -> impl Iterator<Item = &'a str> {
        let takes = move |events: &[String]| events.iter().any(|event| event == event_type);
        self.queues().filter(move |(_, events)| takes(events)).map(|(queue, _)| queue)
    }
}

/// The bus that a service's configuration names, with a readiness check named `bus`.
///
/// # Errors
/// When the embedded bus cannot be opened. RabbitMQ need not be there yet.
pub async fn of(kit: &Kit) -> anyhow::Result<Arc<dyn Bus>> {
    let bus: Arc<dyn Bus> = match &kit.options().amqp_url {
        Some(url) => Arc::new(Rabbit::new(url, Topology::shop())?),
        None => Arc::new(Embedded::open(&kit.data_dir()?, Topology::shop()).await?),
    };
    let checked = Arc::clone(&bus);
    kit.readiness("bus", move || {
        let bus = Arc::clone(&checked);
        async move { bus.check().await }
    });
    Ok(bus)
}
