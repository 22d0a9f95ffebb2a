//! What a visitor's cookie says, and what follows from it.
//!
//! The cookie is a letter and 32 random bytes in base64url. `c`: the token of a customer's session, which the users
//! service knows by its hash. `g`: a guest. Nothing is kept of a guest but the cart, which goes by what follows from the
//! token, so there is nothing to look up and nothing to fill.

use std::time::Duration;

use axum::http::header::COOKIE;
use axum::http::{HeaderMap, HeaderValue};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest::{SHA256, digest};
use ring::rand::{SecureRandom as _, SystemRandom};
use services_kit::ApiError;
use subtle::ConstantTimeEq as _;
use uuid::Uuid;

/// The cookie's name.
const NAME: &str = "shop_session";

/// The cookie that keeps a guest's token after the sign-in, when the cart could not go along yet.
const CART: &str = "shop_cart";

/// Characters of 32 bytes in base64url.
const LENGTH: usize = 43;

/// How long a guest's cookie is kept: as long as carts are.
const GUEST: Duration = Duration::from_secs(30 * 24 * 3600);

/// A visitor's token. It has no Debug: it must not reach a log.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Token {
    customer: bool,
    secret: String,
}

impl Token {
    /// A guest's, new.
    pub(crate) fn guest() -> Result<Self, ApiError> {
        let mut bytes = [0; 32];
        SystemRandom::new().fill(&mut bytes).map_err(ApiError::internal)?;
        Ok(Self { customer: false, secret: URL_SAFE_NO_PAD.encode(bytes) })
    }

    /// A customer's, as the users service made it.
    pub(crate) fn customer(secret: String) -> Self {
        Self { customer: true, secret }
    }

    /// The one in a request's cookies.
    pub(crate) fn of(headers: &HeaderMap) -> Option<Self> {
        Self::named(NAME, headers)
    }

    /// The guest's whose cart is still to go along.
    pub(crate) fn left_behind(headers: &HeaderMap) -> Option<Self> {
        Self::named(CART, headers).filter(|token| !token.customer)
    }

    fn named(wanted: &str, headers: &HeaderMap) -> Option<Self> {
        let cookies = headers.get_all(COOKIE).into_iter().filter_map(|value| value.to_str().ok());
        let pairs = cookies.flat_map(|cookies| cookies.split(';'));
        let mut values = pairs.filter_map(|pair| {
            let (name, value) = pair.trim().split_once('=')?;
            (name == wanted).then_some(value)
        });
        Self::read(values.next()?)
    }

    fn read(text: &str) -> Option<Self> {
        let (customer, secret) = match text.split_at_checked(1)? {
            ("c", secret) => (true, secret),
            ("g", secret) => (false, secret),
            _ => return None,
        };
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        let fits = secret.len() == LENGTH && secret.bytes().all(allowed);
        fits.then(|| Self { customer, secret: secret.to_owned() })
    }

    pub(crate) fn is_customer(&self) -> bool {
        self.customer
    }

    /// What the users service knows the session by.
    pub(crate) fn hash(&self) -> String {
        let hash = digest(&SHA256, self.secret.as_bytes());
        hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// What the page shows in the header of requests that change something. Another site cannot read the cookie, so it
    /// cannot know this either.
    pub(crate) fn csrf(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.derived("csrf"))
    }

    /// Whether that was shown; compared in constant time.
    pub(crate) fn is_shown_by(&self, csrf: &[u8]) -> bool {
        self.csrf().as_bytes().ct_eq(csrf).into()
    }

    /// What a guest's cart goes by.
    pub(crate) fn visit(&self) -> Uuid {
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&self.derived("visit")[..16]);
        uuid::Builder::from_custom_bytes(bytes).into_uuid()
    }

    fn derived(&self, purpose: &str) -> [u8; 32] {
        let kind = if self.customer { 'c' } else { 'g' };
        let hash = digest(&SHA256, format!("{purpose}:{kind}{}", self.secret).as_bytes());
        let mut bytes = [0; 32];
        bytes.copy_from_slice(hash.as_ref());
        bytes
    }

    /// The `Set-Cookie` that hands it out: for the page's own requests only, out of reach of scripts.
    pub(crate) fn cookie(&self, seconds: u64, https: bool) -> Result<HeaderValue, ApiError> {
        cookie(NAME, &self.written(), seconds, https)
    }

    /// The same for a guest's.
    pub(crate) fn guest_cookie(&self, https: bool) -> Result<HeaderValue, ApiError> {
        self.cookie(GUEST.as_secs(), https)
    }

    /// The same for a guest's whose cart is still to go along.
    pub(crate) fn cart_cookie(&self, https: bool) -> Result<HeaderValue, ApiError> {
        cookie(CART, &self.written(), GUEST.as_secs(), https)
    }

    fn written(&self) -> String {
        let kind = if self.customer { 'c' } else { 'g' };
        format!("{kind}{}", self.secret)
    }
}

/// The `Set-Cookie` that takes the cookie away.
pub(crate) fn no_cookie(https: bool) -> Result<HeaderValue, ApiError> {
    cookie(NAME, "", 0, https)
}

/// The same for the one of a cart that went along.
pub(crate) fn no_cart_cookie(https: bool) -> Result<HeaderValue, ApiError> {
    cookie(CART, "", 0, https)
}

fn cookie(name: &str, value: &str, seconds: u64, https: bool) -> Result<HeaderValue, ApiError> {
    let secure = if https { "; Secure" } else { "" };
    let text = format!("{name}={value}; Path=/; HttpOnly; SameSite=Lax; Max-Age={seconds}{secure}");
    HeaderValue::try_from(text).map_err(ApiError::internal)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(cookies: &str) -> Option<Token> {
        Token::of(&HeaderMap::from_iter([(COOKIE, HeaderValue::from_str(cookies).unwrap())]))
    }

    #[test]
    fn a_cookie_comes_back_as_it_went_among_others() {
        let token = Token::guest().unwrap();
        let cookie = token.guest_cookie(true).unwrap().to_str().unwrap().to_owned();
        for attribute in
            ["; Path=/", "; HttpOnly", "; SameSite=Lax", "; Max-Age=2592000", "; Secure"]
        {
            assert!(cookie.contains(attribute), "{attribute} is not in {cookie}");
        }
        let pair = cookie.split(';').next().unwrap();
        assert!(sent(&format!("a=b; {pair}; c=d")).unwrap() == token);
        assert!(!token.guest_cookie(false).unwrap().to_str().unwrap().contains("Secure"));
    }

    #[test]
    fn what_is_not_of_the_form_is_nobody() {
        let good = "x".repeat(LENGTH);
        assert!(sent(&format!("shop_session=c{good}")).unwrap().is_customer());
        for bad in [
            String::new(),
            "shop_session=".to_owned(),
            format!("shop_session=a{good}"),
            format!("shop_session=c{good}x"),
            format!("shop_session=c{}/", &good[1..]),
            format!("other=c{good}"),
        ] {
            assert!(sent(&bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn what_follows_from_a_token_is_its_own() {
        let (one, other) = (Token::guest().unwrap(), Token::guest().unwrap());
        assert!(one.is_shown_by(one.csrf().as_bytes()));
        assert!(!one.is_shown_by(other.csrf().as_bytes()) && !one.is_shown_by(b""));
        assert_ne!(one.visit(), other.visit());
        assert_ne!(one.csrf(), Token::customer(one.secret).csrf());
    }
}
