//! Whoever is told: takes every HTTP request with a JSON body and remembers it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

const DEADLINE: Duration = Duration::from_secs(5);
/// A notification is a few kilobytes.
const MAX_BODY: u64 = 4 << 20;
const MAX_HEAD: u64 = 64 << 10;
const TAKEN: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";

/// One notification.
#[derive(Debug, Clone)]
pub(super) struct Told {
    pub(super) at: Instant,
    /// The path that was asked for.
    pub(super) path: String,
    pub(super) body: Value,
}

/// The receiver; it stops when dropped.
pub(super) struct Receiver {
    pub(super) addr: SocketAddr,
    told: Arc<Mutex<Vec<Told>>>,
    stopped: Arc<AtomicBool>,
}

impl Receiver {
    /// Listens on a free port of the loopback interface.
    pub(super) fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let addr = listener.local_addr()?;
        let told = Arc::new(Mutex::new(Vec::new()));
        let stopped = Arc::new(AtomicBool::new(false));
        let (record, until) = (Arc::clone(&told), Arc::clone(&stopped));
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if until.load(Ordering::Acquire) {
                    break;
                }
                // One after the other, in the order of their arrival. What is no notification is the sender's to
                // notice: it is not answered.
                let _ = take(stream, &record);
            }
        });
        Ok(Self { addr, told, stopped })
    }

    /// All until now, the first first.
    pub(super) fn told(&self) -> Vec<Told> {
        locked(&self.told).clone()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Release);
        // Wakes the thread that accepts.
        TcpStream::connect(self.addr).ok();
    }
}

fn locked(told: &Mutex<Vec<Told>>) -> MutexGuard<'_, Vec<Told>> {
    told.lock().unwrap_or_else(PoisonError::into_inner)
}

fn take(stream: TcpStream, record: &Mutex<Vec<Told>>) -> Result<()> {
    stream.set_read_timeout(Some(DEADLINE))?;
    stream.set_write_timeout(Some(DEADLINE))?;
    let mut stream = BufReader::new(stream);
    let told = read(&mut stream)?;
    // Before the answer: whoever has it may look.
    locked(record).push(told);
    stream.get_mut().write_all(TAKEN)?;
    Ok(())
}

fn read(from: &mut impl BufRead) -> Result<Told> {
    let mut head = from.take(MAX_HEAD);
    let mut line = String::new();
    head.read_line(&mut line)?;
    let path = line.split(' ').nth(1).context("no request line")?.to_owned();
    let mut length = 0;
    loop {
        line.clear();
        ensure!(head.read_line(&mut line)? > 0, "the request ends within its head");
        match line.trim_end().split_once(':') {
            Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                length = value.trim().parse().context("Content-Length")?;
            }
            Some(_) => {}
            None => break,
        }
    }
    ensure!(length <= MAX_BODY, "a body of {length} bytes");
    let mut body = Vec::new();
    from.take(length).read_to_end(&mut body)?;
    Ok(Told { at: Instant::now(), path, body: serde_json::from_slice(&body)? })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::http;

    #[test]
    fn what_is_told_is_remembered_with_its_path() {
        let receiver = Receiver::start().expect("a port");
        let (status, _) =
            http::put_json(receiver.addr, "/chat", &json!({ "a": 1 })).expect("taken");
        let told = receiver.told();
        assert_eq!((status, told.len()), (200, 1));
        assert_eq!((told[0].path.as_str(), &told[0].body), ("/chat", &json!({ "a": 1 })));
    }

    #[test]
    fn what_is_no_notification_is_not_remembered() {
        let receiver = Receiver::start().expect("a port");
        assert!(http::get(receiver.addr, "/").is_err());
        assert!(receiver.told().is_empty());
    }
}
