//! HTTP/1.1 over a plain socket: as much as talking to our own programs and to Prometheus needs.
//!
//! No client crate: this is built before everything else. Every exchange has one deadline and a bounded answer.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

/// A heap profile with its mappings is a few megabytes; nothing we ask for is larger than this.
const MAX_BODY: u64 = 64 * 1024 * 1024;
/// Longest line of a head that is read; also what bounds a chunk's length line.
const MAX_LINE: u64 = 16 * 1024;
const MAX_HEADERS: usize = 100;
const DEADLINE: Duration = Duration::from_secs(10);

/// Reads `path` and returns the status and the body.
pub(crate) fn get(addr: SocketAddr, path: &str) -> Result<(u16, Vec<u8>)> {
    exchange(addr, "GET", path, &[], DEADLINE)
}

/// Puts a JSON document at `path` and returns the status and the body.
pub(crate) fn put_json(
    addr: SocketAddr,
    path: &str,
    body: &serde_json::Value,
) -> Result<(u16, Vec<u8>)> {
    exchange(addr, "PUT", path, &serde_json::to_vec(body)?, DEADLINE)
}

/// Percent-encodes a query parameter's value.
pub(crate) fn encode(value: &str) -> String {
    value
        .bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                char::from(byte).to_string()
            }
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

fn exchange(
    addr: SocketAddr,
    method: &str,
    path: &str,
    body: &[u8],
    deadline: Duration,
) -> Result<(u16, Vec<u8>)> {
    let until = Instant::now() + deadline;
    attempt(addr, method, path, body, until)
        .with_context(|| format!("{method} http://{addr}{path}"))
}

fn attempt(
    addr: SocketAddr,
    method: &str,
    path: &str,
    body: &[u8],
    until: Instant,
) -> Result<(u16, Vec<u8>)> {
    let mut stream = TcpStream::connect_timeout(&addr, left(until)?)?;
    stream.set_write_timeout(Some(left(until)?))?;
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: {addr}\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(&[head.as_bytes(), body].concat())?;
    answer(&mut BufReader::new(Bounded { stream, until }))
}

fn answer(from: &mut impl BufRead) -> Result<(u16, Vec<u8>)> {
    let status_line = line(from)?;
    let status = status_line
        .strip_prefix("HTTP/1.")
        .and_then(|rest| rest.split(' ').nth(1))
        .and_then(|code| code.parse().ok())
        .with_context(|| format!("not an HTTP status line: {status_line:?}"))?;
    let framing = framing(from)?;
    let mut body = Vec::new();
    match framing {
        _ if status == 204 || status == 304 => {}
        Framing::Length(length) => {
            ensure!(length <= MAX_BODY, "the answer has {length} bytes, more than {MAX_BODY}");
            let read = from.take(length).read_to_end(&mut body)?;
            ensure!(u64::try_from(read)? == length, "cut short after {read} of {length} bytes");
        }
        Framing::Chunked => chunks(from, &mut body)?,
        Framing::UntilClosed => {
            from.take(MAX_BODY + 1).read_to_end(&mut body)?;
            ensure!(u64::try_from(body.len())? <= MAX_BODY, "the answer exceeds {MAX_BODY} bytes");
        }
    }
    Ok((status, body))
}

enum Framing {
    Length(u64),
    Chunked,
    UntilClosed,
}

fn framing(from: &mut impl BufRead) -> Result<Framing> {
    let mut framing = Framing::UntilClosed;
    for _ in 0..MAX_HEADERS {
        let header = line(from)?;
        let Some((name, value)) = header.split_once(':') else {
            ensure!(header.is_empty(), "not a header line: {header:?}");
            return Ok(framing);
        };
        match name.to_ascii_lowercase().as_str() {
            "transfer-encoding" if value.trim().eq_ignore_ascii_case("chunked") => {
                framing = Framing::Chunked;
            }
            "content-length" if !matches!(framing, Framing::Chunked) => {
                framing = Framing::Length(value.trim().parse().context("Content-Length")?);
            }
            _ => {}
        }
    }
    bail!("more than {MAX_HEADERS} headers")
}

fn chunks(from: &mut impl BufRead, body: &mut Vec<u8>) -> Result<()> {
    loop {
        let size_line = line(from)?;
        let digits = size_line.split(';').next().unwrap_or_default().trim();
        let size = u64::from_str_radix(digits, 16)
            .with_context(|| format!("not a chunk size: {size_line:?}"))?;
        let total = u64::try_from(body.len())?.saturating_add(size);
        ensure!(total <= MAX_BODY, "the answer exceeds {MAX_BODY} bytes");
        from.take(size).read_to_end(body)?;
        ensure!(u64::try_from(body.len())? == total, "cut short inside a chunk");
        // What follows the last chunk (trailers, an empty line) tells us nothing.
        if size == 0 {
            return Ok(());
        }
        ensure!(line(from)?.is_empty(), "a chunk is longer than it says");
    }
}

fn line(from: &mut impl BufRead) -> Result<String> {
    let mut line = String::new();
    from.take(MAX_LINE).read_line(&mut line)?;
    ensure!(line.ends_with('\n'), "the connection ended within the head, or a line is too long");
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

/// A socket whose every read gets only what is left of the whole exchange's time.
struct Bounded {
    stream: TcpStream,
    until: Instant,
}

impl Read for Bounded {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let left = left(self.until).map_err(std::io::Error::other)?;
        self.stream.set_read_timeout(Some(left))?;
        self.stream.read(into)
    }
}

fn left(until: Instant) -> Result<Duration> {
    let left = until.saturating_duration_since(Instant::now());
    ensure!(!left.is_zero(), "no answer within the deadline");
    Ok(left)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    fn parse(text: &str) -> Result<(u16, Vec<u8>)> {
        answer(&mut text.as_bytes())
    }

    #[test]
    fn a_body_with_a_length_ends_where_it_says() {
        let (status, body) = parse("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhixx").expect("ok");
        assert_eq!((status, body.as_slice()), (200, b"hi".as_slice()));
    }

    #[test]
    fn chunks_are_joined() {
        let text = "HTTP/1.1 503 No\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n3;x=y\r\n me\r\n0\r\n\r\n";
        assert_eq!(parse(text).expect("ok"), (503, b"hi me".to_vec()));
    }

    #[test]
    fn a_body_without_a_length_ends_with_the_connection() {
        assert_eq!(parse("HTTP/1.0 200 OK\r\n\r\nall").expect("ok").1, b"all");
    }

    #[test]
    fn a_body_cut_short_is_an_error_and_not_an_answer() {
        assert!(parse("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhi").is_err());
        assert!(parse("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhi").is_err());
    }

    #[test]
    fn garbage_and_endless_answers_are_refused() {
        assert!(parse("SSH-2.0-x\r\n").is_err());
        assert!(parse("HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n").is_err());
        assert!(
            parse("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffff\r\n").is_err()
        );
        assert!(parse(&format!("HTTP/1.1 200 OK\r\n{}", "a: b\r\n".repeat(200))).is_err());
    }

    #[test]
    fn a_document_that_is_put_arrives_with_its_length() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let addr = listener.local_addr().expect("bound");
        let server = thread::spawn(move || {
            let (stream, _) = listener.accept().expect("a client");
            let mut reader = BufReader::new(stream);
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                reader.read_until(b'\n', &mut head).expect("head");
            }
            let mut body = vec![0; 7];
            reader.read_exact(&mut body).expect("body");
            reader.get_mut().write_all(b"HTTP/1.1 204 No Content\r\n\r\n").expect("answer");
            (String::from_utf8(head).expect("text"), body)
        });
        let (status, _) = put_json(addr, "/x", &serde_json::json!({"a": 1})).expect("put");
        let (head, body) = server.join().expect("served");
        assert_eq!((status, body.as_slice()), (204, b"{\"a\":1}".as_slice()));
        assert!(head.starts_with("PUT /x HTTP/1.1\r\n") && head.contains("Content-Length: 7\r\n"));
    }

    #[test]
    fn a_server_that_never_answers_runs_into_the_deadline() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let addr = listener.local_addr().expect("bound");
        let error =
            exchange(addr, "GET", "/", &[], Duration::from_millis(50)).expect_err("no answer");
        assert!(error.to_string().contains(&format!("GET http://{addr}/")));
    }

    #[test]
    fn a_query_is_encoded_byte_by_byte() {
        assert_eq!(encode("a{b=~\"c\"}+1"), "a%7Bb%3D~%22c%22%7D%2B1");
    }
}
