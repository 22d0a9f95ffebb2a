//! A visitor of the shop: requests one after the other over one connection that is kept, so that asking costs the machine next to
//! nothing.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

const DEADLINE: Duration = Duration::from_secs(10);
/// The cookie that says who it is; the shop has others.
const SESSION: &str = "shop_session=";
/// Of a head's line, and of a body.
const MOST_BYTES: u64 = 1 << 20;

/// A visitor of the shop, at its one door.
pub(crate) struct Visitor {
    door: SocketAddr,
    stream: BufReader<TcpStream>,
    cookie: String,
    csrf: String,
}

impl Visitor {
    /// Somebody whom nobody knows yet.
    pub(crate) fn visit(door: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect_timeout(&door, DEADLINE)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(DEADLINE))?;
        let (cookie, csrf) = (String::new(), String::new());
        Ok(Self { door, stream: BufReader::new(stream), cookie, csrf })
    }

    /// Opens an account and is signed in from then on.
    pub(crate) fn register(&mut self, email: &str) -> Result<()> {
        self.know_the_session()?;
        let account =
            json!({ "email": email, "name": "Ada Bench", "password": "correct horse battery" });
        self.ask("POST", "/api/register", "", Some(&account.to_string()), 201)?;
        // Another session has another token.
        self.know_the_session()
    }

    fn know_the_session(&mut self) -> Result<()> {
        let session: Value = serde_json::from_slice(&self.get("/api/session")?)?;
        let token = session["csrf_token"].as_str().context("a session without a token")?;
        self.csrf = token.to_owned();
        Ok(())
    }

    /// Reads what is at a path.
    pub(crate) fn get(&mut self, path: &str) -> Result<Vec<u8>> {
        self.ask("GET", path, "", None, 200)
    }

    /// Puts one piece of a product into the cart and orders what is in it with the provider's test card of that number.
    /// The same `key` orders once.
    pub(crate) fn order(&mut self, product: &str, card: &str, key: &str) -> Result<()> {
        let item = format!("/api/cart/items/{product}");
        self.ask("PUT", &item, "", Some(r#"{"quantity": 1}"#), 200)?;
        let checkout = json!({
            "payment": { "card_number": card, "expiry": "12/39", "cvc": "123", "holder": "Ada" },
            "address": {
                "street": "Long Lane 1",
                "city": "Vienna",
                "postcode": "1010",
                "country": "AT",
            },
        });
        let key = format!("Idempotency-Key: {key}\r\n");
        self.ask("POST", "/api/orders", &key, Some(&checkout.to_string()), 202)?;
        Ok(())
    }

    /// Makes a request, with more headers or none, that must be answered with `status`; the body.
    fn ask(
        &mut self,
        method: &str,
        path: &str,
        headers: &str,
        body: Option<&str>,
        status: u16,
    ) -> Result<Vec<u8>> {
        let (door, cookie, csrf, body) = (self.door, &self.cookie, &self.csrf, body.unwrap_or(""));
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {door}\r\nCookie: {cookie}\r\nX-CSRF-Token: {csrf}\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n{headers}\r\n{body}",
            body.len()
        );
        self.stream.get_mut().write_all(request.as_bytes())?;
        let (answered, answer) = self.answer().with_context(|| format!("{method} {path}"))?;
        if answered != status {
            bail!("{method} {path}: {answered} {}", String::from_utf8_lossy(&answer));
        }
        Ok(answer)
    }

    fn answer(&mut self) -> Result<(u16, Vec<u8>)> {
        let status = self.line()?;
        let status = status.split(' ').nth(1).and_then(|code| code.parse().ok());
        let status = status.context("no HTTP status line")?;
        let mut length = 0;
        loop {
            let line = self.line()?;
            let Some((name, value)) = line.split_once(": ") else { break };
            if name.eq_ignore_ascii_case("content-length") {
                length = value.parse()?;
            } else if name.eq_ignore_ascii_case("set-cookie") && value.starts_with(SESSION) {
                value.split(';').next().unwrap_or_default().clone_into(&mut self.cookie);
            }
        }
        ensure!(length <= MOST_BYTES, "an answer of {length} bytes");
        let mut body = vec![0; usize::try_from(length)?];
        self.stream.read_exact(&mut body)?;
        Ok((status, body))
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        (&mut self.stream).take(MOST_BYTES).read_line(&mut line)?;
        ensure!(line.ends_with('\n'), "the connection ended within a head");
        Ok(line.trim_end().to_owned())
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    const SIGNED_IN: &str = "200 OK\r\nSet-Cookie: shop_session=1; Path=/\r\nSet-Cookie: other=2";

    #[test]
    fn the_sessions_cookie_is_sent_back_over_the_same_connection_and_a_refusal_is_an_error() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let door = listener.local_addr().unwrap();
        let server = thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            let mut stream = BufReader::new(stream);
            let mut cookies = Vec::new();
            for head in [SIGNED_IN, "404 Not Found"] {
                loop {
                    let mut line = String::new();
                    stream.read_line(&mut line).unwrap();
                    if line.starts_with("Cookie") {
                        cookies.push(line.trim_end().to_owned());
                    }
                    if line == "\r\n" {
                        break;
                    }
                }
                let answer = format!("HTTP/1.1 {head}\r\nContent-Length: 2\r\n\r\nhi");
                stream.get_mut().write_all(answer.as_bytes()).unwrap();
            }
            cookies
        });
        let mut visitor = Visitor::visit(door).unwrap();
        assert_eq!(visitor.get("/a").unwrap(), b"hi");
        let refused = visitor.get("/b").unwrap_err().to_string();
        assert!(refused.contains("404 hi"), "{refused}");
        assert_eq!(server.join().unwrap(), ["Cookie:", "Cookie: shop_session=1"]);
    }
}
