//! Sessions: who is signed in, until when.
//!
//! A session's token is 32 random bytes in base64url. Here only its SHA-256 is kept: who reads the store cannot sign in
//! with it.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest::{SHA256, digest};
use ring::rand::{SecureRandom as _, SystemRandom};
use services_kit::ApiError;
use services_kit::store::{Database, StoreError, Tx};
use sqlx::Row as _;

const MINUTE: i64 = 60_000;
const DAY: i64 = 24 * 60 * MINUTE;

/// How long a token holds that nobody renews, in milliseconds.
pub const LIFETIME: i64 = 14 * DAY;

/// How long somebody stays signed in, however often the token is renewed.
pub const LONGEST: i64 = 60 * DAY;

/// From which age on a token should be renewed.
pub const STALE: i64 = DAY;

/// How long the old token holds beside the new one, for requests that are under way.
pub const GRACE: i64 = MINUTE;

/// Sessions of one customer; the oldest give way. A person has a few devices.
pub const MOST: i64 = 20;

/// A token, to be handed out once.
pub struct Token(String);

impl Token {
    /// Draws one.
    ///
    /// # Errors
    /// 500 without randomness.
    pub fn draw() -> Result<Self, ApiError> {
        let mut bytes = [0; 32];
        SystemRandom::new().fill(&mut bytes).map_err(ApiError::internal)?;
        Ok(Self(URL_SAFE_NO_PAD.encode(bytes)))
    }

    /// What is kept of it.
    pub fn hash(&self) -> String {
        hex(digest(&SHA256, self.0.as_bytes()).as_ref())
    }

    /// As it is handed out.
    pub fn into_text(self) -> String {
        self.0
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A session that holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Whose it is.
    pub customer: String,
    /// When they signed in, in unix milliseconds, like the others.
    pub signed_in_at: i64,
    /// When this token was made.
    pub issued_at: i64,
    /// When it ends.
    pub expires_at: i64,
}

impl Session {
    /// Whether the token is to be renewed.
    pub fn is_stale(&self, now: i64) -> bool {
        now - self.issued_at >= STALE && self.expires_at - now > GRACE
    }
}

/// The sessions.
#[derive(Clone)]
pub struct Sessions {
    store: Database,
}

impl Sessions {
    /// Those in the store.
    pub fn new(store: Database) -> Self {
        Self { store }
    }

    /// The session with that hash, if it holds at `now`.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn find(&self, hash: &str, now: i64) -> Result<Option<Session>, StoreError> {
        let row = sqlx::query(
            "SELECT customer_id, signed_in_at, issued_at, expires_at FROM sessions
             WHERE hash = $1 AND expires_at > $2",
        );
        let row = row.bind(hash).bind(now).fetch_optional(self.store.pool()).await?;
        row.map(|row| {
            Ok(Session {
                customer: row.try_get("customer_id")?,
                signed_in_at: row.try_get("signed_in_at")?,
                issued_at: row.try_get("issued_at")?,
                expires_at: row.try_get("expires_at")?,
            })
        })
        .transpose()
    }

    /// Signs in a customer whose password was `verified`; the time the session ends, or None if the password is another
    /// by now.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn open(
        &self,
        customer: &str,
        verified: &str,
        hash: &str,
        now: i64,
    ) -> Result<Option<i64>, StoreError> {
        self.store
            .transaction(|mut tx| async move {
                if held(&mut tx, customer).await?.as_deref() != Some(verified) {
                    return Ok(tx.done(None));
                }
                let expires = issue(&mut tx, customer, hash, now, now).await?;
                Ok::<_, StoreError>(tx.done(Some(expires)))
            })
            .await
    }

    /// A new token in place of an old one, which holds for [`GRACE`] more; the time the new one ends. None if the old
    /// one does not hold, or was renewed already.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn renew(
        &self,
        old: &str,
        hash: &str,
        now: i64,
    ) -> Result<Option<(Session, i64)>, StoreError> {
        let Some(session) = self.find(old, now).await? else { return Ok(None) };
        let session = &session;
        let expires = self
            .store
            .transaction(|mut tx| async move {
                held(&mut tx, &session.customer).await?;
                let shortened = sqlx::query(
                    "UPDATE sessions SET expires_at = $1 WHERE hash = $2 AND expires_at > $1",
                );
                let shortened =
                    shortened.bind(now + GRACE).bind(old).execute(tx.conn()).await?.rows_affected();
                if shortened == 0 {
                    return Ok(tx.done(None));
                }
                let since = session.signed_in_at;
                let expires = issue(&mut tx, &session.customer, hash, since, now).await?;
                Ok::<_, StoreError>(tx.done(Some(expires)))
            })
            .await?;
        Ok(expires.map(|expires| (session.clone(), expires)))
    }

    /// Ends a session; nothing happens if there is none.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn end(&self, hash: &str) -> Result<(), StoreError> {
        self.store
            .transaction(|mut tx| async move {
                let delete = sqlx::query("DELETE FROM sessions WHERE hash = $1");
                delete.bind(hash).execute(tx.conn()).await?;
                Ok::<_, StoreError>(tx.done(()))
            })
            .await
    }

    /// Removes those that have ended at `now`; how many.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn sweep(&self, now: i64) -> Result<u64, StoreError> {
        let sql = "DELETE FROM sessions WHERE hash IN (
                       SELECT hash FROM sessions WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2)";
        self.store.forget(sql, now).await
    }
}

/// A customer's password hash. It cannot change before the transaction ends: a session that is made meanwhile would
/// outlive a password change that ends all of them.
async fn held(tx: &mut Tx, customer: &str) -> Result<Option<String>, StoreError> {
    let sql = tx.pick(
        "SELECT password FROM customers WHERE id = $1",
        "SELECT password FROM customers WHERE id = $1 FOR SHARE",
    );
    let row = sqlx::query(sql).bind(customer).fetch_optional(tx.conn()).await?;
    Ok(row.map(|row| row.try_get("password")).transpose()?)
}

/// Adds a session and makes room for it; the time it ends.
pub(crate) async fn issue(
    tx: &mut Tx,
    customer: &str,
    hash: &str,
    signed_in_at: i64,
    now: i64,
) -> Result<i64, StoreError> {
    let expires = (now + LIFETIME).min(signed_in_at + LONGEST);
    let insert = sqlx::query(
        "INSERT INTO sessions (hash, customer_id, signed_in_at, issued_at, expires_at)
         VALUES ($1, $2, $3, $4, $5)",
    );
    let insert = insert.bind(hash).bind(customer).bind(signed_in_at).bind(now).bind(expires);
    insert.execute(tx.conn()).await?;
    let trim = sqlx::query(
        "DELETE FROM sessions WHERE hash IN (
             SELECT hash FROM sessions WHERE customer_id = $1 AND hash <> $2
             ORDER BY issued_at DESC, hash LIMIT 1000 OFFSET $3)",
    );
    trim.bind(customer).bind(hash).bind(MOST - 1).execute(tx.conn()).await?;
    Ok(expires)
}
