//! Checkout: a cart becomes an order, once for each key.
//!
//! The key, the order, the cart's emptying and the event are one transaction, so that whoever asks again with the same
//! key gets the same answer, and two who ask at once make one order. Kept are answers that are final: the order, or
//! that there is nothing to order. A request that failed for the moment leaves no trace, and may be made again.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use services_kit::client::Client;
use services_kit::events::{Customer, Event};
use services_kit::outbox::Outbox;
use services_kit::store::{Database, StoreError, Tx, now_ms};
use services_kit::{ApiError, Kit, Peer};
use sha2::{Digest as _, Sha256};
use tokio::try_join;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::address::Address;
use crate::api::Shown;
use crate::cart::{self, CartLine, Owner};
use crate::order::{Line, Order, Payment, State, Step};
use crate::shelf::{self, Product};
use crate::store;

/// The longest key and the longest token, in bytes.
const LONGEST_KEY: usize = 64;
const LONGEST_TOKEN: usize = 128;

/// What orders are paid in.
const CURRENCY: &str = "EUR";

/// What stands for a card. The card itself never comes here, so that it cannot be lost here.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Token {
    /// From the payments service.
    #[schema(min_length = 1, max_length = 128)]
    token: String,
    /// The last four digits of the card.
    #[schema(example = "4242", min_length = 4, max_length = 4)]
    last4: String,
}

/// What is needed to make an order of a cart.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Request {
    payment: Token,
    address: Address,
}

impl Request {
    fn checked(self) -> Result<Self, ApiError> {
        let Self { payment, address } = self;
        let plain = payment.token.bytes().all(|byte| byte.is_ascii_graphic());
        if !plain || !(1..=LONGEST_TOKEN).contains(&payment.token.len()) {
            return Err(ApiError::unprocessable("that is no payment token").code("token_invalid"));
        }
        if payment.last4.len() != 4 || !payment.last4.bytes().all(|byte| byte.is_ascii_digit()) {
            let message = "last4 must be the last four digits of the card";
            return Err(ApiError::unprocessable(message).code("token_invalid"));
        }
        Ok(Self { payment, address: address.checked()? })
    }

    /// What makes two requests the same. The token is left out: a new one is made each time the customer sends the
    /// same card.
    fn hash(&self) -> Result<String, ApiError> {
        let text = serde_json::to_vec(&(&self.address, &self.payment.last4));
        Ok(URL_SAFE_NO_PAD.encode(Sha256::digest(text.map_err(ApiError::internal)?)))
    }
}

/// What a customer calls one checkout.
#[derive(Clone, Debug)]
pub(crate) struct Key(String);

impl Key {
    pub(crate) fn new(text: Option<&str>) -> Result<Self, ApiError> {
        let wrong =
            |message: String| ApiError::bad_request(message).code("idempotency_key_missing");
        let text = text.ok_or_else(|| wrong("the header Idempotency-Key is missing".into()))?;
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        if !(1..=LONGEST_KEY).contains(&text.len()) || !text.bytes().all(allowed) {
            return Err(wrong(format!(
                "Idempotency-Key must be 1 to {LONGEST_KEY} letters, digits, `-` or `_`"
            )));
        }
        Ok(Self(text.to_owned()))
    }
}

/// An answer that stays the same, as it is kept.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Answer {
    /// 202 with this text.
    Placed(String),
    /// 422: there was nothing to order.
    Empty,
}

impl Answer {
    fn given(self) -> Result<String, ApiError> {
        match self {
            Self::Placed(text) => Ok(text),
            Self::Empty => Err(ApiError::unprocessable("Your cart is empty.").code("cart_empty")),
        }
    }
}

#[derive(Deserialize)]
struct Person {
    email: String,
    name: String,
}

/// Makes orders of carts. Clones are the same.
#[derive(Clone)]
pub(crate) struct Checkout {
    store: Database,
    inventory: Client,
    users: Client,
}

/// What came of a checkout.
pub(crate) struct Outcome {
    /// The body of the answer.
    pub(crate) text: String,
    /// Whether the order was placed just now, and not before.
    pub(crate) new: bool,
}

impl Checkout {
    pub(crate) fn new(kit: &Kit, store: Database) -> Self {
        Self { store, inventory: kit.client(Peer::Inventory), users: kit.client(Peer::Users) }
    }

    /// Makes an order of the customer's cart, or gives the answer that was given for this key before.
    pub(crate) async fn check_out(
        &self,
        customer: Uuid,
        key: &Key,
        request: Request,
    ) -> Result<Outcome, ApiError> {
        let request = request.checked()?;
        let hash = &request.hash()?;
        if let Some(answer) = self.answered(customer, key, hash).await? {
            return Ok(Outcome { text: answer.given()?, new: false });
        }
        let owner = &Owner::customer(customer);
        let cart = &cart::lines(&self.store, owner).await?;
        let lines = self.lines(cart);
        let (lines, person) = match try_join!(lines, self.person(customer)) {
            Ok(found) => found,
            // Another request with this key may have ordered meanwhile, and taken the last of something.
            Err(refused) => {
                let answer = self.answered(customer, key, hash).await?.ok_or(refused)?;
                return Ok(Outcome { text: answer.given()?, new: false });
            }
        };
        if lines.is_empty() {
            return self.nothing(customer, key, hash, owner, cart).await;
        }
        let order = &order(customer, person, lines, &request);
        let token = &request.payment.token;
        let answer = &Answer::Placed(Shown::new(order.clone()).envelope()?);
        let answer = self
            .store
            .transaction(|mut tx| async move {
                if let Some(before) = keep(&mut tx, customer, key, hash, answer).await? {
                    return Ok(tx.done((before, false)));
                }
                if !cart::take(&mut tx, owner, cart).await? {
                    return Err(changed());
                }
                store::insert(&mut tx, order).await?;
                let event = Event::new(order.id.to_string(), order.placed(token.clone()));
                Outbox::add(&mut tx, &event).await?;
                Ok(tx.done((answer.clone(), true)))
            })
            .await?;
        Ok(Outcome { text: answer.0.given()?, new: answer.1 })
    }

    /// There is nothing to order, unless another request with the same key has just ordered it.
    async fn nothing(
        &self,
        customer: Uuid,
        key: &Key,
        hash: &str,
        owner: &Owner,
        cart: &[CartLine],
    ) -> Result<Outcome, ApiError> {
        let answer = self
            .store
            .transaction(|mut tx| async move {
                let before = keep(&mut tx, customer, key, hash, &Answer::Empty).await?;
                if before.is_none() && !cart::take(&mut tx, owner, cart).await? {
                    return Err(changed());
                }
                Ok(tx.done(before.unwrap_or(Answer::Empty)))
            })
            .await?;
        Ok(Outcome { text: answer.given()?, new: false })
    }

    async fn answered(
        &self,
        customer: Uuid,
        key: &Key,
        hash: &str,
    ) -> Result<Option<Answer>, ApiError> {
        let kept: Option<(String, String)> = sqlx::query_as(KEPT)
            .bind(customer.to_string())
            .bind(&key.0)
            .fetch_optional(self.store.pool())
            .await?;
        kept.map(|kept| same(kept, hash)).transpose()
    }

    /// The lines of an order, of those products that there still are.
    async fn lines(&self, cart: &[CartLine]) -> Result<Vec<Line>, ApiError> {
        let ids: Vec<&str> = cart.iter().map(|line| line.product_id.as_str()).collect();
        let products = shelf::products(&self.inventory, &ids).await?;
        let found = |line: &CartLine| {
            let product = products.iter().find(|product| product.id == line.product_id)?;
            Some(line_of(product, line.quantity))
        };
        cart.iter().filter_map(found).collect()
    }

    async fn person(&self, customer: Uuid) -> Result<Person, ApiError> {
        Ok(self.users.get("/customers/me").for_customer(customer).send().await?)
    }
}

const KEPT: &str = "SELECT request_hash, answer FROM checkouts
    WHERE customer_id = $1 AND idempotency_key = $2";

/// Keeps the answer for the key, or finds the one that is kept. Another request with the key waits here for this one.
async fn keep(
    tx: &mut Tx,
    customer: Uuid,
    key: &Key,
    hash: &str,
    answer: &Answer,
) -> Result<Option<Answer>, ApiError> {
    let kept = sqlx::query(
        "INSERT INTO checkouts (customer_id, idempotency_key, request_hash, answer, created_at)
         VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
    )
    .bind(customer.to_string())
    .bind(&key.0)
    .bind(hash)
    .bind(serde_json::to_string(answer).map_err(ApiError::internal)?)
    .bind(now_ms())
    .execute(tx.conn())
    .await?;
    if kept.rows_affected() > 0 {
        return Ok(None);
    }
    let before: (String, String) =
        sqlx::query_as(KEPT).bind(customer.to_string()).bind(&key.0).fetch_one(tx.conn()).await?;
    same(before, hash).map(Some)
}

/// The answer that is kept, if it was the same request.
fn same((kept, answer): (String, String), hash: &str) -> Result<Answer, ApiError> {
    if kept != hash {
        let message = "this Idempotency-Key was used for another request";
        return Err(ApiError::unprocessable(message).code("idempotency_key_reused"));
    }
    serde_json::from_str(&answer).map_err(ApiError::internal)
}

fn changed() -> ApiError {
    ApiError::conflict("Your cart changed meanwhile; please look at it again.").code("cart_changed")
}

fn line_of(product: &Product, quantity: i64) -> Result<Line, ApiError> {
    if product.available < quantity {
        return Err(product.short());
    }
    Ok(Line {
        product_id: product.id.clone(),
        name: product.name.clone(),
        picture: product.picture.clone(),
        price: product.price,
        quantity: u32::try_from(quantity).map_err(ApiError::internal)?,
    })
}

fn order(customer: Uuid, person: Person, lines: Vec<Line>, request: &Request) -> Order {
    let Person { email, name } = person;
    Order {
        id: Uuid::now_v7(),
        number: number(),
        customer: Customer { id: customer, email, name },
        state: State::Placed,
        reason: None,
        history: vec![Step { state: State::Placed, at: now_ms() }],
        total: lines.iter().fold(0, |sum, line| line.total().saturating_add(sum)),
        lines,
        currency: CURRENCY.to_owned(),
        address: request.address.clone(),
        last4: request.payment.last4.clone(),
        payment: Payment::Pending,
        payment_id: None,
    }
}

/// Ten letters and digits that are not mistaken for each other (Crockford's base 32), such as `7K3F9-QX2MA`: 50 bits by
/// chance, so that of a million orders two are the same once in two thousand shops, and there the second is refused.
fn number() -> String {
    const DIGITS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    let random = Uuid::new_v4().into_bytes();
    let digit = |byte: u8| char::from(DIGITS[usize::from(byte % 32)]);
    // Bytes 6 and 8 hold the version and the variant.
    let [a, b, c, d, e, f, _, g, _, h, i, j, ..] = random;
    let mut number: String = [a, b, c, d, e].map(digit).iter().collect();
    number.push('-');
    number.extend([f, g, h, i, j].map(digit));
    number
}

/// Forgets answers that were given before `then`.
pub(crate) async fn forget(store: &Database, then: i64) -> Result<u64, StoreError> {
    let sql = "DELETE FROM checkouts WHERE (customer_id, idempotency_key) IN (
                   SELECT customer_id, idempotency_key FROM checkouts
                   WHERE created_at < $1 ORDER BY created_at LIMIT $2)";
    store.forget(sql, then).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_two_groups_of_five_and_differ() {
        let (one, other) = (number(), number());
        assert_ne!(one, other);
        let (left, right) = one.split_once('-').unwrap();
        assert_eq!((left.len(), right.len()), (5, 5));
        assert!(!one.contains(['I', 'L', 'O', 'U']));
    }

    #[test]
    fn a_key_is_short_and_plain() {
        assert!(Key::new(Some("0190-aB_9")).is_ok());
        let long = "x".repeat(65);
        for wrong in [None, Some(""), Some("a b"), Some("ä"), Some(long.as_str())] {
            assert!(Key::new(wrong).is_err(), "{wrong:?}");
        }
    }
}
