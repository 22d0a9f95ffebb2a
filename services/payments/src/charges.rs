//! What events ask of payments.
//!
//! | event | the order's payment is | it becomes |
//! |---|---|---|
//! | `stock.reserved` | not there | pending: a charge is due |
//! | `order.cancelled` | succeeded | refunding: a refund is due |
//! | | pending, the provider was not asked | void |
//! | | pending, the provider was asked | marked: the charge, if it succeeds, is given back at once |
//! | | not there | void: a reservation that comes later is not charged |
//!
//! Everything else changes nothing. An order has one payment, so it is charged once however often it is asked for.

use std::sync::Arc;

use async_trait::async_trait;
use services_kit::events::{Body, Event, OrderCancelled, StockReserved};
use services_kit::inbox::{Handler, HandlerError};
use services_kit::store::{Tx, now_ms};
use tokio::sync::Notify;
use uuid::Uuid;

use crate::token::{self, Kept};

/// The handler of events.
pub struct Charges {
    due: Arc<Notify>,
}

/// A payment before it is written.
struct New<'a> {
    order: Uuid,
    customer: Uuid,
    amount: i64,
    currency: &'a str,
    kept: Kept,
    state: &'static str,
}

impl Charges {
    /// A handler that tells `due` when the provider is to be asked.
    pub fn new(due: Arc<Notify>) -> Self {
        Self { due }
    }

    async fn charge(
        &self,
        tx: &mut Tx,
        event: &Event,
        reserved: &StockReserved,
    ) -> Result<(), HandlerError> {
        let kept = token::take(tx, &reserved.payment_token, reserved.customer_id).await?;
        let payment = New {
            order: reserved.order_id,
            customer: reserved.customer_id,
            amount: reserved.total,
            currency: &reserved.currency,
            // Without a token there is nothing to charge: the settlement says so to the order.
            kept: kept.unwrap_or(Kept { provider_token: String::new(), last4: String::new() }),
            state: "pending",
        };
        if add(tx, event, &payment).await? {
            self.wake(tx);
        }
        Ok(())
    }

    async fn cancel(
        &self,
        tx: &mut Tx,
        event: &Event,
        cancelled: &OrderCancelled,
    ) -> Result<(), HandlerError> {
        let known = sqlx::query(
            "UPDATE payments SET
                 cancelled = 1,
                 changed_at = $2,
                 due_at = CASE WHEN state = 'succeeded' THEN $2 ELSE due_at END,
                 state = CASE WHEN state = 'succeeded' THEN 'refunding'
                              WHEN state = 'pending' AND attempts = 0 THEN 'void'
                              ELSE state END,
                 attempts = CASE WHEN state = 'succeeded' THEN 0 ELSE attempts END
             WHERE order_id = $1 AND cancelled = 0",
        )
        .bind(cancelled.order_id.to_string())
        .bind(now_ms())
        .execute(tx.conn())
        .await?;
        if known.rows_affected() == 0 {
            let payment = New {
                order: cancelled.order_id,
                customer: cancelled.customer.id,
                amount: cancelled.total,
                currency: &cancelled.currency,
                kept: Kept { provider_token: String::new(), last4: String::new() },
                state: "void",
            };
            add(tx, event, &payment).await?;
        }
        self.wake(tx);
        Ok(())
    }

    fn wake(&self, tx: &mut Tx) {
        let due = Arc::clone(&self.due);
        tx.after(move || due.notify_one());
    }
}

#[async_trait]
impl Handler for Charges {
    async fn handle(&self, tx: &mut Tx, event: &Event) -> Result<(), HandlerError> {
        match &event.body {
            Body::StockReserved(reserved) => self.charge(tx, event, reserved).await,
            Body::OrderCancelled(cancelled) => self.cancel(tx, event, cancelled).await,
            _ => Ok(()),
        }
    }
}

/// Adds an order's payment; false when it has one.
async fn add(tx: &mut Tx, event: &Event, payment: &New<'_>) -> Result<bool, HandlerError> {
    let added = sqlx::query(
        "INSERT INTO payments (order_id, payment_id, customer_id, amount, currency, provider_token, last4,
                               state, cancelled, attempts, due_at, traceparent, created_at, changed_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 0, $10, $11, $10, $10)
         ON CONFLICT (order_id) DO NOTHING",
    )
    .bind(payment.order.to_string())
    .bind(Uuid::now_v7().to_string())
    .bind(payment.customer.to_string())
    .bind(payment.amount)
    .bind(payment.currency)
    .bind(&payment.kept.provider_token)
    .bind(&payment.kept.last4)
    .bind(payment.state)
    .bind(i64::from(payment.state == "void"))
    .bind(now_ms())
    .bind(event.traceparent.clone())
    .execute(tx.conn())
    .await?;
    Ok(added.rows_affected() == 1)
}
