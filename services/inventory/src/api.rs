//! The public routes.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderName, header};
use serde::{Deserialize, Serialize};
use services_kit::openapi::{Api, routes as handlers};
use services_kit::store::Database;
use services_kit::{ApiError, Json, Path, Query};
use utoipa::{IntoParams, ToSchema};

use crate::picture::Pictures;
use crate::product::{self, Category, Described, Place, Product, Sort, Wanted, is_id};
use crate::search::Search;
use crate::stock::{self, Stock};

/// The most products that one answer lists.
const MAX_LIMIT: i64 = 100;

/// What an answer lists unless it is told otherwise.
const DEFAULT_LIMIT: i64 = 24;

/// The longest list of ids.
const MAX_BATCH: usize = 100;

/// A picture's address names its product, whose picture does not change.
const IMMUTABLE: &str = "public, max-age=31536000, immutable";

/// What the handlers share.
#[derive(Clone)]
pub(crate) struct Shop {
    store: Database,
    pictures: Arc<Pictures>,
}

impl Shop {
    pub(crate) fn new(store: Database) -> Self {
        Self { store, pictures: Arc::new(Pictures::draw()) }
    }
}

pub(crate) fn routes(shop: Shop) -> Api {
    Api::new()
        .routes(handlers!(products))
        .routes(handlers!(one))
        .routes(handlers!(batch))
        .routes(handlers!(categories))
        .routes(handlers!(picture))
        .routes(handlers!(stock_of))
        .with_state(shop)
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct Asked {
    /// Words that the products must have in name, category or description.
    #[serde(default)]
    q: String,
    /// The id of a category.
    #[serde(default)]
    category: String,
    #[serde(default)]
    #[param(inline)]
    sort: Sort,
    /// `next` of the page before, with everything else the same.
    #[serde(default)]
    cursor: String,
    /// How many to list at most.
    #[serde(default = "Asked::default_limit")]
    #[param(minimum = 1, maximum = 100, default = 24)]
    limit: i64,
}

impl Asked {
    fn default_limit() -> i64 {
        DEFAULT_LIMIT
    }

    fn wanted(self) -> Result<Wanted, ApiError> {
        if !(1..=MAX_LIMIT).contains(&self.limit) {
            return Err(ApiError::unprocessable(format!(
                "limit is {}, it must be 1 to {MAX_LIMIT}",
                self.limit
            )));
        }
        if !self.category.is_empty() && !is_id(&self.category) {
            return Err(ApiError::unprocessable("that is not the id of a category"));
        }
        let after =
            if self.cursor.is_empty() { Place::start() } else { Place::decode(&self.cursor)? };
        let Self { q, category, sort, limit, .. } = self;
        Ok(Wanted { search: Search::new(&q), category, sort, after, limit })
    }
}

#[derive(Serialize, ToSchema)]
struct Products {
    items: Vec<Product>,
    /// The cursor of the next page, if there is one.
    next: Option<String>,
}

/// Products, a page at a time.
#[utoipa::path(get, path = "/products", params(Asked), responses((status = 200, body = Products)))]
async fn products(
    State(shop): State<Shop>,
    Query(asked): Query<Asked>,
) -> Result<Json<Products>, ApiError> {
    let (items, next) = product::list(&shop.store, asked.wanted()?).await?;
    Ok(Json(Products { items, next }))
}

fn no_product() -> ApiError {
    ApiError::not_found("there is no such product")
}

/// A product with its description.
#[utoipa::path(
    get,
    path = "/products/{id}",
    params(("id" = String, Path, description = "The product.")),
    responses((status = 200, body = Described)),
)]
async fn one(
    State(shop): State<Shop>,
    Path(id): Path<String>,
) -> Result<Json<Described>, ApiError> {
    let found = if is_id(&id) { product::one(&shop.store, &id).await? } else { None };
    found.map(Json).ok_or_else(no_product)
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Batch {
    /// Products, 100 at the most.
    #[schema(max_items = 100)]
    ids: Vec<String>,
}

#[derive(Serialize, ToSchema)]
struct Found {
    items: Vec<Product>,
}

/// Those of these products that there are, in the order they were asked for.
#[utoipa::path(
    post,
    path = "/products:batch",
    request_body = Batch,
    responses((status = 200, body = Found)),
)]
async fn batch(
    State(shop): State<Shop>,
    Json(Batch { ids }): Json<Batch>,
) -> Result<Json<Found>, ApiError> {
    if ids.len() > MAX_BATCH {
        return Err(ApiError::unprocessable(format!(
            "there are {} ids, the most is {MAX_BATCH}",
            ids.len()
        )));
    }
    Ok(Json(Found { items: product::batch(&shop.store, &ids).await? }))
}

#[derive(Serialize, ToSchema)]
struct Categories {
    items: Vec<Category>,
}

/// The shelves in the order in which they are shown.
#[utoipa::path(get, path = "/categories", responses((status = 200, body = Categories)))]
async fn categories(State(shop): State<Shop>) -> Result<Json<Categories>, ApiError> {
    Ok(Json(Categories { items: product::categories(&shop.store).await? }))
}

/// A product's picture. It never changes.
#[utoipa::path(
    get,
    path = "/pictures/{file}",
    params(("file" = String, Path, description = "The SKU and `.svg`.", example = "KIT-101.svg")),
    responses((status = 200, body = String, content_type = "image/svg+xml")),
)]
async fn picture(
    State(shop): State<Shop>,
    Path(file): Path<String>,
) -> Result<([(HeaderName, &'static str); 2], Bytes), ApiError> {
    let picture = shop.pictures.file(&file);
    let picture = picture.ok_or_else(|| ApiError::not_found("there is no such picture"))?;
    Ok(([(header::CONTENT_TYPE, "image/svg+xml"), (header::CACHE_CONTROL, IMMUTABLE)], picture))
}

/// What is in stock of a product.
#[utoipa::path(
    get,
    path = "/stock/{id}",
    params(("id" = String, Path, description = "The product.")),
    responses((status = 200, body = Stock)),
)]
async fn stock_of(
    State(shop): State<Shop>,
    Path(id): Path<String>,
) -> Result<Json<Stock>, ApiError> {
    let found = if is_id(&id) { stock::stock(&shop.store, &id).await? } else { None };
    found.map(Json).ok_or_else(no_product)
}
