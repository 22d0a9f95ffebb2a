//! Products as they are shown, and how they are found.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use services_kit::ApiError;
use services_kit::store::{Database, StoreError};
use utoipa::ToSchema;

use crate::picture;
use crate::search::Search;

/// What prices are in.
const CURRENCY: &str = "EUR";

/// The longest id of a product or category, in bytes.
const LONGEST_ID: usize = 64;

/// The longest cursor, in bytes: a name has at most 60 characters.
const LONGEST_CURSOR: usize = 512;

/// Whether something can be the id of a product or a category: what cannot is not looked for.
pub(crate) fn is_id(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=LONGEST_ID).contains(&text.len()) && text.bytes().all(allowed)
}

/// A product on the shelf.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Product {
    #[schema(example = "kit-101")]
    pub(crate) id: String,
    /// As on the label.
    #[schema(example = "KIT-101")]
    sku: String,
    name: String,
    /// The category's id.
    category: String,
    category_name: String,
    /// Of one, in cents.
    price: i64,
    #[schema(example = "EUR")]
    currency: &'static str,
    /// The address of its picture.
    picture: String,
    /// Units that can be ordered now.
    available: i64,
}

/// A product with all that is told about it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Described {
    #[serde(flatten)]
    product: Product,
    description: String,
}

#[derive(sqlx::FromRow)]
struct Row {
    id: String,
    sku: String,
    name: String,
    category: String,
    category_name: String,
    price: i64,
    available: i64,
    description: String,
    place: i64,
    number: i64,
    title: String,
    rank: i64,
}

impl Row {
    fn split(self) -> (Product, String) {
        let Self { id, sku, name, category, category_name, price, available, description, .. } =
            self;
        let picture = picture::address(&sku);
        let currency = CURRENCY;
        let product =
            Product { id, sku, name, category, category_name, price, currency, picture, available };
        (product, description)
    }

    fn place(&self) -> Place {
        Place(self.place, self.number, self.title.clone(), self.rank)
    }
}

/// How products are ordered.
#[derive(Clone, Copy, Debug, Default, Deserialize, ToSchema)]
pub(crate) enum Sort {
    /// What was sold most; of a search, what fits best before.
    #[default]
    #[serde(rename = "popular")]
    Popular,
    /// The cheapest first.
    #[serde(rename = "price")]
    Price,
    /// The dearest first.
    #[serde(rename = "-price")]
    PriceDown,
    /// By name.
    #[serde(rename = "name")]
    Name,
}

impl Sort {
    fn name(self) -> &'static str {
        match self {
            Self::Popular => "popular",
            Self::Price => "price",
            Self::PriceDown => "-price",
            Self::Name => "name",
        }
    }
}

/// A product's place in an order: group, number, name, rank. The next page begins after it, whatever was sold meanwhile.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Place(i64, i64, String, i64);

impl Place {
    /// Before all products.
    pub(crate) const fn start() -> Self {
        Self(-1, 0, String::new(), 0)
    }

    pub(crate) fn decode(cursor: &str) -> Result<Self, ApiError> {
        let wrong = || ApiError::bad_request("the cursor is not one of ours").code("bad_cursor");
        if cursor.len() > LONGEST_CURSOR {
            return Err(wrong());
        }
        let bytes = URL_SAFE_NO_PAD.decode(cursor).map_err(|_| wrong())?;
        let place: Self = serde_json::from_slice(&bytes).map_err(|_| wrong())?;
        // Postgres takes no NUL in a text.
        if place.2.contains('\0') { Err(wrong()) } else { Ok(place) }
    }

    fn encode(&self) -> Result<String, ApiError> {
        Ok(URL_SAFE_NO_PAD.encode(serde_json::to_vec(self).map_err(ApiError::internal)?))
    }
}

/// What is looked for.
pub(crate) struct Wanted {
    pub(crate) search: Option<Search>,
    /// An id, or empty for all.
    pub(crate) category: String,
    pub(crate) sort: Sort,
    pub(crate) after: Place,
    pub(crate) limit: i64,
}

/// A page of products, and the cursor of the next if there is one.
pub(crate) async fn list(
    store: &Database,
    wanted: Wanted,
) -> Result<(Vec<Product>, Option<String>), ApiError> {
    let any = || "%".to_owned();
    let all = || Search { words: [any(), any(), any(), any()], begins: any(), word: any() };
    let Search { words, begins, word } = wanted.search.unwrap_or_else(all);
    let Place(place, number, title, rank) = wanted.after;
    let query = words.iter().fold(sqlx::query_as(LIST), |query, word| query.bind(word));
    let mut rows: Vec<Row> = query
        .bind(begins)
        .bind(word)
        .bind(wanted.sort.name())
        .bind(wanted.category)
        .bind(place)
        .bind(number)
        .bind(title)
        .bind(rank)
        .bind(wanted.limit + 1)
        .fetch_all(store.pool())
        .await?;
    let limit = usize::try_from(wanted.limit).unwrap_or(usize::MAX);
    let more = rows.len() > limit;
    rows.truncate(limit);
    let last = rows.last().filter(|_| more);
    let next = last.map(|last| last.place().encode()).transpose()?;
    Ok((rows.into_iter().map(|row| row.split().0).collect(), next))
}

/// Every order is by the same four columns, so that one comparison finds the next page of each.
const LIST: &str = "
    WITH found AS (
        SELECT products.id, sku, products.name, category, categories.name AS category_name, price,
            available, '' AS description, rank,
            CAST(CASE WHEN $7 <> 'popular' OR text LIKE $5 THEN 0 WHEN text LIKE $6 THEN 1 ELSE 2
                END AS BIGINT) AS place,
            CASE $7 WHEN 'popular' THEN -sold WHEN 'price' THEN price WHEN '-price' THEN -price
                ELSE CAST(0 AS BIGINT) END AS number,
            CASE $7 WHEN 'name' THEN products.name ELSE '' END AS title
        FROM products JOIN categories ON categories.id = category
        WHERE text LIKE $1 AND text LIKE $2 AND text LIKE $3 AND text LIKE $4
            AND ($8 = '' OR category = $8))
    SELECT id, sku, name, category, category_name, price, available, description,
        place, number, title, rank
    FROM found
    WHERE (place, number, title, rank) > ($9, $10, $11, $12)
    ORDER BY place, number, title, rank
    LIMIT $13";

/// One product.
pub(crate) async fn one(store: &Database, id: &str) -> Result<Option<Described>, StoreError> {
    let row: Option<Row> = sqlx::query_as(
        "SELECT products.id, sku, products.name, category, categories.name AS category_name, price,
             available, description, rank, rank AS place, rank AS number, '' AS title
         FROM products JOIN categories ON categories.id = category
         WHERE products.id = $1",
    )
    .bind(id)
    .fetch_optional(store.pool())
    .await?;
    Ok(row.map(|row| {
        let (product, description) = row.split();
        Described { product, description }
    }))
}

/// Those of these that there are, in the order they were asked for.
pub(crate) async fn batch(store: &Database, ids: &[String]) -> Result<Vec<Product>, ApiError> {
    let known: Vec<&String> = ids.iter().filter(|id| is_id(id)).collect();
    let json = serde_json::to_string(&known).map_err(ApiError::internal)?;
    let sql = store.dialect().pick(
        "SELECT products.id, sku, products.name, category, categories.name AS category_name, price,
             available, '' AS description, rank, rank AS place, rank AS number, '' AS title
         FROM products JOIN categories ON categories.id = category
         WHERE products.id IN (SELECT value FROM json_each($1))",
        "SELECT products.id, sku, products.name, category, categories.name AS category_name, price,
             available, '' AS description, rank, rank AS place, rank AS number, '' AS title
         FROM products JOIN categories ON categories.id = category
         WHERE products.id IN (SELECT json_array_elements_text(CAST($1 AS json)))",
    );
    let rows: Vec<Row> = sqlx::query_as(sql).bind(json).fetch_all(store.pool()).await?;
    let mut products: Vec<Product> = rows.into_iter().map(|row| row.split().0).collect();
    products.sort_by_key(|product| ids.iter().position(|id| *id == product.id));
    Ok(products)
}

/// A shelf.
#[derive(Debug, Serialize, ToSchema, sqlx::FromRow)]
pub(crate) struct Category {
    #[schema(example = "kitchen")]
    id: String,
    name: String,
    /// Products on it.
    count: i64,
}

/// The shelves in the order in which they are shown.
pub(crate) async fn categories(store: &Database) -> Result<Vec<Category>, StoreError> {
    let categories = sqlx::query_as(
        "SELECT categories.id, categories.name, COUNT(products.id) AS count
         FROM categories LEFT JOIN products ON products.category = categories.id
         GROUP BY categories.id, categories.name, categories.place
         ORDER BY categories.place",
    );
    Ok(categories.fetch_all(store.pool()).await?)
}
