//! Pushes each target's heap profile to Pyroscope, every so often.

use std::sync::Arc;
use std::time::Duration;

use secrecy::ExposeSecret;
use tokio_util::sync::CancellationToken;
use watchdog_heap::pyroscope::{PushError, Pusher};
use watchdog_web::dumps::{Dumps as _, Format, Live, Rendered};

use crate::config::PyroscopeConfig;
use crate::context::{Context, lock};

/// Pushes until stopped.
pub struct Pushing {
    pusher: Pusher,
    interval: Duration,
}

impl Pushing {
    /// The way to that server.
    ///
    /// # Errors
    /// When its address or token cannot be used.
    pub fn new(config: &PyroscopeConfig) -> Result<Self, PushError> {
        let token = config.token.as_ref().map(|token| token.expose_secret());
        let pusher = Pusher::new(&config.url, token, config.tenant.as_deref())?;
        Ok(Self { pusher, interval: config.interval })
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
        self.pusher.push(&labels, &bytes).await.map_err(|error| error.to_string())
    }
}
