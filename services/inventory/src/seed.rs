//! The seeded catalogue: three hundred products of a household shop, the same on every machine.
//!
//! Twelve categories have five kinds of product each, and a kind comes in the five variants of its range: a wood, a
//! glaze, a scent. Name, description, price and picture follow from kind and variant; nothing is drawn by chance.

mod house;
mod picture;
mod ranges;
mod table;
mod trips;

use ranges::{RANGE, Range, Variant};

pub use picture::picture;

/// The categories in the order in which they are shown.
pub const CATEGORIES: [&Category; 12] = [
    &table::KITCHEN,
    &house::LIVING,
    &trips::BAGS,
    &table::TABLEWARE,
    &trips::GARDEN,
    &house::LIGHTING,
    &trips::CLOTHING,
    &table::COFFEE,
    &house::DESK,
    &trips::OUTDOORS,
    &house::BATH,
    &trips::GAMES,
];

/// Kinds of product in a category.
const KINDS: usize = 5;

/// A shelf of the shop.
#[derive(Debug)]
pub struct Category {
    /// Its name in addresses: lower-case letters.
    pub id: &'static str,
    /// What people read.
    pub name: &'static str,
    /// The first letters of its products' SKUs.
    prefix: &'static str,
    kinds: [Kind; KINDS],
}

/// What comes in the variants of one range.
#[derive(Debug)]
struct Kind {
    /// `{}` is the variant's label.
    name: &'static str,
    /// The description's first sentence; the variant has the second.
    sentence: &'static str,
    /// Of the plainest variant, in cents.
    price: i64,
    range: &'static Range,
    /// SVG in a square of 400 with the colours as placeholders, see [`picture`].
    drawing: &'static str,
}

/// A product as it is on the day the shop opens.
#[derive(Clone, Debug)]
pub struct Product {
    /// Its number in the shop, as on the label: `KIT-101`.
    pub sku: String,
    /// At most 60 characters.
    pub name: String,
    /// The id of its category.
    pub category: &'static str,
    /// Two sentences.
    pub description: String,
    /// In cents of a euro.
    pub price_cents: i64,
    /// Units in stock. A few products are sold out or nearly so.
    pub stock: i64,
    /// Its place in the shop window, from 0; neighbours differ in category.
    pub rank: i64,
    kind: &'static Kind,
    variant: &'static Variant,
}

/// All products by rank.
pub fn products() -> impl Iterator<Item = Product> {
    (0..CATEGORIES.len() * KINDS * RANGE).map(ranked)
}

/// The product with this SKU.
#[must_use]
pub fn product(sku: &str) -> Option<Product> {
    products().find(|product| product.sku == sku)
}

/// One of each category after the other; each round shows another kind in other variants.
fn ranked(rank: usize) -> Product {
    let (round, shelf) = (rank / CATEGORIES.len(), rank % CATEGORIES.len());
    let kind = (round + shelf) % KINDS;
    made(CATEGORIES[shelf], kind, (round / KINDS + kind + shelf) % RANGE, rank)
}

fn made(shelf: &'static Category, number: usize, variation: usize, rank: usize) -> Product {
    let kind = &shelf.kinds[number];
    let variant = &kind.range[variation];
    Product {
        sku: format!("{}-{}0{}", shelf.prefix, number + 1, variation + 1),
        name: capital(&kind.name.replace("{}", variant.label)),
        category: shelf.id,
        description: format!("{} {}", kind.sentence, variant.sentence),
        price_cents: rounded(kind.price * variant.percent / 100),
        stock: stock(rank),
        rank: i64::try_from(rank).unwrap_or(i64::MAX),
        kind,
        variant,
    }
}

/// To the nearest price that ends in 90 cents.
fn rounded(cents: i64) -> i64 {
    (cents + 60) / 100 * 100 - 10
}

/// Every 41st product is sold out and every 23rd nearly so, so that the page's words for both are seen.
fn stock(rank: usize) -> i64 {
    match rank {
        rank if rank % 41 == 40 => 0,
        rank if rank % 23 == 22 => 3,
        rank => i64::try_from(20 + rank * 37 % 89).unwrap_or(20),
    }
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;

    #[test]
    fn there_are_three_hundred_products_with_names_and_skus_of_their_own() {
        let (skus, names): (BTreeSet<_>, BTreeSet<_>) =
            products().map(|product| (product.sku, product.name)).unzip();
        assert_eq!((skus.len(), names.len()), (300, 300));
    }

    #[test]
    fn every_category_has_its_twenty_five_and_neighbours_in_the_window_differ() {
        let mut count = BTreeMap::new();
        let products: Vec<_> = products().collect();
        for product in &products {
            *count.entry(product.category).or_insert(0) += 1;
        }
        assert_eq!(count.len(), CATEGORIES.len());
        assert!(count.values().all(|count| *count == 25), "{count:?}");
        for pair in products.windows(2) {
            assert_ne!(pair[0].category, pair[1].category, "{pair:?}");
        }
    }

    #[test]
    fn a_product_reads_like_one_and_is_the_same_every_time() {
        let board = product("KIT-102").expect("a product");
        assert_eq!(board.name, "Oak chopping board");
        assert_eq!(
            board.description,
            "A heavy end-grain board with a groove for the juice. Oiled oak that darkens with the years."
        );
        assert_eq!(board.price_cents, 3_790);
        assert_eq!(format!("{board:?}"), format!("{:?}", product("KIT-102").expect("a product")));
        assert!(product("KIT-106").is_none() && product("").is_none());
    }

    #[test]
    fn prices_lie_between_three_and_two_hundred_euros_and_end_in_ninety_cents() {
        for product in products() {
            assert!((300..20_000).contains(&product.price_cents), "{product:?}");
            assert_eq!(product.price_cents % 100, 90, "{product:?}");
        }
    }

    #[test]
    fn names_are_short_and_descriptions_are_two_sentences() {
        for product in products() {
            assert!((8..=60).contains(&product.name.chars().count()), "{product:?}");
            assert!(!product.name.contains(['{', '}']), "{product:?}");
            assert_eq!(product.description.matches('.').count(), 2, "{product:?}");
            assert!(product.description.ends_with('.'), "{product:?}");
        }
    }

    #[test]
    fn most_products_are_in_stock_and_a_few_are_sold_out() {
        let (none, some): (Vec<_>, Vec<_>) = products().partition(|product| product.stock == 0);
        assert!((1..=15).contains(&none.len()), "{}", none.len());
        assert!(some.iter().all(|product| (3..=200).contains(&product.stock)));
    }
}
