//! How often a password may be guessed.

use std::time::Duration;

use ring::digest::{SHA256, digest};
use services_kit::ApiError;
use services_kit::cache::Cache;

use crate::sessions::hex;

/// Wrong passwords for one account within [`WINDOW`]. A person needs a few; at this pace, guessing the worst thousand
/// passwords takes a day.
const MOST: u64 = 10;

/// The time over which they are counted.
const WINDOW: Duration = Duration::from_secs(15 * 60);

/// Counts tries by account, whether it exists or not: the answer must not tell.
#[derive(Clone)]
pub(crate) struct Tries(Cache);

impl Tries {
    pub(crate) fn new(cache: Cache) -> Self {
        Self(cache)
    }

    /// Counts a try before it is made, so that many at once do not slip through.
    pub(crate) async fn begin(&self, account: &str) -> Result<Try<'_>, ApiError> {
        // Hashed: an address is nobody's business, and a key is to be short.
        let key = format!("tries:{}", hex(digest(&SHA256, account.as_bytes()).as_ref()));
        if self.0.count(&key, WINDOW).await > MOST {
            let minutes = WINDOW.as_secs() / 60;
            let message =
                format!("too many wrong passwords; try again in {minutes} minutes at the latest");
            return Err(ApiError::too_many_requests(message)
                .code("too_many_tries")
                .retry_after(WINDOW.as_secs() as u32));
        }
        Ok(Try { cache: &self.0, key })
    }
}

/// A try that counts unless it succeeds.
pub(crate) struct Try<'a> {
    cache: &'a Cache,
    key: String,
}

impl Try<'_> {
    /// The password was right: earlier mistakes are forgotten.
    pub(crate) async fn succeeded(self) {
        self.cache.delete(&self.key).await;
    }
}
