//! Gateway: the one door of the shop, with its storefront page.
//!
//! It knows who visits – a session in a cookie – and passes on to the other services who that is, under a signature of
//! its own. What it keeps is a cache: answers from the catalogue, and how often somebody asked.
//!
//! | path | what is there |
//! |---|---|
//! | `/`, `/assets/…` | the storefront page |
//! | `/api/…` | the public API, composed of what the other services answer |
//! | `/pictures/…` | the products' pictures |
//! | `/openapi.json` | the public API's document |
//! | `/health/live`, `/health/ready` | for whoever balances the load |

mod answers;
mod api;
mod guard;
pub mod labels;
mod page;
mod settings;
mod shapes;
mod token;
mod upstream;
mod visitor;

use std::sync::Arc;

use axum::middleware::from_fn_with_state;
use services_kit::cache::Cache;
use services_kit::client::Client;
use services_kit::{Kit, Peer, Service};

use crate::answers::Answers;
use crate::guard::Limits;
use crate::labels::LabelExplosion;
pub use crate::settings::Settings;

/// What the handlers share.
#[derive(Clone)]
struct Shop(Arc<Parts>);

struct Parts {
    kit: Kit,
    answers: Answers,
    limits: Limits,
}

impl Shop {
    fn client(&self, peer: Peer) -> Client {
        self.0.kit.client(peer)
    }
}

/// The service with its fault, ready to start.
///
/// # Errors
/// When the cache cannot be set up.
pub async fn service(kit: Kit, settings: Settings) -> anyhow::Result<Service> {
    let cache = Cache::of(&kit)?;
    let limits = Limits::new(cache.clone(), &settings);
    let parts = Parts { kit: kit.clone(), answers: Answers::new(cache), limits: limits.clone() };
    let api = api::routes(Shop(Arc::new(parts)));
    Ok(Service::new(kit, api)
        .open()
        .wrap(|routes| routes.layer(from_fn_with_state(limits, guard::limit)))
        .fault("label-explosion", LabelExplosion::default()))
}
