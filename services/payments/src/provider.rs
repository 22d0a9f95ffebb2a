//! Who moves the money. The one here takes test cards and moves none.

use async_trait::async_trait;
use secrecy::ExposeSecret as _;
use uuid::Uuid;

use crate::card::Card;

/// A charge as the provider is asked for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Charge {
    /// The payment's id. Charges and refunds under one key are one charge and one refund.
    pub key: Uuid,
    /// What [`Provider::keep`] gave.
    pub provider_token: String,
    /// In cents.
    pub amount: i64,
    /// ISO 4217.
    pub currency: String,
}

/// What the provider says to a charge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The money is there.
    Charged,
    /// It will not be: why, for the customer.
    Declined(&'static str),
}

/// The provider could not do it now, or its answer was lost. Under the same key it can be asked again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the payment provider failed: {0}")]
pub struct ProviderError(pub String);

/// A card that the provider takes from nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this shop takes test cards only, such as 4242 4242 4242 4242")]
pub struct Unaccepted;

/// A provider of payments.
#[async_trait]
pub trait Provider: Send + Sync + 'static {
    /// Gives what stands for a card from then on.
    ///
    /// # Errors
    /// When the card is not taken.
    async fn keep(&self, card: &Card) -> Result<String, Unaccepted>;

    /// Charges a card, once per key.
    ///
    /// # Errors
    /// When it could not, for now.
    async fn charge(&self, charge: &Charge) -> Result<Answer, ProviderError>;

    /// Gives a charge back, once per key; if there was none under the key, there will be none.
    ///
    /// # Errors
    /// When it could not, for now.
    async fn refund(&self, key: Uuid) -> Result<(), ProviderError>;
}

/// Takes the test cards. What becomes of a charge is written in its token, so the same charge always ends the same.
#[derive(Clone, Copy, Debug, Default)]
pub struct TestProvider;

/// Number, how its tokens begin, what it answers to a charge; nothing: it fails.
const CARDS: &[(&str, &str, Option<Answer>)] = &[
    ("4242424242424242", "pays_", Some(Answer::Charged)),
    ("4000000000000002", "declined_", Some(Answer::Declined("the card was declined"))),
    (
        "4000000000009995",
        "insufficient_",
        Some(Answer::Declined("the card has insufficient funds")),
    ),
    ("4000000000000119", "error_", None),
];

#[async_trait]
impl Provider for TestProvider {
    async fn keep(&self, card: &Card) -> Result<String, Unaccepted> {
        let number = card.number().expose_secret();
        let (_, prefix, _) = CARDS.iter().find(|(known, ..)| *known == number).ok_or(Unaccepted)?;
        Ok(format!("{prefix}{}", Uuid::new_v4().simple()))
    }

    async fn charge(&self, charge: &Charge) -> Result<Answer, ProviderError> {
        let known = CARDS.iter().find(|(_, prefix, _)| charge.provider_token.starts_with(prefix));
        match known {
            Some((.., Some(answer))) => Ok(*answer),
            Some((.., None)) => Err(ProviderError("the test card says so".to_owned())),
            None => Ok(Answer::Declined("the card is not known")),
        }
    }

    async fn refund(&self, _key: Uuid) -> Result<(), ProviderError> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    async fn answer(number: &str) -> Result<Answer, ProviderError> {
        let card =
            Card::check(&number.into(), "12/29", &"123".into(), "Ada", date(2026, 11, 21)).unwrap();
        let provider_token = TestProvider.keep(&card).await.unwrap();
        let currency = "EUR".to_owned();
        TestProvider.charge(&Charge { key: Uuid::nil(), provider_token, amount: 1, currency }).await
    }

    #[tokio::test]
    async fn each_test_card_ends_as_it_is_known_to() {
        assert_eq!(answer("4242424242424242").await, Ok(Answer::Charged));
        assert!(matches!(answer("4000000000000002").await, Ok(Answer::Declined(_))));
        assert!(matches!(answer("4000000000009995").await, Ok(Answer::Declined(_))));
        assert!(answer("4000000000000119").await.is_err());
    }

    #[tokio::test]
    async fn a_real_card_is_not_taken() {
        let (number, today) = ("5555555555554444".into(), date(2026, 11, 21));
        let card = Card::check(&number, "12/29", &"123".into(), "Ada", today).unwrap();
        assert_eq!(TestProvider.keep(&card).await, Err(Unaccepted));
    }
}
