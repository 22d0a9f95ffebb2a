//! What must be true when all is over, from what customers see and what the stores hold.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::customer::{Customer, GOOD_CARD, Met};
use crate::stores::{Payment, Stock, Stores, Told, ledger};

/// Events that the customer gets a message about.
const MESSAGES: [&str; 3] = ["order.paid", "order.cancelled", "payment.refunded"];

/// A customer's order and the messages about it.
struct Order {
    id: String,
    state: String,
    seen: Value,
    messages: usize,
}

pub(crate) struct Balance<'a> {
    customers: &'a [(Customer, Met)],
    orders: Vec<Vec<Order>>,
    known: i64,
    before: &'a [Stock],
    after: Vec<Stock>,
    payments: BTreeMap<String, Payment>,
    reservations: BTreeMap<String, String>,
    told: Vec<Told>,
    dead: Vec<String>,
}

impl<'a> Balance<'a> {
    pub(crate) async fn of(
        stores: &Stores,
        before: &'a [Stock],
        customers: &'a [(Customer, Met)],
    ) -> Self {
        let mut orders = Vec::new();
        for (customer, _) in customers {
            let (listed, mails) =
                tokio::join!(customer.list("/api/orders"), customer.list("/api/mailbox"));
            orders.push(listed.into_iter().map(|seen| Order::new(seen, &mails)).collect());
        }
        let payments = stores.payments().await.into_iter();
        let reservations = stores.reservations().await.into_iter();
        Self {
            customers,
            orders,
            known: stores.orders().await,
            before,
            after: stores.stock().await,
            payments: payments.map(|payment| (payment.order_id.clone(), payment)).collect(),
            reservations: reservations.map(|one| (one.order_id, one.state)).collect(),
            told: stores.told().await,
            dead: stores.dead_letters().await,
        }
    }

    fn all(&self) -> impl Iterator<Item = &Order> {
        self.orders.iter().flatten()
    }

    pub(crate) fn summary(&self) -> String {
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        let mut count = |what: String| *counts.entry(what).or_default() += 1;
        self.all().for_each(|order| count(format!("order {}: {}", order.state, order.reason())));
        self.payments.values().for_each(|payment| count(format!("payment {}", payment.state)));
        for (_, met) in self.customers {
            count(match met {
                Met::Accepted { cancelled, .. } => {
                    format!("customer accepted, cancelled {cancelled:?}")
                }
                Met::Refused(code) => format!("customer refused {code}"),
                Met::GaveUp => "customer gave up".to_owned(),
            });
        }
        counts.iter().map(|(what, count)| format!("{count:5} {what}\n")).collect()
    }

    /// Everything that is not as it should be.
    pub(crate) fn wrong(&self) -> Vec<String> {
        let mut wrong = self.dead.clone();
        let ledger = ledger(&self.told);
        let twice = ledger.iter().filter(|((_, event), n)| **n > 1 && !event.starts_with("notif"));
        wrong.extend(twice.map(|(event, times)| format!("{event:?} happened {times} times")));
        let listed = i64::try_from(self.all().count()).unwrap();
        if self.known != listed {
            wrong.push(format!("{} orders, but customers see {listed}", self.known));
        }
        for ((customer, met), orders) in self.customers.iter().zip(&self.orders) {
            wrong.extend(customer.wrong.iter().cloned());
            wrong.extend(self.promises(customer, met, orders));
        }
        for order in self.all() {
            let has = |event: &str| ledger.contains_key(&(order.id.as_str(), event));
            wrong.extend(self.order(order, &has).into_iter().map(|what| {
                let payment = self.payments.get(&order.id);
                format!("{what}: {} {payment:?}", order.seen)
            }));
        }
        wrong.extend(self.stock());
        wrong.extend(self.missing());
        wrong
    }

    /// What customers were told is what they have.
    fn promises(&self, customer: &Customer, met: &Met, orders: &[Order]) -> Option<String> {
        let cancelled = || orders.first().is_some_and(|order| order.state == "cancelled");
        let kept = match met {
            Met::Accepted { order, cancelled: did } => {
                let [only] = orders else { return Some(format!("not one order for {met:?}")) };
                only.id == *order && (*did != Some(true) || cancelled())
            }
            Met::Refused(_) => orders.is_empty(),
            Met::GaveUp => orders.len() <= 1,
        };
        let paid_by_bad_card =
            customer.plan.card != GOOD_CARD && orders.iter().any(|order| order.state == "notified");
        let unasked = orders.iter().flat_map(Order::units).any(|(product, quantity)| {
            customer.plan.basket.get(product).is_none_or(|wanted| i64::from(*wanted) != quantity)
        });
        let right = kept && !paid_by_bad_card && !unasked;
        let seen: Vec<&Value> = orders.iter().map(|order| &order.seen).collect();
        (!right).then(|| format!("{:?} met {met:?}, has {seen:?}", customer.plan))
    }

    /// One order: final, paid for once or not at all, its stock sold or given back, its customer told of each event.
    fn order(&self, order: &Order, has: &impl Fn(&str) -> bool) -> Vec<&'static str> {
        let payment = self.payments.get(&order.id);
        let money = payment.map_or("none", |payment| payment.state.as_str());
        let stock = self.reservations.get(&order.id).map_or("none", String::as_str);
        let seen = order.seen["payment"]["state"].as_str().unwrap_or_default();
        let told = MESSAGES.iter().filter(|event| has(event)).count();
        let amount = payment.is_none_or(|payment| order.seen["total"] == payment.amount);
        let rules = match order.state.as_str() {
            "notified" => vec![
                (money == "succeeded" && seen == "paid", "it is done and not charged"),
                (stock == "committed", "it is done and its stock not sold"),
                (
                    has("payment.succeeded") && !has("payment.failed"),
                    "it is done, and nobody said it was paid",
                ),
                (!has("payment.refunded"), "it is done and the money given back"),
            ],
            "cancelled" => vec![
                (
                    ["none", "void", "failed", "refunded"].contains(&money),
                    "it is cancelled and charged",
                ),
                (
                    (money == "refunded") == (seen == "refunded"),
                    "its customer does not see the refund",
                ),
                ((money == "refunded") == has("payment.refunded"), "nobody heard of the refund"),
                (
                    ["released", "rejected"].contains(&stock),
                    "it is cancelled and its stock not given back",
                ),
            ],
            _ => vec![(false, "it is not over")],
        };
        let always = [
            (amount, "the charge is not what it costs"),
            (told == order.messages, "its customer was not told of everything once"),
            (has("order.placed"), "nobody heard of it"),
        ];
        rules.into_iter().chain(always).filter(|(right, _)| !right).map(|(_, what)| what).collect()
    }

    /// To the unit: what was there is there, or was sold to somebody who has paid.
    fn stock(&self) -> Vec<String> {
        let mut sold: BTreeMap<&str, i64> = BTreeMap::new();
        for order in self.all().filter(|order| order.state == "notified") {
            for (product, quantity) in order.units() {
                *sold.entry(product).or_default() += quantity;
            }
        }
        let expected = self.before.iter().map(|stock| {
            let sold = sold.get(stock.product.as_str()).copied().unwrap_or_default();
            Stock { product: stock.product.clone(), available: stock.available - sold, sold }
        });
        let differ = expected.zip(&self.after).filter(|(expected, found)| expected != *found);
        differ.map(|(expected, found)| format!("{found:?}, not {expected:?}")).collect()
    }

    /// Of what is looked at, that which did not happen this time.
    fn missing(&self) -> Vec<String> {
        let orders = self.all().filter(|order| order.state == "notified").count();
        let rejected = self.reservations.values().any(|state| state == "rejected");
        let money = |state: &str| self.payments.values().any(|payment| payment.state == state);
        let met = [
            (orders >= self.customers.len() / 2, "few orders came through"),
            (rejected, "no stock ran out"),
            (money("failed"), "no charge failed"),
            (money("void") || money("refunded"), "nobody cancelled in time"),
        ];
        let missing = met.into_iter().filter(|(met, _)| !met);
        missing.map(|(_, what)| what.to_owned()).collect()
    }
}

impl Order {
    fn new(seen: Value, mails: &[Value]) -> Self {
        let text = |name: &str| seen[name].as_str().unwrap_or_default().to_owned();
        let (id, state) = (text("id"), text("state"));
        let messages = mails.iter().filter(|mail| mail["order_id"] == *id).count();
        Self { id, state, seen, messages }
    }

    fn reason(&self) -> &str {
        let reason = self.seen["reason"].as_str().unwrap_or_default();
        if reason.contains("sold out") || reason.contains("left of") { "short" } else { reason }
    }

    /// Products and quantities.
    fn units(&self) -> impl Iterator<Item = (&str, i64)> {
        let items = self.seen["items"].as_array().into_iter().flatten();
        items.map(|item| {
            let product = item["product"]["id"].as_str().unwrap_or_default();
            (product, item["quantity"].as_i64().unwrap_or_default())
        })
    }
}
