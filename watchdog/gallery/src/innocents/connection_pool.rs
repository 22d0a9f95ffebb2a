//! A pool opens connections as the load asks for them, up to as many as are ever needed, and keeps them.

use super::innocent;
use crate::catalogue::Entry;
use crate::drive::Program;
use crate::traffic::Request;

/// The truth about it.
pub(crate) const ENTRY: Entry = innocent(
    "connection-pool",
    "A pool grows with the load to as many connections as are needed, and stays.",
    || Ok(Box::new(Pool::default())),
);

/// As many as are ever in use at one time.
const NEEDED: usize = 48;

/// Requests between two rises of the load.
const STEP: u64 = 300;

/// Bytes of a connection's buffer.
const BUFFER: usize = 512 << 10;

struct Connection {
    buffer: Vec<u8>,
    used: u64,
}

impl Connection {
    fn open() -> Self {
        Self { buffer: vec![1; BUFFER], used: 0 }
    }

    fn send(&mut self, body: &[u8]) -> usize {
        self.used += 1;
        let answer: Vec<u8> =
            self.buffer.iter().zip(body).map(|(a, b)| a.wrapping_add(*b)).collect();
        answer.len()
    }
}

#[derive(Default)]
struct Pool {
    connections: Vec<Connection>,
    requests: u64,
}

impl Program for Pool {
    fn handle(&mut self, request: &Request) -> usize {
        self.requests += 1;
        let in_use = (1 + (self.requests / STEP) as usize).min(NEEDED);
        if self.connections.len() < in_use {
            self.connections.push(Connection::open());
        }
        let turn = request.id as usize % self.connections.len().max(1);
        self.connections.get_mut(turn).map_or(0, |connection| connection.send(&request.body))
    }
}
