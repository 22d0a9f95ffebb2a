//! The routes of a service together with their OpenAPI document: one cannot be there without the other.

mod check;

use axum::Router;
use axum::body::Bytes;
use axum::http::{StatusCode, header};
use axum::routing::{MethodRouter, get};
use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::schema::Ref;
use utoipa::openapi::{Content, InfoBuilder, OpenApi, RefOr, Response, ResponseBuilder};
use utoipa::{PartialSchema as _, ToSchema as _};
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouter};

pub use check::disagreements;
/// Makes a path's routes out of its handlers, for [`Api::routes`].
pub use utoipa_axum::routes;

use crate::error::ErrorBody;
use crate::peers::Peer;

/// Where the document is served.
pub const PATH: &str = "/openapi.json";

/// Routes and their document. Every route comes from a handler with `#[utoipa::path]`, so that the two agree.
pub struct Api<S = ()> {
    router: OpenApiRouter<S>,
    pages: Router<S>,
}

impl<S: Clone + Send + Sync + 'static> Api<S> {
    /// Nothing yet.
    #[allow(clippy::new_without_default, reason = "a service without routes is none")]
    pub fn new() -> Self {
        Self { router: OpenApiRouter::new(), pages: Router::new() }
    }

    /// Adds handlers of one path: `.routes(routes!(get_order, cancel_order))`.
    #[must_use]
    pub fn routes(mut self, handlers: UtoipaMethodRouter<S>) -> Self {
        self.router = self.router.routes(handlers);
        self
    }

    /// Adds all of another.
    #[must_use]
    pub fn merge(mut self, other: Self) -> Self {
        self.router = self.router.merge(other.router);
        self.pages = self.pages.merge(other.pages);
        self
    }

    /// Adds a page or a file of one, which is for browsers and in no document.
    #[must_use]
    pub fn page(mut self, path: &str, handlers: MethodRouter<S>) -> Self {
        self.pages = self.pages.route(path, handlers);
        self
    }

    /// Gives the handlers what they share.
    pub fn with_state<T>(self, state: S) -> Api<T> {
        Api { router: self.router.with_state(state.clone()), pages: self.pages.with_state(state) }
    }
}

impl Api {
    /// The routes, and the document.
    pub(crate) fn finish(self, service: Peer) -> (Router, OpenApi) {
        let (router, mut document) = self.router.split_for_parts();
        document.info =
            InfoBuilder::new().title(service.name()).version(env!("CARGO_PKG_VERSION")).build();
        let schemas = &mut document.components.get_or_insert_default().schemas;
        schemas.insert(ErrorBody::name().into_owned(), ErrorBody::schema());
        let mut further = Vec::new();
        ErrorBody::schemas(&mut further);
        schemas.extend(further);
        for (_, _, operation) in operations(&mut document) {
            let error = ResponseBuilder::new().description("Refused or failed; the code says why.");
            let responses = &mut operation.responses.responses;
            responses.insert("default".to_owned(), error.build().into());
            responses.iter_mut().for_each(|(status, response)| complete(status, response));
        }
        (router.merge(self.pages), document)
    }
}

/// What goes without saying in a handler's words, and not in a document: that every error has the shop's form, and, as
/// OpenAPI asks for, a description of each answer.
fn complete(status: &str, response: &mut RefOr<Response>) {
    let RefOr::T(response) = response else { return };
    let status = status.parse().ok().and_then(|status: u16| StatusCode::from_u16(status).ok());
    if response.description.is_empty() {
        let reason = status.and_then(|status| status.canonical_reason());
        reason.unwrap_or_default().clone_into(&mut response.description);
    }
    let failed = status.is_none_or(|status| status.is_client_error() || status.is_server_error());
    if failed && response.content.is_empty() {
        let error = Content::new(Some(RefOr::Ref(Ref::from_schema_name(ErrorBody::name()))));
        response.content.insert("application/json".to_owned(), error.into());
    }
}

/// Serves the document. It is made once.
pub(crate) fn route(document: &OpenApi) -> Result<Router, serde_json::Error> {
    let text = Bytes::from(document.to_json()?);
    let answer = move || async move { ([(header::CONTENT_TYPE, "application/json")], text) };
    Ok(Router::new().route(PATH, get(answer)))
}

fn operations(
    document: &mut OpenApi,
) -> impl Iterator<Item = (&str, &'static str, &mut Operation)> {
    document.paths.paths.iter_mut().flat_map(|(path, item)| {
        let PathItem { get, put, post, delete, patch, head, .. } = item;
        [
            ("GET", get),
            ("PUT", put),
            ("POST", post),
            ("DELETE", delete),
            ("PATCH", patch),
            ("HEAD", head),
        ]
        .into_iter()
        .filter_map(move |(method, operation)| Some((path.as_str(), method, operation.as_mut()?)))
    })
}
