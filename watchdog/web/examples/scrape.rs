//! The web server over so many targets with everything known, and a bare handler that sends the same bytes: for
//! measuring `/metrics`. Prints the two addresses and serves until it is killed.

#[path = "../tests/web/fixed.rs"]
#[allow(dead_code, clippy::expect_used, reason = "what tests of the server share")]
mod fixed;
#[path = "../tests/web/store.rs"]
#[allow(dead_code, clippy::expect_used, reason = "what tests of the server share")]
mod store;

use std::error::Error;
use std::future::pending;

use axum::Router;
use axum::body::Bytes;
use axum::http::header;
use axum::routing::get;
use tokio::net::TcpListener;
use watchdog_core::units::{BytesPerSecond, WallTime};
use watchdog_web::metrics::{Format, render};
use watchdog_web::serve;
use watchdog_web::status::{Status, TargetStatus};

/// As many as the application keeps.
const MAX_INCIDENTS: usize = 200;

/// Targets with figures that are as long as measured ones are, each with an open incident as far as they are kept.
fn many(targets: usize) -> Option<Status> {
    let mut many = fixed::status();
    let model = many.targets.first()?.clone();
    let incident = many.incidents.first()?.clone();
    many.targets = (0..targets).map(|i| measured(&model, i)).collect();
    let of = |target: &TargetStatus| {
        let mut open = incident.clone();
        open.target = target.identity.clone();
        open
    };
    many.incidents = many.targets.iter().take(MAX_INCIDENTS).map(of).collect();
    Some(many)
}

fn measured(model: &TargetStatus, i: usize) -> TargetStatus {
    let mut target = model.clone();
    let odd = 1.0 + (i as f64 + 1.0) / 7919.0;
    target.identity.name = format!("checkout-{i}");
    target.delays.total_seconds *= odd;
    target.last_capture = target.last_capture.map(|at| WallTime(at.0 - odd));
    if let Some(sample) = &mut target.sample {
        sample.wall = WallTime(sample.wall.0 + odd);
    }
    if let Some(trend) = target.assessment.as_mut().and_then(|seen| seen.trend.as_mut()) {
        for slope in [&mut trend.low, &mut trend.slope, &mut trend.high] {
            *slope = BytesPerSecond(slope.0 * odd);
        }
    }
    if let Some(left) = target.assessment.as_mut().and_then(|seen| seen.forecast.as_mut()) {
        (left.low, left.estimate) = (left.low * odd, left.estimate * odd);
        left.high = left.high.map(|high| high * odd);
    }
    target
}

/// The watchdog's runtime has two workers as well.
#[tokio::main(worker_threads = 2)]
async fn main() -> Result<(), Box<dyn Error>> {
    let targets = std::env::args().nth(1).ok_or("how many targets?")?.parse()?;
    let status = many(targets).ok_or("the model has no target")?;
    let text = Bytes::from(render(&status, Format::Text));
    let kind = [(header::CONTENT_TYPE, Format::Text.content_type())];
    let bare = Router::new().route("/metrics", get(move || async move { (kind, text.clone()) }));
    let (context, _dir) = fixed::context(status, None);
    let (first, second) =
        (TcpListener::bind("127.0.0.1:0").await?, TcpListener::bind("127.0.0.1:0").await?);
    println!("{} {}", first.local_addr()?, second.local_addr()?);
    tokio::spawn(async move { axum::serve(second, bare).await });
    Ok(serve(first, context, pending()).await?)
}
