//! Payments: tokens for cards, one charge per order, refunds.
//!
//! | request | answer |
//! |---|---|
//! | `POST /tokens` `{"card_number", "expiry", "cvc", "holder"}` | a token that pays one order of this customer |
//! | `GET /payments/{order_id}` | what became of the payment of an order |
//!
//! Money moves by events alone: `stock.reserved` asks for a charge, `order.cancelled` gives it back, see [`charges`].
//! The provider is asked beside the events, see [`settlement`], so that one that is slow holds up no transaction.
//! Of a card, the last four digits are kept and what the provider gave for it.

mod api;
pub mod card;
pub mod charges;
pub mod confirmation;
pub mod provider;
pub mod settlement;
mod token;

use std::sync::Arc;

use services_kit::inbox::Consumer;
use services_kit::outbox::Relay;
use services_kit::store::{Database, Migration};
use services_kit::{Kit, Service, bus};

use crate::charges::Charges;
use crate::confirmation::StuckTasks;
use crate::provider::{Provider, TestProvider};
use crate::settlement::Settlement;

/// The schema of the store.
pub const MIGRATIONS: &[Migration] = &[Migration {
    version: 100,
    name: "payments",
    sql: include_str!("../migrations/100_payments.sql"),
}];

/// The service with its fault, ready to start, with the provider that takes test cards.
///
/// # Errors
/// When its store or the bus cannot be opened.
pub async fn service(kit: Kit) -> anyhow::Result<Service> {
    with_provider(kit, Arc::new(TestProvider)).await
}

/// The service with any provider.
///
/// # Errors
/// When its store or the bus cannot be opened.
pub async fn with_provider(kit: Kit, provider: Arc<dyn Provider>) -> anyhow::Result<Service> {
    let store = Database::of(&kit, MIGRATIONS).await?;
    let bus = bus::of(&kit).await?;
    Relay::start(&kit, store.clone(), bus.clone())?;
    let settlement = Settlement::register(kit.registry(), store.clone(), provider.clone())?;
    let charges = Charges::new(settlement.wake());
    kit.spawn("settlement", settlement.run(kit.stopping().clone()));
    kit.spawn("token sweep", token::sweep(store.clone(), kit.stopping().clone()));
    let consumer = Consumer::start(&kit, store.clone(), bus, charges)?;
    Ok(Service::new(kit, api::routes(store, provider))
        .admin(consumer.routes())
        .fault("stuck-tasks", StuckTasks::default()))
}
