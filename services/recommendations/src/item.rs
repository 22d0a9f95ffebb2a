//! An item's name, checked at the door.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// The longest item name, in bytes.
const MAX_LENGTH: usize = 64;

/// An item's name: 1 to 64 letters, digits, `-`, `_` or `.`. Cloning shares it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ItemId(Arc<str>);

/// A name that no item can have.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("an item's name is 1 to {MAX_LENGTH} letters, digits, `-`, `_` or `.`")]
pub struct BadItemId;

impl TryFrom<String> for ItemId {
    type Error = BadItemId;

    fn try_from(name: String) -> Result<Self, BadItemId> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        if (1..=MAX_LENGTH).contains(&name.len()) && name.bytes().all(allowed) {
            Ok(Self(name.into()))
        } else {
            Err(BadItemId)
        }
    }
}

impl From<ItemId> for String {
    fn from(item: ItemId) -> Self {
        item.0.as_ref().to_owned()
    }
}

impl fmt::Display for ItemId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_short_plain_names_are_items() {
        for good in ["a", "sku-001", "Tea_1.5", &"x".repeat(64)] {
            assert!(ItemId::try_from(good.to_owned()).is_ok(), "{good}");
        }
        for bad in ["", " ", "a b", "ä", "a/b", "a\0", &"x".repeat(65)] {
            assert_eq!(ItemId::try_from(bad.to_owned()), Err(BadItemId), "{bad}");
        }
    }
}
