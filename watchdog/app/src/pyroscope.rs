//! Pushes each target's heap profile to Pyroscope, every so often.

use std::sync::Arc;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use tokio_util::sync::CancellationToken;
use watchdog_heap::pyroscope::{PushError, Pusher};
use watchdog_web::dumps::{Dumps as _, Format, Live, Rendered};

use crate::config::PyroscopeConfig;
use crate::context::{Context, lock};

/// Pushes until stopped.
pub struct Pushing {
    pusher: Pusher,
    interval: Duration,
    token: Option<SecretString>,
}

impl Pushing {
    /// The way to that server.
    ///
    /// # Errors
    /// When its address or token cannot be used.
    pub fn new(config: &PyroscopeConfig) -> Result<Self, PushError> {
        let token = config.token.as_ref().map(|token| token.expose_secret());
        let pusher = Pusher::new(&config.url, token, config.tenant.as_deref())?;
        Ok(Self { pusher, interval: config.interval, token: config.token.clone() })
    }

    /// Every interval one profile of every target that runs. A problem is said when it begins, not each time.
    pub async fn run(self, context: Arc<Context>, stop: CancellationToken) {
        let mut complained = None;
        while stop.run_until_cancelled(tokio::time::sleep(self.interval)).await.is_some() {
            let round = stop.run_until_cancelled(self.round(&context)).await;
            let problem = round.and_then(Result::err);
            if let Some(error) = problem.as_ref().filter(|_| problem != complained) {
                tracing::warn!(error, "heap profiles are not pushed to Pyroscope");
            }
            complained = problem;
        }
    }

    async fn round(&self, context: &Context) -> Result<(), String> {
        let mut outcome = Ok(());
        for (name, slot) in context.slots() {
            if !lock(&slot.status).up {
                continue;
            }
            if let Err(error) = self.push(context, name).await {
                outcome = Err(error);
            }
        }
        outcome
    }

    async fn push(&self, context: &Context, target: String) -> Result<(), String> {
        let wanted = Live { format: Format::Pprof, seconds: None, base: None };
        let profile = context.profile(target.clone(), wanted).await;
        let Rendered { bytes, .. } = profile.map_err(|error| format!("{target}: {error}"))?;
        let mut labels = vec![("service_name", target.as_str())];
        let places = ["POD_NAMESPACE", "POD_NAME"].map(std::env::var);
        let names = ["namespace", "pod"];
        let known = names.into_iter().zip(&places);
        labels.extend(known.filter_map(|(name, place)| Some((name, place.as_deref().ok()?))));
        let pushed = self.pusher.push(&labels, &bytes).await;
        pushed.map_err(|error| match &self.token {
            Some(token) => without_secret(&error.to_string(), token.expose_secret()),
            None => error.to_string(),
        })
    }
}

/// A server's refusal goes into the log, and it may repeat what it was sent: the secret is taken out, also its beginning
/// where the text was cut off in the middle of it.
fn without_secret(text: &str, secret: &str) -> String {
    const INSTEAD: &str = "(the token)";
    // Fewer bytes than these say nothing of it, and would be found in any text.
    const TELLING: usize = 4;
    let text = text.replace(secret, INSTEAD);
    let begun = |end: usize| secret.get(..end).and_then(|begin| text.strip_suffix(begin));
    match (TELLING..secret.len()).rev().find_map(begun) {
        Some(rest) => format!("{rest}{INSTEAD}"),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_that_repeats_the_token_is_told_without_it() {
        let told = without_secret("401: no `Bearer hunter22`, hunter22", "hunter22");
        assert_eq!(told, "401: no `Bearer (the token)`, (the token)");
        assert_eq!(without_secret("cut off: hunter", "hunter22"), "cut off: (the token)");
        assert_eq!(without_secret("a hunt for room", "hunter22"), "a hunt for room");
        assert_eq!(without_secret("500: busy", "hunter22"), "500: busy");
    }
}
