//! Tasks that run at once, but those of one key one after the other.

use std::collections::HashMap;

use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::DRAIN;

#[derive(Default)]
pub(super) struct Keyed {
    tasks: JoinSet<(String, u64)>,
    /// The last task of each key, and how its end is heard of.
    last: HashMap<String, (u64, oneshot::Receiver<()>)>,
    next: u64,
}

impl Keyed {
    pub(super) fn len(&self) -> usize {
        self.tasks.len()
    }

    /// Runs a task once those of the same key that came before have ended, well or not.
    pub(super) fn spawn(&mut self, key: String, task: impl Future<Output = ()> + Send + 'static) {
        let number = self.next;
        self.next += 1;
        let (end, ended) = oneshot::channel();
        let before = self.last.insert(key.clone(), (number, ended));
        self.tasks.spawn(async move {
            if let Some((_, before)) = before {
                // A dropped sender is an end as well.
                before.await.ok();
            }
            task.await;
            drop(end);
            (key, number)
        });
    }

    /// Waits for the next that ends; for ever when there is none.
    pub(super) async fn ended(&mut self) {
        match self.tasks.join_next().await {
            Some(Ok((key, number))) => {
                if self.last.get(&key).is_some_and(|(last, _)| *last == number) {
                    self.last.remove(&key);
                }
            }
            Some(Err(error)) => {
                tracing::error!(%error, "a delivery's task ended before its time");
                self.last.retain(|_, (_, end)| {
                    matches!(end.try_recv(), Err(oneshot::error::TryRecvError::Empty))
                });
            }
            None => std::future::pending().await,
        }
    }

    /// Gives all some time to end, then ends them.
    pub(super) async fn drain(mut self) {
        let all = async { while self.tasks.join_next().await.is_some() {} };
        timeout(DRAIN, all).await.ok();
        self.tasks.shutdown().await;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn one_key_keeps_its_order_and_others_do_not_wait_for_it() {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let mut keyed = Keyed::default();
        for (key, number, takes) in [("a", 1, 100), ("a", 2, 1), ("b", 3, 10), ("a", 4, 1)] {
            let seen = Arc::clone(&seen);
            keyed.spawn(key.to_owned(), async move {
                tokio::time::sleep(Duration::from_millis(takes)).await;
                seen.lock().unwrap().push(number);
            });
        }
        while keyed.len() > 0 {
            keyed.ended().await;
        }
        assert_eq!(*seen.lock().unwrap(), [3, 1, 2, 4]);
        assert!(keyed.last.is_empty());
    }

    #[tokio::test]
    async fn a_panic_ends_its_own_task_only() {
        let mut keyed = Keyed::default();
        let (done, came) = oneshot::channel();
        keyed.spawn("a".into(), async { panic!("on purpose") });
        keyed.spawn("a".into(), async move { done.send(()).unwrap() });
        keyed.ended().await;
        keyed.ended().await;
        came.await.unwrap();
        assert!(keyed.last.is_empty());
    }
}
