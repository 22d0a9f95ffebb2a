//! The public routes.

mod account;
mod cart;
mod catalogue;
mod mailbox;
mod orders;
mod session;

use axum::extract::State;
use axum::http::StatusCode;
use axum::middleware::from_fn;
use axum::routing::get;
use services_kit::ApiError;
use services_kit::openapi::{Api, routes as handlers};
use url::form_urlencoded::Serializer;

use crate::{Shop, guard, page};

/// Handlers of one path, behind the guard against forged requests. A method that the path does not take is refused for
/// that, not by the guard.
macro_rules! guarded {
    ($($handlers:tt)*) => {{
        let (schemas, paths, methods) = handlers!($($handlers)*);
        (schemas, paths, methods.route_layer(from_fn(guard::forgery)))
    }};
}

pub(crate) fn routes(shop: Shop) -> Api {
    Api::new()
        .routes(guarded!(session::session))
        .routes(guarded!(session::register))
        .routes(guarded!(session::sign_in))
        .routes(guarded!(session::sign_out))
        .routes(guarded!(account::password))
        .routes(guarded!(account::profile, account::change))
        .routes(guarded!(catalogue::products))
        .routes(guarded!(catalogue::product))
        .routes(guarded!(catalogue::recommendations))
        .routes(guarded!(catalogue::categories))
        .routes(guarded!(catalogue::picture))
        .routes(guarded!(cart::cart))
        .routes(guarded!(cart::put))
        .routes(guarded!(orders::list, orders::place))
        .routes(guarded!(orders::one))
        .routes(guarded!(orders::cancel))
        .routes(guarded!(mailbox::mailbox))
        .routes(guarded!(mailbox::read))
        .page("/", get(page::index))
        .page("/assets/{name}", get(page::asset))
        .page("/health/live", get(live))
        .page("/health/ready", get(ready))
        .with_state(shop)
}

async fn live(State(shop): State<Shop>) -> (StatusCode, &'static str) {
    if shop.0.kit.is_alive() {
        (StatusCode::OK, "alive\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "not alive\n")
    }
}

async fn ready(State(shop): State<Shop>) -> (StatusCode, &'static str) {
    if shop.0.kit.is_ready().await {
        (StatusCode::OK, "ready\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "not ready\n")
    }
}

/// A path with what is asked for, as the other services take it.
fn with_query(path: &str, pairs: &[(&str, Option<&str>)]) -> String {
    let mut query = Serializer::new(String::new());
    for (name, value) in pairs {
        if let Some(value) = value {
            query.append_pair(name, value);
        }
    }
    let query = query.finish();
    if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") }
}

/// What may stand in a path: ids and names of files. Anything else names nothing.
fn segment(text: &str) -> Result<&str, ApiError> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let fits = (1..=64).contains(&text.len()) && text.bytes().all(allowed);
    if fits && !text.starts_with('.') {
        Ok(text)
    } else {
        Err(ApiError::not_found("there is no such thing"))
    }
}
