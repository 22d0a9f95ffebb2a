//! The public routes.

use std::sync::{Arc, PoisonError, RwLock};

use axum::extract::State;
use serde::{Deserialize, Serialize};
use services_kit::catalogue::recommendations as metrics;
use services_kit::openapi::{Api, routes as handlers};
use services_kit::prometheus::{Error, IntCounter, IntGauge, Registry};
use services_kit::{ApiError, Json, Path, Query};
use utoipa::{IntoParams, ToSchema};

use crate::model::{ItemId, MAX_ORDER, Model, Recommendation};

/// The most that one answer lists.
const MAX_LIMIT: usize = 50;

/// What an answer lists unless it is told otherwise.
const DEFAULT_LIMIT: usize = 10;

/// What the handlers share.
#[derive(Clone)]
pub(crate) struct Shop {
    model: Arc<RwLock<Model>>,
    orders: IntCounter,
    items: IntGauge,
    evicted: IntCounter,
}

impl Shop {
    /// A shop that knows nothing yet, with its metrics.
    pub(crate) fn register(registry: &Registry) -> Result<Self, Error> {
        Ok(Self {
            model: Arc::default(),
            orders: metrics::ORDERS.plain_counter(registry)?,
            items: metrics::ITEMS.plain_gauge(registry)?,
            evicted: metrics::EVICTED.plain_counter(registry)?,
        })
    }

    fn read<T>(&self, ask: impl FnOnce(&Model) -> T) -> T {
        ask(&self.model.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn learn(&self, order: &[ItemId]) {
        let mut model = self.model.write().unwrap_or_else(PoisonError::into_inner);
        let evicted = model.evicted();
        model.learn(order);
        self.orders.inc();
        self.evicted.inc_by(model.evicted() - evicted);
        self.items.set(i64::try_from(model.items()).unwrap_or(i64::MAX));
    }
}

pub(crate) fn routes(shop: Shop) -> Api {
    Api::new()
        .routes(handlers!(recommendations))
        .routes(handlers!(popular))
        .routes(handlers!(order))
        .with_state(shop)
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct Page {
    /// How many to list at most.
    #[serde(default = "Page::default_limit")]
    #[param(minimum = 1, maximum = 50, default = 10)]
    limit: usize,
}

impl Page {
    fn default_limit() -> usize {
        DEFAULT_LIMIT
    }

    fn limit(&self) -> Result<usize, ApiError> {
        if (1..=MAX_LIMIT).contains(&self.limit) {
            Ok(self.limit)
        } else {
            Err(ApiError::unprocessable(format!(
                "limit is {}, it must be 1 to {MAX_LIMIT}",
                self.limit
            )))
        }
    }
}

#[derive(Serialize, ToSchema)]
struct Recommended {
    #[schema(value_type = String)]
    item: ItemId,
    recommendations: Vec<Recommendation>,
}

/// What is most often bought with an item, filled up with what is popular.
#[utoipa::path(
    get,
    path = "/recommendations/{item}",
    params(("item" = String, Path, description = "The item."), Page),
    responses((status = 200, body = Recommended)),
)]
async fn recommendations(
    State(shop): State<Shop>,
    Path(item): Path<String>,
    Query(page): Query<Page>,
) -> Result<Json<Recommended>, ApiError> {
    let item =
        ItemId::try_from(item).map_err(|error| ApiError::unprocessable(error.to_string()))?;
    let limit = page.limit()?;
    let recommendations = shop.read(|model| model.recommend(&item, limit));
    Ok(Json(Recommended { item, recommendations }))
}

#[derive(Serialize, ToSchema)]
struct Popular {
    items: Vec<Recommendation>,
}

/// What is in most orders.
#[utoipa::path(
    get,
    path = "/items/popular",
    params(Page),
    responses((status = 200, body = Popular)),
)]
async fn popular(
    State(shop): State<Shop>,
    Query(page): Query<Page>,
) -> Result<Json<Popular>, ApiError> {
    let limit = page.limit()?;
    Ok(Json(Popular { items: shop.read(|model| model.popular(limit)) }))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Order {
    /// Which items were bought together, 1 to 50.
    #[schema(value_type = Vec<String>, min_items = 1, max_items = 50)]
    items: Vec<ItemId>,
}

#[derive(Serialize, ToSchema)]
struct Learned {
    learned_items: usize,
}

/// Learns which items were bought together.
#[utoipa::path(
    post,
    path = "/orders",
    request_body = Order,
    responses((status = 200, body = Learned)),
)]
async fn order(
    State(shop): State<Shop>,
    Json(Order { items }): Json<Order>,
) -> Result<Json<Learned>, ApiError> {
    if !(1..=MAX_ORDER).contains(&items.len()) {
        return Err(ApiError::unprocessable(format!(
            "the order has {} items, it must have 1 to {MAX_ORDER}",
            items.len()
        )));
    }
    shop.learn(&items);
    Ok(Json(Learned { learned_items: items.len() }))
}
