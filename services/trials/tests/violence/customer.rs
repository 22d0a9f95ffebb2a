//! A customer: what they want, how they behave, and what they met with.

use std::collections::BTreeMap;

use rand::RngExt as _;
use rand::seq::IndexedRandom as _;
use rand_chacha::ChaCha8Rng;
use reqwest::Method;
use serde_json::{Value, json};
use services_trials::visitor::{Refused, Visitor};

use crate::stores::Stock;

/// Units below which a product is scarce: with some it runs out.
const SCARCE: i64 = 30;

/// What there is to want.
pub(crate) struct Shelves {
    plenty: Vec<String>,
    scarce: Vec<String>,
}

impl Shelves {
    pub(crate) fn of(stock: &[Stock]) -> Self {
        let ids = |wanted: fn(i64) -> bool, most| {
            let found = stock.iter().filter(|stock| wanted(stock.available));
            found.map(|stock| stock.product.clone()).take(most).collect()
        };
        Self {
            plenty: ids(|available| available >= SCARCE, usize::MAX),
            scarce: ids(|available| (1..SCARCE).contains(&available), 8),
        }
    }
}

/// How somebody orders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    /// Sends the same request until it is answered.
    Patient,
    /// Clicks twice.
    Hasty,
    /// Closes the page when there is no answer.
    GivesUp,
    /// Cancels at once what was accepted.
    Regrets,
}

/// What somebody wants.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// Product and quantity.
    pub(crate) basket: BTreeMap<String, u32>,
    pub(crate) card: &'static str,
    manner: Manner,
    key: String,
}

pub(crate) const GOOD_CARD: &str = "4242424242424242";

/// Of twenty customers: declined, without money, one whose provider fails; the others' cards pay.
const BAD_CARDS: [&str; 3] = ["4000000000000002", "4000000000009995", "4000000000000119"];

impl Plan {
    pub(crate) fn new(shelves: &Shelves, random: &mut ChaCha8Rng) -> Self {
        let mut basket = BTreeMap::new();
        for _ in 0..random.random_range(1..=2) {
            basket.insert(pick(&shelves.plenty, random), random.random_range(1..=3));
        }
        if random.random_range(0..4) == 0 {
            basket.insert(pick(&shelves.scarce, random), random.random_range(1..=2));
        }
        let card = random.random_range(0..20);
        let manner = match random.random_range(0..20) {
            0..=1 => Manner::Hasty,
            2 => Manner::GivesUp,
            3..=4 => Manner::Regrets,
            _ => Manner::Patient,
        };
        Self {
            basket,
            card: BAD_CARDS.get(card).copied().unwrap_or(GOOD_CARD),
            manner,
            key: format!("{:032x}", random.random::<u128>()),
        }
    }
}

fn pick(from: &[String], random: &mut ChaCha8Rng) -> String {
    from.choose(random).unwrap().clone()
}

/// What became of somebody's wish, as they saw it.
#[derive(Clone, Debug)]
pub(crate) enum Met {
    /// The order with this id was accepted, and they cancelled it, or tried to: whether that was accepted.
    Accepted { order: String, cancelled: Option<bool> },
    /// There was no order to be had.
    Refused(String),
    /// They do not know.
    GaveUp,
}

pub(crate) struct Customer {
    pub(crate) visitor: Visitor,
    pub(crate) plan: Plan,
    /// What is not as it should be.
    pub(crate) wrong: Vec<String>,
}

impl Customer {
    pub(crate) fn new(visitor: Visitor, plan: Plan) -> Self {
        Self { visitor, plan, wrong: Vec::new() }
    }

    pub(crate) async fn buys(&mut self) -> Met {
        for (product, quantity) in &self.plan.basket {
            let (path, body) =
                (format!("/api/cart/items/{product}"), json!({ "quantity": quantity }));
            match self.visitor.insist(Method::PUT, &path, &body, None).await {
                Err(refused) if refused.code != "out_of_stock" => {
                    self.wrong.push(format!("{path}: {refused}"));
                }
                _ => {}
            }
        }
        let answer = match self.plan.manner {
            Manner::GivesUp => match self.orders_once().await {
                Err(refused) if refused.is_open() => return Met::GaveUp,
                answer => answer,
            },
            Manner::Hasty => {
                let (one, other) = tokio::join!(self.orders(), self.orders());
                if let (Ok(one), Ok(other)) = (&one, &other)
                    && one != other
                {
                    self.wrong.push(format!("two answers for one key: {one} {other}"));
                }
                one.or(other)
            }
            Manner::Patient | Manner::Regrets => self.orders().await,
        };
        self.judged(answer).await
    }

    async fn judged(&mut self, answer: Result<Value, Refused>) -> Met {
        let refused = match answer {
            Ok(order) => {
                let order = order["order"]["id"].as_str().unwrap_or_default().to_owned();
                let cancelled = match self.plan.manner {
                    Manner::Regrets => Some(self.cancels(&order).await),
                    _ => None,
                };
                return Met::Accepted { order, cancelled };
            }
            Err(refused) => refused,
        };
        if !["out_of_stock", "cart_empty"].contains(&refused.code.as_str()) {
            self.wrong.push(format!("an order was refused: {refused}"));
        }
        Met::Refused(refused.code)
    }

    async fn orders(&self) -> Result<Value, Refused> {
        loop {
            let (body, key) = (self.checkout(), Some(self.plan.key.as_str()));
            match self.visitor.insist(Method::POST, "/api/orders", &body, key).await {
                // What was put there without an answer got there late. The page shows the cart, and they order again.
                Err(refused) if refused.code == "cart_changed" => {}
                answer => return answer,
            }
        }
    }

    async fn orders_once(&self) -> Result<Value, Refused> {
        let key = Some(self.plan.key.as_str());
        self.visitor.ask(Method::POST, "/api/orders", &self.checkout(), key).await
    }

    fn checkout(&self) -> Value {
        json!({
            "payment": {
                "card_number": self.plan.card, "expiry": "12/39", "cvc": "123", "holder": "Ada Lovelace",
            },
            "address": {
                "street": "Main Street 1", "city": "Berlin", "postcode": "10115", "country": "DE",
            },
        })
    }

    async fn cancels(&mut self, order: &str) -> bool {
        let path = format!("/api/orders/{order}/cancel");
        match self.visitor.insist(Method::POST, &path, &Value::Null, None).await {
            Ok(_) => true,
            Err(refused) => {
                if refused.code != "too_late" {
                    self.wrong.push(format!("{path}: {refused}"));
                }
                false
            }
        }
    }

    /// The same request with the same key once more, long after.
    pub(crate) async fn repeats(&mut self, met: &Met) {
        let Met::Accepted { order, .. } = met else { return };
        match self.orders().await {
            Ok(again) if again["order"]["id"] == **order => {}
            Ok(other) => self.wrong.push(format!("{order} was repeated: {other}")),
            Err(refused) => self.wrong.push(format!("{order} was repeated: {refused}")),
        }
    }

    pub(crate) async fn list(&self, path: &str) -> Vec<Value> {
        let answer = self.visitor.insist(Method::GET, path, &Value::Null, None).await.unwrap();
        answer["items"].as_array().unwrap().clone()
    }
}
