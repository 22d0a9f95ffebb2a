//! Profiles of now, as Go's tools and scrapers ask for them.

use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::response::Response;
use tokio::time::{Instant, timeout};
use watchdog_web::router;
use watchdog_web::status::Status;

use crate::fixed::{DUMP, app, context, get, header, json, method, send, status, text};

const HEAP: &str = "/t/recommendations/debug/pprof/heap";

async fn ask(app: &Router, path: &str) -> Response {
    send(app, get(path, &[])).await
}

#[tokio::test]
async fn a_profile_is_found_where_go_has_it_with_the_headers_that_go_sends() {
    let (app, _dir) = app(true, None);
    for (path, name) in [
        (HEAP, "heap"),
        ("/t/recommendations/debug/pprof/allocs", "allocs"),
        ("/debug/pprof/heap?target=recommendations", "heap"),
        ("/debug/pprof/allocs?target=recommendations", "allocs"),
        ("/t/recommendations/debug/pprof/heap?target=recommendations", "heap"),
        ("/debug/pprof/heap?target=recommendations&debug=0&gc=1", "heap"),
    ] {
        let response = ask(&app, path).await;
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        assert_eq!(header(&response, "content-type"), "application/octet-stream");
        assert_eq!(header(&response, "x-content-type-options"), "nosniff");
        let named = format!("attachment; filename=\"{name}\"");
        assert_eq!(header(&response, "content-disposition"), named);
        assert_eq!(text(response).await, "pprof: recommendations None None", "{path}");
    }
}

#[tokio::test]
async fn other_forms_are_named_after_the_target_and_the_time() {
    let (app, _dir) = app(true, None);
    for (query, disposition) in [
        ("format=flamegraph", "inline; filename=\"recommendations-20261118T110640Z.svg\""),
        ("format=raw", "attachment; filename=\"recommendations-20261118T110640Z.heap\""),
        (
            "format=top&seconds=1",
            "inline; filename=\"recommendations-20261118T110640Z-growth.top.txt\"",
        ),
        ("seconds=1", "attachment; filename=\"heap-delta\""),
    ] {
        let response = ask(&app, &format!("{HEAP}?{query}")).await;
        assert_eq!(header(&response, "content-disposition"), disposition, "{query}");
    }
}

#[tokio::test]
async fn growth_since_a_stored_dump_is_handed_through() {
    let (app, _dir) = app(true, None);
    let response = ask(&app, &format!("{HEAP}?format=top&base={DUMP}")).await;
    assert_eq!(text(response).await, format!("top: recommendations None Some(\"{DUMP}\")"));
}

fn only(targets: usize) -> (Router, tempfile::TempDir) {
    let mut status = status();
    status.targets.truncate(targets);
    let (context, dir) = context(status, None);
    (router(context, true), dir)
}

#[tokio::test]
async fn the_only_target_need_not_be_named_and_of_several_one_must_be() {
    let (one, _dir) = only(1);
    assert_eq!(ask(&one, "/debug/pprof/heap").await.status(), StatusCode::OK);
    assert_eq!(text(ask(&one, "/debug/pprof/cmdline").await).await, "recommendations");
    let (none, _dir) = only(0);
    assert_eq!(ask(&none, "/debug/pprof/heap").await.status(), StatusCode::NOT_FOUND);
    let (several, _dir) = only(3);
    for path in ["/debug/pprof/heap", "/debug/pprof/allocs", "/debug/pprof/cmdline"] {
        let response = ask(&several, path).await;
        assert_eq!(response.status(), StatusCode::BAD_REQUEST);
        let body = text(response).await;
        for hint in ["?target=NAME", "/t/NAME/", "recommendations, orders, payments"] {
            assert!(body.contains(hint), "{body}");
        }
    }
}

#[tokio::test]
async fn what_cannot_be_answered_says_why() {
    let long = format!("/debug/pprof/heap?target={}", "x".repeat(300));
    for (path, status, hint) in [
        ("/t/nobody/debug/pprof/heap", 404, "nobody"),
        ("/debug/pprof/heap?target=nobody", 404, "nobody"),
        ("/debug/pprof/heap?target=..%2F..%2Fetc", 404, "/etc"),
        ("/debug/pprof/heap?target=%0d%0a", 400, "control characters"),
        ("/debug/pprof/heap?target=", 400, "1 to 256"),
        (long.as_str(), 400, "256 bytes"),
        ("/t/%00/debug/pprof/heap", 400, "control characters"),
        ("/t/orders/debug/pprof/heap?target=payments", 400, "leave `target` out"),
        ("/t/payments/debug/pprof/heap", 503, "profiling is off"),
        ("/t/orders/debug/pprof/heap?seconds=0", 400, "1 to 300"),
        ("/t/orders/debug/pprof/heap?seconds=301", 400, "1 to 300"),
        ("/t/orders/debug/pprof/heap?seconds=-1", 400, "seconds"),
        ("/t/orders/debug/pprof/heap?seconds=99999999999", 400, "seconds"),
        ("/t/orders/debug/pprof/heap?seconds=1.5", 400, "seconds"),
        ("/t/orders/debug/pprof/heap?seconds=1&base=x", 400, "one of them"),
        ("/t/orders/debug/pprof/heap?seconds=1&format=raw", 400, "as it was taken"),
        ("/t/orders/debug/pprof/heap?seconds=1&format=collapsed", 400, "shrank"),
        ("/t/orders/debug/pprof/heap?base=x&format=raw", 400, "as it was taken"),
        ("/t/orders/debug/pprof/heap?base=..%2Fx", 404, "no heap dump"),
        ("/t/orders/debug/pprof/heap?debug=1", 400, "format=top"),
        ("/t/orders/debug/pprof/heap?debug=2", 400, "format=top"),
        ("/t/orders/debug/pprof/heap?format=svg", 400, "`flamegraph`"),
        ("/t/orders/debug/pprof/heap?pod=a", 400, "pod"),
        ("/t/orders/debug/pprof/symbol", 404, "openapi.json"),
        ("/debug/pprof/profile", 404, "openapi.json"),
        ("/debug/pprof/?target=orders", 400, "target"),
        ("/t/nobody/debug/pprof/", 404, "nobody"),
        ("/t/nobody/debug/pprof/cmdline", 404, "nobody"),
    ] {
        let (got, body) = json(path).await;
        assert_eq!(got.as_u16(), status, "{path}: {body}");
        assert!(body["error"].as_str().expect("an error").contains(hint), "{path}: {body}");
    }
}

#[tokio::test]
async fn a_tool_of_go_gets_its_mistakes_as_a_text_that_it_prints() {
    let (app, _dir) = app(true, None);
    let path = "/t/payments/debug/pprof/heap";
    let response = ask(&app, path).await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(header(&response, "content-type").starts_with("text/plain"));
    assert_eq!(header(&response, "x-go-pprof"), "1");
    assert_eq!(text(response).await, "there is no heap profile now: profiling is off");
    let browser = send(&app, get(path, &[("accept", "*/*")])).await;
    assert_eq!(header(&browser, "content-type"), "application/json");
    assert_eq!(header(&browser, "x-go-pprof"), "");
}

#[tokio::test]
async fn the_index_says_what_is_there_and_how_to_ask() {
    let mut hostile = status();
    hostile.targets[1].identity.name = "a b/..\n".into();
    let (context, _dir) = context(hostile, None);
    let app = router(context, true);
    let response = ask(&app, "/debug/pprof/").await;
    assert!(header(&response, "content-type").starts_with("text/plain"));
    let all = text(response).await;
    for hint in ["seconds=N", "base=ID", HEAP, "/t/a%20b%2F..%0A/debug/pprof/allocs\n"] {
        assert!(all.contains(hint), "{hint} in {all}");
    }
    let one = text(ask(&app, "/t/recommendations/debug/pprof/").await).await;
    assert!(one.contains(HEAP) && !one.contains("/t/payments"), "{one}");
}

#[tokio::test(start_paused = true)]
async fn a_profile_over_some_seconds_may_take_these_beside_the_deadline() {
    let (app, _dir) = app(true, None);
    let start = Instant::now();
    let response = ask(&app, "/t/orders/debug/pprof/heap?seconds=300").await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(start.elapsed().as_secs(), 300);
    let start = Instant::now();
    let response = ask(&app, "/t/orders/debug/pprof/heap").await;
    assert_eq!(response.status(), StatusCode::GATEWAY_TIMEOUT);
    assert_eq!(start.elapsed().as_secs(), 10);
}

#[tokio::test(start_paused = true)]
async fn more_profiles_than_can_be_made_at_once_are_told_to_come_back() {
    let (app, _dir) = app(true, None);
    let slow = || ask(&app, "/t/orders/debug/pprof/heap?seconds=5");
    let first = async { tokio::join!(slow(), slow(), slow(), slow()) };
    // Polled in order: four are under way when the fifth asks.
    let ((a, b, c, d), fifth) = tokio::join!(first, slow());
    assert_eq!(fifth.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(!header(&fifth, "retry-after").is_empty());
    assert!([a, b, c, d].iter().all(|response| response.status() == StatusCode::OK));
    assert_eq!(slow().await.status(), StatusCode::OK, "their places are free again");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_goes_away_frees_its_place() {
    let (app, _dir) = app(true, None);
    for _ in 0..8 {
        let gone = ask(&app, "/t/orders/debug/pprof/heap?seconds=300");
        timeout(Duration::from_secs(1), gone).await.expect_err("still under way");
    }
    assert_eq!(ask(&app, HEAP).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn head_takes_no_profile() {
    let (app, _dir) = app(true, None);
    // A GET of this one would not end.
    let response = send(&app, method("HEAD", "/t/orders/debug/pprof/heap", &[])).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(header(&response, "content-disposition"), "attachment; filename=\"heap\"");
    assert_eq!(header(&response, "content-length"), "", "not known without a profile");
    let nobody = send(&app, method("HEAD", "/t/nobody/debug/pprof/heap", &[])).await;
    assert_eq!(nobody.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn without_any_target_the_index_is_still_there() {
    let (context, _dir) = context(Status::default(), None);
    let response = ask(&router(context, true), "/debug/pprof/").await;
    assert_eq!(response.status(), StatusCode::OK);
}
