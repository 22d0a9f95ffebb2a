//! Who looks around: lists, searches, products with picture and recommendations, a cart that is left.

use goose::prelude::*;

use super::{Product, get, list, put, read, session};
use crate::shopper::Shopper;

const CATEGORIES: [&str; 12] = [
    "kitchen",
    "living",
    "bags",
    "tableware",
    "garden",
    "lighting",
    "clothing",
    "coffee",
    "desk",
    "outdoors",
    "bath",
    "games",
];
const SORTS: [&str; 4] = ["popular", "price", "-price", "name"];
/// What people search for; some of it is not to be had.
const WORDS: [&str; 20] = [
    "oak", "mug", "blue", "lamp", "linen", "board", "walnut", "green", "tent", "towel", "chess",
    "knife", "grey", "bag", "candle", "wool", "kettle", "piano", "rug", "jacket",
];

/// A browser's choices, and what is on its screen.
#[derive(Clone)]
struct Visitor {
    shopper: Shopper,
    shown: Vec<Product>,
}

/// Looking around. Half of the transactions look at a product, which takes three requests.
pub(crate) fn browse() -> Result<Scenario, GooseError> {
    Ok(scenario!("ShopBrowse")
        .register_transaction(transaction!(arrive).set_name("arrive").set_on_start())
        .register_transaction(transaction!(look).set_name("look").set_weight(10)?)
        .register_transaction(transaction!(leaf).set_name("leaf").set_weight(5)?)
        .register_transaction(transaction!(search).set_name("search").set_weight(3)?)
        .register_transaction(transaction!(arrive).set_name("arrive again").set_weight(1)?)
        .register_transaction(transaction!(hesitate).set_name("hesitate").set_weight(1)?))
}

/// Opens the page, as it is loaded by a browser.
async fn arrive(user: &mut GooseUser) -> TransactionResult {
    read(get(user, "/", "/").await?).await?;
    for asset in ["style.css", "app.js"] {
        read(get(user, &format!("/assets/{asset}"), "/assets/{name}").await?).await?;
    }
    session(user).await?;
    read(get(user, "/api/categories", "/api/categories").await?).await?;
    show(user, "/api/products?sort=popular").await
}

async fn leaf(user: &mut GooseUser) -> TransactionResult {
    let shopper = &mut visitor(user).shopper;
    let category = CATEGORIES[shopper.pick(CATEGORIES.len())];
    let sort = SORTS[shopper.pick(SORTS.len())];
    show(user, &format!("/api/products?category={category}&sort={sort}")).await
}

/// One or two words, the last as far as it was typed when the page asked.
async fn search(user: &mut GooseUser) -> TransactionResult {
    let shopper = &mut visitor(user).shopper;
    let first = WORDS[shopper.pick(WORDS.len())];
    let last = WORDS[shopper.pick(WORDS.len())];
    let typed = &last[..1 + shopper.pick(last.len())];
    let words = if shopper.pick(3) == 0 { format!("{first}+{typed}") } else { typed.to_owned() };
    show(user, &format!("/api/products?q={words}")).await
}

async fn look(user: &mut GooseUser) -> TransactionResult {
    let Some(Product { id, picture }) = shown(user) else { return Ok(()) };
    let product = format!("/api/products/{id}");
    read(get(user, &product, "/api/products/{id}").await?).await?;
    read(get(user, &picture, "/pictures/{file}").await?).await?;
    let recommended = format!("{product}/recommendations?limit=4");
    read(get(user, &recommended, "/api/products/{id}/recommendations").await?).await
}

/// Puts something into the cart, looks at it and takes it out again.
async fn hesitate(user: &mut GooseUser) -> TransactionResult {
    let Some(Product { id, .. }) = shown(user) else { return Ok(()) };
    let csrf = session(user).await?;
    put(user, &csrf, &id, 1).await?;
    read(get(user, "/api/cart", "/api/cart").await?).await?;
    put(user, &csrf, &id, 0).await
}

/// What a list shows is what is looked at next; an empty one leaves what was there.
async fn show(user: &mut GooseUser, path: &str) -> TransactionResult {
    let products = list(user, path).await?;
    if !products.is_empty() {
        visitor(user).shown = products;
    }
    Ok(())
}

/// One of the products on the screen.
fn shown(user: &mut GooseUser) -> Option<Product> {
    let visitor = visitor(user);
    let one = visitor.shopper.pick(visitor.shown.len());
    visitor.shown.get(one).cloned()
}

/// The visitor behind a user, who is there from the first request on.
fn visitor(user: &mut GooseUser) -> &mut Visitor {
    if user.get_session_data::<Visitor>().is_none() {
        let shopper = Shopper::number(user.weighted_users_index);
        user.set_session_data(Visitor { shopper, shown: Vec::new() });
    }
    user.get_session_data_unchecked_mut::<Visitor>()
}
