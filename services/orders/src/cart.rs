//! Carts: lines of product and quantity, of a customer or of a visit before it is known whose.

use services_kit::store::{Database, StoreError, Tx};
use services_kit::{ApiError, Internal};
use uuid::Uuid;

/// The most of one product.
pub(crate) const MOST_OF_ONE: i64 = 99;

/// The most lines.
pub(crate) const MOST_LINES: i64 = 50;

/// Whose cart, as the store knows them.
#[derive(Clone, Debug)]
pub(crate) struct Owner(String);

impl Owner {
    pub(crate) fn customer(id: Uuid) -> Self {
        Self(format!("customer:{id}"))
    }

    fn visit(id: Uuid) -> Self {
        Self(format!("visit:{id}"))
    }

    /// The customer who asks, or the visit in which nobody has signed in.
    pub(crate) fn of(identity: &Internal) -> Result<Self, ApiError> {
        let customer = identity.customer.map(Self::customer);
        let owner = customer.or_else(|| identity.session.map(Self::visit));
        owner.ok_or_else(|| ApiError::unauthorized("a cart is a customer's or a visit's"))
    }

    /// The visit and the customer whom it turned out to be.
    pub(crate) fn both(identity: &Internal) -> Result<(Self, Self), ApiError> {
        match (identity.session, identity.customer) {
            (Some(visit), Some(customer)) => Ok((Self::visit(visit), Self::customer(customer))),
            _ => Err(ApiError::unauthorized("this needs a customer and a visit")),
        }
    }
}

/// One product in a cart.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub(crate) struct CartLine {
    pub(crate) product_id: String,
    /// 1 to 99.
    pub(crate) quantity: i64,
}

/// What is in a cart, in the order in which it was put there.
pub(crate) async fn lines(store: &Database, owner: &Owner) -> Result<Vec<CartLine>, StoreError> {
    let lines = sqlx::query_as(
        "SELECT product_id, quantity FROM cart_lines WHERE owner = $1
         ORDER BY added_at, product_id",
    );
    Ok(lines.bind(&owner.0).fetch_all(store.pool()).await?)
}

/// How many pieces are in a cart.
pub(crate) async fn count(store: &Database, owner: &Owner) -> Result<i64, StoreError> {
    let count = sqlx::query_scalar(
        "SELECT CAST(COALESCE(SUM(quantity), 0) AS BIGINT) FROM cart_lines WHERE owner = $1",
    );
    Ok(count.bind(&owner.0).fetch_one(store.pool()).await?)
}

/// Sets how many of a product are in a cart; 0 takes it out.
pub(crate) async fn put(
    store: &Database,
    owner: &Owner,
    product: &str,
    quantity: i64,
    now: i64,
) -> Result<(), ApiError> {
    store
        .transaction(|mut tx| async move {
            if quantity == 0 {
                take_out(&mut tx, owner, product).await?;
                return Ok(tx.done(()));
            }
            if others(&mut tx, owner, product).await? >= MOST_LINES {
                let message = format!("A cart holds {MOST_LINES} different products at the most.");
                return Err(ApiError::conflict(message).code("cart_full"));
            }
            set(&mut tx, owner, product, quantity, now).await?;
            Ok(tx.done(()))
        })
        .await
}

async fn take_out(tx: &mut Tx, owner: &Owner, product: &str) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM cart_lines WHERE owner = $1 AND product_id = $2")
        .bind(&owner.0)
        .bind(product)
        .execute(tx.conn())
        .await?;
    Ok(())
}

/// Lines of other products.
async fn others(tx: &mut Tx, owner: &Owner, product: &str) -> Result<i64, StoreError> {
    let count =
        sqlx::query_scalar("SELECT COUNT(*) FROM cart_lines WHERE owner = $1 AND product_id <> $2");
    Ok(count.bind(&owner.0).bind(product).fetch_one(tx.conn()).await?)
}

async fn set(
    tx: &mut Tx,
    owner: &Owner,
    product: &str,
    quantity: i64,
    now: i64,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO cart_lines (owner, product_id, quantity, added_at, changed_at)
         VALUES ($1, $2, $3, $4, $4)
         ON CONFLICT (owner, product_id)
         DO UPDATE SET quantity = excluded.quantity, changed_at = excluded.changed_at",
    )
    .bind(&owner.0)
    .bind(product)
    .bind(quantity)
    .bind(now)
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Puts a line beside what is there: of the same product, the sum.
async fn add(tx: &mut Tx, owner: &Owner, line: &CartLine, now: i64) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO cart_lines (owner, product_id, quantity, added_at, changed_at)
         VALUES ($1, $2, $3, $4, $4)
         ON CONFLICT (owner, product_id) DO UPDATE SET changed_at = excluded.changed_at,
             quantity = CASE WHEN cart_lines.quantity + excluded.quantity > $5 THEN $5
                        ELSE cart_lines.quantity + excluded.quantity END",
    )
    .bind(&owner.0)
    .bind(&line.product_id)
    .bind(line.quantity)
    .bind(now)
    .bind(MOST_OF_ONE)
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Moves a cart into another. Of what is in both, the sum; what does not fit any more is left out.
pub(crate) async fn merge(
    store: &Database,
    from: &Owner,
    into: &Owner,
    now: i64,
) -> Result<(), StoreError> {
    store
        .transaction(|mut tx| async move {
            let mut moved: Vec<CartLine> = sqlx::query_as(
                "DELETE FROM cart_lines WHERE owner = $1 RETURNING product_id, quantity",
            )
            .bind(&from.0)
            .fetch_all(tx.conn())
            .await?;
            moved.sort_by(|a, b| a.product_id.cmp(&b.product_id));
            for line in &moved {
                if others(&mut tx, into, &line.product_id).await? < MOST_LINES {
                    add(&mut tx, into, line, now).await?;
                }
            }
            Ok(tx.done(()))
        })
        .await
}

/// Takes out exactly these lines; false if one is not there as it was.
pub(crate) async fn take(
    tx: &mut Tx,
    owner: &Owner,
    lines: &[CartLine],
) -> Result<bool, StoreError> {
    for line in lines {
        let taken = sqlx::query(
            "DELETE FROM cart_lines WHERE owner = $1 AND product_id = $2 AND quantity = $3",
        )
        .bind(&owner.0)
        .bind(&line.product_id)
        .bind(line.quantity)
        .execute(tx.conn())
        .await?;
        if taken.rows_affected() == 0 {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Forgets what was put into the carts of visits before `then`.
pub(crate) async fn forget_visits(store: &Database, then: i64) -> Result<u64, StoreError> {
    let sql = "DELETE FROM cart_lines WHERE (owner, product_id) IN (
                   SELECT owner, product_id FROM cart_lines
                   WHERE changed_at < $1 AND owner LIKE 'visit:%' ORDER BY changed_at LIMIT $2)";
    store.forget(sql, then).await
}
