//! Who asks: a short-lived identity that one service signs and the others verify.
//!
//! The gateway makes it from a session, other services make it for their own calls. It is the claims as JSON and their
//! HMAC-SHA256, both in base64url with a dot between them, in the header [`IDENTITY`].

mod extract;
mod key;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::http::{HeaderName, HeaderValue};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub use extract::{Customer, Internal};
pub(crate) use extract::{Gate, identify};
pub use key::KeyError;

use crate::peers::Peer;

/// The header that carries an identity from service to service.
pub const IDENTITY: HeaderName = HeaderName::from_static("x-shop-identity");

/// How long an identity holds: a request's deadline is 10 s, and a retry must not outlive it.
const LIFETIME: Duration = Duration::from_secs(60);

/// How far the clocks of two machines may differ.
const SKEW: u64 = 5;

/// Bytes of the longest identity that is looked at.
const LONGEST: usize = 1024;

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claims {
    /// The service that signed it.
    #[serde(rename = "iss")]
    pub issuer: String,
    /// The customer on whose behalf it asks, if there is one.
    #[serde(rename = "sub", default, skip_serializing_if = "Option::is_none")]
    pub customer: Option<Uuid>,
    /// The visit it belongs to, signed in or not: what somebody has before the shop knows who they are.
    #[serde(rename = "sid", default, skip_serializing_if = "Option::is_none")]
    pub session: Option<Uuid>,
    /// When it was signed, in seconds since the Unix epoch.
    #[serde(rename = "iat")]
    pub issued: u64,
    /// When it ends.
    #[serde(rename = "exp")]
    pub expires: u64,
}

/// An identity that does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// Not of the form, or signed with another key.
    #[error("the identity is not one that a service of this shop has signed")]
    Forged,
    /// Of another time.
    #[error("the identity has expired or is from the future: compare the clocks")]
    Expired,
}

/// What identities are signed and verified with. Shows nothing of the key.
#[derive(Clone, Debug)]
pub struct Keys {
    key: hmac::Key,
}

impl Keys {
    fn new(secret: &[u8]) -> Self {
        Self { key: hmac::Key::new(hmac::HMAC_SHA256, secret) }
    }

    /// An identity of the service `issuer`, on behalf of a customer or of nobody, that holds for a minute from `now`.
    ///
    /// # Errors
    /// When the claims cannot be written as JSON, which they always can.
    pub fn sign(
        &self,
        issuer: Peer,
        customer: Option<Uuid>,
        now: SystemTime,
    ) -> Result<HeaderValue, serde_json::Error> {
        self.sign_visit(issuer, customer, None, now)
    }

    /// The same, within a visit to the shop.
    ///
    /// # Errors
    /// As [`Keys::sign`].
    pub fn sign_visit(
        &self,
        issuer: Peer,
        customer: Option<Uuid>,
        session: Option<Uuid>,
        now: SystemTime,
    ) -> Result<HeaderValue, serde_json::Error> {
        let issued = seconds(now);
        let expires = issued + LIFETIME.as_secs();
        let issuer = issuer.name().to_owned();
        let claims = Claims { issuer, customer, session, issued, expires };
        let claims = URL_SAFE_NO_PAD.encode(serde_json::to_vec(&claims)?);
        let tag = URL_SAFE_NO_PAD.encode(hmac::sign(&self.key, claims.as_bytes()));
        HeaderValue::try_from(format!("{claims}.{tag}")).map_err(serde::ser::Error::custom)
    }

    /// Who asks, if the identity holds at `now`. The signature is compared in constant time, before anything is read.
    ///
    /// # Errors
    /// [`IdentityError`].
    pub fn verify(&self, identity: &str, now: SystemTime) -> Result<Claims, IdentityError> {
        if identity.len() > LONGEST {
            return Err(IdentityError::Forged);
        }
        let (claims, tag) = identity.split_once('.').ok_or(IdentityError::Forged)?;
        let tag = URL_SAFE_NO_PAD.decode(tag).map_err(|_| IdentityError::Forged)?;
        hmac::verify(&self.key, claims.as_bytes(), &tag).map_err(|_| IdentityError::Forged)?;
        let claims = URL_SAFE_NO_PAD.decode(claims).map_err(|_| IdentityError::Forged)?;
        let claims: Claims = serde_json::from_slice(&claims).map_err(|_| IdentityError::Forged)?;
        let now = seconds(now);
        if now > claims.expires + SKEW || now + SKEW < claims.issued {
            return Err(IdentityError::Expired);
        }
        Ok(claims)
    }
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn signed(keys: &Keys) -> String {
        let customer = Some(Uuid::from_u128(7));
        keys.sign(Peer::Gateway, customer, at(1000)).unwrap().to_str().unwrap().to_owned()
    }

    #[test]
    fn an_identity_holds_for_a_minute_and_a_little_skew() {
        let keys = Keys::new(&[1; 32]);
        let identity = signed(&keys);
        let claims = keys.verify(&identity, at(1000)).unwrap();
        assert_eq!(
            (claims.issuer.as_str(), claims.customer),
            ("gateway", Some(Uuid::from_u128(7)))
        );
        for (now, holds) in [(994, false), (995, true), (1065, true), (1066, false)] {
            assert_eq!(keys.verify(&identity, at(now)).is_ok(), holds, "{now}");
        }
    }

    #[test]
    fn no_changed_byte_no_other_key_and_no_other_form_is_taken() {
        let keys = Keys::new(&[1; 32]);
        let identity = signed(&keys);
        for index in 0..identity.len() {
            let mut forged = identity.clone().into_bytes();
            forged[index] = if forged[index] == b'A' { b'B' } else { b'A' };
            let forged = String::from_utf8(forged).unwrap();
            assert_eq!(keys.verify(&forged, at(1000)), Err(IdentityError::Forged), "{index}");
        }
        let other = Keys::new(&[2; 32]);
        assert_eq!(other.verify(&identity, at(1000)), Err(IdentityError::Forged));
        let (claims, _) = identity.split_once('.').unwrap();
        for forged in ["", ".", claims, &format!("{claims}."), &format!("{identity}.x")] {
            assert_eq!(keys.verify(forged, at(1000)), Err(IdentityError::Forged), "{forged}");
        }
    }

    #[test]
    fn keys_do_not_show_themselves() {
        let shown = format!("{:?}", Keys::new(b"hunter2hunter2hunter2hunter2hunt"));
        assert!(!shown.contains("hunter2") && !shown.contains("104, 117"), "{shown}");
    }
}
