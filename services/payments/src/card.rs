//! A card as it is typed in, checked before anybody is asked about it.

use jiff::civil::Date;
use secrecy::{ExposeSecret as _, SecretString};

/// Digits of a card number (ISO/IEC 7812-1: at most 19; no scheme has fewer than 12).
const DIGITS: std::ops::RangeInclusive<usize> = 12..=19;

/// The longest name on a card, in characters; the stripe has room for 26, forms give more.
const MAX_HOLDER: usize = 100;

/// A card that may exist. It is never kept, and neither logged nor shown.
#[derive(Debug)]
pub struct Card {
    number: SecretString,
    last4: String,
}

/// Why it is no card; worded for the one who typed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CardError {
    /// Too short, too long, or the check digit is wrong.
    #[error("the card number is not right: look for a digit that is wrong or missing")]
    Number,
    /// No month.
    #[error("the expiry date is written MM/YY")]
    Expiry,
    /// In the past.
    #[error("the card has expired")]
    Expired,
    /// Not 3 or 4 digits.
    #[error("the security code has 3 or 4 digits")]
    Cvc,
    /// Empty or endless.
    #[error("the holder is the name on the card, 1 to {MAX_HOLDER} characters")]
    Holder,
}

impl CardError {
    /// For programs.
    pub fn code(self) -> &'static str {
        match self {
            Self::Number => "card_number_invalid",
            Self::Expiry => "expiry_invalid",
            Self::Expired => "card_expired",
            Self::Cvc => "cvc_invalid",
            Self::Holder => "holder_invalid",
        }
    }
}

impl Card {
    /// A card whose number can be one, that is good on the day `today`.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn check(
        number: &SecretString,
        expiry: &str,
        cvc: &SecretString,
        holder: &str,
        today: Date,
    ) -> Result<Self, CardError> {
        let digits: String =
            number.expose_secret().chars().filter(|c| !matches!(c, ' ' | '-')).collect();
        if !DIGITS.contains(&digits.len()) || !luhn(&digits) {
            return Err(CardError::Number);
        }
        let (year, month) = month_of(expiry).ok_or(CardError::Expiry)?;
        if (year, month) < (today.year(), today.month()) {
            return Err(CardError::Expired);
        }
        let cvc = cvc.expose_secret();
        if !matches!(cvc.len(), 3 | 4) || !cvc.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(CardError::Cvc);
        }
        let holder = holder.trim();
        if holder.is_empty() || holder.chars().count() > MAX_HOLDER {
            return Err(CardError::Holder);
        }
        let last4 = digits[digits.len() - 4..].to_owned();
        Ok(Self { number: digits.into(), last4 })
    }

    /// The digits, for the provider alone.
    pub fn number(&self) -> &SecretString {
        &self.number
    }

    /// The last four digits.
    pub fn last4(&self) -> &str {
        &self.last4
    }
}

/// The check digit of ISO/IEC 7812-1, Annex B: every second digit from the right but one counts double, digit by digit.
fn luhn(digits: &str) -> bool {
    let mut sum = 0;
    for (place, digit) in digits.chars().rev().enumerate() {
        let Some(digit) = digit.to_digit(10) else { return false };
        sum += match (place % 2, digit) {
            (0, digit) => digit,
            (_, digit) if digit > 4 => 2 * digit - 9,
            (_, digit) => 2 * digit,
        };
    }
    sum % 10 == 0
}

/// `MM/YY` or `MM/YYYY`.
fn month_of(expiry: &str) -> Option<(i16, i8)> {
    let (month, year) = expiry.split_once('/')?;
    let (month, year) = (month.trim(), year.trim());
    if month.len() > 2 || !matches!(year.len(), 2 | 4) {
        return None;
    }
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(month) || !digits(year) {
        return None;
    }
    let (month, written): (i8, i16) = (month.parse().ok()?, year.parse().ok()?);
    let year = if year.len() == 2 { 2000 + written } else { written };
    (1..=12).contains(&month).then_some((year, month))
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    fn check(number: &str, expiry: &str, cvc: &str, holder: &str) -> Result<Card, CardError> {
        Card::check(&number.into(), expiry, &cvc.into(), holder, date(2026, 11, 21))
    }

    #[test]
    fn a_card_is_known_by_its_last_four_digits_and_hides_the_others() {
        let card = check("4242 4242-4242 4242", "11/26", "123", "Ada Lovelace").unwrap();
        assert_eq!((card.last4(), card.number().expose_secret()), ("4242", "4242424242424242"));
        assert!(!format!("{card:?}").contains("42424"));
    }

    #[test]
    fn each_mistake_is_told() {
        let good = "4000000000000002";
        for (number, expiry, cvc, holder, expected) in [
            ("4000000000000003", "12/29", "123", "A", CardError::Number),
            ("", "12/29", "123", "A", CardError::Number),
            ("0000", "12/29", "123", "A", CardError::Number),
            ("42424242424242424242424", "12/29", "123", "A", CardError::Number),
            ("424242424242424ä", "12/29", "123", "A", CardError::Number),
            (good, "13/29", "123", "A", CardError::Expiry),
            (good, "00/29", "123", "A", CardError::Expiry),
            (good, "1229", "123", "A", CardError::Expiry),
            (good, "12/+9", "123", "A", CardError::Expiry),
            (good, "10/26", "123", "A", CardError::Expired),
            (good, "12/1999", "123", "A", CardError::Expired),
            (good, "12/29", "12", "A", CardError::Cvc),
            (good, "12/29", "12a", "A", CardError::Cvc),
            (good, "12/29", "123", " ", CardError::Holder),
        ] {
            assert_eq!(
                check(number, expiry, cvc, holder).unwrap_err(),
                expected,
                "{number} {expiry}"
            );
        }
    }

    #[test]
    fn one_wrong_digit_or_two_swapped_ones_are_found() {
        let good = "4000000000009995";
        assert!(luhn(good));
        for place in 0..good.len() {
            let mut wrong = good.as_bytes().to_vec();
            wrong[place] = b'0' + (wrong[place] - b'0' + 1) % 10;
            assert!(!luhn(std::str::from_utf8(&wrong).unwrap()), "{place}");
        }
        assert!(!luhn("4000000000009959"));
    }
}
