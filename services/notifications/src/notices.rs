//! What events make of messages.
//!
//! An order's customer is told once about each thing. `payment.refunded` does not say whose the order is: that is known
//! from what was told about it before, and a refund that comes first waits until it is.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use services_kit::catalogue::notifications::MESSAGES;
use services_kit::events::{Body, Customer, Event, EventType, NotificationSent};
use services_kit::inbox::{Handler, HandlerError};
use services_kit::outbox::Outbox;
use services_kit::prometheus::{self, IntCounterVec, Registry};
use services_kit::store::{StoreError, Tx, now_ms};
use sqlx::Row as _;
use tokio::sync::Notify;
use uuid::Uuid;

use crate::letter::{self, Letter};
use crate::mail;
use crate::mailbox::{self, Addressee};

/// How long a refund waits to learn whose it is. The cancellation that it follows was published before it.
const WAITS: Duration = Duration::from_secs(7 * 24 * 3600);

/// The handler of events.
pub struct Notices {
    messages: IntCounterVec,
    /// Where there is mail: told when there is something to send.
    mail: Option<Arc<Notify>>,
}

impl Notices {
    /// A handler with its metric. With `mail`, messages are also queued to be sent.
    ///
    /// # Errors
    /// When the metric is registered twice.
    pub fn register(
        registry: &Registry,
        mail: Option<Arc<Notify>>,
    ) -> Result<Self, prometheus::Error> {
        Ok(Self { messages: MESSAGES.counter(registry)?, mail })
    }

    /// Tells about an order and says so, then about a refund that came before.
    async fn order(
        &self,
        tx: &mut Tx,
        about: EventType,
        to: &Addressee,
        letter: &Letter,
    ) -> Result<(), StoreError> {
        if let Some(message_id) = self.tell(tx, about, to, letter).await? {
            let about = about.name().to_owned();
            let sent = NotificationSent { order_id: to.order, message_id, about };
            Outbox::add(tx, &Event::new(to.order.to_string(), sent)).await?;
        }
        if let Some((amount, currency)) = take_early(tx, to.order).await? {
            self.refund(tx, to, amount, &currency).await?;
        }
        Ok(())
    }

    async fn refund(
        &self,
        tx: &mut Tx,
        to: &Addressee,
        amount: i64,
        currency: &str,
    ) -> Result<(), StoreError> {
        let letter = letter::refunded(&to.name, &to.number, amount, currency);
        self.tell(tx, EventType::PaymentRefunded, to, &letter).await?;
        Ok(())
    }

    async fn tell(
        &self,
        tx: &mut Tx,
        about: EventType,
        to: &Addressee,
        letter: &Letter,
    ) -> Result<Option<Uuid>, StoreError> {
        let Some(id) = mailbox::put(tx, to, about.name(), letter).await? else { return Ok(None) };
        if let Some(mail) = &self.mail {
            mail::queue(tx, id, to, letter).await?;
            let mail = Arc::clone(mail);
            tx.after(move || mail.notify_one());
        }
        let counter = self.messages.with_label_values(&[about.name()]);
        tx.after(move || counter.inc());
        Ok(Some(id))
    }
}

#[async_trait]
impl Handler for Notices {
    async fn handle(&self, tx: &mut Tx, event: &Event) -> Result<(), HandlerError> {
        let about = event.event_type();
        match &event.body {
            Body::OrderPaid(order) => {
                let to = addressee(&order.customer, order.order_id, &order.number);
                self.order(tx, about, &to, &letter::paid(order)).await?;
            }
            Body::OrderCancelled(order) => {
                let to = addressee(&order.customer, order.order_id, &order.number);
                self.order(tx, about, &to, &letter::cancelled(order)).await?;
            }
            Body::PaymentRefunded(refund) => match mailbox::addressee(tx, refund.order_id).await? {
                Some(to) => self.refund(tx, &to, refund.amount, &refund.currency).await?,
                None => keep_early(tx, refund.order_id, refund.amount, &refund.currency).await?,
            },
            _ => {}
        }
        Ok(())
    }
}

fn addressee(customer: &Customer, order: Uuid, number: &str) -> Addressee {
    Addressee {
        customer: customer.id,
        name: customer.name.clone(),
        address: customer.email.clone(),
        order,
        number: number.to_owned(),
    }
}

async fn keep_early(
    tx: &mut Tx,
    order: Uuid,
    amount: i64,
    currency: &str,
) -> Result<(), StoreError> {
    let waits = i64::try_from(WAITS.as_millis()).unwrap_or(i64::MAX);
    sqlx::query("DELETE FROM early_refunds WHERE created_at < $1")
        .bind(now_ms() - waits)
        .execute(tx.conn())
        .await?;
    sqlx::query(
        "INSERT INTO early_refunds (order_id, amount, currency, created_at) VALUES ($1, $2, $3, $4)
         ON CONFLICT (order_id) DO NOTHING",
    )
    .bind(order.to_string())
    .bind(amount)
    .bind(currency)
    .bind(now_ms())
    .execute(tx.conn())
    .await?;
    Ok(())
}

async fn take_early(tx: &mut Tx, order: Uuid) -> Result<Option<(i64, String)>, StoreError> {
    let row =
        sqlx::query("DELETE FROM early_refunds WHERE order_id = $1 RETURNING amount, currency")
            .bind(order.to_string())
            .fetch_optional(tx.conn())
            .await?;
    let Some(row) = row else { return Ok(None) };
    Ok(Some((row.try_get("amount")?, row.try_get("currency")?)))
}
