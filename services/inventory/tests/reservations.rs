//! Reservations on both databases: in every order of events, in time, and many at once.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests may fail the test"
)]

use std::sync::atomic::{AtomicU32, Ordering};

use futures_util::future::join_all;
use futures_util::{StreamExt as _, stream};
use services_engines::Engine;
use services_inventory::reservation::{HOLD, Reservations};
use services_inventory::stock::{Stock, deliver, stock};
use services_inventory::{MIGRATIONS, opening};
use services_kit::events::{
    Customer, Event, Line, OrderCancelled, OrderPaid, OrderPlaced, PaymentFailed,
};
use services_kit::inbox::{Handler as _, HandlerError};
use services_kit::prometheus::Registry;
use services_kit::store::{Database, StoreError, StoreOptions, now_ms};
use tempfile::TempDir;
use uuid::Uuid;

/// Seeded with more than 20.
const BOARD: &str = "kit-102";

struct Room {
    store: Database,
    reservations: Reservations,
    registry: Registry,
}

impl Room {
    async fn open(options: &StoreOptions<'_>) -> Self {
        let store = Database::open("inventory", options).await.unwrap();
        // Two processes may open the shop at once.
        let (one, other) = tokio::join!(opening::fill(&store), opening::fill(&store));
        assert!(one.unwrap() | other.unwrap(), "it is empty");
        let products = sqlx::query_scalar("SELECT COUNT(*) FROM products");
        let products: i64 = products.fetch_one(store.pool()).await.unwrap();
        assert_eq!(products, 300);
        assert!(!opening::fill(&store).await.unwrap(), "it is filled once only");
        let registry = Registry::new();
        let reservations = Reservations::register(&registry).unwrap();
        Self { store, reservations, registry }
    }

    async fn handle(&self, event: Event) {
        let (reservations, event) = (&self.reservations, &event);
        self.store
            .transaction(|mut tx| async move {
                reservations.handle(&mut tx, event).await?;
                Ok::<_, HandlerError>(tx.done(()))
            })
            .await
            .unwrap();
    }

    async fn stock(&self, product: &str) -> Stock {
        stock(&self.store, product).await.unwrap().unwrap()
    }

    /// Units of the board that are available, reserved and sold.
    async fn board(&self) -> [i64; 3] {
        let stock = self.stock(BOARD).await;
        [stock.available, stock.reserved, stock.sold]
    }

    /// The types of the events told of an order, and the last one's text.
    async fn told(&self, order: Uuid) -> (Vec<String>, String) {
        let rows: Vec<(String, String)> =
            sqlx::query_as("SELECT type, payload FROM outbox WHERE event_key = $1 ORDER BY seq")
                .bind(order.to_string())
                .fetch_all(self.store.pool())
                .await
                .unwrap();
        let last = rows.last().map(|(_, payload)| payload.clone()).unwrap_or_default();
        (rows.into_iter().map(|(event, _)| event).collect(), last)
    }

    fn counted(&self, outcome: &str) -> f64 {
        let families = self.registry.gather();
        let mut series = families.iter().flat_map(|family| family.get_metric());
        let of = series.find(|one| one.get_label().iter().any(|pair| pair.value() == outcome));
        of.unwrap().get_counter().get_value()
    }
}

fn customer() -> Customer {
    Customer { id: Uuid::nil(), email: "ada@example.org".into(), name: "Ada".into() }
}

fn line(product: &str, quantity: u32) -> Line {
    let name = "Oak chopping board".to_owned();
    Line { product_id: product.into(), name, quantity, unit_price: 3_790 }
}

fn placed(order_id: Uuid, lines: Vec<Line>) -> Event {
    let placed = OrderPlaced {
        order_id,
        number: "A-1".into(),
        customer: customer(),
        lines,
        total: 3_790,
        currency: "EUR".into(),
        payment_token: "tok-1".into(),
    };
    Event::new(order_id.to_string(), placed)
}

fn paid(order_id: Uuid, lines: Vec<Line>) -> Event {
    let paid = OrderPaid {
        order_id,
        number: "A-1".into(),
        customer: customer(),
        lines,
        total: 3_790,
        currency: "EUR".into(),
        payment_id: Uuid::nil(),
    };
    Event::new(order_id.to_string(), paid)
}

fn failed(order_id: Uuid) -> Event {
    Event::new(order_id.to_string(), PaymentFailed { order_id, reason: "Declined.".into() })
}

fn cancelled(order_id: Uuid) -> Event {
    let cancelled = OrderCancelled {
        order_id,
        number: "A-1".into(),
        customer: customer(),
        total: 3_790,
        currency: "EUR".into(),
        reason: "You cancelled it.".into(),
    };
    Event::new(order_id.to_string(), cancelled)
}

async fn an_order_reserves_and_sells_or_gives_back(room: &Room) {
    let [all, ..] = room.board().await;
    let first = Uuid::now_v7();
    room.handle(placed(first, vec![line(BOARD, 2), line("kit-101", 1)])).await;
    assert_eq!(room.board().await, [all - 2, 2, 0]);
    let (told, text) = room.told(first).await;
    assert_eq!(told, ["stock.reserved"]);
    assert!(text.contains("tok-1") && text.contains("3790"), "{text}");
    room.handle(paid(first, vec![line(BOARD, 2), line("kit-101", 1)])).await;
    assert_eq!(room.board().await, [all - 2, 0, 2]);
    let second = Uuid::now_v7();
    room.handle(placed(second, vec![line(BOARD, 3)])).await;
    assert_eq!(room.board().await, [all - 5, 3, 2]);
    room.handle(failed(second)).await;
    assert_eq!(room.board().await, [all - 2, 0, 2]);
    room.handle(cancelled(second)).await;
    assert_eq!(room.board().await, [all - 2, 0, 2], "both tell of the same end");
    room.handle(cancelled(first)).await;
    assert_eq!(room.board().await, [all, 0, 0], "what was sold comes back as well");
    for again in [placed(first, vec![line(BOARD, 2)]), paid(first, vec![line(BOARD, 2)])] {
        room.handle(again).await;
    }
    assert_eq!(room.board().await, [all, 0, 0], "what is over stays over");
    let counts = ["reserved", "committed", "released", "rejected"].map(|o| room.counted(o));
    assert_eq!(counts, [2.0, 1.0, 2.0, 0.0]);
}

async fn a_transaction_that_is_done_again_counts_once(room: &Room) {
    let before = room.counted("reserved");
    let order = placed(Uuid::now_v7(), vec![line(BOARD, 1)]);
    let (reservations, order, attempts) = (&room.reservations, &order, &AtomicU32::new(0));
    room.store
        .transaction(|mut tx| async move {
            reservations.handle(&mut tx, order).await?;
            if attempts.fetch_add(1, Ordering::Relaxed) == 0 {
                return Err(StoreError::Contended("others were in the way".into()).into());
            }
            Ok::<_, HandlerError>(tx.done(()))
        })
        .await
        .unwrap();
    assert_eq!((attempts.load(Ordering::Relaxed), room.counted("reserved")), (2, before + 1.0));
    room.handle(cancelled(order.key.parse().unwrap())).await;
}

/// On the two databases, deliveries and orders at once come out to the unit.
async fn what_is_delivered_while_people_order_is_not_lost(room: &Room) {
    let [all, ..] = room.board().await;
    let orders: Vec<Uuid> = (0..20).map(|_| Uuid::now_v7()).collect();
    let ordered = orders
        .iter()
        .map(|order| room.handle(placed(*order, vec![line(BOARD, 1), line("kit-101", 1)])));
    let delivered = (0..10).map(|_| async { deliver(&room.store, None, 5).await.unwrap() });
    tokio::join!(join_all(ordered), join_all(delivered));
    assert_eq!(room.board().await, [all + 50 - 20, 20, 0]);
    for order in orders {
        room.handle(cancelled(order)).await;
    }
    assert_eq!(room.board().await, [all + 50, 0, 0]);
}

async fn too_little_of_one_product_keeps_none_of_any(room: &Room) {
    let [all, ..] = room.board().await;
    let order = Uuid::now_v7();
    room.handle(placed(order, vec![line(BOARD, 2), line("pot-999", 1)])).await;
    assert_eq!(room.board().await, [all, 0, 0]);
    let (told, text) = room.told(order).await;
    assert_eq!(told, ["stock.rejected"]);
    assert!(text.contains("is sold out."), "{text}");
    let order = Uuid::now_v7();
    // One product on two lines counts as one.
    let many = u32::try_from(all).unwrap();
    room.handle(placed(order, vec![line(BOARD, many), line(BOARD, 1)])).await;
    assert_eq!(room.board().await, [all, 0, 0]);
    let text = room.told(order).await.1;
    let reason = format!("Only {all} left of Oak chopping board; you ordered {}.", all + 1);
    assert!(text.contains(&reason), "{text}");
    room.handle(cancelled(order)).await;
    assert_eq!(room.board().await, [all, 0, 0]);
}

async fn a_release_that_comes_first_wins(room: &Room) {
    let before = room.board().await;
    for over in [failed, cancelled] {
        let order = Uuid::now_v7();
        room.handle(over(order)).await;
        room.handle(placed(order, vec![line(BOARD, 1)])).await;
        assert_eq!(room.board().await, before);
        assert!(room.told(order).await.0.is_empty(), "nobody is to be charged");
    }
}

async fn what_is_not_paid_in_time_is_free_again(room: &Room) {
    let [all, ..] = room.board().await;
    let (late, never, gone) = (Uuid::now_v7(), Uuid::now_v7(), Uuid::now_v7());
    for order in [late, never, gone] {
        room.handle(placed(order, vec![line(BOARD, 2)])).await;
    }
    let hold = i64::try_from(HOLD.as_millis()).unwrap();
    let expire = |now| room.reservations.expire(&room.store, now);
    assert_eq!(expire(now_ms() + hold - 60_000).await.unwrap(), 0);
    assert_eq!(room.board().await, [all - 6, 6, 0]);
    // Every process of the service looks at the time.
    let (one, other) = tokio::join!(expire(now_ms() + hold + 1), expire(now_ms() + hold + 1));
    assert_eq!(one.unwrap().max(other.unwrap()), 3);
    assert_eq!(room.counted("expired"), 3.0);
    assert_eq!(room.board().await, [all, 0, 0]);
    assert_eq!(expire(now_ms() + hold + 1).await.unwrap(), 0);
    room.handle(cancelled(never)).await;
    room.handle(paid(never, vec![line(BOARD, 2)])).await;
    assert_eq!(room.board().await, [all, 0, 0]);
    room.handle(paid(late, vec![line(BOARD, 2)])).await;
    assert_eq!(room.board().await, [all - 2, 0, 2], "there still was enough");
    let rest = Uuid::now_v7();
    room.handle(placed(rest, vec![line(BOARD, u32::try_from(all - 2).unwrap())])).await;
    room.handle(paid(gone, vec![line(BOARD, 2)])).await;
    assert_eq!(room.board().await, [0, all - 2, 2]);
    assert_eq!(room.told(gone).await.0, ["stock.reserved", "stock.rejected"], "paid for nothing");
    room.handle(cancelled(rest)).await;
    room.handle(cancelled(late)).await;
    assert_eq!(room.board().await, [all, 0, 0]);
}

/// More is wanted of three products than there is, by orders that name them in any order.
async fn stock_is_never_oversold(room: &Room) {
    let products = [BOARD, "kit-101", "kit-103"];
    let mut all = 0;
    for product in products {
        all += room.stock(product).await.available;
    }
    let orders: Vec<Uuid> = (0..u32::try_from(all).unwrap()).map(|_| Uuid::now_v7()).collect();
    let work = orders.iter().enumerate().map(|(at, order)| async move {
        let mut lines: Vec<Line> = products.iter().map(|product| line(product, 1)).collect();
        lines.rotate_left(at % products.len());
        room.handle(placed(*order, lines.clone())).await;
        match at % 4 {
            0 => room.handle(paid(*order, lines)).await,
            1 => room.handle(cancelled(*order)).await,
            _ => {}
        }
    });
    // As many at once as a bus delivers.
    stream::iter(work).buffer_unordered(64).collect::<Vec<()>>().await;
    let mut now = 0;
    for product in products {
        let stock = room.stock(product).await;
        assert!(stock.available >= 0 && stock.reserved >= 0 && stock.sold >= 0, "{stock:?}");
        now += stock.available + stock.reserved + stock.sold;
    }
    assert_eq!(now, all, "to the unit");
    assert!(room.counted("rejected") > 0.0, "there was too little");
    for order in orders {
        room.handle(cancelled(order)).await;
    }
    let mut free = 0;
    for product in products {
        free += room.stock(product).await.available;
    }
    assert_eq!(free, all, "to the unit");
}

async fn all(room: Room) {
    an_order_reserves_and_sells_or_gives_back(&room).await;
    a_transaction_that_is_done_again_counts_once(&room).await;
    too_little_of_one_product_keeps_none_of_any(&room).await;
    a_release_that_comes_first_wins(&room).await;
    what_is_not_paid_in_time_is_free_again(&room).await;
    stock_is_never_oversold(&room).await;
    what_is_delivered_while_people_order_is_not_lost(&room).await;
}

#[tokio::test]
async fn stock_moves_as_events_and_time_say_on_sqlite() {
    let data = TempDir::new().unwrap();
    let options = StoreOptions { data: data.path().into(), url: None, migrations: MIGRATIONS };
    all(Room::open(&options).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stock_moves_as_events_and_time_say_on_postgres() {
    let engine = tokio::task::spawn_blocking(Engine::postgres).await.unwrap().unwrap();
    let url = Some(engine.url().into());
    let options = StoreOptions { data: "unused".into(), url, migrations: MIGRATIONS };
    all(Room::open(&options).await).await;
}
