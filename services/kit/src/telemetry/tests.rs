//! One service calls another, and what Loki and the collector get of it.

use axum::extract::State;
use secrecy::SecretString;
use serde_json::Value;
use watchdog_fixtures::loki::LokiServer;
use watchdog_fixtures::otlp::{Answer, OtlpCollector};

use super::*;
use crate::openapi::{Api, routes};
use crate::{ApiError, Json, Options, Peer, Running, Service};

const SOON: Duration = Duration::from_secs(20);

/// Answers.
#[utoipa::path(get, path = "/inner", responses((status = 200, body = String)))]
async fn inner() -> Json<u32> {
    tracing::info!(answer = 42, "somebody asked");
    Json(42)
}

/// Asks the other.
#[utoipa::path(get, path = "/outer", responses((status = 200, body = String)))]
async fn outer(State(kit): State<Kit>) -> Result<Json<u32>, ApiError> {
    Ok(Json(kit.client(Peer::Inventory).get("/inner").send().await?))
}

fn kit(peer: Peer, change: impl FnOnce(&mut Options)) -> Kit {
    let mut options = Options::on_free_ports().unwrap();
    options.internal_key = Some(SecretString::from("k".repeat(32)));
    change(&mut options);
    Kit::new(peer, options).unwrap()
}

/// Orders, which asks inventory; the telemetry of this thread is the one of orders.
async fn pair(change: impl FnOnce(&mut Options)) -> (Running, Running, Kit) {
    let api = Api::new().routes(routes!(inner));
    let inventory = Service::new(kit(Peer::Inventory, |_| {}), api).start().await.unwrap();
    let url = format!("http://{}", inventory.public_address);
    let orders = kit(Peer::Orders, |options| {
        options.peers.inventory_url = url.parse().unwrap();
        change(options);
    });
    let api = Api::new().routes(routes!(outer)).with_state(orders.clone());
    let running = Service::new(orders.clone(), api).open().start().await.unwrap();
    (inventory, running, orders)
}

#[tokio::test]
async fn a_trace_goes_from_the_client_through_both_services_to_the_collector_and_into_the_log() {
    let (collector, loki) =
        (OtlpCollector::start().await.unwrap(), LokiServer::start().await.unwrap());
    let (_inventory, running, orders) = pair(|options| {
        options.otlp_endpoint = Some(collector.url().parse().unwrap());
        options.loki_url = Some(loki.url().parse().unwrap());
    })
    .await;
    let (telemetry, subscriber) = Telemetry::build(&orders).unwrap();
    let _set = tracing::subscriber::set_default(subscriber);
    let trace = "0af7651916cd43dd8448eb211c80319c";
    let url = format!("http://{}/outer", running.public_address);
    let request = crate::client::http(false).unwrap().get(url).header("x-request-id", "abc-1");
    let request = request.header("traceparent", format!("00-{trace}-b7ad6b7169203331-01"));
    assert_eq!(request.send().await.unwrap().status(), 200);
    let entries = loki.wait_for(|lines| !lines.is_empty(), SOON).await.unwrap();
    let received = tokio::time::timeout(SOON, collector.until(|got| got.spans.len() >= 3)).await;
    telemetry.stop().await;
    let received = received.unwrap();
    let [outer, call, inner] =
        ["GET /outer", "GET inventory", "GET /inner"].map(|name| received.span(name).unwrap());
    for span in [outer, call, inner] {
        let id: String = span.trace_id.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(id, trace);
    }
    assert_eq!(call.parent_span_id, outer.span_id);
    assert_eq!(inner.parent_span_id, call.span_id);
    assert_eq!(received.resource["service.name"], "orders");
    let line = entries.iter().find(|entry| entry.line.contains("somebody asked")).unwrap();
    assert_eq!(line.labels["service"], "orders");
    let line: Value = serde_json::from_str(&line.line).unwrap();
    assert_eq!(line["trace_id"], trace);
    assert_eq!(line["request_id"], "abc-1");
    assert_eq!((&line["answer"], &line["level"]), (&Value::from(42), &Value::from("INFO")));
    let span: String = inner.span_id.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(line["span_id"], span);
}

#[tokio::test]
async fn what_nobody_takes_is_counted_and_holds_nobody_up() {
    let (collector, loki) =
        (OtlpCollector::start().await.unwrap(), LokiServer::start().await.unwrap());
    collector.answer([], Answer::Status(400));
    let orders = kit(Peer::Orders, |options| {
        options.otlp_endpoint = Some(collector.url().parse().unwrap());
        options.loki_url = Some(loki.url().parse().unwrap());
    });
    let (telemetry, subscriber) = Telemetry::build(&orders).unwrap();
    let lost = orders.metrics().lost.clone();
    let set = tracing::subscriber::set_default(subscriber);
    // Nothing is awaited, so nothing is pushed meanwhile: the queue fills.
    let logged = 1_100;
    for number in 0..logged {
        tracing::info!(number, "one of many");
    }
    tracing::info_span!("refused").in_scope(|| {});
    drop(set);
    let dropped = lost.with_label_values(&["logs"]).get();
    assert!((1..logged).contains(&dropped), "{dropped}");
    telemetry.stop().await;
    assert_eq!(lost.with_label_values(&["traces"]).get(), 1);
    let kept = loki.entries().iter().filter(|line| line.line.contains("one of many")).count();
    assert_eq!(
        kept as u64 + lost.with_label_values(&["logs"]).get(),
        logged,
        "none unaccounted for"
    );
}

#[tokio::test]
async fn an_event_carries_the_trace_it_was_made_in() {
    let orders = kit(Peer::Orders, |_| {});
    let (_telemetry, subscriber) = Telemetry::build(&orders).unwrap();
    let _set = tracing::subscriber::set_default(subscriber);
    assert_eq!(crate::trace::traceparent(), None);
    let made = tracing::info_span!("placed").in_scope(crate::trace::traceparent).unwrap();
    let handling = tracing::info_span!("handled");
    crate::trace::continue_from(&handling, Some(&made));
    let then = handling.in_scope(crate::trace::traceparent).unwrap();
    let trace = |text: &str| text.split('-').nth(1).unwrap().to_owned();
    assert_eq!(trace(&made), trace(&then));
    assert_ne!(made, then);
    let garbled = tracing::info_span!("garbled");
    crate::trace::continue_from(&garbled, Some("not a trace"));
    let own = garbled.in_scope(crate::trace::traceparent).unwrap();
    assert_ne!(trace(&own), trace(&made));
}

#[tokio::test]
async fn a_filter_that_is_none_says_how_to_write_one() {
    let orders = kit(Peer::Orders, |options| options.log = "info,=".into());
    let error = Telemetry::build(&orders).err().unwrap().to_string();
    assert!(error.contains("SHOP_LOG") && error.contains("`info,=`"), "{error}");
}
