//! Accounts in the store.

use services_kit::ApiError;
use services_kit::store::{Database, StoreError};
use sqlx::Row as _;
use sqlx::any::AnyRow;
use uuid::Uuid;

use crate::input::Address;
use crate::sessions::issue;

/// What is known of a customer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Never changes.
    pub id: Uuid,
    /// In lower case.
    pub email: String,
    /// As they write it.
    pub name: String,
    /// Where parcels go, if they said.
    pub address: Option<Address>,
    /// The password's hash.
    pub password: String,
}

/// What to change of an account; what is None stays.
#[derive(Clone, Debug, Default)]
pub struct Change {
    /// Another name.
    pub name: Option<String>,
    /// Another address, or none any more.
    pub address: Option<Option<Address>>,
}

/// The accounts.
#[derive(Clone)]
pub struct Accounts {
    store: Database,
}

impl Accounts {
    /// Those in the store.
    pub fn new(store: Database) -> Self {
        Self { store }
    }

    /// Adds an account, signed in with the session of that hash; the time the session ends.
    ///
    /// # Errors
    /// 409 `email_taken`; 503 when the store does not answer.
    pub async fn open(
        &self,
        account: &Account,
        session_hash: &str,
        now: i64,
    ) -> Result<i64, ApiError> {
        let id = &account.id.to_string();
        self.store
            .transaction(|mut tx| async move {
                let insert = sqlx::query(
                    "INSERT INTO customers (id, email, name, password, created_at)
                     VALUES ($1, $2, $3, $4, $5) ON CONFLICT (email) DO NOTHING",
                );
                let insert = insert.bind(id).bind(&account.email).bind(&account.name);
                let insert = insert.bind(&account.password).bind(now);
                if insert.execute(tx.conn()).await?.rows_affected() == 0 {
                    let message = "there is an account with this email address";
                    return Err(ApiError::conflict(message).code("email_taken"));
                }
                let expires = issue(&mut tx, id, session_hash, now, now).await?;
                Ok(tx.done(expires))
            })
            .await
    }

    /// The account with that address.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn with_email(&self, email: &str) -> Result<Option<Account>, StoreError> {
        let select = sqlx::query(
            "SELECT id, email, name, password, street, city, postcode, country FROM customers
             WHERE email = $1",
        );
        let row = select.bind(email).fetch_optional(self.store.pool()).await?;
        Ok(row.map(|row| account(&row)).transpose()?)
    }

    /// The account with that id.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn with_id(&self, id: &str) -> Result<Option<Account>, StoreError> {
        let select = sqlx::query(
            "SELECT id, email, name, password, street, city, postcode, country FROM customers
             WHERE id = $1",
        );
        let row = select.bind(id).fetch_optional(self.store.pool()).await?;
        Ok(row.map(|row| account(&row)).transpose()?)
    }

    /// Changes an account.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn change(&self, id: &str, change: &Change) -> Result<(), StoreError> {
        self.store
            .transaction(|mut tx| async move {
                if let Some(name) = &change.name {
                    let update = sqlx::query("UPDATE customers SET name = $1 WHERE id = $2");
                    update.bind(name).bind(id).execute(tx.conn()).await?;
                }
                if let Some(address) = &change.address {
                    let part = |part: fn(&Address) -> &str| address.as_ref().map(part);
                    let update = sqlx::query(
                        "UPDATE customers SET street = $1, city = $2, postcode = $3, country = $4
                         WHERE id = $5",
                    );
                    let update = update
                        .bind(part(|address| &address.street))
                        .bind(part(|address| &address.city))
                        .bind(part(|address| &address.postcode))
                        .bind(part(|address| &address.country));
                    update.bind(id).execute(tx.conn()).await?;
                }
                Ok::<_, StoreError>(tx.done(()))
            })
            .await
    }

    /// Replaces the password `verified` by another, ends all sessions and opens the one of that hash; the time it ends.
    /// None if the password was changed meanwhile.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn change_password(
        &self,
        account: &Account,
        password: &str,
        session_hash: &str,
        now: i64,
    ) -> Result<Option<i64>, StoreError> {
        let id = &account.id.to_string();
        self.store
            .transaction(|mut tx| async move {
                let update = sqlx::query(
                    "UPDATE customers SET password = $1 WHERE id = $2 AND password = $3",
                );
                let update = update.bind(password).bind(id).bind(&account.password);
                if update.execute(tx.conn()).await?.rows_affected() == 0 {
                    return Ok(tx.done(None));
                }
                let end = sqlx::query("DELETE FROM sessions WHERE customer_id = $1");
                end.bind(id).execute(tx.conn()).await?;
                let expires = issue(&mut tx, id, session_hash, now, now).await?;
                Ok::<_, StoreError>(tx.done(Some(expires)))
            })
            .await
    }
}

fn account(row: &AnyRow) -> Result<Account, sqlx::Error> {
    let id: String = row.try_get("id")?;
    let id = Uuid::try_parse(&id).map_err(|error| sqlx::Error::Decode(error.into()))?;
    let street: Option<String> = row.try_get("street")?;
    let address = match street {
        Some(street) => Some(Address {
            street,
            city: row.try_get("city")?,
            postcode: row.try_get("postcode")?,
            country: row.try_get("country")?,
        }),
        None => None,
    };
    Ok(Account {
        id,
        email: row.try_get("email")?,
        name: row.try_get("name")?,
        address,
        password: row.try_get("password")?,
    })
}
