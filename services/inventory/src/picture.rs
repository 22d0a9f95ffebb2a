//! The pictures of the catalogue, drawn once at the start: some 1 MiB.

use std::collections::HashMap;

use axum::body::Bytes;

use crate::seed;

/// Pictures by SKU.
pub(crate) struct Pictures(HashMap<String, Bytes>);

impl Pictures {
    /// Of all products of the catalogue.
    pub(crate) fn draw() -> Self {
        let drawn = |product: seed::Product| {
            let svg = Bytes::from(seed::picture(&product));
            (product.sku, svg)
        };
        Self(seed::products().map(drawn).collect())
    }

    /// The one of a file's name, such as `KIT-101.svg`.
    pub(crate) fn file(&self, name: &str) -> Option<Bytes> {
        self.0.get(name.strip_suffix(".svg")?).cloned()
    }
}

/// The address of a product's picture.
pub(crate) fn address(sku: &str) -> String {
    format!("/pictures/{sku}.svg")
}
