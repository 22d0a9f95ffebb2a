//! HTTP/1.1 over a plain socket: as much as asking our own programs needs.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

/// No answer takes longer; a dump of 100,000 stacks takes a second.
const PATIENCE: Duration = Duration::from_secs(60);
/// Largest answer that is kept: a list of incidents.
const MAX_BODY: u64 = 16 << 20;

/// A connection that is used again.
pub(crate) struct Connection(BufReader<TcpStream>);

impl Connection {
    /// Connects.
    pub(crate) fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect_timeout(&address, PATIENCE)
            .with_context(|| format!("connecting to {address}"))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        Ok(Self(BufReader::new(stream)))
    }

    /// Sends a request and reads all of its answer. What is read is handed on in pieces and not kept.
    pub(crate) fn exchange(
        &mut self,
        request: &str,
        mut each: impl FnMut(&[u8]) -> Result<()>,
    ) -> Result<u64> {
        self.0.get_mut().write_all(request.as_bytes())?;
        let (status, mut left) = self.head()?;
        if !status.split(' ').nth(1).is_some_and(|code| code.starts_with('2')) {
            let said = self.excerpt(left)?;
            bail!("the answer is {status}: {said}");
        }
        let length = left;
        while left > 0 {
            let piece = self.0.fill_buf()?;
            ensure!(!piece.is_empty(), "the answer was cut short, {left} bytes are missing");
            let now = usize::try_from(left).unwrap_or(usize::MAX).min(piece.len());
            each(&piece[..now])?;
            self.0.consume(now);
            left -= now as u64;
        }
        Ok(length)
    }

    /// The beginning of a body, for an error.
    fn excerpt(&mut self, length: u64) -> Result<String> {
        const MOST: u64 = 400;
        let mut said = Vec::new();
        (&mut self.0).take(length.min(MOST)).read_to_end(&mut said)?;
        Ok(String::from_utf8_lossy(&said).trim().to_owned())
    }

    /// Reads the head and returns the status line and the length of the body.
    fn head(&mut self) -> Result<(String, u64)> {
        let mut line = String::new();
        self.line(&mut line)?;
        let status = line.trim().to_owned();
        let mut length = None;
        loop {
            self.line(&mut line)?;
            let header = line.trim();
            if header.is_empty() {
                return Ok((status, length.context("an answer without its length")?));
            }
            if let Some((name, value)) = header.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = Some(value.trim().parse()?);
            }
        }
    }

    fn line(&mut self, line: &mut String) -> Result<()> {
        const MAX_LINE: u64 = 16 << 10;
        line.clear();
        (&mut self.0).take(MAX_LINE).read_line(line)?;
        ensure!(line.ends_with('\n'), "the connection ended within the answer's head");
        Ok(())
    }
}

/// The text of a request.
pub(crate) fn request(method: &str, address: SocketAddr, path: &str, body: &str) -> String {
    format!(
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// Asks once and returns the body.
pub(crate) fn ask(method: &str, address: SocketAddr, path: &str, body: &str) -> Result<Vec<u8>> {
    let mut all = Vec::new();
    let asked = request(method, address, path, body);
    let keep = |piece: &[u8]| {
        all.extend_from_slice(piece);
        ensure!(all.len() as u64 <= MAX_BODY, "an answer of more than {MAX_BODY} bytes");
        Ok(())
    };
    Connection::open(address)
        .and_then(|mut connection| connection.exchange(&asked, keep))
        .with_context(|| format!("{method} http://{address}{path}"))?;
    Ok(all)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    fn server(answers: &'static str) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut asked = [0; 4096];
            let read = stream.read(&mut asked).unwrap();
            assert!(read > 0);
            stream.write_all(answers.as_bytes()).unwrap();
        });
        address
    }

    #[test]
    fn an_answer_ends_where_its_length_says() {
        let address = server("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhiHTTP/1.1");
        assert_eq!(ask("GET", address, "/x", "").unwrap(), b"hi");
    }

    #[test]
    fn an_answer_that_is_an_error_or_cut_short_is_none() {
        for answer in [
            "HTTP/1.1 503 Busy\r\ncontent-length: 8\r\n\r\nnot /x so",
            "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhi",
            "HTTP/1.1 200 OK\r\n\r\nhi",
            "HTTP/1.1 200",
        ] {
            let error = ask("GET", server(answer), "/x", "").unwrap_err();
            assert!(error.to_string().contains("/x"), "{error:#}");
        }
    }
}
