//! Events from one service to another: once, or told why not.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use services_kit::bus::{Bus, Message};
use services_kit::events::{Event, PaymentRefunded, StockReserved};
use services_kit::inbox::{Consumer, Driven, Handler, HandlerError};
use services_kit::outbox::{Outbox, Relay};
use services_kit::store::{Database, Migration, StoreError, Tx};
use services_kit::{Kit, Peer};
use uuid::Uuid;

use crate::stage::{Stage, number, until};

const MIGRATIONS: &[Migration] = &[Migration {
    version: 100,
    name: "effects",
    sql: "CREATE TABLE effects (id TEXT NOT NULL, count BIGINT NOT NULL)",
}];

pub(crate) fn reserved(key: &str, total: i64) -> Event {
    let body = StockReserved {
        order_id: Uuid::now_v7(),
        customer_id: Uuid::now_v7(),
        total,
        currency: "EUR".into(),
        payment_token: "token".into(),
    };
    Event::new(key, body)
}

/// Has a row as its effect, after as many failures as it is told.
#[derive(Default)]
struct Effects {
    failures: Arc<AtomicU32>,
    never: bool,
}

#[async_trait]
impl Handler for Effects {
    async fn handle(&self, tx: &mut Tx, event: &Event) -> Result<(), HandlerError> {
        sqlx::query("INSERT INTO effects (id, count) VALUES ($1, 1)")
            .bind(event.id.to_string())
            .execute(tx.conn())
            .await?;
        let left = self.failures.load(Ordering::SeqCst);
        if left == 0 {
            return Ok(());
        }
        if self.never {
            return Err(HandlerError::Never("it is broken".into()));
        }
        self.failures.store(left - 1, Ordering::SeqCst);
        if left.is_multiple_of(2) {
            panic!("on purpose")
        }
        Err(HandlerError::Again("not yet".into()))
    }
}

struct Scene {
    kit: Kit,
    store: Database,
    bus: Arc<dyn Bus>,
    consumer: Consumer,
}

impl Scene {
    async fn new(stage: &mut Stage, effects: Effects) -> Self {
        stage.anew().await;
        Self::on(stage, effects).await
    }

    /// On what is there.
    async fn on(stage: &Stage, effects: Effects) -> Self {
        let kit = stage.kit(Peer::Payments);
        let store = Database::of(&kit, MIGRATIONS).await.unwrap();
        let bus = services_kit::bus::of(&kit).await.unwrap();
        let consumer = Consumer::start(&kit, store.clone(), Arc::clone(&bus), effects).unwrap();
        Self { kit, store, bus, consumer }
    }

    async fn effects(&self, count: i64) {
        let sql = "SELECT COUNT(*) FROM effects";
        until("the effects are there", || async { number(&self.store, sql).await == Some(count) })
            .await;
    }

    async fn letters(&self, count: usize) {
        until("the dead letters are there", || async {
            self.consumer.dead_letters(10).await.is_ok_and(|letters| letters.len() == count)
        })
        .await;
    }

    async fn publish(&self, messages: &[Message]) {
        for message in messages {
            let outcome = self.bus.publish(&[message]).await;
            assert!(outcome[0].is_ok(), "{outcome:?}");
        }
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        self.kit.stopping().cancel();
    }
}

fn message(event: &Event) -> Message {
    Message {
        id: event.id.to_string(),
        event_type: event.event_type().name().to_owned(),
        key: event.key.clone(),
        body: event.encode().unwrap(),
    }
}

pub(crate) async fn an_event_has_its_effect_once_however_often_it_comes(stage: &mut Stage) {
    let scene = Scene::new(stage, Effects::default()).await;
    let (event, last) = (message(&reserved("a", 1)), message(&reserved("a", 2)));
    scene.publish(&[event.clone(), event.clone()]).await;
    scene.effects(1).await;
    // The last of the same key comes after the duplicates.
    scene.publish(&[event.clone(), event, last]).await;
    scene.effects(2).await;
    scene.letters(0).await;
}

pub(crate) async fn an_event_that_fails_is_tried_again(stage: &mut Stage) {
    let failures = Arc::new(AtomicU32::new(4));
    let scene = Scene::new(stage, Effects { failures, never: false }).await;
    scene.publish(&[message(&reserved("a", 1))]).await;
    scene.effects(1).await;
    assert_eq!(number(&scene.store, "SELECT COUNT(*) FROM inbox_failures").await, Some(0));
    scene.letters(0).await;
}

pub(crate) async fn what_is_no_event_is_a_dead_letter_and_stays_one(stage: &mut Stage) {
    let scene = Scene::new(stage, Effects::default()).await;
    let good = message(&reserved("a", 1));
    let garbage = Message { id: "garbage".into(), body: b"{\xff\0".to_vec(), ..good.clone() };
    let mut future: serde_json::Value = serde_json::from_slice(&good.body).unwrap();
    future["version"] = 99.into();
    let future = Message { id: "future".into(), body: future.to_string().into(), ..good.clone() };
    scene.publish(&[garbage, future, good]).await;
    scene.effects(1).await;
    scene.letters(2).await;
    let letters = scene.consumer.dead_letters(10).await.unwrap();
    let reasons: Vec<&str> = letters.iter().map(|letter| letter.reason.as_str()).collect();
    assert!(reasons.iter().any(|reason| reason.contains("version 99")), "{reasons:?}");
    let driven = scene.consumer.redrive(10).await.unwrap();
    assert_eq!(driven, Driven { handled: 0, failed: 2 });
    scene.letters(2).await;
}

pub(crate) async fn a_dead_letter_is_driven_again_once_its_cause_is_mended(stage: &mut Stage) {
    let failures = Arc::new(AtomicU32::new(1));
    let effects = Effects { failures: Arc::clone(&failures), never: true };
    let scene = Scene::new(stage, effects).await;
    scene.publish(&[message(&reserved("a", 1))]).await;
    scene.letters(1).await;
    assert_eq!(scene.consumer.dead_letters(10).await.unwrap()[0].reason, "it is broken");
    assert_eq!(number(&scene.store, "SELECT COUNT(*) FROM effects").await, Some(0));
    let driven = scene.consumer.redrive(10).await.unwrap();
    assert_eq!(driven, Driven { handled: 0, failed: 1 });
    failures.store(0, Ordering::SeqCst);
    let driven = scene.consumer.redrive(10).await.unwrap();
    assert_eq!(driven, Driven { handled: 1, failed: 0 });
    scene.letters(0).await;
    scene.effects(1).await;
}

/// A consumer that dies each time is one that takes the message and gives it back by dying; what is known of that is a
/// number, which the test lets rise as the bus itself does.
pub(crate) async fn what_kills_its_consumers_is_a_dead_letter_in_the_end(stage: &mut Stage) {
    stage.anew().await;
    let bus = services_kit::bus::of(&stage.kit(Peer::Payments)).await.unwrap();
    bus.check().await.unwrap();
    let deadly = message(&reserved("a", 1));
    bus.publish(&[&deadly]).await.remove(0).unwrap();
    stage.deliver_in_vain("payments", 101).await;
    let scene = Scene::on(stage, Effects::default()).await;
    scene.letters(1).await;
    let letters = scene.consumer.dead_letters(10).await.unwrap();
    assert_eq!(letters[0].reason, "its consumers died each time it was delivered");
    scene.publish(&[message(&reserved("a", 2))]).await;
    scene.effects(1).await;
    let driven = scene.consumer.redrive(10).await.unwrap();
    assert_eq!(driven, Driven { handled: 1, failed: 0 });
    scene.effects(2).await;
}

pub(crate) async fn an_event_that_nobody_hears_holds_nothing_up(stage: &mut Stage) {
    let scene = Scene::new(stage, Effects::default()).await;
    Relay::start(&scene.kit, scene.store.clone(), Arc::clone(&scene.bus)).unwrap();
    let unheard = Message { event_type: "nobody.hears".into(), ..message(&reserved("a", 1)) };
    scene.publish(&[unheard]).await;
    scene
        .store
        .transaction(|mut tx| async move {
            let refunded = PaymentRefunded {
                order_id: Uuid::now_v7(),
                payment_id: Uuid::now_v7(),
                amount: 1,
                currency: "EUR".into(),
            };
            Outbox::add(&mut tx, &Event::new("a", refunded)).await?;
            Outbox::add(&mut tx, &reserved("a", 1)).await?;
            Ok::<_, StoreError>(tx.done(()))
        })
        .await
        .unwrap();
    scene.effects(1).await;
    let pending = "SELECT COUNT(*) FROM outbox WHERE published_at IS NULL";
    until("all is published", || async { number(&scene.store, pending).await == Some(0) }).await;
    tokio::time::timeout(Duration::from_secs(30), scene.bus.check()).await.unwrap().unwrap();
}
