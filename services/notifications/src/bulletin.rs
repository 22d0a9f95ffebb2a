//! A bulletin for subscribers within the process, injected as a fault: one of them subscribed and never looks. Its
//! channel has no bound, so each message waits for it in memory.

use services_kit::Fault;
use services_kit::faults::{PIECE_BYTES, pieces, written};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// One message.
pub const MESSAGE_BYTES: usize = PIECE_BYTES;

/// Fault `forgotten-subscriber`: publishes to a channel that nobody drains.
pub struct ForgottenSubscriber {
    subscriber: UnboundedSender<Box<[u8]>>,
    forgotten: UnboundedReceiver<Box<[u8]>>,
    message: Box<[u8]>,
}

impl Default for ForgottenSubscriber {
    #[allow(
        clippy::disallowed_methods,
        reason = "a channel without a bound is what this fault is about"
    )]
    fn default() -> Self {
        let (subscriber, forgotten) = unbounded_channel();
        Self { subscriber, forgotten, message: written(MESSAGE_BYTES) }
    }
}

impl Fault for ForgottenSubscriber {
    fn take(&mut self, budget: u64) -> u64 {
        // Still there: were it dropped, the channel would be closed and nothing would wait in it.
        debug_assert!(!self.forgotten.is_closed());
        pieces(budget, MESSAGE_BYTES, || publish(&self.subscriber, &self.message))
    }
}

/// Puts a copy of a message into a subscriber's channel. When it is not drained, this is the leak, and the function a
/// report must name. Not inlined, so that it is a frame of its own in every build.
#[inline(never)]
pub fn publish(subscriber: &UnboundedSender<Box<[u8]>>, message: &[u8]) {
    // A subscriber that is gone wants nothing any more.
    let _ = subscriber.send(Box::from(message));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_whole_message_of_the_budget_waits_for_the_subscriber() {
        let message = MESSAGE_BYTES as u64;
        let mut fault = ForgottenSubscriber::default();
        assert_eq!(fault.take(10 * message + 1), 10 * message);
        assert_eq!(fault.take(message - 1), 0);
        assert_eq!(fault.forgotten.len(), 10);
    }
}
