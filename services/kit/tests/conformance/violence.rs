//! Two services, a broker and a database, all of which die again and again while events go from one to the other and
//! back.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use services_kit::events::{Body, Event};
use services_kit::inbox::{Consumer, Handler, HandlerError};
use services_kit::outbox::{Outbox, Relay};
use services_kit::store::{Database, Migration, StoreError, Tx};
use services_kit::{Kit, Peer};

use crate::events::reserved;
use crate::stage::{Stage, number, until};

const ACCOUNTS: i64 = 20;
const BOOKINGS: i64 = 15;
const DEATHS: u32 = 4;

/// The schema of the example.
const LEDGER: &[Migration] =
    &[Migration { version: 100, name: "ledger", sql: include_str!("../../examples/ledger.sql") }];

/// Answers come back to one who counts them.
const ANSWERS: &[Migration] = &[Migration {
    version: 100,
    name: "answers",
    sql: "CREATE TABLE answers (id TEXT NOT NULL PRIMARY KEY, account TEXT NOT NULL, number BIGINT NOT NULL)",
}];

struct Answers;

#[async_trait]
impl Handler for Answers {
    async fn handle(&self, tx: &mut Tx, event: &Event) -> Result<(), HandlerError> {
        let Body::PaymentSucceeded(paid) = &event.body else { return Ok(()) };
        // Without a conflict clause: an order that was paid twice would be a dead letter.
        sqlx::query("INSERT INTO answers (id, account, number) VALUES ($1, $2, $3)")
            .bind(paid.order_id.to_string())
            .bind(&event.key)
            .bind(paid.amount)
            .execute(tx.conn())
            .await?;
        Ok(())
    }
}

/// Places all bookings, account by account in turn; what the store did not take for sure is placed again.
async fn place(store: Database) {
    for booking in 1..=BOOKINGS {
        for account in 0..ACCOUNTS {
            let event = &reserved(&format!("account-{account}"), booking);
            let mut placed = false;
            while !placed {
                let added = store.transaction(|mut tx| async move {
                    Outbox::add(&mut tx, event).await?;
                    Ok::<_, StoreError>(tx.done(()))
                });
                placed = match added.await {
                    // The commit before, whose end was unknown, took place.
                    Ok(()) | Err(StoreError::Conflict(_)) => true,
                    Err(_) => {
                        tokio::time::sleep(Duration::from_millis(50)).await;
                        false
                    }
                };
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

/// The relay of `inventory` lives in this process, with a task that can be ended in the middle of a publication.
async fn start_inventory(stage: &Stage, store: &Database) -> Kit {
    let kit = stage.kit(Peer::Inventory);
    let bus = services_kit::bus::of(&kit).await.unwrap();
    Relay::start(&kit, store.clone(), bus).unwrap();
    kit
}

pub(crate) async fn nothing_is_lost_and_nothing_done_twice_while_everybody_dies(stage: &mut Stage) {
    stage.anew().await;
    let inventory_store = stage.store("inventory", &[]).await;
    let mut inventory = start_inventory(stage, &inventory_store).await;
    let orders = stage.kit(Peer::Orders);
    let orders_store = Database::of(&orders, ANSWERS).await.unwrap();
    let bus = services_kit::bus::of(&orders).await.unwrap();
    let _answers =
        Consumer::start(&orders, orders_store.clone(), Arc::clone(&bus), Answers).unwrap();

    let placing = tokio::spawn(place(inventory_store.clone()));
    let mut ledger = stage.ledger(Duration::from_millis(20));
    for _ in 0..DEATHS {
        tokio::time::sleep(Duration::from_millis(700)).await;
        drop(ledger);
        ledger = stage.ledger(Duration::from_millis(20));
        inventory.stopping().cancel();
        inventory = start_inventory(stage, &inventory_store).await;
        tokio::time::sleep(Duration::from_millis(300)).await;
        tokio::task::block_in_place(|| die_and_come_back(stage));
    }
    placing.await.unwrap();
    drop(ledger);
    let _ledger = stage.ledger(Duration::ZERO);

    let all = Some(ACCOUNTS * BOOKINGS);
    let (orders_store, inventory_store) = (&orders_store, &inventory_store);
    until("every answer came", || async move {
        number(orders_store, "SELECT COUNT(*) FROM answers").await == all
    })
    .await;
    let ledger_store = stage.store("payments", LEDGER).await;
    for store in [&ledger_store, orders_store] {
        let letters = "SELECT reason || ': ' || body FROM dead_letters";
        let letters: Vec<String> =
            sqlx::query_scalar(letters).fetch_all(store.pool()).await.unwrap();
        assert!(letters.is_empty(), "{letters:#?}");
    }
    for (store, sql, expected) in [
        (&ledger_store, "SELECT COUNT(*) FROM bookings", all),
        (&ledger_store, "SELECT CAST(SUM(booked) AS BIGINT) FROM accounts", all),
        (&ledger_store, "SELECT CAST(SUM(misordered) AS BIGINT) FROM accounts", Some(0)),
        (&ledger_store, "SELECT COUNT(*) FROM outbox", all),
        (inventory_store, "SELECT COUNT(*) FROM outbox", all),
        (inventory_store, "SELECT COUNT(*) FROM outbox WHERE published_at IS NULL", Some(0)),
    ] {
        until(sql, || async move { number(store, sql).await == expected }).await;
    }
    orders.stopping().cancel();
    inventory.stopping().cancel();
}

fn die_and_come_back(stage: &mut Stage) {
    for engine in [&mut stage.rabbitmq, &mut stage.postgres].into_iter().flatten() {
        engine.kill();
        engine.start().unwrap();
    }
}
