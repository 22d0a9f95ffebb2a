//! Stand-ins for Alertmanager, Loki and a webhook: they note when the first byte of a report came, and answer or hang.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};

/// A report is a few kilobytes.
const MAX_BODY: u64 = 4 << 20;
const MAX_LINE: u64 = 16 << 10;
const MAX_HEADERS: usize = 100;
const TAKEN: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

/// What a receiver does with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Manner {
    /// Takes it and says so at once.
    Answers,
    /// Accepts the connection, reads the request, and never answers.
    Hangs,
}

/// When the first report on each target came to each sink.
#[derive(Debug, Clone)]
pub(super) struct Arrivals(Arc<Noted>);

#[derive(Debug)]
struct Noted {
    targets: Vec<String>,
    first: Mutex<BTreeMap<(&'static str, usize), f64>>,
}

impl Arrivals {
    /// Of reports on these targets. A name must not be part of anything else in a report.
    pub(super) fn of(targets: Vec<String>) -> Self {
        Self(Arc::new(Noted { targets, first: Mutex::default() }))
    }

    /// A report came, at `at` in Unix seconds. Loki's body is compressed with snappy, which writes as it is what it
    /// sees for the first time: a name that looks like nothing else can be found in it too.
    pub(super) fn note(&self, sink: &'static str, at: f64, body: &[u8]) {
        let names = self.0.targets.iter().enumerate();
        let told = names.filter(|(_, name)| contains(body, name.as_bytes()));
        for (target, _) in told {
            self.first().entry((sink, target)).or_insert(at);
        }
    }

    /// When the first report on a target came to a sink, in Unix seconds.
    pub(super) fn at(&self, sink: &'static str, target: usize) -> Option<f64> {
        self.first().get(&(sink, target)).copied()
    }

    fn first(&self) -> MutexGuard<'_, BTreeMap<(&'static str, usize), f64>> {
        self.0.first.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One receiver; it stops when dropped.
#[derive(Debug)]
pub(super) struct Receiver {
    pub(super) addr: SocketAddr,
    stopped: Arc<AtomicBool>,
}

impl Receiver {
    /// Listens on a free port of the loopback interface. A thread per connection, of which a watchdog has few.
    pub(super) fn start(sink: &'static str, manner: Manner, arrivals: &Arrivals) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let addr = listener.local_addr()?;
        let stopped = Arc::new(AtomicBool::new(false));
        let (until, arrivals) = (Arc::clone(&stopped), arrivals.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if until.load(Ordering::Acquire) {
                    break;
                }
                let arrivals = arrivals.clone();
                // A connection that breaks is the watchdog's to notice: a report that does not arrive is counted.
                std::thread::spawn(move || serve(stream, sink, manner, &arrivals).ok());
            }
        });
        Ok(Self { addr, stopped })
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Release);
        // Wakes the thread that accepts.
        TcpStream::connect(self.addr).ok();
    }
}

/// Serves a connection until the other side closes it.
fn serve(stream: TcpStream, sink: &'static str, manner: Manner, to: &Arrivals) -> Result<()> {
    let mut reader = BufReader::new(stream);
    while let Some((at, body)) = request(&mut reader)? {
        to.note(sink, at, &body);
        match manner {
            Manner::Answers => reader.get_mut().write_all(TAKEN)?,
            Manner::Hangs => {
                std::io::copy(&mut reader, &mut std::io::sink())?;
            }
        }
    }
    Ok(())
}

/// The next request's first byte's time and its body; `None` at the connection's end.
fn request(from: &mut impl BufRead) -> Result<Option<(f64, Vec<u8>)>> {
    if from.fill_buf()?.is_empty() {
        return Ok(None);
    }
    let at = unix_now();
    let mut length = 0;
    for _ in 0..MAX_HEADERS {
        let mut line = String::new();
        from.take(MAX_LINE).read_line(&mut line)?;
        ensure!(line.ends_with('\n'), "the head ends early, or a line is too long");
        let Some((name, value)) = line.split_once(':') else {
            if line.trim().is_empty() {
                break;
            }
            continue;
        };
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse().context("Content-Length")?;
        }
    }
    ensure!(length <= MAX_BODY, "{length} bytes are no report");
    let mut body = vec![0; usize::try_from(length)?];
    from.read_exact(&mut body)?;
    Ok(Some((at, body)))
}

fn contains(body: &[u8], name: &[u8]) -> bool {
    !name.is_empty() && body.windows(name.len()).any(|window| window == name)
}

fn unix_now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn arrivals() -> Arrivals {
        Arrivals::of(vec!["q00z".into(), "q01z".into()])
    }

    fn post(stream: &mut TcpStream, body: &str) {
        let length = body.len();
        write!(stream, "POST / HTTP/1.1\r\ncontent-length: {length}\r\n\r\n{body}").expect("sent");
    }

    #[test]
    fn a_receiver_answers_each_request_and_keeps_the_time_of_the_first_on_a_target() {
        let arrivals = arrivals();
        let receiver = Receiver::start("loki", Manner::Answers, &arrivals).expect("started");
        let mut stream = TcpStream::connect(receiver.addr).expect("connected");
        let mut times = Vec::new();
        for _ in 0..2 {
            post(&mut stream, "{target=\"q01z\"}");
            let mut answer = vec![0; TAKEN.len()];
            stream.read_exact(&mut answer).expect("an answer");
            assert_eq!(answer, TAKEN);
            times.push(arrivals.at("loki", 1).expect("noted"));
        }
        assert_eq!(times[0], times[1]);
        assert!(arrivals.at("loki", 0).is_none() && arrivals.at("webhook", 1).is_none());
    }

    #[test]
    fn one_that_hangs_takes_the_request_and_says_nothing() {
        let arrivals = arrivals();
        let receiver = Receiver::start("webhook", Manner::Hangs, &arrivals).expect("started");
        let mut stream = TcpStream::connect(receiver.addr).expect("connected");
        post(&mut stream, "q00z");
        stream.set_read_timeout(Some(Duration::from_millis(200))).expect("set");
        assert!(stream.read(&mut [0; 1]).is_err(), "it answers or closes the connection");
        assert!(arrivals.at("webhook", 0).is_some());
    }

    #[test]
    fn the_time_is_of_the_first_byte_and_the_connections_end_is_no_request() {
        let mut text = b"POST /x HTTP/1.1\r\nContent-Length: 2\r\nA: b\r\n\r\nhi".as_slice();
        let (at, body) = request(&mut text).expect("parsed").expect("a request");
        assert!(at > 1e9 && at <= unix_now() && body == b"hi");
        assert!(request(&mut text).expect("the end").is_none());
        assert!(
            request(&mut b"POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\nhi".as_slice()).is_err()
        );
    }
}
