//! Every JSON route, and what it says to nonsense.

use axum::body::Body;
use axum::http::{Request, StatusCode};

use crate::fixed::{CULPRIT, NOW, SENTENCE, app, get, json, method, send, text};

#[tokio::test]
async fn targets_are_listed_with_what_is_known_of_each() {
    let (status, body) = json("/api/v1/targets").await;
    assert_eq!(status, StatusCode::OK);
    let target = &body["targets"][0];
    assert_eq!(target["name"], "recommendations");
    assert_eq!(target["used"], 170 << 20);
    assert_eq!(target["limit"], 256 << 20);
    assert_eq!(target["assessment"]["level"], "imminent");
    assert_eq!(target["assessment"]["verdict"]["sentence"], SENTENCE);
    assert_eq!(target["incident"], "recommendations-41-1794999984");
    assert_eq!(body["targets"][2]["sample"], serde_json::Value::Null);
}

#[tokio::test]
async fn one_target_is_found_by_its_name() {
    let (status, body) = json("/api/v1/targets/orders").await;
    assert_eq!((status, &body["name"]), (StatusCode::OK, &"orders".into()));
}

#[tokio::test]
async fn a_series_is_cut_to_its_window_and_step() {
    let path = format!(
        "/api/v1/targets/recommendations/series?from={}&to={}&step=5",
        NOW - 40.0,
        NOW - 20.0
    );
    let (status, body) = json(&path).await;
    assert_eq!(status, StatusCode::OK);
    let rows = body["rows"].as_array().expect("rows");
    assert!((4..=6).contains(&rows.len()), "{}", rows.len());
    assert!(
        rows.iter()
            .all(|row| (NOW - 40.0..=NOW - 20.0).contains(&row["wall"].as_f64().expect("a time")))
    );
}

#[tokio::test]
async fn incidents_are_listed_and_found_by_id() {
    let (_, body) = json("/api/v1/incidents").await;
    assert_eq!(body["incidents"].as_array().expect("a list").len(), 2);
    let (status, body) = json("/api/v1/incidents/recommendations-41-1794999984").await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(body["culprit"]["frame"]["function"], CULPRIT);
}

#[tokio::test]
async fn health_says_live_always_and_ready_only_when_all_targets_were_sampled() {
    let (status, body) = json("/health/live").await;
    assert_eq!((status, &body["live"]), (StatusCode::OK, &true.into()));
    let (status, body) = json("/health/ready").await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(body["reason"], "1 of 3 targets were not sampled yet");
}

#[tokio::test]
async fn the_openapi_document_is_served() {
    let (status, body) = json("/api/v1/openapi.json").await;
    assert_eq!((status, &body["openapi"]), (StatusCode::OK, &"3.1.0".into()));
}

#[tokio::test]
async fn nonsense_gets_an_error_that_says_what_is_wrong() {
    let long = format!("/api/v1/targets/{}", "x".repeat(300));
    for (path, status, hint) in [
        ("/api/v1/targets/nobody", 404, "nobody"),
        ("/api/v1/targets/nobody/series", 404, "nobody"),
        ("/api/v1/incidents/nothing", 404, "nothing"),
        ("/api/v1/heap-dumps/nothing", 404, "nothing"),
        ("/api/v1/heap-dumps/..%2F..%2Fetc%2Fpasswd", 404, "no heap dump"),
        ("/api/v1/targets/%00", 400, "control characters"),
        ("/api/v1/targets/a%0d%0aX-Evil:%201", 400, "control characters"),
        ("/api/v1/targets/%ff%fe", 400, "UTF-8"),
        (long.as_str(), 400, "256 bytes"),
        ("/api/v1/targets?colour=red", 400, "colour"),
        ("/api/v1/incidents?limit=5", 400, "limit"),
        ("/api/v1/heap-dumps?pod=a", 400, "pod"),
        ("/api/v1/heap-dumps?target=", 400, "1 to 256"),
        ("/api/v1/targets/orders/series?since=1", 400, "since"),
        ("/api/v1/targets/orders/series?from=yesterday", 400, "from"),
        ("/api/v1/targets/orders/series?from=9&to=3", 400, "`from` is not after `to`"),
        ("/api/v1/targets/orders/series?from=nan", 400, "Unix"),
        ("/api/v1/targets/orders/series?step=0", 400, "above zero"),
        ("/api/v1/targets/orders/series?step=inf", 400, "above zero"),
        ("/api/v2/targets", 404, "openapi.json"),
        ("/../../etc/passwd", 404, "openapi.json"),
    ] {
        let (got, body) = json(path).await;
        assert_eq!(got.as_u16(), status, "{path}: {body}");
        assert!(body["error"].as_str().expect("an error").contains(hint), "{path}: {body}");
    }
}

#[tokio::test]
async fn a_method_that_a_path_does_not_know_is_refused_in_json() {
    let (app, _dir) = app(true, None);
    let response = send(&app, method("DELETE", "/api/v1/targets", &[])).await;
    assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert!(text(response).await.contains("\"error\""));
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused_and_a_small_one_is_not() {
    let (app, _dir) = app(true, None);
    for (bytes, status) in [(2, StatusCode::CREATED), (5000, StatusCode::PAYLOAD_TOO_LARGE)] {
        let request = Request::post("/api/v1/targets/recommendations/heap-dumps");
        let request = request.body(Body::from("x".repeat(bytes))).expect("a request");
        assert_eq!(send(&app, request).await.status(), status, "{bytes} bytes");
    }
}

#[tokio::test]
async fn every_answer_forbids_sniffing_framing_and_foreign_scripts() {
    let (app, _dir) = app(true, None);
    for path in ["/", "/metrics", "/api/v1/targets", "/nowhere"] {
        let response = send(&app, get(path, &[])).await;
        let header = |name: &str| response.headers()[name].to_str().expect("text").to_owned();
        assert!(
            header("content-security-policy").starts_with("default-src 'none'; script-src 'self'")
        );
        assert_eq!(header("x-content-type-options"), "nosniff");
        assert_eq!(header("x-frame-options"), "DENY");
    }
}
