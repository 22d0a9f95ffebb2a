//! Answers from the catalogue, kept for a moment; and for longer in case the catalogue does not answer.

use std::time::Duration;

use services_kit::ApiError;
use services_kit::cache::Cache;
use services_kit::store::now_ms;

/// Milliseconds for which an answer is as good as a new one. What is in stock may differ for that long from what is
/// shown; the cart and the order look for themselves.
const FRESH: i64 = 2_000;

/// How long an answer is kept for the case that there is no new one.
const KEPT: Duration = Duration::from_secs(600);

/// The answers, each under the address it answers.
pub(crate) struct Answers(Cache);

impl Answers {
    pub(crate) fn new(cache: Cache) -> Self {
        Self(cache)
    }

    /// The answer for `key`, made by `ask` if there is no fresh one. When that fails – not when it is refused – an older
    /// answer is better than none.
    pub(crate) async fn get<F>(
        &self,
        key: &str,
        ask: impl FnOnce() -> F,
    ) -> Result<String, ApiError>
    where
        F: Future<Output = Result<String, ApiError>>,
    {
        let key = format!("answer:{key}");
        let kept = self.0.get(&key).await.and_then(|kept| {
            let (at, _) = kept.split_once(' ')?;
            Some((at.parse::<i64>().ok()?, at.len() + 1, kept))
        });
        if let Some((at, start, kept)) = &kept
            && (0..FRESH).contains(&(now_ms() - at))
        {
            return Ok(kept[*start..].to_owned());
        }
        match (ask().await, kept) {
            (Ok(answer), _) => {
                self.0.set(&key, &format!("{} {answer}", now_ms()), KEPT).await;
                Ok(answer)
            }
            (Err(error), Some((_, start, kept))) if error.status().is_server_error() => {
                Ok(kept[start..].to_owned())
            }
            (Err(error), _) => Err(error),
        }
    }
}
