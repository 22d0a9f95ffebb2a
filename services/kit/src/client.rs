//! Calls from service to service: with a deadline, the caller's identity, the trace and the request's id; repeated
//! only where that cannot do harm; not made at all while the other is broken.

mod breaker;
mod call;
mod error;

use std::sync::Arc;
use std::time::Duration;

use axum::http::Method;
use prometheus::IntCounterVec;
use reqwest::redirect::Policy;
use url::Url;

use breaker::Breaker;
pub use call::{Call, Reply};
pub use error::CallError;

use crate::identity::Keys;
use crate::peers::{Peer, Peers};

/// A service of the shop is near, or it is not there.
const CONNECT_DEADLINE: Duration = Duration::from_secs(1);

/// Connections to one service that are kept for the next call.
const IDLE_CONNECTIONS: usize = 32;

/// Calls one other service. Clones share connections and the circuit breaker.
#[derive(Clone, Debug)]
pub struct Client(Arc<Parts>);

#[derive(Debug)]
struct Parts {
    http: reqwest::Client,
    keys: Keys,
    caller: Peer,
    peer: Peer,
    base: Url,
    breaker: Breaker,
    attempts: IntCounterVec,
}

impl Client {
    /// `GET`; may be repeated.
    pub fn get(&self, path: &str) -> Call {
        self.call(Method::GET, path)
    }

    /// `POST`; repeated only if [`Call::idempotent`] says that it may be.
    pub fn post(&self, path: &str) -> Call {
        self.call(Method::POST, path)
    }

    /// `PUT`; may be repeated.
    pub fn put(&self, path: &str) -> Call {
        self.call(Method::PUT, path)
    }

    /// `DELETE`; may be repeated.
    pub fn delete(&self, path: &str) -> Call {
        self.call(Method::DELETE, path)
    }

    /// Any method, at a path of the service that begins with `/` and may have a query.
    pub fn call(&self, method: Method, path: &str) -> Call {
        Call::new(self.clone(), method, path)
    }

    /// Which service it calls.
    pub fn peer(&self) -> Peer {
        self.0.peer
    }
}

/// The clients of a service, in the order of [`Peer::ALL`].
pub(crate) struct Clients([Client; Peer::ALL.len()]);

impl Clients {
    pub(crate) fn new(
        caller: Peer,
        peers: &Peers,
        keys: &Keys,
        attempts: &IntCounterVec,
    ) -> Result<Self, reqwest::Error> {
        let http = http(Peer::ALL.iter().any(|peer| peers.url(*peer).scheme() == "https"))?;
        Ok(Self(Peer::ALL.map(|peer| {
            Client(Arc::new(Parts {
                http: http.clone(),
                keys: keys.clone(),
                caller,
                peer,
                base: peers.url(peer).clone(),
                breaker: Breaker::default(),
                attempts: attempts.clone(),
            }))
        })))
    }

    pub(crate) fn of(&self, peer: Peer) -> Client {
        self.0[peer as usize].clone()
    }
}

/// An HTTP client that goes where it is told and nowhere else.
pub(crate) fn http(with_certificates: bool) -> Result<reqwest::Client, reqwest::Error> {
    // reqwest is built without a provider of its own; whoever came first has installed the same.
    rustls::crypto::ring::default_provider().install_default().ok();
    let builder = reqwest::Client::builder()
        .no_proxy()
        .redirect(Policy::none())
        .connect_timeout(CONNECT_DEADLINE)
        .pool_max_idle_per_host(IDLE_CONNECTIONS);
    // Plain HTTP needs no certificates, and an image without any must not fail for their want.
    let builder = if with_certificates { builder } else { builder.tls_certs_only([]) };
    builder.build()
}
