//! The day the shop opens: an empty store gets the seeded catalogue.

use services_kit::store::{Database, StoreError, Tx};

use crate::search;
use crate::seed::{self, CATEGORIES, Category, Product};

/// Puts the seeded catalogue into a store without products; whether it did. A store that has some is left as it is.
///
/// # Errors
/// The store's.
pub async fn fill(store: &Database) -> Result<bool, StoreError> {
    store
        .transaction(|mut tx| async move {
            let products: i64 =
                sqlx::query_scalar("SELECT COUNT(*) FROM products").fetch_one(tx.conn()).await?;
            if products > 0 {
                return Ok::<_, StoreError>(tx.done(false));
            }
            for (place, category) in (0_i64..).zip(CATEGORIES) {
                add_category(&mut tx, category, place).await?;
            }
            for product in seed::products() {
                add_product(&mut tx, &product).await?;
            }
            Ok(tx.done(true))
        })
        .await
}

/// Two that start at once on one Postgres both find it empty; the second waits here and finds that all is there.
async fn add_category(tx: &mut Tx, category: &Category, place: i64) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO categories (id, name, place) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
    )
    .bind(category.id)
    .bind(category.name)
    .bind(place)
    .execute(tx.conn())
    .await?;
    Ok(())
}

async fn add_product(tx: &mut Tx, product: &Product) -> Result<(), StoreError> {
    let category = CATEGORIES.iter().find(|category| category.id == product.category);
    let category = category.map_or("", |category| category.name);
    sqlx::query(
        "INSERT INTO products
             (id, sku, name, category, description, text, price, rank, available, sold)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 0)
         ON CONFLICT DO NOTHING",
    )
    .bind(product.sku.to_lowercase())
    .bind(&product.sku)
    .bind(&product.name)
    .bind(product.category)
    .bind(&product.description)
    .bind(search::text(&product.name, category, &product.description))
    .bind(product.price_cents)
    .bind(product.rank)
    .bind(product.stock)
    .execute(tx.conn())
    .await?;
    Ok(())
}
