//! Where an order goes.

use serde::{Deserialize, Serialize};
use services_kit::ApiError;
use utoipa::ToSchema;

/// Where an order goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Address {
    /// Street and number.
    #[schema(min_length = 1, max_length = 120)]
    pub street: String,
    /// City.
    #[schema(min_length = 1, max_length = 80)]
    pub city: String,
    /// Postcode.
    #[schema(min_length = 3, max_length = 12)]
    pub postcode: String,
    /// Country.
    #[schema(min_length = 1, max_length = 60)]
    pub country: String,
}

impl Address {
    /// The address without spaces around its parts.
    ///
    /// # Errors
    /// 422 that lists every part that does not do.
    pub fn checked(self) -> Result<Self, ApiError> {
        let trim = |text: String| text.trim().to_owned();
        let address = Self {
            street: trim(self.street),
            city: trim(self.city),
            postcode: trim(self.postcode),
            country: trim(self.country),
        };
        let parts = [
            ("street", &address.street, 1, 120),
            ("city", &address.city, 1, 80),
            ("postcode", &address.postcode, 3, 12),
            ("country", &address.country, 1, 60),
        ];
        let wrong = parts.iter().filter(|(_, text, least, most)| {
            !(*least..=*most).contains(&text.chars().count()) || text.contains(char::is_control)
        });
        let wrong: Vec<String> = wrong
            .map(|(part, _, least, most)| format!("the {part} must have {least} to {most} letters"))
            .collect();
        if wrong.is_empty() {
            Ok(address)
        } else {
            Err(ApiError::unprocessable(wrong.join("; ")).code("address_invalid"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(street: &str, postcode: &str) -> Address {
        let [city, country] = ["Cork", "Ireland"].map(str::to_owned);
        Address { street: street.to_owned(), city, postcode: postcode.to_owned(), country }
    }

    #[test]
    fn an_address_is_trimmed() {
        let address = address(" 1 Main Street ", "T12 X").checked().unwrap();
        assert_eq!(address.street, "1 Main Street");
    }

    #[test]
    fn every_part_that_does_not_do_is_named() {
        let error = address("  ", &"1".repeat(13)).checked().unwrap_err();
        assert_eq!(
            error.to_string(),
            "the street must have 1 to 120 letters; the postcode must have 3 to 12 letters"
        );
        assert!(address("a\0b", "T12").checked().is_err());
        assert!(address(&"ä".repeat(120), "T12").checked().is_ok());
    }
}
