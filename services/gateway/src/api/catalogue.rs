//! Products, shelves, pictures and what goes with what. Nothing here depends on who asks, so answers are kept.

use axum::body::Bytes;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::http::{HeaderName, StatusCode};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use services_kit::client::Call;
use services_kit::store::now_ms;
use services_kit::{ApiError, Path, Peer, Query};
use utoipa::IntoParams;

use super::{segment, with_query};
use crate::shapes::{
    Batch, Categories, Described, Learned, Product, Products, Reason, Recommended,
};
use crate::{Shop, upstream};

/// Characters of a search at most.
const LONGEST_SEARCH: usize = 100;

/// Products that are recommended at most.
const MOST_RECOMMENDED: u32 = 20;

/// JSON that is there already.
type Answer = ([(HeaderName, &'static str); 1], Bytes);

fn json(text: Bytes) -> Answer {
    ([(CONTENT_TYPE, "application/json")], text)
}

fn written(value: &impl Serialize) -> Result<Bytes, ApiError> {
    serde_json::to_vec(value).map(Bytes::from).map_err(ApiError::internal)
}

/// What inventory answers at a path, kept.
async fn kept<T: Serialize + DeserializeOwned>(
    shop: &Shop,
    path: &str,
) -> Result<Answer, ApiError> {
    let ask =
        || async { written(&upstream::read::<T>(shop.client(Peer::Inventory).get(path)).await?) };
    shop.0.answers.get(path, now_ms(), ask).await.map(json)
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    /// Words to look for.
    #[param(max_length = 100)]
    q: Option<String>,
    /// The id of a category.
    category: Option<String>,
    /// `popular`, `price`, `-price` or `name`.
    sort: Option<String>,
    /// `next` of the page before, with everything else the same.
    cursor: Option<String>,
    /// How many to list at most.
    #[param(minimum = 1, maximum = 100, default = 24)]
    limit: Option<u32>,
}

/// Products, a page at a time.
#[utoipa::path(
    get,
    path = "/api/products",
    params(Asked),
    responses((status = 200, body = Products)),
)]
pub(super) async fn products(
    State(shop): State<Shop>,
    Query(asked): Query<Asked>,
) -> Result<Answer, ApiError> {
    if asked.q.as_ref().is_some_and(|q| q.chars().count() > LONGEST_SEARCH) {
        let message = format!("a search has {LONGEST_SEARCH} characters or fewer");
        return Err(ApiError::unprocessable(message));
    }
    let limit = asked.limit.map(|limit| limit.to_string());
    let pairs = [
        ("q", asked.q.as_deref()),
        ("category", asked.category.as_deref()),
        ("sort", asked.sort.as_deref()),
        ("cursor", asked.cursor.as_deref()),
        ("limit", limit.as_deref()),
    ];
    kept::<Products>(&shop, &with_query("/products", &pairs)).await
}

/// A product with its description.
#[utoipa::path(
    get,
    path = "/api/products/{id}",
    params(("id" = String, Path, description = "The product.")),
    responses((status = 200, body = Described), (status = 404, description = "No such product.")),
)]
pub(super) async fn product(
    State(shop): State<Shop>,
    Path(id): Path<String>,
) -> Result<Answer, ApiError> {
    kept::<Described>(&shop, &format!("/products/{}", segment(&id)?)).await
}

/// The shelves in the order in which they are shown.
#[utoipa::path(get, path = "/api/categories", responses((status = 200, body = Categories)))]
pub(super) async fn categories(State(shop): State<Shop>) -> Result<Answer, ApiError> {
    kept::<Categories>(&shop, "/categories").await
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct Page {
    /// How many to list at most.
    #[param(minimum = 1, maximum = 20, default = 4)]
    limit: Option<u32>,
}

/// What is bought with a product; what is popular, if that is not known.
#[utoipa::path(
    get,
    path = "/api/products/{id}/recommendations",
    params(("id" = String, Path, description = "The product."), Page),
    responses((status = 200, body = Recommended)),
)]
pub(super) async fn recommendations(
    State(shop): State<Shop>,
    Path(id): Path<String>,
    Query(page): Query<Page>,
) -> Result<Answer, ApiError> {
    let (id, limit) = (segment(&id)?, page.limit.unwrap_or(4));
    if !(1..=MOST_RECOMMENDED).contains(&limit) {
        let message = format!("limit is {limit}, it must be 1 to {MOST_RECOMMENDED}");
        return Err(ApiError::unprocessable(message));
    }
    let key = format!("/recommendations/{id}?limit={limit}");
    let ask = || async { written(&recommended(&shop, id, &key, limit as usize).await?) };
    shop.0.answers.get(&key, now_ms(), ask).await.map(json)
}

async fn recommended(
    shop: &Shop,
    id: &str,
    path: &str,
    limit: usize,
) -> Result<Recommended, ApiError> {
    let learned = upstream::read::<Learned>(shop.client(Peer::Recommendations).get(path)).await;
    let learned = learned.map(|learned| learned.recommendations).unwrap_or_else(|error| {
        tracing::warn!(%error, "nothing is recommended but what is popular");
        Vec::new()
    });
    let together = learned.iter().any(|one| one.reason == Reason::BoughtTogether);
    let ids: Vec<&str> = learned.iter().map(|one| one.item.as_str()).collect();
    let inventory = shop.client(Peer::Inventory);
    // Asking does no harm, though it is a POST.
    let batch = || inventory.post("/products:batch").json(&serde_json::json!({ "ids": ids }));
    let known = if ids.is_empty() { Vec::new() } else { items(batch().idempotent()).await? };
    if !known.is_empty() {
        let reason = if together { Reason::BoughtTogether } else { Reason::Popular };
        return Ok(Recommended { items: known, reason });
    }
    let one_more = (limit + 1).to_string();
    let popular = with_query("/products", &[("sort", Some("popular")), ("limit", Some(&one_more))]);
    let mut popular = items(inventory.get(&popular)).await?;
    popular.retain(|product| product.id != id);
    popular.truncate(limit);
    Ok(Recommended { items: popular, reason: Reason::Popular })
}

async fn items(call: Call) -> Result<Vec<Product>, ApiError> {
    Ok(upstream::read::<Batch>(call).await?.items)
}

/// A product's picture. It never changes.
#[utoipa::path(
    get,
    path = "/pictures/{file}",
    params(("file" = String, Path, description = "The SKU and `.svg`.", example = "KIT-101.svg")),
    responses(
        (status = 200, body = String, content_type = "image/svg+xml"),
        (status = 404, description = "No such picture."),
    ),
)]
pub(super) async fn picture(
    State(shop): State<Shop>,
    Path(file): Path<String>,
) -> Result<(StatusCode, [(HeaderName, &'static str); 3], Bytes), ApiError> {
    let path = format!("/pictures/{}", segment(&file)?);
    let ask =
        || async { Ok(upstream::answered(shop.client(Peer::Inventory).get(&path)).await?.body) };
    let picture = shop.0.answers.get(&path, now_ms(), ask).await?;
    let headers = [
        (CONTENT_TYPE, "image/svg+xml"),
        (CACHE_CONTROL, "public, max-age=31536000, immutable"),
        // Opened by itself it is a document: it may be styled, and nothing in it may run.
        (CONTENT_SECURITY_POLICY, "default-src 'none'; style-src 'unsafe-inline'; sandbox"),
    ];
    Ok((StatusCode::OK, headers, picture))
}
