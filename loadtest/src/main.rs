//! Load scenarios against the shop.
//!
//! All visitors come from one address, so the shop is opened without limits for one client. From the repository's root:
//!
//! ```text
//! SHOP_CLIENT_RATE=0 SHOP_SIGN_IN_RATE=0 cargo xtask shop
//! ```
//!
//! and from this folder, against the gateway:
//!
//! ```text
//! cargo run --release --target-dir ../target/loadtest -- --host http://127.0.0.1:8080 --throttle-requests 50
//! ```
//!
//! Scenarios, for `--scenarios`:
//!
//! | name | against | what its users do |
//! |---|---|---|
//! | `shopbrowse` | gateway, port 8080 | list, search, look at products with picture and recommendations, fill a cart and empty it |
//! | `shopbuy` | gateway, port 8080 | register or sign in, order with a test card, follow the order, read the mail, sign out |
//! | `recommendations` | recommendations, port 8086, where it stands alone | browse items and teach it orders |
//!
//! Without flags: both scenarios of the shop with 20 users, of whom one buys, for thirty seconds, 200 requests a second
//! in all, so that it leaves the processor to what it tests; `--throttle-requests N` sets another rate, `--help` lists
//! the rest. It stops by itself, prints requests and failures by endpoint, and fails when 1 % of the requests or more did
//! not get the status they should (`--threshold` sets other rules). Users are seeded with their number and choose the
//! same in every run; customers are new ones each time, as the shop remembers them.

mod recommendations;
mod shop;
mod shopper;

use goose::prelude::*;

#[tokio::main]
async fn main() -> Result<(), GooseError> {
    GooseAttack::initialize()?
        .register_scenario(shop::browse()?.set_weight(19)?)
        .register_scenario(shop::buy()?)
        .register_scenario(recommendations::browse_and_order()?)
        .set_default(GooseDefault::Scenarios, "shop*")?
        .set_default(GooseDefault::Users, 20)?
        .set_default(GooseDefault::RunTime, 30)?
        // Two cores carry the services, the watchdog and this.
        .set_default(GooseDefault::ThrottleRequests, 200)?
        .set_default(GooseDefault::Threshold, "error-rate<1%")?
        // Judged at the end only: a service that is killed and comes back is what this load is for.
        .set_default(GooseDefault::NoThresholdAbort, true)?
        .execute()
        .await?;
    Ok(())
}
