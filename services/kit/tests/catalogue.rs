//! The catalogue of metrics: the document is what the code says, and what is served is in it.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests may fail the test")]

use std::path::Path;

use services_kit::catalogue;
use services_kit::openapi::Api;
use services_kit::{Kit, Options, Peer, Service};

#[test]
fn the_catalogue_in_the_documentation_is_the_one_in_the_code() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/shop-metrics.md");
    let text = catalogue::markdown();
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        kept == text,
        "docs/shop-metrics.md is not what the code says; look at the difference after \
         `UPDATE_GOLDEN=1 cargo test -p services-kit --test catalogue`"
    );
}

#[tokio::test]
async fn every_metric_that_a_service_serves_is_in_the_catalogue() {
    let options =
        Options { internal_key: Some("k".repeat(32).into()), ..Options::on_free_ports().unwrap() };
    let kit = Kit::new(Peer::Orders, options).unwrap();
    let service = Service::new(kit, Api::new()).start().await.unwrap();
    let url = format!("http://{}/nowhere", service.public_address);
    reqwest::get(url).await.unwrap();
    let url = format!("http://{}/metrics", service.admin_address);
    let text = reqwest::get(url).await.unwrap().text().await.unwrap();
    let served: Vec<&str> =
        text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
    for name in &served {
        assert!(catalogue::all().any(|metric| metric.name == *name), "{name}");
    }
    for name in ["http_requests_total", "process_panics_total", "shop_telemetry_lost_total"] {
        assert!(served.contains(&name), "{name} is not in\n{text}");
    }
}
