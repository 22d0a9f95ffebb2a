//! Inventory: the products of the shop and what is in stock.

pub mod search;
pub mod seed;
