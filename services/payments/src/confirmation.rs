//! Tasks that wait for confirmations, injected as a fault: each holds the statement it wants to see confirmed, and
//! nothing ever ends the wait. What was forgotten is the time-out.

use services_kit::Fault;
use services_kit::faults::{PIECE_BYTES, pieces, written};

/// One statement.
pub const STATEMENT_BYTES: usize = PIECE_BYTES;

/// Fault `stuck-tasks`: starts a task for each confirmation that never comes.
pub struct StuckTasks {
    statement: Box<[u8]>,
}

impl Default for StuckTasks {
    fn default() -> Self {
        Self { statement: written(STATEMENT_BYTES) }
    }
}

impl Fault for StuckTasks {
    fn take(&mut self, budget: u64) -> u64 {
        pieces(budget, STATEMENT_BYTES, || await_confirmation(&self.statement))
    }
}

/// Starts a task that keeps a statement until it is confirmed, which it never is: this is the leak, and the function a
/// report must name. Not inlined, so that it is a frame of its own in every build. Needs a runtime.
#[inline(never)]
pub fn await_confirmation(statement: &[u8]) {
    let statement: Box<[u8]> = Box::from(statement);
    tokio::spawn(async move {
        std::future::pending::<()>().await;
        drop(statement);
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn each_whole_statement_of_the_budget_is_a_task_that_does_not_end() {
        let statement = STATEMENT_BYTES as u64;
        let mut fault = StuckTasks::default();
        assert_eq!(fault.take(10 * statement + 1), 10 * statement);
        assert_eq!(fault.take(statement - 1), 0);
        tokio::task::yield_now().await;
        assert_eq!(tokio::runtime::Handle::current().metrics().num_alive_tasks(), 10);
    }
}
