//! What customers type, checked at the door.

use serde::{Deserialize, Serialize};
use services_kit::ApiError;
use utoipa::ToSchema;

/// Characters of an address at most (RFC 5321, 4.5.3.1.3, without its brackets).
const LONGEST_EMAIL: usize = 254;

/// Characters of a name at most.
const LONGEST_NAME: usize = 100;

/// Characters of a password at least: length is what makes one hard to guess.
const SHORTEST_PASSWORD: usize = 10;

/// Characters of a password at most.
const LONGEST_PASSWORD: usize = 200;

/// An email address that mail may reach, in lower case, so that one person has one account.
///
/// # Errors
/// 422 `invalid_email`.
pub fn email(text: &str) -> Result<String, ApiError> {
    let text = text.trim().to_lowercase();
    let plain = |text: &str| !text.chars().any(|c| c.is_whitespace() || c.is_control());
    let fits = text.split_once('@').is_some_and(|(local, domain)| {
        let labels = domain.split('.').all(|label| !label.is_empty());
        !local.is_empty() && !domain.contains('@') && domain.contains('.') && labels
    });
    if fits && plain(&text) && text.chars().count() <= LONGEST_EMAIL {
        return Ok(text);
    }
    Err(ApiError::unprocessable("this is no email address").code("invalid_email"))
}

/// A name as people write it.
///
/// # Errors
/// 422 `invalid_name`.
pub fn name(text: &str) -> Result<String, ApiError> {
    line("name", text, 1, LONGEST_NAME)
        .map_err(|reason| ApiError::unprocessable(reason).code("invalid_name"))
}

/// A password that may be chosen.
///
/// # Errors
/// 422 `weak_password`.
pub fn new_password(text: &str, email: &str) -> Result<(), ApiError> {
    let characters = text.chars().count();
    let reason = if characters < SHORTEST_PASSWORD {
        format!("a password has {SHORTEST_PASSWORD} characters or more")
    } else if characters > LONGEST_PASSWORD {
        format!("a password has {LONGEST_PASSWORD} characters or fewer")
    } else if text.to_lowercase() == email {
        "a password must not be the email address".to_owned()
    } else {
        return Ok(());
    };
    Err(ApiError::unprocessable(reason).code("weak_password"))
}

/// Whether it can be anybody's password at all: what is longer is not hashed.
pub fn could_be_password(text: &str) -> bool {
    text.chars().count() <= LONGEST_PASSWORD
}

/// Where parcels go.
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
    /// The same, without blanks around it, if it can be one.
    ///
    /// # Errors
    /// 422 `invalid_address`.
    pub fn checked(&self) -> Result<Self, ApiError> {
        let wrong = |reason: String| ApiError::unprocessable(reason).code("invalid_address");
        Ok(Self {
            street: line("street", &self.street, 1, 120).map_err(wrong)?,
            city: line("city", &self.city, 1, 80).map_err(wrong)?,
            postcode: line("postcode", &self.postcode, 3, 12).map_err(wrong)?,
            country: line("country", &self.country, 1, 60).map_err(wrong)?,
        })
    }
}

/// One line of text of that many characters.
fn line(what: &str, text: &str, least: usize, most: usize) -> Result<String, String> {
    let text = text.trim();
    if !(least..=most).contains(&text.chars().count()) || text.chars().any(char::is_control) {
        return Err(format!("the {what} has {least} to {most} characters on one line"));
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_email_address_has_a_name_a_domain_and_no_blanks_and_is_kept_in_lower_case() {
        assert_eq!(email(" Ada@Example.ORG ").unwrap(), "ada@example.org");
        let long = format!("{}@example.org", "x".repeat(243));
        for bad in ["", "ada", "@b.c", "a@b", "a@b.", "a@.b", "a@@b.c", "a b@c.d", "a\0@b.c", &long]
        {
            assert!(email(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_password_is_counted_in_characters_not_bytes() {
        assert!(new_password("ööööööööö", "a@b.c").is_err());
        assert!(new_password("öööööööööö", "a@b.c").is_ok());
        assert!(new_password(&"x".repeat(201), "a@b.c").is_err());
        assert!(new_password("Somebody@b.c", "somebody@b.c").is_err());
    }

    #[test]
    fn an_address_is_whole_lines() {
        let good = Address {
            street: " Alder Lane 1 ".into(),
            city: "Cork".into(),
            postcode: "T12".into(),
            country: "Ireland".into(),
        };
        assert_eq!(good.checked().unwrap().street, "Alder Lane 1");
        for bad in ["", "  ", "a\nb", &"x".repeat(121)] {
            assert!(Address { street: bad.into(), ..good.clone() }.checked().is_err(), "{bad:?}");
        }
    }
}
