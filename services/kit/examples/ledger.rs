//! A consumer of events as a program of its own: books every reservation once and says that it is paid. The tests
//! kill it in the middle of its work. It shows what a service's store and handler look like.
//!
//! `ledger PAUSE_MS`: how long it takes to book one, in the middle of the transaction.

use std::time::Duration;

use anyhow::Context as _;
use async_trait::async_trait;
use services_kit::events::{Body, Event, PaymentSucceeded, StockReserved};
use services_kit::inbox::{Consumer, Handler, HandlerError};
use services_kit::outbox::{Outbox, Relay};
use services_kit::store::{Database, Migration, Tx};
use services_kit::{Kit, Options, Peer, sqlx};
use sqlx::Row as _;
use uuid::Uuid;

const MIGRATIONS: &[Migration] =
    &[Migration { version: 100, name: "ledger", sql: include_str!("ledger.sql") }];

struct Ledger {
    pause: Duration,
}

#[async_trait]
impl Handler for Ledger {
    async fn handle(&self, tx: &mut Tx, event: &Event) -> Result<(), HandlerError> {
        match &event.body {
            Body::StockReserved(reserved) => self.book(tx, event, reserved).await,
            _ => Ok(()),
        }
    }
}

impl Ledger {
    /// An account's bookings are numbered from 1 on, in the order in which they were made.
    async fn book(
        &self,
        tx: &mut Tx,
        event: &Event,
        reserved: &StockReserved,
    ) -> Result<(), HandlerError> {
        let row = sqlx::query(
            "INSERT INTO accounts (account, booked, misordered) VALUES ($1, 1, 0)
             ON CONFLICT (account) DO UPDATE SET booked = accounts.booked + 1 RETURNING booked",
        )
        .bind(&event.key)
        .fetch_one(tx.conn())
        .await?;
        if row.try_get::<i64, _>("booked")? != reserved.total {
            sqlx::query("UPDATE accounts SET misordered = misordered + 1 WHERE account = $1")
                .bind(&event.key)
                .execute(tx.conn())
                .await?;
        }
        tokio::time::sleep(self.pause).await;
        let payment_id = Uuid::now_v7();
        // Without a conflict clause: booked twice, it would fail.
        sqlx::query("INSERT INTO bookings (id, account, number) VALUES ($1, $2, $3)")
            .bind(reserved.order_id.to_string())
            .bind(&event.key)
            .bind(reserved.total)
            .execute(tx.conn())
            .await?;
        let paid = PaymentSucceeded {
            order_id: reserved.order_id,
            payment_id,
            amount: reserved.total,
            currency: reserved.currency.clone(),
        };
        Outbox::add(tx, &Event::new(event.key.as_str(), paid)).await?;
        Ok(())
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let pause = std::env::args().nth(1).context("how many milliseconds does a booking take?")?;
    let variable = |name| std::env::var(name).ok();
    let options = Options {
        data: variable("SHOP_DATA").map(Into::into),
        database_url: variable("DATABASE_URL").map(Into::into),
        amqp_url: variable("AMQP_URL").map(Into::into),
        ..Options::on_free_ports()?
    };
    let kit = Kit::new(Peer::Payments, options)?;
    // The database may be about to come back.
    let store = loop {
        match Database::of(&kit, MIGRATIONS).await {
            Ok(store) => break store,
            Err(error) => eprintln!("no store yet: {error:#}"),
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    };
    let bus = services_kit::bus::of(&kit).await?;
    Relay::start(&kit, store.clone(), bus.clone())?;
    let ledger = Ledger { pause: Duration::from_millis(pause.parse()?) };
    let _consumer = Consumer::start(&kit, store, bus, ledger)?;
    std::future::pending().await
}
