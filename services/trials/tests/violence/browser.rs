//! A browser: keeps the cookie, shows the token, and asks again where there was no answer.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use reqwest::{Client, Method};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

/// How long an answer is waited for, as the page does.
pub(crate) const PATIENCE: Duration = Duration::from_secs(15);

/// How often somebody tries again: for several minutes.
const TRIES: usize = 100;

/// No answer that says what was asked for.
#[derive(Clone, Debug)]
pub(crate) struct Refused {
    /// 0 when there was none at all.
    pub(crate) status: u16,
    pub(crate) code: String,
    message: String,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.status, self.code, self.message)
    }
}

impl Refused {
    /// Whether the request may have been served nevertheless, or may be later.
    pub(crate) fn is_open(&self) -> bool {
        matches!(self.status, 0 | 408 | 429 | 500..)
    }
}

/// Between one and three seconds, by the moment, so that not all come back at once.
fn pause() -> Duration {
    let moment = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Duration::from_millis(1000 + u64::from(moment.subsec_micros() % 2000))
}

#[derive(Clone)]
pub(crate) struct Browser {
    http: Client,
    door: String,
    /// How many requests of all browsers may be under way.
    turns: Arc<Semaphore>,
    cookie: String,
    csrf: String,
}

impl Browser {
    /// A browser whose user has an account and is signed in.
    pub(crate) async fn register(
        http: Client,
        door: String,
        turns: Arc<Semaphore>,
        email: &str,
    ) -> Result<Self, Refused> {
        let mut browser = Self { http, door, turns, cookie: String::new(), csrf: String::new() };
        browser.session().await?;
        let password = "correct horse battery";
        let new = json!({ "email": email, "name": "Ada Lovelace", "password": password });
        let known = json!({ "email": email, "password": password });
        let welcomed = match browser.answered(Method::POST, "/api/register", &new, None).await {
            // An account was made without an answer.
            Err(refused) if refused.code == "email_taken" => {
                browser.answered(Method::POST, "/api/sign-in", &known, None).await
            }
            welcomed => welcomed,
        };
        browser.cookie = welcomed?.1;
        browser.session().await?;
        Ok(browser)
    }

    async fn session(&mut self) -> Result<(), Refused> {
        let none = &Value::Null;
        let (session, cookie) = self.answered(Method::GET, "/api/session", none, None).await?;
        if !cookie.is_empty() {
            self.cookie = cookie;
        }
        self.csrf = session["csrf_token"].as_str().unwrap_or_default().to_owned();
        Ok(())
    }

    /// Asks once.
    pub(crate) async fn ask(
        &self,
        method: Method,
        path: &str,
        body: &Value,
        key: Option<&str>,
    ) -> Result<Value, Refused> {
        Ok(self.send(method, path, body, key).await?.0)
    }

    /// Asks until there is an answer.
    pub(crate) async fn insist(
        &self,
        method: Method,
        path: &str,
        body: &Value,
        key: Option<&str>,
    ) -> Result<Value, Refused> {
        Ok(self.answered(method, path, body, key).await?.0)
    }

    async fn answered(
        &self,
        method: Method,
        path: &str,
        body: &Value,
        key: Option<&str>,
    ) -> Result<(Value, String), Refused> {
        for _ in 0..TRIES {
            match self.send(method.clone(), path, body, key).await {
                Err(refused) if refused.is_open() => tokio::time::sleep(pause()).await,
                answer => return answer,
            }
        }
        panic!("{method} {path} was never answered");
    }

    /// The answer and the cookie that came with it, if one did.
    async fn send(
        &self,
        method: Method,
        path: &str,
        body: &Value,
        key: Option<&str>,
    ) -> Result<(Value, String), Refused> {
        let mut request = self.http.request(method.clone(), format!("{}{path}", self.door));
        request = request.header("cookie", &self.cookie);
        if method != Method::GET {
            request = request.header("x-csrf-token", &self.csrf).json(body);
        }
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        let silent = |error: reqwest::Error| Refused {
            status: 0,
            code: String::new(),
            message: error.to_string(),
        };
        let _turn = self.turns.acquire().await;
        let answer = request.send().await.map_err(silent)?;
        let status = answer.status();
        let cookie = answer.headers().get("set-cookie").and_then(|cookie| cookie.to_str().ok());
        let cookie = cookie.and_then(|cookie| cookie.split(';').next()).unwrap_or_default();
        let cookie = cookie.to_owned();
        let text = answer.bytes().await.map_err(silent)?;
        let value: Value = serde_json::from_slice(&text).unwrap_or_default();
        if status.is_success() {
            return Ok((value, cookie));
        }
        let word = |name| value["error"][name].as_str().unwrap_or_default().to_owned();
        Err(Refused { status: status.as_u16(), code: word("code"), message: word("message") })
    }
}
