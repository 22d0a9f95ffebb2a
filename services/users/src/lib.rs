//! Users: who has an account, who is signed in, and where parcels go.
//!
//! | request | answer |
//! |---|---|
//! | `POST /customers` | a new account, signed in |
//! | `POST /sign-in` | the customer and a session |
//! | `GET`, `PATCH /customers/me` | name, email, address |
//! | `POST /customers/me/password` | another password; every other session ends |
//! | `POST /sessions` | a session in place of an older one |
//! | `GET`, `DELETE /sessions/{hash}` | whose it is; its end |
//!
//! What a session is proved with – its token – is drawn here, handed out once and kept as a hash. Passwords are kept as
//! argon2id.

pub mod accounts;
mod api;
pub mod input;
pub mod native;
pub mod password;
pub mod sessions;
mod tries;

use std::time::Duration;

use services_kit::cache::Cache;
use services_kit::store::{Database, Migration, now_ms};
use services_kit::{Kit, Service};
use tokio::time::interval;

use crate::accounts::Accounts;
use crate::api::Users;
use crate::native::NativeMmap;
use crate::password::Passwords;
use crate::sessions::Sessions;
use crate::tries::Tries;

/// The store's schema.
pub const MIGRATIONS: &[Migration] = &[Migration {
    version: 100,
    name: "customers and sessions",
    sql: include_str!("../migrations/100_users.sql"),
}];

/// How often sessions that have ended are removed. Nobody can use them before that either.
const SWEEP: Duration = Duration::from_secs(600);

/// The service with its fault, ready to start.
///
/// # Errors
/// When the store or the cache cannot be set up.
pub async fn service(kit: Kit) -> anyhow::Result<Service> {
    let store = Database::of(&kit, MIGRATIONS).await?;
    let sessions = Sessions::new(store.clone());
    let users = Users {
        accounts: Accounts::new(store),
        sessions: sessions.clone(),
        passwords: Passwords::new().await?,
        tries: Tries::new(Cache::of(&kit)?),
    };
    let stopping = kit.stopping().clone();
    kit.spawn("session sweep", async move {
        let mut ticks = interval(SWEEP);
        while stopping.run_until_cancelled(ticks.tick()).await.is_some() {
            if let Err(error) = sessions.sweep(now_ms()).await {
                tracing::warn!(%error, "sessions that have ended are still there");
            }
        }
    });
    Ok(Service::new(kit, api::routes(users)).fault("native-mmap", NativeMmap::default()))
}
