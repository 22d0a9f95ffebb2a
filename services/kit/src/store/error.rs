//! What can go wrong with a store, by what the caller can do about it.

use sqlx::error::ErrorKind;

use crate::ApiError;

/// Why a store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A unique, foreign-key or check constraint says no; doing it again does not help.
    #[error("it conflicts with what is stored: {0}")]
    Conflict(String),
    /// Others change the same rows at the same time; doing it again does help, and [`super::Database::transaction`]
    /// has done so until now.
    #[error("others change the same at the same time: {0}")]
    Contended(String),
    /// The database does not answer; later it may. Whether a commit under way took place is unknown.
    #[error("the store does not answer: {0}")]
    Unavailable(String),
    /// The statement and the schema do not fit: our mistake.
    #[error("the store was asked what makes no sense: {0}")]
    Bug(#[source] sqlx::Error),
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        match &error {
            sqlx::Error::Database(inner) => match inner.kind() {
                ErrorKind::UniqueViolation
                | ErrorKind::ForeignKeyViolation
                | ErrorKind::CheckViolation
                | ErrorKind::ExclusionViolation => Self::Conflict(inner.message().to_owned()),
                _ => {
                    let code = inner.code().unwrap_or_default().into_owned();
                    by_code(&code, error)
                }
            },
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed
            | sqlx::Error::BeginFailed
            | sqlx::Error::Protocol(_) => Self::Unavailable(error.to_string()),
            _ => Self::Bug(error),
        }
    }
}

fn by_code(code: &str, error: sqlx::Error) -> StoreError {
    let text = error.to_string();
    match code {
        // Postgres: serialization failure, deadlock, lock time-out.
        "40001" | "40P01" | "55P03" => StoreError::Contended(text),
        // Postgres: connection exceptions, no resources, shutting down, starting up, read-only after a fail-over.
        code if code.len() == 5
            && ["08", "53", "57P"].iter().any(|class| code.starts_with(class)) =>
        {
            StoreError::Unavailable(text)
        }
        "25006" => StoreError::Unavailable(text),
        // SQLite's codes carry the primary one in the lowest byte: 5 busy, 6 locked; 10 I/O, 13 full, 14 cannot open.
        code => match code.parse::<u32>().map(|code| code & 0xff) {
            Ok(5 | 6) => StoreError::Contended(text),
            Ok(10 | 13 | 14) => StoreError::Unavailable(text),
            _ => StoreError::Bug(error),
        },
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Conflict(_) => Self::conflict("it conflicts with what is stored"),
            StoreError::Contended(_) => {
                tracing::warn!(%error, "a transaction was given up");
                Self::unavailable("many change the same at the same time; try again")
                    .code(super::contention::CODE)
                    .retry_after(1)
            }
            StoreError::Unavailable(_) => {
                tracing::warn!(%error, "the store failed a request");
                Self::unavailable("the store does not answer; try again").retry_after(1)
            }
            StoreError::Bug(_) => Self::internal(error),
        }
    }
}

/// For handlers that use `?` on a query. A missing row is to be asked for with `fetch_optional`.
impl From<sqlx::Error> for ApiError {
    fn from(error: sqlx::Error) -> Self {
        StoreError::from(error).into()
    }
}
