//! Passwords: argon2id, a few at a time.

use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::Duration;

use anyhow::anyhow;
use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use services_kit::ApiError;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use uuid::Uuid;

/// How long to wait for a turn. Who waits longer is told to come back, before their request's deadline is over.
const PATIENCE: Duration = Duration::from_secs(3);

/// Hashes and verifies. Each takes 19 MiB for a moment (argon2id with m = 19 MiB, t = 2, p = 1, which OWASP's cheat
/// sheet on password storage asks for), so no more run at once than there are cores.
#[derive(Clone)]
pub struct Passwords {
    turns: Arc<Semaphore>,
    /// What the password of an unknown address is compared with, so that it takes as long as a known one's.
    decoy: Arc<str>,
}

impl Passwords {
    /// Ready to hash.
    ///
    /// # Errors
    /// When the system gives no randomness.
    pub async fn new() -> anyhow::Result<Self> {
        let random = Uuid::new_v4().to_string();
        let decoy = spawn_blocking(move || hashed(&random)).await?;
        let turns = available_parallelism().map_or(1, usize::from);
        Ok(Self {
            turns: Arc::new(Semaphore::new(turns)),
            decoy: decoy.map_err(|error| anyhow!("cannot hash a password: {error}"))?.into(),
        })
    }

    /// The hash to keep, with a salt of its own, in PHC form.
    ///
    /// # Errors
    /// 503 when too many wait; 500 without randomness.
    pub async fn hash(&self, password: String) -> Result<String, ApiError> {
        let hash = self.in_turn(move || hashed(&password)).await?;
        hash.map_err(ApiError::internal)
    }

    /// Whether the password is the one that was hashed; never, and after the same time, without a hash.
    ///
    /// # Errors
    /// 503 when too many wait; 500 when the hash is none.
    pub async fn verify(&self, password: String, hash: Option<&str>) -> Result<bool, ApiError> {
        let known = hash.is_some();
        let hash = hash.unwrap_or(&self.decoy).to_owned();
        let same = self.in_turn(move || {
            let hash = PasswordHash::new(&hash)?;
            Ok::<_, argon2::password_hash::phc::Error>(
                Argon2::default().verify_password(password.as_bytes(), &hash).is_ok(),
            )
        });
        let same = same.await?.map_err(ApiError::internal)?;
        Ok(same && known)
    }

    async fn in_turn<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, ApiError> {
        let turn = timeout(PATIENCE, self.turns.clone().acquire_owned()).await;
        let Ok(Ok(turn)) = turn else {
            let message = "too many people are signing in at this moment";
            return Err(ApiError::unavailable(message).retry_after(2));
        };
        let worked = spawn_blocking(move || {
            // Held until the work is done, also when nobody waits for it any more.
            let _turn: OwnedSemaphorePermit = turn;
            work()
        });
        worked.await.map_err(ApiError::internal)
    }
}

fn hashed(password: &str) -> Result<String, argon2::password_hash::Error> {
    Ok(Argon2::default().hash_password(password.as_bytes())?.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_password_is_known_again_and_no_other_is_and_nothing_fits_nobody() {
        let passwords = Passwords::new().await.unwrap();
        let hash = passwords.hash("correct horse".into()).await.unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert_ne!(hash, passwords.hash("correct horse".into()).await.unwrap());
        assert!(passwords.verify("correct horse".into(), Some(&hash)).await.unwrap());
        assert!(!passwords.verify("correct horsE".into(), Some(&hash)).await.unwrap());
        assert!(!passwords.verify("correct horse".into(), None).await.unwrap());
        assert!(passwords.verify("x".into(), Some("x")).await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_too_long_for_a_turn_is_told_to_come_back() {
        let decoy = "x".into();
        let passwords = Passwords { turns: Arc::new(Semaphore::new(0)), decoy };
        let refused = passwords.hash("correct horse".into()).await.unwrap_err();
        assert_eq!(refused.status().as_u16(), 503);
    }
}
