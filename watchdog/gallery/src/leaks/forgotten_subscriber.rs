//! Two parts of the service listen to orders; one of them was switched off and its channel is still sent to.

use tokio::sync::mpsc;

use crate::catalogue::{Entry, Expected, Language};
use crate::drive::Program;
use crate::traffic::Request;

/// The truth about it.
pub(crate) const ENTRY: Entry = Entry {
    name: "forgotten-subscriber",
    language: Language::Rust,
    leaks: true,
    what: "Events are sent into a channel that nobody reads any more.",
    culprits: &[Expected {
        function: "publish_event",
        file: "gallery/src/leaks/forgotten_subscriber.rs",
    }],
    make: Some(|| Ok(Box::new(Hub::new()))),
};

/// An order as subscribers see it.
struct Event {
    order: u64,
    payload: Vec<u8>,
}

/// Who is told of orders.
struct Hub {
    billing: mpsc::Receiver<Event>,
    to_billing: mpsc::Sender<Event>,
    /// Kept open by the settings page; its reader was removed with the feature.
    _recommendations: mpsc::UnboundedReceiver<Event>,
    to_recommendations: mpsc::UnboundedSender<Event>,
    billed: u64,
}

impl Hub {
    #[expect(clippy::disallowed_methods, reason = "a channel without a bound is the leak")]
    fn new() -> Self {
        let (to_billing, billing) = mpsc::channel(16);
        let (to_recommendations, recommendations) = mpsc::unbounded_channel();
        Self {
            billing,
            to_billing,
            _recommendations: recommendations,
            to_recommendations,
            billed: 0,
        }
    }

    fn publish_event(&self, request: &Request) {
        let order = request.id;
        // Who is too slow misses an event; who is gone does not want it.
        self.to_billing.try_send(Event { order, payload: request.body.clone() }).ok();
        self.to_recommendations.send(Event { order, payload: request.body.clone() }).ok();
    }

    /// What the good subscriber does: it reads, and what it has read is freed.
    fn bill(&mut self) {
        while let Ok(event) = self.billing.try_recv() {
            self.billed = self.billed.max(event.order) + u64::from(event.payload.is_empty());
        }
    }
}

impl Program for Hub {
    fn handle(&mut self, request: &Request) -> usize {
        self.publish_event(request);
        self.bill();
        request.body.len()
    }
}
