//! The load of one target: its request counter, read beside sampling, and the rate that samples carry.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use watchdog_collect::requests::{INTERVAL, Rate, RequestsClient};
use watchdog_core::units::Moment;

use super::{Watcher, jobs};
use crate::context::lock;

/// What is known of the load.
pub(super) struct Load {
    client: Option<Arc<RequestsClient>>,
    rate: Rate,
    asking: bool,
    next: Instant,
    /// The last reading failed, and that was said.
    failing: bool,
}

impl Load {
    pub(super) fn new(client: Option<RequestsClient>) -> Self {
        Self {
            client: client.map(Arc::new),
            rate: Rate::default(),
            asking: false,
            next: Instant::now(),
            failing: false,
        }
    }

    /// Requests a second now, where they are known.
    pub(super) fn at(&self, now: Moment) -> Option<f64> {
        self.rate.at(now)
    }

    /// Waits until the counter is to be read; without one, for ever.
    pub(super) async fn due(&self) {
        if self.client.is_none() || self.asking {
            return std::future::pending().await;
        }
        tokio::time::sleep_until(self.next).await;
    }

    /// The reading under way will not come.
    pub(super) fn lost(&mut self) {
        self.asking = false;
    }
}

impl Watcher {
    pub(super) fn ask_requests(&mut self) {
        let Some(client) = self.load.client.clone() else { return };
        self.load.asking = true;
        self.load.next = Instant::now() + Duration::from_secs_f64(INTERVAL);
        let (at, _) = self.context.now();
        self.jobs.spawn(jobs::requests(client, at));
    }

    pub(super) fn requests_read(
        &mut self,
        at: Moment,
        took: Duration,
        result: Result<f64, String>,
    ) {
        self.load.asking = false;
        self.context.meter(|meters| meters.reads.requests.add(took));
        let mut status = lock(&self.slot.status);
        status.counter = Some(result.is_ok());
        match result {
            Ok(total) => {
                status.reads.requests.ok += 1;
                self.load.rate.read(at, total);
                self.load.failing = false;
            }
            Err(error) => {
                status.reads.requests.error += 1;
                if !std::mem::replace(&mut self.load.failing, true) {
                    tracing::warn!(target_name = %self.name, error, "the request counter cannot be read; the load is not known");
                }
            }
        }
    }
}
