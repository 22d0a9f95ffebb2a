//! The bare handler that the gateway is measured beside: the same answers, found in memory and written as JSON for each
//! request, by axum and serde alone. No middleware, cache, metrics, traces or identity.
//!
//! The argument is a JSON file of answers by path, as the gateway gave them; the address is printed.

use std::collections::HashMap;
use std::fs::File;
use std::io::BufReader;
use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct Product {
    id: String,
    sku: String,
    name: String,
    category: String,
    category_name: String,
    price: i64,
    currency: String,
    picture: String,
    available: i64,
}

#[derive(Serialize, Deserialize)]
struct Products {
    items: Vec<Product>,
    next: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct Described {
    #[serde(flatten)]
    product: Product,
    description: String,
}

#[derive(PartialEq, Eq, Hash, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    q: Option<String>,
    category: Option<String>,
    sort: Option<String>,
    cursor: Option<String>,
    limit: Option<u32>,
}

#[derive(Default)]
struct Shelves {
    lists: HashMap<Asked, Products>,
    products: HashMap<String, Described>,
}

impl Shelves {
    fn of(answers: HashMap<String, serde_json::Value>) -> Result<Self, Box<dyn std::error::Error>> {
        let mut shelves = Self::default();
        for (path, answer) in answers {
            let uri: Uri = path.parse()?;
            match uri.path().strip_prefix("/api/products/") {
                Some(id) => {
                    shelves.products.insert(id.to_owned(), serde_json::from_value(answer)?);
                }
                None => {
                    let Query(asked) = Query::try_from_uri(&uri)?;
                    shelves.lists.insert(asked, serde_json::from_value(answer)?);
                }
            }
        }
        Ok(shelves)
    }
}

async fn products(State(shelves): State<Arc<Shelves>>, Query(asked): Query<Asked>) -> Response {
    answer(shelves.lists.get(&asked))
}

async fn product(State(shelves): State<Arc<Shelves>>, Path(id): Path<String>) -> Response {
    answer(shelves.products.get(&id))
}

fn answer(found: Option<&impl Serialize>) -> Response {
    found.map_or_else(|| StatusCode::NOT_FOUND.into_response(), |found| Json(found).into_response())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let file = std::env::args_os().nth(1).ok_or("which file holds the answers?")?;
    let answers = serde_json::from_reader(BufReader::new(File::open(file)?))?;
    let routes = Router::new()
        .route("/api/products", get(products))
        .route("/api/products/{id}", get(product))
        .with_state(Arc::new(Shelves::of(answers)?));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?);
    axum::serve(listener, routes).await?;
    Ok(())
}
