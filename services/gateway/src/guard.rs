//! What a request meets before its handler: how often its client may ask, and whether it comes from the page.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use axum::extract::{ConnectInfo, FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{Extensions, HeaderMap, HeaderName};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use services_kit::cache::Cache;
use services_kit::{ApiError, Switch};

use crate::Shop;
use crate::settings::Settings;
use crate::token::Token;

/// The header that shows that a request comes from the page.
const CSRF: HeaderName = HeaderName::from_static("x-csrf-token");

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// Requests are counted over this many seconds: a page makes a dozen at once and then none.
const WINDOW: u32 = 10;

/// Sign-ins are counted over this many.
const TRIES_WINDOW: u32 = 60;

/// How often one client may ask.
#[derive(Clone)]
pub(crate) struct Limits {
    cache: Cache,
    requests: u64,
    tries: u64,
    proxied: bool,
}

impl Limits {
    pub(crate) fn new(cache: Cache, settings: &Settings) -> Self {
        Self {
            cache,
            requests: u64::from(settings.client_rate) * u64::from(WINDOW),
            tries: u64::from(settings.sign_in_rate),
            proxied: settings.behind_proxy == Switch::On,
        }
    }

    async fn count(&self, what: &str, who: IpAddr, most: u64, window: u32) -> Result<(), ApiError> {
        if most == 0 {
            return Ok(());
        }
        let over = Duration::from_secs(window.into());
        if self.cache.count(&format!("{what}:{who}"), over).await <= most {
            return Ok(());
        }
        let message = "too many requests come from your address";
        Err(ApiError::too_many_requests(message).retry_after(window))
    }

    /// Who asks. An IPv6 network of 64 bits is one client: each has all of its addresses.
    fn client(&self, headers: &HeaderMap, extensions: &Extensions) -> IpAddr {
        let forwarded = || {
            let last = headers.get_all(FORWARDED_FOR).iter().next_back()?.to_str().ok()?;
            last.rsplit(',').next()?.trim().parse::<IpAddr>().ok()
        };
        let peer = extensions.get::<ConnectInfo<SocketAddr>>().map(|peer| peer.0.ip());
        let said = if self.proxied { forwarded() } else { None };
        match said.or(peer).map(|client| client.to_canonical()) {
            Some(IpAddr::V6(client)) => Ipv6Addr::from_bits(client.to_bits() >> 64 << 64).into(),
            Some(client) => client,
            None => Ipv6Addr::UNSPECIFIED.into(),
        }
    }

    fn is_https(&self, headers: &HeaderMap) -> bool {
        self.proxied && headers.get(FORWARDED_PROTO).is_some_and(|proto| proto == "https")
    }
}

/// Middleware: refuses a client that asks too often.
pub(crate) async fn limit(State(limits): State<Limits>, request: Request, next: Next) -> Response {
    // Who balances the load asks on everybody's behalf.
    if !request.uri().path().starts_with("/health/") {
        let client = limits.client(request.headers(), request.extensions());
        if let Err(refused) = limits.count("rate", client, limits.requests, WINDOW).await {
            return refused.into_response();
        }
    }
    next.run(request).await
}

/// Middleware: refuses requests that would change something and do not come from the page.
pub(crate) async fn forgery(request: Request, next: Next) -> Response {
    if request.method().is_safe() || shows_its_token(request.headers()) {
        return next.run(request).await;
    }
    let message = "the header X-CSRF-Token must have the token of GET /api/session";
    ApiError::forbidden(message).code("csrf_token_wrong").into_response()
}

fn shows_its_token(headers: &HeaderMap) -> bool {
    let token = Token::of(headers).zip(headers.get(CSRF));
    token.is_some_and(|(token, shown)| token.is_shown_by(shown.as_bytes()))
}

/// Extracting it counts one try with a password, and refuses a client that tries too often.
pub(crate) struct Try;

impl FromRequestParts<Shop> for Try {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, shop: &Shop) -> Result<Self, ApiError> {
        let limits = &shop.0.limits;
        let client = limits.client(&parts.headers, &parts.extensions);
        limits.count("tries", client, limits.tries, TRIES_WINDOW).await?;
        Ok(Self)
    }
}

/// Whether the client came by HTTPS, as the proxy in front says.
#[derive(Clone, Copy)]
pub(crate) struct Https(pub(crate) bool);

impl FromRequestParts<Shop> for Https {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, shop: &Shop) -> Result<Self, Self::Rejection> {
        Ok(Self(shop.0.limits.is_https(&parts.headers)))
    }
}
