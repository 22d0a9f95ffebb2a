//! A task for each of a few shards lives as long as the service, and its state grows from await to await.

use tokio::sync::mpsc;

use crate::catalogue::{Entry, Expected, Language};
use crate::drive::Program;
use crate::traffic::Request;

/// The truth about it.
pub(crate) const ENTRY: Entry = Entry {
    name: "async-task",
    language: Language::Rust,
    leaks: true,
    what: "A task that never ends keeps all it has received in a local variable.",
    culprits: &[Expected { function: "follow_customers", file: "gallery/src/leaks/async_task.rs" }],
    make: Some(|| Ok(Box::new(Shards::start()))),
};

/// Enough that the driver's bursts of ten milliseconds fit.
const QUEUE: usize = 256;

struct Shards {
    shards: Vec<mpsc::Sender<(u64, String)>>,
}

impl Shards {
    fn start() -> Self {
        let shard = || {
            let (sender, receiver) = mpsc::channel(QUEUE);
            tokio::spawn(follow_customers(receiver));
            sender
        };
        Self { shards: (0..4).map(|_| shard()).collect() }
    }
}

impl Program for Shards {
    fn handle(&mut self, request: &Request) -> usize {
        let text = String::from_utf8_lossy(&request.body).into_owned();
        let size = text.len();
        let Some(shard) = self.shards.get(request.customer as usize % 4) else { return 0 };
        // A shard that is behind misses an event: it is told of the next.
        shard.try_send((request.customer, text)).map_or(0, |()| size)
    }
}

/// Marks what the customer looks at. The marks are meant for the end of the visit, which is never told.
async fn follow_customers(mut events: mpsc::Receiver<(u64, String)>) {
    let mut marks = Vec::new();
    while let Some((customer, text)) = events.recv().await {
        let mark = format!("{customer}: {}", text.to_uppercase());
        marks.push(mark);
        tokio::task::yield_now().await;
    }
}
