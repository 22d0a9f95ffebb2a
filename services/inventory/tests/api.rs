//! The public API as the gateway uses it, and as it is misused.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests may fail the test"
)]

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use reqwest::{Client, Method, RequestBuilder, Response};
use serde_json::{Value, json};
use services_kit::bus::{self, Message};
use services_kit::events::{Body, Customer, Event, Line, OrderPlaced};
use services_kit::identity::IDENTITY;
use services_kit::openapi::disagreements;
use services_kit::{Kit, Options, Peer, Running};
use tempfile::TempDir;
use uuid::Uuid;

struct Shop {
    service: Running,
    data: TempDir,
    client: Client,
}

impl Shop {
    async fn open() -> Self {
        Self::again(tempfile::tempdir().unwrap()).await
    }

    async fn again(data: TempDir) -> Self {
        let options = options(&data);
        Self::with(data, options).await
    }

    async fn with(data: TempDir, options: Options) -> Self {
        let kit = Kit::new(Peer::Inventory, options).unwrap();
        let service = services_inventory::service(kit).await.unwrap().start().await.unwrap();
        Self { service, data, client: Client::new() }
    }

    fn ask(&self, method: Method, path: &str) -> RequestBuilder {
        let identity = self.service.kit().keys().sign(Peer::Gateway, None, SystemTime::now());
        let url = format!("http://{}{path}", self.service.public_address);
        self.client.request(method, url).header(IDENTITY, identity.unwrap())
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        answer(self.ask(Method::GET, path).send().await.unwrap()).await
    }

    async fn batch(&self, body: &Value) -> (u16, Value) {
        let request = self.ask(Method::POST, "/products:batch").body(body.to_string());
        answer(request.header("content-type", "application/json").send().await.unwrap()).await
    }

    /// The status, and how many products have more.
    async fn deliver(&self, delivery: Value) -> (u16, u64) {
        let url = format!("http://{}/admin/stock", self.service.admin_address);
        let answer = answer(self.client.post(url).json(&delivery).send().await.unwrap()).await;
        (answer.0, answer.1["products"].as_u64().unwrap_or_default())
    }

    async fn names(&self, path: &str) -> Vec<String> {
        let (status, page) = self.get(path).await;
        assert_eq!(status, 200, "{path}: {page}");
        let name = |item: &Value| item["name"].as_str().unwrap().to_owned();
        page["items"].as_array().unwrap().iter().map(name).collect()
    }
}

fn options(data: &TempDir) -> Options {
    Options { data: Some(data.path().into()), ..Options::on_free_ports().unwrap() }
}

async fn answer(response: Response) -> (u16, Value) {
    (response.status().as_u16(), response.json().await.unwrap())
}

#[tokio::test]
async fn a_product_is_shown_as_the_catalogue_has_it() {
    let shop = Shop::open().await;
    let (status, product) = shop.get("/products/kit-102").await;
    assert_eq!(status, 200);
    assert_eq!(
        product,
        json!({
            "id": "kit-102",
            "sku": "KIT-102",
            "name": "Oak chopping board",
            "category": "kitchen",
            "category_name": "Kitchen",
            "description": "A heavy end-grain board with a groove for the juice. \
                Oiled oak that darkens with the years.",
            "price": 3_790,
            "currency": "EUR",
            "picture": "/pictures/KIT-102.svg",
            "available": product["available"],
        })
    );
    let units = product["available"].clone();
    let (_, stock) = shop.get("/stock/kit-102").await;
    let expected = json!({"product_id": "kit-102", "available": units, "reserved": 0, "sold": 0});
    assert_eq!(stock, expected);
    let picture = shop.ask(Method::GET, "/pictures/KIT-102.svg").send().await.unwrap();
    assert_eq!(picture.headers()["content-type"], "image/svg+xml");
    assert!(picture.headers()["cache-control"].to_str().unwrap().contains("immutable"));
    assert!(picture.text().await.unwrap().starts_with("<svg"));
}

#[tokio::test]
async fn the_pages_of_every_order_hold_every_product_once() {
    let shop = Shop::open().await;
    for sort in ["popular", "price", "-price", "name"] {
        let (mut cursor, mut seen, mut keys) = (String::new(), BTreeSet::new(), Vec::new());
        loop {
            let path = format!("/products?sort={sort}&limit=47&cursor={cursor}");
            let (status, page) = shop.get(&path).await;
            assert_eq!(status, 200, "{page}");
            for item in page["items"].as_array().unwrap() {
                assert!(seen.insert(item["id"].as_str().unwrap().to_owned()), "{item} twice");
                keys.push((item["price"].as_i64().unwrap(), item["name"].to_string()));
            }
            let Some(next) = page["next"].as_str() else { break };
            next.clone_into(&mut cursor);
        }
        assert_eq!(seen.len(), 300, "{sort}");
        let prices = keys.iter().map(|(price, _)| *price);
        match sort {
            "price" => assert!(prices.is_sorted()),
            "-price" => assert!(prices.rev().is_sorted()),
            "name" => assert!(keys.iter().map(|(_, name)| name).is_sorted()),
            _ => assert!(!prices.is_sorted()),
        }
    }
}

#[tokio::test]
async fn a_search_finds_what_fits_best_first_and_a_category_narrows_it() {
    let shop = Shop::open().await;
    let boards = shop.names("/products?q=chop&limit=100").await;
    assert_eq!(boards.len(), 5);
    assert!(boards.iter().all(|name| name.contains("chopping board")), "{boards:?}");
    let oak = shop.names("/products?q=OAK%20chopping").await;
    assert_eq!(oak, ["Oak chopping board"]);
    let chess = shop.names("/products?q=walnut&category=games&limit=100").await;
    assert!(!chess.is_empty() && chess.len() < 25, "{chess:?}");
    assert_eq!(shop.names("/products?category=games&limit=100").await.len(), 25);
    assert!(shop.names("/products?q=zebra").await.is_empty());
    assert!(shop.names("/products?category=nothing").await.is_empty());
    assert_eq!(shop.names("/products?q=%25&limit=100").await.len(), 100);
}

#[tokio::test]
async fn the_shelves_are_in_their_order_and_counted() {
    let shop = Shop::open().await;
    let (_, categories) = shop.get("/categories").await;
    let items = categories["items"].as_array().unwrap();
    assert_eq!(items.len(), 12);
    assert_eq!(items[0], json!({"id": "kitchen", "name": "Kitchen", "count": 25}));
}

#[tokio::test]
async fn a_batch_has_those_that_there_are_in_the_order_asked_for() {
    let shop = Shop::open().await;
    let ids = json!({"ids": ["kit-201", "nothing", "kit-102", "no'); --", "\u{0}"]});
    let (status, found) = shop.batch(&ids).await;
    assert_eq!(status, 200, "{found}");
    let ids: Vec<&Value> =
        found["items"].as_array().unwrap().iter().map(|item| &item["id"]).collect();
    assert_eq!(ids, ["kit-201", "kit-102"]);
    assert!(found["items"][0].get("description").is_none());
    let many: Vec<String> = (0..101).map(|number| number.to_string()).collect();
    assert_eq!(shop.batch(&json!({ "ids": many })).await.0, 422);
    assert_eq!(shop.batch(&json!({"ids": [], "x": 1})).await.0, 422);
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_with_a_reason() {
    let shop = Shop::open().await;
    let cursor = format!("/products?cursor={}", "x".repeat(600));
    // A place whose name has a NUL, which Postgres takes in no text.
    let nul = "/products?cursor=WzAsMCwiXHUwMDAwIiwwXQ";
    for (expected, path) in [
        (404, "/products/nothing"),
        (404, "/products/KIT-102"),
        (404, "/products/%00"),
        (404, "/stock/nothing"),
        (404, "/pictures/KIT-102"),
        (404, "/pictures/nothing.svg"),
        (404, "/pictures/..%2f..%2fetc%2fpasswd"),
        (422, "/products?limit=0"),
        (422, "/products?limit=101"),
        (422, "/products?category=%00"),
        (400, "/products?limit=many"),
        (400, "/products?sort=chance"),
        (400, "/products?colour=blue"),
        (400, "/products?cursor=%21"),
        (400, "/products?cursor=bm90aGluZw"),
        (400, nul),
        (400, &cursor),
    ] {
        let (status, body) = shop.get(path).await;
        assert_eq!(status, expected, "{path}: {body}");
        assert!(body["error"]["message"].is_string(), "{path}: {body}");
    }
}

#[tokio::test]
async fn what_is_delivered_can_be_ordered_and_nothing_is_lost_by_a_mistake() {
    let shop = Shop::open().await;
    let available =
        async |id: &str| shop.get(&format!("/stock/{id}")).await.1["available"].as_i64().unwrap();
    let (board, spoon) = (available("kit-102").await, available("kit-201").await);
    assert_eq!(shop.deliver(json!({"product_id": "kit-102", "quantity": 7})).await, (200, 1));
    assert_eq!((available("kit-102").await, available("kit-201").await), (board + 7, spoon));
    assert_eq!(shop.deliver(json!({"quantity": 3})).await, (200, 300));
    assert_eq!((available("kit-102").await, available("kit-201").await), (board + 10, spoon + 3));
    for (status, delivery) in [
        (422, json!({"quantity": 0})),
        (422, json!({"quantity": -1})),
        (422, json!({"quantity": 1_000_000_001_i64})),
        (422, json!({"quantity": i64::MAX})),
        (422, json!({"product": "kit-102", "quantity": 1})),
        (404, json!({"product_id": "nothing", "quantity": 1})),
        (404, json!({"product_id": "no'); --", "quantity": 1})),
        (409, json!({"quantity": 1_000_000_000})),
    ] {
        assert_eq!(shop.deliver(delivery.clone()).await, (status, 0), "{delivery}");
    }
    assert_eq!((available("kit-102").await, available("kit-201").await), (board + 10, spoon + 3));
}

#[tokio::test]
async fn only_who_has_the_token_changes_the_stock_or_drives_dead_letters_again() {
    let data = tempfile::tempdir().unwrap();
    let token = Some("0123456789abcdef".into());
    let options = Options { admin_token: token, ..options(&data) };
    let shop = Shop::with(data, options).await;
    for path in ["/admin/stock", "/debug/dead-letters/redrive"] {
        let url = format!("http://{}{path}", shop.service.admin_address);
        let ask = || shop.client.post(&url).json(&json!({"quantity": 1}));
        let wrong = ask().bearer_auth("0123456789abcdeX");
        let right = || ask().bearer_auth("0123456789abcdef");
        let page = right().header("origin", "http://127.0.0.1:9082");
        for (request, status) in [(ask(), 401), (wrong, 401), (page, 403), (right(), 200)] {
            assert_eq!(request.send().await.unwrap().status(), status, "{path}");
        }
    }
}

#[tokio::test]
async fn what_operators_do_to_the_stock_is_not_among_what_customers_may_ask() {
    let shop = Shop::open().await;
    let request = shop.ask(Method::POST, "/admin/stock").json(&json!({"quantity": 1}));
    assert_eq!(request.send().await.unwrap().status(), 404);
}

#[tokio::test]
async fn nobody_but_the_shop_is_answered() {
    let shop = Shop::open().await;
    for path in ["/products", "/products/kit-102", "/categories", "/stock/kit-102"] {
        let url = format!("http://{}{path}", shop.service.public_address);
        assert_eq!(reqwest::get(url).await.unwrap().status(), 401, "{path}");
    }
}

#[tokio::test]
async fn the_document_and_the_routes_agree() {
    let shop = Shop::open().await;
    assert_eq!(disagreements(&shop.service).await.unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn an_order_on_the_bus_reserves_stock_that_is_still_reserved_after_a_restart() {
    let shop = Shop::open().await;
    let before = shop.get("/stock/kit-102").await.1["available"].as_i64().unwrap();
    let order_id = Uuid::now_v7();
    let order = OrderPlaced {
        order_id,
        number: "A-1".into(),
        customer: Customer { id: Uuid::nil(), email: "a@example.org".into(), name: "Ada".into() },
        lines: vec![Line {
            product_id: "kit-102".into(),
            name: "Oak chopping board".into(),
            quantity: 2,
            unit_price: 3_790,
        }],
        total: 7_580,
        currency: "EUR".into(),
        payment_token: "tok".into(),
    };
    let event = Event::new(order_id.to_string(), Body::OrderPlaced(order));
    let orders = Kit::new(Peer::Orders, options(&shop.data)).unwrap();
    let bus = bus::of(&orders).await.unwrap();
    let message = Message {
        id: event.id.to_string(),
        event_type: event.event_type().name().into(),
        key: event.key.clone(),
        body: event.encode().unwrap(),
    };
    // Twice: what is delivered twice must have its effect once.
    for sent in bus.publish(&[&message, &message]).await {
        sent.unwrap();
    }
    let reserved = async {
        let mut ticks = tokio::time::interval(Duration::from_millis(20));
        loop {
            ticks.tick().await;
            let (_, stock) = shop.get("/stock/kit-102").await;
            if stock["reserved"] == 2 {
                break stock;
            }
        }
    };
    let stock = tokio::time::timeout(Duration::from_secs(60), reserved).await.unwrap();
    assert_eq!(stock["available"], before - 2);
    let Shop { service, data, .. } = shop;
    service.stop().await;
    let shop = Shop::again(data).await;
    assert_eq!(shop.get("/stock/kit-102").await.1, stock, "neither lost nor seeded again");
}
