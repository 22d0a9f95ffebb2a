//! Notifications: what customers are told about their orders.
//!
//! | request | answer |
//! |---|---|
//! | `GET /mailbox?cursor=&limit=` | the customer's messages, newest first |
//! | `POST /mailbox/{id}/read` | one of them is read |
//!
//! Messages come from events alone: `order.paid`, `order.cancelled` and `payment.refunded`, see [`notices`]. Each is in
//! the mailbox with the event's transaction; with `SHOP_SMTP_URL` it is also sent by mail, see [`mail`], which may take
//! longer and never holds up an order.

mod api;
pub mod bulletin;
mod letter;
pub mod mail;
mod mailbox;
pub mod notices;

use services_kit::inbox::Consumer;
use services_kit::outbox::Relay;
use services_kit::store::{Database, Migration};
use services_kit::{Kit, Service, bus};

use crate::bulletin::ForgottenSubscriber;
use crate::mail::Mail;
pub use crate::mail::MailOptions;
use crate::notices::Notices;

/// The schema of the store.
pub const MIGRATIONS: &[Migration] = &[Migration {
    version: 100,
    name: "notifications",
    sql: include_str!("../migrations/100_notifications.sql"),
}];

/// The service with its fault, ready to start.
///
/// # Errors
/// When its store or the bus cannot be opened, or the options of mail make no sense.
pub async fn service(kit: Kit, options: MailOptions) -> anyhow::Result<Service> {
    let store = Database::of(&kit, MIGRATIONS).await?;
    let bus = bus::of(&kit).await?;
    Relay::start(&kit, store.clone(), bus.clone())?;
    let mail = Mail::of(&options, kit.registry(), store.clone())?;
    let notices = Notices::register(kit.registry(), mail.as_ref().map(Mail::wake))?;
    if let Some(mail) = mail {
        kit.spawn("mail", mail.run(kit.stopping().clone()));
    }
    let consumer = Consumer::start(&kit, store.clone(), bus, notices)?;
    Ok(Service::new(kit, api::routes(store))
        .admin(consumer.routes())
        .fault("forgotten-subscriber", ForgottenSubscriber::default()))
}
