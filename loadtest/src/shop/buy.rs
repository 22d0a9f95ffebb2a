//! Who buys: comes as a guest, signs in, orders, waits until the shop is done with the order, and leaves.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use goose::prelude::*;
use serde_json::{Value, json};

use super::{Change, get, json, list, put, read, session, text};
use crate::shopper::Shopper;

const PASSWORD: &str = "a long enough password";
/// The provider's test cards: of ten payments eight are good, one is declined, one lacks the money.
const GOOD: &str = "4242424242424242";
const BAD: [&str; 2] = ["4000000000000002", "4000000000009995"];
const PAYMENTS: usize = 10;
/// One in so many visits is somebody's first.
const NEWCOMERS: usize = 4;
/// How often the page asks for an order that is under way, and how often before something must be wrong.
const PAUSE: Duration = Duration::from_millis(500);
const PATIENCE: usize = 60;

/// Who visits next.
#[derive(Clone)]
struct Customer {
    shopper: Shopper,
    /// The account that visits once it is there.
    email: Option<String>,
}

/// Buying.
pub(crate) fn buy() -> Result<Scenario, GooseError> {
    Ok(scenario!("ShopBuy").register_transaction(transaction!(visit).set_name("visit")))
}

/// A visit from the first page to the sign-out. One that fails is left as it is; the next signs in anew.
async fn visit(user: &mut GooseUser) -> TransactionResult {
    let csrf = session(user).await?;
    let products = list(user, "/api/products?sort=popular&limit=100").await?;
    for _ in 0..1 + customer(user).shopper.pick(3) {
        let one = customer(user).shopper.pick(products.len());
        let product = products.get(one).ok_or("everything is sold out")?;
        put(user, &csrf, &product.id, 1).await?;
    }
    sign_in(user, &csrf).await?;
    // Another session, another token.
    let csrf = session(user).await?;
    let order = order(user, &csrf).await?;
    follow(user, &order).await?;
    read(get(user, "/api/orders", "/api/orders").await?).await?;
    read_mail(user, &csrf).await?;
    change(user, &csrf, "/api/sign-out", "/api/sign-out", None, 204).await
}

/// As somebody new, or as who came last time. The guest's cart comes along.
async fn sign_in(user: &mut GooseUser, csrf: &str) -> TransactionResult {
    let customer = customer(user);
    let known = customer.email.clone().filter(|_| customer.shopper.pick(NEWCOMERS) != 0);
    if let Some(email) = known {
        let body = json!({ "email": email, "password": PASSWORD });
        return change(user, csrf, "/api/sign-in", "/api/sign-in", Some(body), 200).await;
    }
    let email = format!("{}@example.com", unique());
    let body = json!({ "email": email, "name": "Ada Load", "password": PASSWORD });
    change(user, csrf, "/api/register", "/api/register", Some(body), 201).await?;
    self::customer(user).email = Some(email);
    Ok(())
}

/// Orders what is in the cart; the order's id.
async fn order(user: &mut GooseUser, csrf: &str) -> Result<String, Box<TransactionError>> {
    let card = card(customer(user).shopper.pick(PAYMENTS));
    let address =
        json!({ "street": "Long Lane 1", "city": "Vienna", "postcode": "1010", "country": "AT" });
    let payment =
        json!({ "card_number": card, "expiry": "12/39", "cvc": "123", "holder": "Ada Load" });
    let change = Change {
        method: GooseMethod::Post,
        path: "/api/orders",
        name: "/api/orders",
        key: Some(&unique()),
        body: Some(json!({ "payment": payment, "address": address })),
        status: 202,
    };
    let taken = json(change.send(user, csrf).await?).await?;
    Ok(text(&taken["order"]["id"])?.to_owned())
}

/// Looks at the order until the shop is done with it.
async fn follow(user: &mut GooseUser, order: &str) -> TransactionResult {
    let path = format!("/api/orders/{order}");
    for _ in 0..PATIENCE {
        let order = json(get(user, &path, "/api/orders/{id}").await?).await?;
        if matches!(text(&order["state"])?, "notified" | "cancelled") {
            return Ok(());
        }
        tokio::time::sleep(PAUSE).await;
    }
    let mut last = get(user, &path, "/api/orders/{id}").await?;
    user.set_failure("an order does not come to its end", &mut last.request, None, None)
}

/// Opens the mailbox and reads the newest mail, if there is one by now.
async fn read_mail(user: &mut GooseUser, csrf: &str) -> TransactionResult {
    let mailbox = json(get(user, "/api/mailbox", "/api/mailbox").await?).await?;
    let Some(mail) = mailbox["items"].get(0) else { return Ok(()) };
    let path = format!("/api/mailbox/{}/read", text(&mail["id"])?);
    change(user, csrf, &path, "/api/mailbox/{id}/read", None, 204).await
}

async fn change(
    user: &mut GooseUser,
    csrf: &str,
    path: &str,
    name: &str,
    body: Option<Value>,
    status: u16,
) -> TransactionResult {
    let change = Change { method: GooseMethod::Post, path, name, key: None, body, status };
    read(change.send(user, csrf).await?).await
}

fn card(payment: usize) -> &'static str {
    BAD.get(payment).copied().unwrap_or(GOOD)
}

/// A name that nobody had before, in this run or an earlier one.
fn unique() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    format!("load-{:x}-{:x}", now.as_nanos(), COUNT.fetch_add(1, Ordering::Relaxed))
}

/// The customer behind a user, who is there from the first request on.
fn customer(user: &mut GooseUser) -> &mut Customer {
    if user.get_session_data::<Customer>().is_none() {
        let shopper = Shopper::number(user.weighted_users_index);
        user.set_session_data(Customer { shopper, email: None });
    }
    user.get_session_data_unchecked_mut::<Customer>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eight_in_ten_cards_are_good() {
        let good = (0..PAYMENTS).filter(|payment| card(*payment) == GOOD).count();
        assert_eq!((good, PAYMENTS), (8, 10));
    }

    #[test]
    fn no_two_names_are_the_same_and_each_fits_an_idempotency_key() {
        let mut names: Vec<String> = (0..1_000).map(|_| unique()).collect();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), 1_000);
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        assert!(names.iter().all(|name| name.len() <= 64 && name.bytes().all(allowed)));
    }
}
