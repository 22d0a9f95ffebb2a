//! The words of messages. Plain text; what customers and products are called goes in as it is.

use std::fmt::Write as _;

use services_kit::events::{OrderCancelled, OrderPaid};

/// A message in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Letter {
    pub(crate) subject: String,
    pub(crate) body: String,
}

/// The order is paid.
pub(crate) fn paid(order: &OrderPaid) -> Letter {
    let mut lines = String::new();
    for line in &order.lines {
        let price = money(line.unit_price.saturating_mul(line.quantity.into()), &order.currency);
        // Writing to a String cannot fail.
        let _ = writeln!(lines, "  {} x {}  {price}", line.quantity, line.name);
    }
    let (name, number) = (&order.customer.name, &order.number);
    let total = money(order.total, &order.currency);
    Letter {
        subject: format!("Your order {number} is on its way"),
        body: format!(
            "Hello {name},\n\n\
             thank you for your order {number}. It is paid and we are packing it now.\n\n\
             {lines}\n\
             Total: {total}\n\n\
             Your shop\n"
        ),
    }
}

/// The order was cancelled. A refund, if there is one, has a message of its own.
pub(crate) fn cancelled(order: &OrderCancelled) -> Letter {
    let (name, number) = (&order.customer.name, &order.number);
    let reason = order.reason.trim_end_matches('.');
    Letter {
        subject: format!("Your order {number} was cancelled"),
        body: format!(
            "Hello {name},\n\n\
             your order {number} was cancelled: {reason}.\n\n\
             If you have paid for it, the money goes back to your card; we will tell you when it is on its way.\n\n\
             Your shop\n"
        ),
    }
}

/// What was paid was given back.
pub(crate) fn refunded(name: &str, number: &str, amount: i64, currency: &str) -> Letter {
    let amount = money(amount, currency);
    Letter {
        subject: format!("Your refund for order {number}"),
        body: format!(
            "Hello {name},\n\n\
             we have given back {amount} for your order {number}. It takes some days until your bank shows it.\n\n\
             Your shop\n"
        ),
    }
}

/// Cents in words: `1,234.50 EUR`.
fn money(cents: i64, currency: &str) -> String {
    let sign = if cents < 0 { "-" } else { "" };
    let cents = cents.unsigned_abs();
    let whole = (cents / 100).to_string();
    let groups: Vec<&str> = whole
        .as_bytes()
        .rchunks(3)
        .rev()
        .filter_map(|group| std::str::from_utf8(group).ok())
        .collect();
    format!("{sign}{}.{:02} {currency}", groups.join(","), cents % 100)
}

#[cfg(test)]
mod tests {
    use services_kit::events::{Customer, Line};
    use uuid::Uuid;

    use super::*;

    fn ada() -> Customer {
        Customer { id: Uuid::nil(), email: "ada@example.org".into(), name: "Ada".into() }
    }

    #[test]
    fn money_is_written_as_people_read_it() {
        for (cents, text) in [
            (0, "0.00 EUR"),
            (5, "0.05 EUR"),
            (123_450, "1,234.50 EUR"),
            (99_999, "999.99 EUR"),
            (100_000_000, "1,000,000.00 EUR"),
            (-150, "-1.50 EUR"),
            (i64::MIN, "-92,233,720,368,547,758.08 EUR"),
        ] {
            assert_eq!(money(cents, "EUR"), text);
        }
    }

    #[test]
    fn a_paid_order_is_listed_line_by_line() {
        let tea =
            Line { product_id: "tea".into(), name: "Tea".into(), quantity: 2, unit_price: 450 };
        let letter = paid(&OrderPaid {
            order_id: Uuid::nil(),
            number: "A-1".into(),
            customer: ada(),
            lines: vec![tea],
            total: 900,
            currency: "EUR".into(),
            payment_id: Uuid::nil(),
        });
        assert_eq!(letter.subject, "Your order A-1 is on its way");
        assert!(
            letter.body.starts_with("Hello Ada,\n\nthank you for your order A-1."),
            "{}",
            letter.body
        );
        assert!(
            letter.body.contains("\n  2 x Tea  9.00 EUR\n\nTotal: 9.00 EUR\n"),
            "{}",
            letter.body
        );
    }

    #[test]
    fn a_cancelled_order_says_why() {
        let letter = cancelled(&OrderCancelled {
            order_id: Uuid::nil(),
            number: "A-1".into(),
            customer: ada(),
            total: 900,
            currency: "EUR".into(),
            reason: "the card was declined.".into(),
        });
        assert!(letter.body.contains("was cancelled: the card was declined.\n"), "{}", letter.body);
    }
}
