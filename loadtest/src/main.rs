//! Load scenarios against the shop's public endpoints.
//!
//! From this folder, with the recommendations service on port 8080:
//!
//! ```text
//! cargo run --release --target-dir ../target/loadtest -- --host http://127.0.0.1:8080 --users 4 --run-time 30s
//! ```
//!
//! Without flags: four users, thirty seconds, 200 requests a second in all, so that it leaves the processor to what
//! it tests; `--throttle-requests N` sets another rate, `--help` lists the rest. It stops by itself, prints requests
//! and failures by endpoint, and fails when 1 % of the requests or more did not get the status they should
//! (`--threshold` sets other rules). Every run sends the same requests: the shoppers are seeded with their number.

mod scenario;
mod shopper;

use goose::prelude::*;

#[tokio::main]
async fn main() -> Result<(), GooseError> {
    GooseAttack::initialize()?
        .register_scenario(scenario::browse_and_order()?)
        .set_default(GooseDefault::Users, 4)?
        .set_default(GooseDefault::RunTime, 30)?
        // Two cores carry the service, the watchdog and this.
        .set_default(GooseDefault::ThrottleRequests, 200)?
        .set_default(GooseDefault::Threshold, "error-rate<1%")?
        // Judged at the end only: a service that is killed and comes back is what this load is for.
        .set_default(GooseDefault::NoThresholdAbort, true)?
        .execute()
        .await?;
    Ok(())
}
