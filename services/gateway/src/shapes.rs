//! What the public API is made of. The other services say the same inside; what else they say does not get out.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

/// A customer as the page greets them.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct Person {
    pub(crate) id: Uuid,
    pub(crate) email: String,
    pub(crate) name: String,
}

/// Where parcels go.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Address {
    #[schema(min_length = 1, max_length = 120)]
    street: String,
    #[schema(min_length = 1, max_length = 80)]
    city: String,
    #[schema(min_length = 3, max_length = 12)]
    postcode: String,
    #[schema(min_length = 1, max_length = 60)]
    country: String,
}

/// What a customer can change of themselves.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct Profile {
    id: Uuid,
    email: String,
    name: String,
    address: Option<Address>,
}

/// A product on the shelf.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct Product {
    #[schema(example = "kit-101")]
    pub(crate) id: String,
    sku: String,
    name: String,
    /// The category's id.
    category: String,
    category_name: String,
    /// Of one, in minor units.
    price: i64,
    #[schema(example = "EUR")]
    currency: String,
    /// The address of its picture.
    picture: String,
    /// Units that can be ordered now.
    available: i64,
}

/// A page of products.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct Products {
    pub(crate) items: Vec<Product>,
    /// The cursor of the next page, if there is one.
    next: Option<String>,
}

/// Products.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Batch {
    pub(crate) items: Vec<Product>,
}

/// A product with all that is told about it.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct Described {
    #[serde(flatten)]
    product: Product,
    description: String,
}

/// A shelf.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
struct Category {
    id: String,
    name: String,
    /// Products on it.
    count: i64,
}

/// The shelves.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct Categories {
    items: Vec<Category>,
}

/// Why products are recommended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Reason {
    /// In orders with the product asked about.
    BoughtTogether,
    /// In many orders.
    Popular,
}

/// What goes with a product.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Recommended {
    pub(crate) items: Vec<Product>,
    pub(crate) reason: Reason,
}

/// What the recommendations service answers.
#[derive(Debug, Deserialize)]
pub(crate) struct Learned {
    pub(crate) recommendations: Vec<LearnedItem>,
}

/// One of them.
#[derive(Debug, Deserialize)]
pub(crate) struct LearnedItem {
    pub(crate) item: String,
    pub(crate) reason: Reason,
}

/// Some of a product in the cart.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
struct CartLine {
    product: Product,
    quantity: i64,
    /// In minor units.
    line_total: i64,
}

/// A cart.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct Cart {
    items: Vec<CartLine>,
    /// In minor units.
    total: i64,
    currency: String,
}

impl Cart {
    /// That of somebody who has none.
    pub(crate) fn empty() -> Self {
        Self { items: Vec::new(), total: 0, currency: "EUR".to_owned() }
    }
}

/// How many pieces are in the cart.
#[derive(Debug, Deserialize)]
pub(crate) struct Count {
    pub(crate) items: i64,
}

/// A product as it was when it was ordered.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
struct Ordered {
    id: String,
    name: String,
    /// The address of its picture.
    picture: String,
    /// Of one, in minor units.
    price: i64,
}

/// Some of a product in an order.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
struct OrderLine {
    product: Ordered,
    quantity: i64,
    /// In minor units.
    line_total: i64,
}

/// How far an order has come.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum State {
    Placed,
    Reserved,
    Paid,
    Notified,
    Cancelled,
}

/// When an order came to a state.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
struct Moment {
    state: State,
    #[schema(format = DateTime)]
    at: String,
}

/// How far its payment has come.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Charge {
    Pending,
    Paid,
    Failed,
    Refunded,
}

/// How an order is paid.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
struct Payment {
    /// The card's last four digits.
    last4: String,
    state: Charge,
}

/// An order.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct Order {
    id: Uuid,
    /// What people call it.
    #[schema(example = "7K3F9-QX2MA")]
    number: String,
    state: State,
    /// Why it was cancelled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    history: Vec<Moment>,
    items: Vec<OrderLine>,
    /// In minor units.
    total: i64,
    currency: String,
    payment: Payment,
    address: Address,
}

/// An order that was taken.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct Taken {
    order: Order,
}

/// A page of orders, the newest first.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct Orders {
    items: Vec<Order>,
    /// The cursor of the next page, if there is one.
    next: Option<String>,
}

/// A mail.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
struct Mail {
    id: Uuid,
    subject: String,
    body_text: String,
    #[schema(format = DateTime)]
    at: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    order_id: Option<Uuid>,
    read: bool,
}

/// A page of a customer's mails, the newest first.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct Mailbox {
    items: Vec<Mail>,
    /// The cursor of the next page, if there is one.
    next: Option<String>,
}
