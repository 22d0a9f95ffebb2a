//! Sessions over time, on both databases.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests may fail the test"
)]

use services_engines::Engine;
use services_kit::store::{Database, StoreOptions};
use services_users::MIGRATIONS;
use services_users::accounts::{Account, Accounts};
use services_users::sessions::{GRACE, LIFETIME, LONGEST, MOST, STALE, Sessions};
use uuid::Uuid;

/// Any time.
const NOW: i64 = 1_800_000_000_000;

struct Shop {
    accounts: Accounts,
    sessions: Sessions,
    ada: Account,
}

impl Shop {
    /// With one customer, who has no session.
    async fn open(store: Database) -> Self {
        let ada = Account {
            id: Uuid::now_v7(),
            email: format!("{}@example.org", Uuid::now_v7()),
            name: "Ada".into(),
            address: None,
            password: "hash 1".into(),
        };
        let shop =
            Self { accounts: Accounts::new(store.clone()), sessions: Sessions::new(store), ada };
        let first = hash();
        shop.accounts.open(&shop.ada, &first, NOW).await.unwrap();
        shop.sessions.end(&first).await.unwrap();
        shop
    }

    async fn sign_in(&self, now: i64) -> String {
        let (hash, id) = (hash(), self.ada.id.to_string());
        let ends = self.sessions.open(&id, &self.ada.password, &hash, now).await.unwrap();
        assert_eq!(ends, Some(now + LIFETIME));
        hash
    }

    async fn holds(&self, hash: &str, now: i64) -> bool {
        self.sessions.find(hash, now).await.unwrap().is_some()
    }
}

/// One that no token has.
fn hash() -> String {
    format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple())
}

async fn a_session_ends_in_time_and_is_removed(store: Database) {
    let shop = Shop::open(store).await;
    let hash = shop.sign_in(NOW).await;
    assert!(shop.holds(&hash, NOW + LIFETIME - 1).await);
    assert!(!shop.holds(&hash, NOW + LIFETIME).await);
    let later = shop.sign_in(NOW + 1).await;
    assert_eq!(shop.sessions.sweep(NOW + LIFETIME).await.unwrap(), 1);
    assert!(shop.holds(&later, NOW + LIFETIME).await);
}

async fn who_comes_back_daily_stays_signed_in_but_not_for_ever(store: Database) {
    let shop = Shop::open(store).await;
    let (mut current, mut now) = (shop.sign_in(NOW).await, NOW);
    let mut ends = NOW + LIFETIME;
    while now + STALE < ends {
        let session = shop.sessions.find(&current, now).await.unwrap().unwrap();
        assert!(!session.is_stale(now) && session.is_stale(now + STALE));
        now += STALE;
        let next = hash();
        let renewed = shop.sessions.renew(&current, &next, now).await.unwrap().unwrap();
        assert_eq!(renewed.0.customer, shop.ada.id.to_string());
        assert!(shop.holds(&current, now + GRACE - 1).await);
        assert!(!shop.holds(&current, now + GRACE).await);
        assert!(shop.sessions.renew(&current, &hash(), now + 1).await.unwrap().is_none());
        (current, ends) = (next, renewed.1);
    }
    assert_eq!(ends, NOW + LONGEST);
    assert!(!shop.holds(&current, NOW + LONGEST).await);
}

async fn the_oldest_session_gives_way_to_one_too_many(store: Database) {
    let shop = Shop::open(store).await;
    let mut all = Vec::new();
    for second in 0..=MOST {
        all.push(shop.sign_in(NOW + second * 1000).await);
    }
    assert!(!shop.holds(&all[0], NOW + 1).await);
    for hash in &all[1..] {
        assert!(shop.holds(hash, NOW + 1).await);
    }
}

async fn a_sign_in_with_a_password_that_was_just_changed_opens_nothing(store: Database) {
    let shop = Shop::open(store).await;
    let before = shop.sign_in(NOW).await;
    let kept = hash();
    let changed = shop.accounts.change_password(&shop.ada, "hash 2", &kept, NOW).await.unwrap();
    assert_eq!(changed, Some(NOW + LIFETIME));
    assert!(!shop.holds(&before, NOW).await && shop.holds(&kept, NOW).await);
    let id = shop.ada.id.to_string();
    let late = shop.sessions.open(&id, "hash 1", &hash(), NOW).await.unwrap();
    assert_eq!(late, None);
    // The same for a second change that verified the first password.
    let twice = shop.accounts.change_password(&shop.ada, "hash 3", &hash(), NOW).await.unwrap();
    assert_eq!(twice, None);
    assert!(shop.holds(&kept, NOW).await);
}

async fn sign_ins_that_race_a_password_change_leave_no_session_of_the_old_password(
    store: Database,
) {
    let shop = Shop::open(store).await;
    let (id, hashes) = (shop.ada.id.to_string(), (0..16).map(|_| hash()).collect::<Vec<_>>());
    let kept = hash();
    let opening = hashes.iter().map(|hash| shop.sessions.open(&id, "hash 1", hash, NOW));
    let (opened, changed) = tokio::join!(
        futures_util::future::join_all(opening),
        shop.accounts.change_password(&shop.ada, "hash 2", &kept, NOW),
    );
    assert!(opened.iter().all(Result::is_ok) && changed.unwrap().is_some());
    for hash in &hashes {
        assert!(!shop.holds(hash, NOW).await);
    }
    assert!(shop.holds(&kept, NOW).await);
}

/// Each of them on a file and on a server.
macro_rules! on_both {
    ($($name:ident),* $(,)?) => {
        mod sqlite {
            $(#[tokio::test]
            async fn $name() {
                let data = tempfile::tempdir().unwrap();
                let options = super::StoreOptions {
                    data: data.path().into(), url: None, migrations: super::MIGRATIONS,
                };
                super::$name(super::Database::open("users", &options).await.unwrap()).await;
            })*
        }

        #[tokio::test]
        async fn on_postgres_as_well() {
            let engine = Engine::postgres().unwrap();
            let options = StoreOptions {
                data: Default::default(), url: Some(engine.url().into()), migrations: MIGRATIONS,
            };
            let store = Database::open("users", &options).await.unwrap();
            $($name(store.clone()).await;)*
            store.close().await;
        }
    };
}

// The one that counts all sessions is the first: a server keeps what the others leave.
on_both!(
    a_session_ends_in_time_and_is_removed,
    who_comes_back_daily_stays_signed_in_but_not_for_ever,
    the_oldest_session_gives_way_to_one_too_many,
    a_sign_in_with_a_password_that_was_just_changed_opens_nothing,
    sign_ins_that_race_a_password_change_leave_no_session_of_the_old_password,
);
