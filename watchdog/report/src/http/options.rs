//! How a receiver is addressed: credentials, headers, deadline; and what of it cannot be used.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use url::Url;
use watchdog_core::units::WallTime;

use super::POST_DEADLINE;
use super::secrets::{base64, decoded};

/// Credentials, headers and limits of a receiver.
#[derive(Clone, Debug)]
pub struct HttpOptions {
    /// The credentials it asks for.
    pub auth: Option<Auth>,
    /// Further headers of every request; their values are secret.
    pub headers: Vec<(String, SecretString)>,
    /// How long one request may take.
    pub deadline: Duration,
    /// What time it is.
    pub clock: Clock,
    /// Certificates (PEM) of the only authorities that may vouch for the receiver; the system's by default.
    pub authorities: Option<Vec<u8>>,
}

impl Default for HttpOptions {
    fn default() -> Self {
        let (headers, clock) = (Vec::new(), Clock::system());
        Self { auth: None, headers, deadline: POST_DEADLINE, clock, authorities: None }
    }
}

/// What a receiver knows us by.
#[derive(Clone, Debug)]
pub enum Auth {
    /// `Authorization: Bearer …`.
    Bearer(SecretString),
    /// `Authorization: Basic …`.
    Basic {
        /// The user.
        user: String,
        /// The password.
        password: SecretString,
    },
}

/// What time it is, by a clock that a test can set.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> WallTime + Send + Sync>);

impl Clock {
    /// The system's.
    pub fn system() -> Self {
        Self::new(|| {
            let since = SystemTime::now().duration_since(UNIX_EPOCH);
            // A clock before 1970 reads as 1970.
            WallTime(since.map_or(0.0, |since| since.as_secs_f64()))
        })
    }

    /// Another one.
    pub fn new(now: impl Fn() -> WallTime + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// The time.
    pub fn now(&self) -> WallTime {
        (self.0)()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}

/// An address or credentials that no report can be posted with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// The address is not one of HTTP.
    #[error(
        "an address that begins with `{0}:` cannot be posted to: write https://HOST[:PORT][/PATH]"
    )]
    Scheme(String),
    /// Credentials both in the address and beside it.
    #[error(
        "the address {0} holds a user or password although credentials are given beside it: leave one of them out"
    )]
    TwoCredentials(String),
    /// Credentials that are empty or cannot be sent.
    #[error(
        "the {0} is empty or has characters that a header cannot carry: is it the right one, without a line end?"
    )]
    Credentials(&'static str),
    /// A header that cannot be sent.
    #[error(
        "the header `{0}` cannot be sent: a name has letters, digits and dashes, a value no control character"
    )]
    Header(String),
    /// A header that the sink sets itself.
    #[error(
        "the header `{0}` is set by the watchdog itself: leave it out; credentials have settings of their own"
    )]
    ReservedHeader(String),
    /// TLS cannot be set up.
    #[error(
        "cannot set up TLS for {shown}: {reason}; install ca-certificates or name a file in SSL_CERT_FILE"
    )]
    Tls {
        /// The address without what may be secret in it.
        shown: String,
        /// What is wrong.
        reason: String,
    },
}

/// Headers that the sinks and the protocol need for themselves.
const RESERVED: [&str; 7] = [
    "authorization",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "host",
    "transfer-encoding",
];

pub(super) fn check(url: &Url) -> Result<(), EndpointError> {
    match url.scheme() {
        "http" | "https" => Ok(()),
        scheme => Err(EndpointError::Scheme(scheme.chars().take(16).collect())),
    }
}

/// The credentials, wherever they are given.
pub(super) fn auth(url: &Url, options: &HttpOptions) -> Result<Option<Auth>, EndpointError> {
    let in_url = !url.username().is_empty() || url.password().is_some();
    match &options.auth {
        Some(_) if in_url => Err(EndpointError::TwoCredentials(url.origin().ascii_serialization())),
        None if in_url => Ok(Some(Auth::Basic {
            user: decoded(url.username()),
            password: decoded(url.password().unwrap_or_default()).into(),
        })),
        auth => Ok(auth.clone()),
    }
}

/// The address that is posted to, without credentials.
pub(super) fn target(url: &Url, path: &str) -> Url {
    let mut target = url.clone();
    // Neither can fail for an address with a host.
    let _ = target.set_username("");
    let _ = target.set_password(None);
    target.set_fragment(None);
    // An address copied from another program's settings is often the whole one.
    if !url.path().trim_end_matches('/').ends_with(path) {
        target.set_path(&format!("{}{path}", url.path().trim_end_matches('/')));
    }
    target
}

/// The headers of every request.
pub(super) fn headers(
    auth: Option<&Auth>,
    further: &[(String, SecretString)],
) -> Result<HeaderMap, EndpointError> {
    let mut headers = HeaderMap::new();
    for (name, value) in further {
        let shown = || EndpointError::Header(name.chars().take(64).collect());
        if RESERVED.contains(&name.to_ascii_lowercase().as_str()) {
            return Err(EndpointError::ReservedHeader(name.to_ascii_lowercase()));
        }
        let key = HeaderName::try_from(name).map_err(|_| shown())?;
        headers.insert(key, sensitive(value.expose_secret()).ok_or_else(shown)?);
    }
    if let Some(auth) = auth {
        headers.insert(AUTHORIZATION, authorization(auth)?);
    }
    Ok(headers)
}

fn authorization(auth: &Auth) -> Result<HeaderValue, EndpointError> {
    match auth {
        Auth::Bearer(token) => {
            let token = token.expose_secret();
            // A space would end the token for the receiver.
            let usable = !token.is_empty() && !token.contains(char::is_whitespace);
            let value = usable.then(|| sensitive(&format!("Bearer {token}"))).flatten();
            value.ok_or(EndpointError::Credentials("bearer token"))
        }
        Auth::Basic { user, password } => {
            // RFC 7617: a colon would end the user's name.
            let password = password.expose_secret();
            let both = format!("{user}{password}");
            let usable =
                !both.is_empty() && !both.contains(char::is_control) && !user.contains(':');
            let value = format!("Basic {}", base64(format!("{user}:{password}").as_bytes()));
            let value = usable.then(|| sensitive(&value)).flatten();
            value.ok_or(EndpointError::Credentials("user or password"))
        }
    }
}

fn sensitive(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::try_from(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        text.parse().expect("a URL")
    }

    fn with(auth: Auth) -> HttpOptions {
        HttpOptions { auth: Some(auth), ..HttpOptions::default() }
    }

    fn header(text: &str, options: &HttpOptions) -> Result<String, EndpointError> {
        let auth = auth(&url(text), options)?;
        let headers = headers(auth.as_ref(), &options.headers)?;
        Ok(headers[AUTHORIZATION].to_str().expect("text").to_owned())
    }

    #[test]
    fn credentials_come_from_the_address_or_from_the_options_but_not_from_both() {
        let none = HttpOptions::default();
        // The example of RFC 7617.
        let aladdin = header("https://Aladdin:open%20sesame@h/", &none);
        assert_eq!(aladdin.as_deref(), Ok("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="));
        let token = with(Auth::Bearer("t0ken".into()));
        assert_eq!(header("https://h/", &token).as_deref(), Ok("Bearer t0ken"));
        let both = header("https://a:b@h/x", &token).expect_err("refused");
        assert_eq!(both, EndpointError::TwoCredentials("https://h".into()));
    }

    #[test]
    fn what_no_header_can_carry_is_refused_without_being_shown() {
        for auth in [
            Auth::Bearer("hunter2\n".into()),
            Auth::Bearer(String::new().into()),
            Auth::Bearer("hunter2 hunter2".into()),
            Auth::Basic { user: "a:b".into(), password: "hunter2".into() },
            Auth::Basic { user: "a".into(), password: "hunter2\r".into() },
        ] {
            let error = header("https://h/", &with(auth)).expect_err("refused");
            assert!(matches!(error, EndpointError::Credentials(_)), "{error}");
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
        for (name, value) in [("X-Ke y", "v"), ("X-Key", "hunter2\n"), ("Host", "hunter2")] {
            let further = vec![(name.to_owned(), value.into())];
            let error = headers(None, &further).expect_err("refused").to_string();
            assert!(!error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn the_path_is_put_behind_the_bases_own_and_the_query_kept() {
        let target = |text: &str, path: &str| target(&url(text), path).to_string();
        assert_eq!(target("http://h:9093", "/api/v2/alerts"), "http://h:9093/api/v2/alerts");
        assert_eq!(target("http://h/am/?k=v#f", "/api/v2/alerts"), "http://h/am/api/v2/alerts?k=v");
        assert_eq!(target("http://h/loki/push", "/loki/push"), "http://h/loki/push");
        assert_eq!(target("https://u:p@h/hook/", ""), "https://h/hook/");
    }
}
