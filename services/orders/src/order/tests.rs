//! The state machine in every order of what may happen.

use super::Happening::{
    Cancelled, Charged, Declined, Notified, Refunded, Rejected, Reserved, TimedOut,
};
use super::*;

const CHARGE: Uuid = Uuid::from_u128(7);

const ALL: [Happening<'_>; 8] = [
    Reserved,
    Rejected("Sold out."),
    Charged(CHARGE),
    Declined("Declined."),
    Refunded,
    Notified,
    Cancelled,
    TimedOut,
];

fn order() -> Order {
    Order {
        id: Uuid::from_u128(1),
        number: "7K3F9-QX2MA".into(),
        customer: Customer { id: Uuid::nil(), email: "ada@example.org".into(), name: "Ada".into() },
        state: State::Placed,
        reason: None,
        history: vec![Step { state: State::Placed, at: 1 }],
        lines: Vec::new(),
        total: 0,
        currency: "EUR".into(),
        address: Address {
            street: "1 Main Street".into(),
            city: "Cork".into(),
            postcode: "T12".into(),
            country: "Ireland".into(),
        },
        last4: "4242".into(),
        payment: Payment::Pending,
        payment_id: None,
    }
}

/// An order to which this happened, one thing a millisecond.
fn after(happenings: &[Happening<'_>]) -> Order {
    let mut order = order();
    for (at, what) in (2_i64..).zip(happenings) {
        order.happens(*what, at);
    }
    order
}

fn states(order: &Order) -> Vec<State> {
    order.history.iter().map(|step| step.state).collect()
}

#[test]
fn the_way_of_an_order_that_goes_well() {
    let order = after(&[Reserved, Charged(CHARGE), Notified]);
    let way = [State::Placed, State::Reserved, State::Paid, State::Notified];
    assert_eq!(states(&order), way);
    assert_eq!((order.payment, order.payment_id), (Payment::Paid, Some(CHARGE)));
    assert_eq!(order.history.iter().map(|step| step.at).collect::<Vec<_>>(), [1, 2, 3, 4]);
}

#[test]
fn money_that_comes_before_the_word_of_the_stock_counts_for_both() {
    let order = after(&[Charged(CHARGE), Reserved, Notified]);
    let way = [State::Placed, State::Reserved, State::Paid, State::Notified];
    assert_eq!(states(&order), way);
}

#[test]
fn what_is_cancelled_says_why_and_what_became_of_the_money() {
    for (happenings, reason, payment) in [
        (&[Rejected("Sold out.")][..], "Sold out.", Payment::Failed),
        (&[Reserved, Declined("Declined.")], "Declined.", Payment::Failed),
        (&[Reserved, Cancelled], CANCELLED, Payment::Failed),
        (&[Reserved, TimedOut], TIMED_OUT, Payment::Failed),
        (&[Reserved, Charged(CHARGE), Cancelled], CANCELLED, Payment::Paid),
        (&[Reserved, Charged(CHARGE), Cancelled, Refunded], CANCELLED, Payment::Refunded),
        (&[Reserved, Cancelled, Charged(CHARGE), Refunded], CANCELLED, Payment::Refunded),
        (&[Reserved, Cancelled, Refunded, Charged(CHARGE)], CANCELLED, Payment::Refunded),
        (&[Charged(CHARGE), Notified, Rejected("Gone.")], "Gone.", Payment::Paid),
    ] {
        let order = after(happenings);
        let end = (order.state, order.reason.as_deref(), order.payment);
        assert_eq!(end, (State::Cancelled, Some(reason), payment), "{happenings:?}");
    }
}

#[test]
fn a_reason_is_a_sentence_whoever_gave_it() {
    for (given, shown) in [
        ("the card was declined", "The card was declined."),
        (" Sold out. ", "Sold out."),
        ("élan is gone", "Élan is gone."),
        ("Why?", "Why?"),
        ("", ""),
    ] {
        assert_eq!(after(&[Rejected(given)]).reason.as_deref(), Some(shown));
    }
}

#[test]
fn what_is_paid_is_not_given_up_for_time_or_for_a_late_refusal() {
    for late in [TimedOut, Declined("Declined.")] {
        assert_eq!(after(&[Reserved, Charged(CHARGE), late]).state, State::Paid);
    }
    assert_eq!(after(&[Charged(CHARGE), Notified, Cancelled]).state, State::Notified);
}

/// Every sequence of three of what may happen, and each thing twice in a row.
#[test]
fn whatever_happens_twice_changes_nothing_the_second_time_and_no_state_is_reached_twice() {
    for first in ALL {
        for second in ALL {
            for third in ALL {
                let mut order = after(&[first, second, third]);
                let once = order.clone();
                assert!(!order.happens(third, 99), "{first:?} {second:?} {third:?}");
                assert_eq!(order, once);
                let mut reached = states(&order);
                assert_eq!(reached.last(), Some(&order.state));
                reached.dedup();
                assert_eq!(reached.len(), order.history.len());
                let ended = order.state == State::Cancelled;
                assert_eq!(order.reason.is_some(), ended);
                assert!(!(ended && order.payment == Payment::Pending));
            }
        }
    }
}

#[test]
fn others_hear_of_paid_and_cancelled_alone() {
    let order = after(&[Charged(CHARGE), Cancelled]);
    let told = order.history.iter().filter_map(|step| order.told(step.state));
    let told: Vec<_> = told.map(|body| body.event_type().name()).collect();
    assert_eq!(told, ["order.paid", "order.cancelled"]);
}
