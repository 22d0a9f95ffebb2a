//! A visitor by program: keeps the session's cookie, shows its token, and asks again where there was no answer.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use reqwest::{Client, Method};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

/// How long an answer is waited for, as the page does.
pub const PATIENCE: Duration = Duration::from_secs(15);

/// How often somebody tries again: for several minutes.
const TRIES: usize = 100;

/// No answer that says what was asked for.
#[derive(Clone, Debug)]
pub struct Refused {
    /// HTTP's; 0 when there was no answer at all.
    pub status: u16,
    /// The shop's word for it.
    pub code: String,
    message: String,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.status, self.code, self.message)
    }
}

impl Refused {
    /// Whether the request may have been served nevertheless, or may be later.
    pub fn is_open(&self) -> bool {
        matches!(self.status, 0 | 408 | 429 | 500..)
    }
}

/// Between one and three seconds, by the moment, so that not all come back at once.
fn pause() -> Duration {
    let moment = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Duration::from_millis(1000 + u64::from(moment.subsec_micros() % 2000))
}

/// Somebody with an account of the shop, through its one door.
#[derive(Clone)]
pub struct Visitor {
    http: Client,
    door: String,
    /// How many requests of all visitors may be under way.
    turns: Arc<Semaphore>,
    cookie: String,
    csrf: String,
}

impl Visitor {
    /// Makes an account and is signed in from then on. At most as many requests are under way as `turns` has permits,
    /// of all who share it.
    ///
    /// # Errors
    /// What the shop says if not that.
    pub async fn register(
        http: Client,
        door: String,
        turns: Arc<Semaphore>,
        email: &str,
    ) -> Result<Self, Refused> {
        let mut visitor = Self { http, door, turns, cookie: String::new(), csrf: String::new() };
        visitor.session().await?;
        let password = "correct horse battery";
        let new = json!({ "email": email, "name": "Ada Lovelace", "password": password });
        let known = json!({ "email": email, "password": password });
        let welcomed = match visitor.answered(Method::POST, "/api/register", &new, None).await {
            // An account was made without an answer.
            Err(refused) if refused.code == "email_taken" => {
                visitor.answered(Method::POST, "/api/sign-in", &known, None).await
            }
            welcomed => welcomed,
        };
        visitor.cookie = welcomed?.1;
        visitor.session().await?;
        Ok(visitor)
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

    /// Asks once; the answer as JSON, null where it is none.
    ///
    /// # Errors
    /// Every answer but success, and none.
    pub async fn ask(
        &self,
        method: Method,
        path: &str,
        body: &Value,
        key: Option<&str>,
    ) -> Result<Value, Refused> {
        Ok(self.send(method, path, body, key).await?.0)
    }

    /// Asks until there is an answer, for several minutes.
    ///
    /// # Errors
    /// Every answer but success.
    pub async fn insist(
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
        for _ in 1..TRIES {
            match self.send(method.clone(), path, body, key).await {
                Err(refused) if refused.is_open() => tokio::time::sleep(pause()).await,
                answer => return answer,
            }
        }
        self.send(method, path, body, key).await
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
