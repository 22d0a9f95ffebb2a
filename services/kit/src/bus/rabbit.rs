//! RabbitMQ: a topic exchange, and for each service a quorum queue with a dead-letter queue behind it.
//!
//! Connections are made anew after any error instead of being recovered in place: what was under way is then unknown,
//! and delivered or published again. A queue has one active consumer, so that two processes of a service do not
//! overtake each other with messages of one key; when it goes, the next takes over.

mod session;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::StreamExt as _;
use lapin::message::Delivery as Incoming;
use lapin::options::{BasicAckOptions, BasicPublishOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::uri::AMQPUri;
use lapin::{BasicProperties, Confirmation, PublisherConfirm};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::Mutex;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use self::session::{EXCHANGE, Session};
use super::keyed::Keyed;
use super::{Bus, BusError, Delivery, Message, PREFETCH, Receiver, Topology, Verdict};

/// How long the broker may take to confirm what was published.
const CONFIRM: Duration = Duration::from_secs(10);

/// The pauses between attempts to connect double from the first to the last.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Seconds after which a silent peer is taken to be gone.
const HEARTBEAT: u16 = 10;

/// Milliseconds that a connection may take to come about.
const CONNECT: u64 = 5_000;

/// The header that carries the key.
const KEY: &str = "x-key";

/// AMQP's mark for a message that is to outlive the broker.
const PERSISTENT: u8 = 2;

/// The broker.
pub struct Rabbit {
    broker: Arc<Broker>,
    /// A connection of its own: the broker holds back connections that publish too much, and no consumer is to wait.
    publisher: Mutex<Option<Session>>,
}

struct Broker {
    uri: AMQPUri,
    topology: Topology,
}

/// `AMQP_URL` is no address.
#[derive(Debug, thiserror::Error)]
#[error("AMQP_URL is not an address such as amqp://user:password@host:5672/%2f: {0}")]
pub struct AddressError(String);

impl Rabbit {
    /// A broker, which need not be there yet.
    ///
    /// # Errors
    /// When the address is malformed.
    pub fn new(url: &SecretString, topology: Topology) -> Result<Self, AddressError> {
        let mut uri: AMQPUri = url.expose_secret().parse().map_err(AddressError)?;
        uri.query.heartbeat.get_or_insert(HEARTBEAT);
        uri.query.connection_timeout.get_or_insert(CONNECT);
        Ok(Self { broker: Arc::new(Broker { uri, topology }), publisher: Mutex::new(None) })
    }

    /// Sends all, then waits for all confirms; `outcomes` holds what is known so far, whenever it is given up.
    async fn send(
        &self,
        session: &mut Option<Session>,
        messages: &[&Message],
        outcomes: &mut Vec<Result<(), BusError>>,
    ) -> Result<(), lapin::Error> {
        let session = match session {
            Some(session) => session,
            none => none.insert(Session::open(&self.broker).await?),
        };
        let mut waiting = Vec::with_capacity(messages.len());
        for message in messages {
            waiting.push(self.start(session, message).await?);
        }
        for confirm in waiting {
            outcomes.push(match confirm {
                Some(confirm) => judge(&confirm.await?),
                None => Ok(()),
            });
        }
        Ok(())
    }

    /// Hands a message to the broker. None when nobody is to have it; that is no failure.
    async fn start(
        &self,
        session: &Session,
        message: &Message,
    ) -> Result<Option<PublisherConfirm>, lapin::Error> {
        if self.broker.topology.takers(&message.event_type).next().is_none() {
            return Ok(None);
        }
        let mut headers = FieldTable::default();
        headers.insert(KEY.into(), AMQPValue::LongString(message.key.as_str().into()));
        let properties = BasicProperties::default()
            .with_message_id(message.id.as_str().into())
            .with_type(message.event_type.as_str().into())
            .with_content_type("application/json".into())
            .with_delivery_mode(PERSISTENT)
            .with_headers(headers);
        let options = BasicPublishOptions { mandatory: true, immediate: false };
        let routing_key = message.event_type.as_str().into();
        let channel = &session.channel;
        let confirm = channel
            .basic_publish(EXCHANGE.into(), routing_key, options, &message.body, properties)
            .await?;
        Ok(Some(confirm))
    }
}

fn judge(confirmation: &Confirmation) -> Result<(), BusError> {
    match confirmation {
        Confirmation::Ack(None) => Ok(()),
        Confirmation::Ack(Some(_)) => Err(BusError::Refused("no queue takes it".into())),
        Confirmation::Nack(_) => Err(BusError::Refused("a queue is full or has no leader".into())),
        Confirmation::NotRequested => Err(BusError::Refused("the channel does not confirm".into())),
    }
}

#[async_trait]
impl Bus for Rabbit {
    async fn publish(&self, messages: &[&Message]) -> Vec<Result<(), BusError>> {
        let mut session = self.publisher.lock().await;
        let mut outcomes = Vec::with_capacity(messages.len());
        let sent = timeout(CONFIRM, self.send(&mut session, messages, &mut outcomes)).await;
        let away = match sent {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(error.to_string()),
            Err(_) => Some(format!("no confirm within {CONFIRM:?}")),
        };
        // A queue that somebody deleted is declared again with the next session.
        let broken = away.is_some() || outcomes.iter().any(Result::is_err);
        if let Some(session) = session.take_if(|_| broken) {
            session.close();
        }
        let unknown = BusError::Unavailable(away.unwrap_or_default());
        outcomes.resize_with(messages.len(), || Err(unknown.clone()));
        outcomes
    }

    async fn consume(&self, queue: &str, receiver: Arc<dyn Receiver>, stopping: CancellationToken) {
        // Outlives a connection: what comes again waits for what is still under way.
        let mut keyed = Keyed::default();
        let mut pause = FIRST_PAUSE;
        loop {
            let connected = tokio::time::Instant::now();
            let served = serve(&self.broker, queue, &receiver, &mut keyed);
            let Some(error) = stopping.run_until_cancelled(served).await else { break };
            if connected.elapsed() > LONGEST_PAUSE {
                pause = FIRST_PAUSE;
            }
            tracing::warn!(error = %error, ?pause, "the consumer's connection to RabbitMQ ended");
            if stopping.run_until_cancelled(sleep(pause)).await.is_none() {
                break;
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
        keyed.drain().await;
    }

    async fn check(&self) -> Result<(), BusError> {
        let mut session = self.publisher.lock().await;
        if session.as_ref().is_some_and(Session::is_open) {
            return Ok(());
        }
        match Session::open(&self.broker).await {
            Ok(opened) => *session = Some(opened),
            Err(error) => return Err(BusError::Unavailable(error.to_string())),
        }
        Ok(())
    }
}

/// Delivers until something fails.
async fn serve(
    broker: &Broker,
    queue: &str,
    receiver: &Arc<dyn Receiver>,
    keyed: &mut Keyed,
) -> lapin::Error {
    match deliver(broker, queue, receiver, keyed).await {
        Ok(()) => lapin::ErrorKind::FutureCompleted.into(),
        Err(error) => error,
    }
}

/// Ok when the broker cancelled the consumer, as it does when the queue goes.
async fn deliver(
    broker: &Broker,
    queue: &str,
    receiver: &Arc<dyn Receiver>,
    keyed: &mut Keyed,
) -> Result<(), lapin::Error> {
    let session = Session::open(broker).await?;
    let (mut live, mut dead) = session.consume(queue).await?;
    loop {
        let (incoming, exhausted) = tokio::select! {
            () = keyed.ended() => continue,
            incoming = live.next(), if keyed.len() < PREFETCH => (incoming, false),
            incoming = dead.next(), if keyed.len() < PREFETCH => (incoming, true),
        };
        let Some(incoming) = incoming else { return Ok(()) };
        let Incoming { properties, data, acker, .. } = incoming?;
        let delivery = Delivery {
            id: properties
                .message_id()
                .as_ref()
                .map(|id| id.as_str().to_owned())
                .unwrap_or_default(),
            key: key(&properties),
            body: data,
            exhausted,
        };
        let (receiver, session) = (Arc::clone(receiver), session.clone());
        keyed.spawn(delivery.key.clone(), async move {
            if receiver.receive(delivery).await == Verdict::Done {
                // An ack that does not arrive means that the message comes again, and the inbox knows it.
                acker.ack(BasicAckOptions::default()).await.ok();
            }
            drop(session);
        });
    }
}

fn key(properties: &BasicProperties) -> String {
    let key = properties.headers().as_ref().and_then(|headers| headers.inner().get(KEY));
    match key {
        Some(AMQPValue::LongString(key)) => String::from_utf8_lossy(key.as_bytes()).into_owned(),
        _ => String::new(),
    }
}
