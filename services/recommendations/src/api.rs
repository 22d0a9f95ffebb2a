//! The public routes.

use std::sync::{Arc, PoisonError, RwLock};

use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use services_kit::ApiError;
use services_kit::prometheus::{Error, IntCounter, IntGauge, Registry};

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
        let orders = IntCounter::new("recommendations_orders_total", "Orders learned from.")?;
        let items = IntGauge::new("recommendations_items", "Items known now.")?;
        let evicted = IntCounter::new(
            "recommendations_evicted_items_total",
            "Items that gave way because the model was full.",
        )?;
        registry.register(Box::new(orders.clone()))?;
        registry.register(Box::new(items.clone()))?;
        registry.register(Box::new(evicted.clone()))?;
        Ok(Self { model: Arc::default(), orders, items, evicted })
    }

    fn read<T>(&self, ask: impl FnOnce(&Model) -> T) -> T {
        ask(&self.model.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn learn(&self, order: &[ItemId]) {
        let mut model = self.model.write().unwrap_or_else(PoisonError::into_inner);
        let evicted = model.evicted();
        model.learn(order);
        self.orders.inc();
        self.evicted.inc_by(model.evicted() - evicted);
        self.items.set(i64::try_from(model.items()).unwrap_or(i64::MAX));
    }
}

pub(crate) fn routes(shop: Shop) -> Router {
    Router::new()
        .route("/recommendations/{item}", get(recommendations))
        .route("/items/popular", get(popular))
        .route("/orders", post(order))
        .with_state(shop)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Page {
    #[serde(default = "Page::default_limit")]
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

#[derive(Serialize)]
struct Recommended {
    item: ItemId,
    recommendations: Vec<Recommendation>,
}

async fn recommendations(
    State(shop): State<Shop>,
    item: Result<Path<String>, PathRejection>,
    page: Result<Query<Page>, QueryRejection>,
) -> Result<Json<Recommended>, ApiError> {
    let Path(item) = item?;
    let item =
        ItemId::try_from(item).map_err(|error| ApiError::unprocessable(error.to_string()))?;
    let limit = page?.limit()?;
    let recommendations = shop.read(|model| model.recommend(&item, limit));
    Ok(Json(Recommended { item, recommendations }))
}

#[derive(Serialize)]
struct Popular {
    items: Vec<Recommendation>,
}

async fn popular(
    State(shop): State<Shop>,
    page: Result<Query<Page>, QueryRejection>,
) -> Result<Json<Popular>, ApiError> {
    let limit = page?.limit()?;
    Ok(Json(Popular { items: shop.read(|model| model.popular(limit)) }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Order {
    items: Vec<ItemId>,
}

#[derive(Serialize)]
struct Learned {
    learned_items: usize,
}

async fn order(
    State(shop): State<Shop>,
    order: Result<Json<Order>, JsonRejection>,
) -> Result<Json<Learned>, ApiError> {
    let Json(Order { items }) = order?;
    if !(1..=MAX_ORDER).contains(&items.len()) {
        return Err(ApiError::unprocessable(format!(
            "the order has {} items, it must have 1 to {MAX_ORDER}",
            items.len()
        )));
    }
    shop.learn(&items);
    Ok(Json(Learned { learned_items: items.len() }))
}
