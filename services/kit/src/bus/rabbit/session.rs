//! A connection with one channel on which everything that the bus needs is declared.

use lapin::options::{
    BasicConsumeOptions, BasicQosOptions, ConfirmSelectOptions, ExchangeDeclareOptions,
    QueueBindOptions, QueueDeclareOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, Connection, ConnectionProperties, Consumer, Error, ExchangeKind};
use std::sync::Arc;

use super::Broker;
use crate::bus::{MOST_DELIVERIES, PREFETCH};

pub(super) const EXCHANGE: &str = "shop";
const DEAD_EXCHANGE: &str = "shop.dead";

/// The most that a queue holds; beyond it, publishers are refused and keep their events in their outboxes.
const MOST_MESSAGES: u32 = 1_000_000;

/// Clones share the connection, which ends with the last of them.
#[derive(Clone)]
pub(super) struct Session {
    connection: Arc<Connection>,
    pub(super) channel: Channel,
}

impl Session {
    pub(super) async fn open(broker: &Broker) -> Result<Self, Error> {
        let properties = ConnectionProperties::default().with_connection_name("oomen shop".into());
        let connection = Connection::connect_uri(broker.uri.clone(), properties).await?;
        let channel = connection.create_channel().await?;
        channel.confirm_select(ConfirmSelectOptions::default()).await?;
        let session = Self { connection: Arc::new(connection), channel };
        session.declare(broker).await?;
        Ok(session)
    }

    pub(super) fn is_open(&self) -> bool {
        self.connection.status().connected() && self.channel.status().connected()
    }

    /// Says goodbye in the background; the broker may not be there to hear it.
    pub(super) fn close(self) {
        tokio::spawn(async move {
            let goodbye = self.connection.close(200, "done".into());
            tokio::time::timeout(super::CONFIRM, goodbye).await.ok();
        });
    }

    async fn declare(&self, broker: &Broker) -> Result<(), Error> {
        self.exchange(EXCHANGE, ExchangeKind::Topic).await?;
        self.exchange(DEAD_EXCHANGE, ExchangeKind::Direct).await?;
        for (queue, events) in broker.topology.queues() {
            let (live, dead) = (live_name(queue), dead_name(queue));
            self.queue(&dead, dead_arguments()).await?;
            self.bind(&dead, DEAD_EXCHANGE, &live).await?;
            self.queue(&live, live_arguments(&live)).await?;
            for event in events {
                self.bind(&live, EXCHANGE, event).await?;
            }
        }
        Ok(())
    }

    async fn exchange(&self, name: &str, kind: ExchangeKind) -> Result<(), Error> {
        let options = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
        self.channel.exchange_declare(name.into(), kind, options, FieldTable::default()).await
    }

    async fn queue(&self, name: &str, arguments: FieldTable) -> Result<(), Error> {
        let options = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
        self.channel.queue_declare(name.into(), options, arguments).await?;
        Ok(())
    }

    async fn bind(&self, queue: &str, exchange: &str, routing_key: &str) -> Result<(), Error> {
        let (options, none) = (QueueBindOptions::default(), FieldTable::default());
        self.channel
            .queue_bind(queue.into(), exchange.into(), routing_key.into(), options, none)
            .await
    }

    /// What comes to a queue, and what the broker gave up delivering to it.
    pub(super) async fn consume(&self, queue: &str) -> Result<(Consumer, Consumer), Error> {
        let prefetch = u16::try_from(PREFETCH).unwrap_or(u16::MAX);
        self.channel.basic_qos(prefetch, BasicQosOptions::default()).await?;
        let live = self.take(&live_name(queue)).await?;
        Ok((live, self.take(&dead_name(queue)).await?))
    }

    async fn take(&self, queue: &str) -> Result<Consumer, Error> {
        let (options, none) = (BasicConsumeOptions::default(), FieldTable::default());
        // Without a tag, the broker makes one up.
        self.channel.basic_consume(queue.into(), "".into(), options, none).await
    }
}

fn live_name(queue: &str) -> String {
    format!("shop.{queue}")
}

fn dead_name(queue: &str) -> String {
    format!("shop.{queue}.dead")
}

fn quorum() -> FieldTable {
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), text("quorum"));
    arguments.insert("x-single-active-consumer".into(), AMQPValue::Boolean(true));
    arguments
}

fn dead_arguments() -> FieldTable {
    quorum()
}

/// At-least-once dead-lettering needs `reject-publish`; otherwise the broker silently falls back to at-most-once.
fn live_arguments(live: &str) -> FieldTable {
    let mut arguments = quorum();
    arguments.insert("x-dead-letter-exchange".into(), text(DEAD_EXCHANGE));
    arguments.insert("x-dead-letter-routing-key".into(), text(live));
    arguments.insert("x-dead-letter-strategy".into(), text("at-least-once"));
    arguments.insert("x-overflow".into(), text("reject-publish"));
    arguments.insert("x-max-length".into(), AMQPValue::LongUInt(MOST_MESSAGES));
    arguments.insert("x-delivery-limit".into(), AMQPValue::LongUInt(MOST_DELIVERIES));
    arguments
}

fn text(value: &str) -> AMQPValue {
    AMQPValue::LongString(value.into())
}
