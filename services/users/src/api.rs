//! The routes.

mod customers;
mod sessions;

use serde::Serialize;
use services_kit::ApiError;
use services_kit::openapi::{Api, routes as handlers};
use services_kit::store::now_ms;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::accounts::{Account, Accounts};
use crate::input::Address;
use crate::password::Passwords;
use crate::sessions::{Sessions, Token};
use crate::tries::Tries;

/// What the handlers share.
#[derive(Clone)]
pub(crate) struct Users {
    pub(crate) accounts: Accounts,
    pub(crate) sessions: Sessions,
    pub(crate) passwords: Passwords,
    pub(crate) tries: Tries,
}

pub(crate) fn routes(users: Users) -> Api {
    Api::new()
        .routes(handlers!(customers::register))
        .routes(handlers!(customers::profile, customers::change))
        .routes(handlers!(customers::password))
        .routes(handlers!(sessions::sign_in))
        .routes(handlers!(sessions::renew))
        .routes(handlers!(sessions::session, sessions::end))
        .with_state(users)
}

/// A customer.
#[derive(Serialize, ToSchema)]
struct CustomerView {
    /// Never changes.
    id: Uuid,
    /// In lower case.
    email: String,
    /// As they write it.
    name: String,
    /// Where parcels go, if they said.
    address: Option<Address>,
}

impl From<Account> for CustomerView {
    fn from(Account { id, email, name, address, .. }: Account) -> Self {
        Self { id, email, name, address }
    }
}

/// A session that was just opened.
#[derive(Serialize, ToSchema)]
struct Opened {
    /// What it is proved with. It is not told again.
    token: String,
    /// For how many seconds it holds.
    seconds: i64,
}

impl Opened {
    fn new(token: Token, expires: i64) -> Self {
        Self { token: token.into_text(), seconds: (expires - now_ms()).max(0) / 1000 }
    }
}

/// Somebody who is signed in by now.
#[derive(Serialize, ToSchema)]
struct SignedIn {
    customer: CustomerView,
    session: Opened,
}

/// What is said of an account that an identity names and the store does not know.
fn gone() -> ApiError {
    ApiError::not_found("there is no such customer")
}
