//! Answers from the catalogue, kept for a moment; and for longer in case the catalogue does not answer.

use std::time::Duration;

use axum::body::Bytes;
use services_kit::ApiError;
use services_kit::cache::Cache;

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

    /// The answer for `key` at `now`, in unix milliseconds, made by `ask` if there is no fresh one. When that fails –
    /// not when it is refused – an older answer is better than none.
    pub(crate) async fn get<F>(
        &self,
        key: &str,
        now: i64,
        ask: impl FnOnce() -> F,
    ) -> Result<Bytes, ApiError>
    where
        F: Future<Output = Result<Bytes, ApiError>>,
    {
        let key = format!("answer:{key}");
        let kept = self.0.get(&key).await.as_ref().and_then(dated);
        let kept = match kept {
            Some((at, answer)) if (0..FRESH).contains(&(now - at)) => return Ok(answer),
            kept => kept,
        };
        match (ask().await, kept) {
            (Ok(answer), _) => {
                let kept = [now.to_string().as_bytes(), b" ", &answer].concat();
                self.0.set(&key, kept, KEPT).await;
                Ok(answer)
            }
            (Err(error), Some((_, answer))) if error.status().is_server_error() => Ok(answer),
            (Err(error), _) => Err(error),
        }
    }
}

/// When a kept answer was made, and the answer. Nothing is copied: answers are most of what the gateway moves.
fn dated(kept: &Bytes) -> Option<(i64, Bytes)> {
    let end = kept.iter().position(|byte| *byte == b' ')?;
    let at = str::from_utf8(&kept[..end]).ok()?.parse().ok()?;
    Some((at, kept.slice(end + 1..)))
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use services_kit::{Kit, Options, Peer};

    use super::*;

    const NOW: i64 = 1_800_000_000_000;

    fn answers() -> Answers {
        let key = Some("k".repeat(32).into());
        let options = Options { internal_key: key, ..Options::on_free_ports().unwrap() };
        Answers::new(Cache::of(&Kit::new(Peer::Gateway, options).unwrap()).unwrap())
    }

    #[tokio::test]
    async fn an_answer_is_kept_while_it_is_fresh_and_for_each_address() {
        let (answers, asked) = (answers(), Cell::new(0));
        let get = async |key: &str, now: i64| {
            let ask = || {
                asked.set(asked.get() + 1);
                let answer = Bytes::from(asked.get().to_string());
                async move { Ok(answer) }
            };
            answers.get(key, now, ask).await.unwrap()
        };
        assert_eq!(get("/a", NOW).await, "1");
        assert_eq!(get("/a", NOW + FRESH - 1).await, "1");
        assert_eq!(get("/b", NOW).await, "2");
        assert_eq!(get("/a", NOW + FRESH).await, "3");
        // A clock that was set back makes nothing fresh for long.
        assert_eq!(get("/a", NOW).await, "4");
    }

    #[tokio::test]
    async fn an_old_answer_stands_for_one_that_failed_but_not_for_a_refusal() {
        let answers = answers();
        let failed = || async { Err(ApiError::unavailable("away")) };
        assert!(answers.get("/a", NOW, failed).await.is_err());
        answers.get("/a", NOW, || async { Ok("old".into()) }).await.unwrap();
        let late = NOW + 100 * FRESH;
        assert_eq!(answers.get("/a", late, failed).await.unwrap(), "old");
        let refused = || async { Err(ApiError::not_found("gone")) };
        assert_eq!(answers.get("/a", late, refused).await.unwrap_err().status().as_u16(), 404);
    }
}
