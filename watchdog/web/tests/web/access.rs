//! Who may read a heap or trigger work, and from which origin.

use axum::http::StatusCode;

use watchdog_web::dumps::Format;

use crate::fixed::{DUMP, app, get, method, send, text};

const TOKEN: &str = "s3cret-of-the-watchdog";
const CAPTURE: &str = "/api/v1/targets/recommendations/heap-dumps";

#[tokio::test]
async fn beyond_loopback_a_heap_needs_the_token() {
    let (app, _dir) = app(false, Some(TOKEN));
    let download = format!("/api/v1/heap-dumps/{DUMP}");
    for (sent, status) in [
        (None, StatusCode::UNAUTHORIZED),
        (Some("Bearer"), StatusCode::UNAUTHORIZED),
        (Some("Bearer "), StatusCode::UNAUTHORIZED),
        (Some("Bearer s3cret-of-the-watchdo"), StatusCode::UNAUTHORIZED),
        (Some("Basic s3cret-of-the-watchdog"), StatusCode::UNAUTHORIZED),
        // `any:` and the token; the token as a user; the token without its end.
        (Some("Basic YW55OnMzY3JldC1vZi10aGUtd2F0Y2hkb2c="), StatusCode::OK),
        (Some("Basic czNjcmV0LW9mLXRoZS13YXRjaGRvZzo="), StatusCode::UNAUTHORIZED),
        (Some("Basic YW55OnMzY3JldC1vZi10aGUtd2F0Y2hkbw=="), StatusCode::UNAUTHORIZED),
        (Some("Bearer s3cret-of-the-watchdog"), StatusCode::OK),
        (Some("bearer s3cret-of-the-watchdog"), StatusCode::OK),
    ] {
        let headers: Vec<_> = sent.into_iter().map(|value| ("authorization", value)).collect();
        let response = send(&app, get(&download, &headers)).await;
        assert_eq!(response.status(), status, "{sent:?}");
        assert_eq!(response.headers().contains_key("www-authenticate"), status != StatusCode::OK);
        assert!(!text(response).await.contains(TOKEN), "the token is never repeated");
        let capture = send(&app, method("POST", CAPTURE, &headers)).await.status();
        assert_eq!(capture == StatusCode::CREATED, status == StatusCode::OK, "{sent:?}");
    }
}

#[tokio::test]
async fn beyond_loopback_without_a_token_heaps_are_refused_and_the_rest_is_served() {
    for token in [None, Some("")] {
        let (app, _dir) = app(false, token);
        let response = send(&app, method("POST", CAPTURE, &[("authorization", "Bearer ")])).await;
        assert_eq!(response.status(), StatusCode::FORBIDDEN);
        assert!(text(response).await.contains("127.0.0.1"));
        let host = [("host", "oomen.example:9911")];
        assert_eq!(send(&app, get("/api/v1/targets", &host)).await.status(), StatusCode::OK);
    }
}

#[tokio::test]
async fn an_unknown_dump_is_not_told_from_a_known_one_without_the_token() {
    let (app, _dir) = app(false, Some(TOKEN));
    let response = send(&app, get("/api/v1/heap-dumps/nothing", &[])).await;
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn beyond_loopback_every_way_to_a_heap_needs_the_token() {
    let (app, _dir) = app(false, Some(TOKEN));
    let bearer = format!("Bearer {TOKEN}");
    let download = format!("/api/v1/heap-dumps/{DUMP}");
    let mut paths = vec![
        "/debug/pprof/heap?target=recommendations".to_owned(),
        "/debug/pprof/allocs?target=recommendations".to_owned(),
        "/debug/pprof/cmdline?target=recommendations".to_owned(),
        "/t/recommendations/debug/pprof/heap".to_owned(),
        "/t/recommendations/debug/pprof/allocs".to_owned(),
        "/t/recommendations/debug/pprof/cmdline".to_owned(),
    ];
    paths.extend(Format::ALL.map(|format| format!("{download}?format={}", format.as_str())));
    for path in paths {
        for name in ["GET", "HEAD"] {
            let bare = send(&app, method(name, &path, &[])).await;
            assert_eq!(bare.status(), StatusCode::UNAUTHORIZED, "{name} {path}");
            let wrong = [("authorization", "Bearer wrong"), ("range", "bytes=0-1")];
            let wrong = send(&app, method(name, &path, &wrong)).await;
            assert_eq!(wrong.status(), StatusCode::UNAUTHORIZED, "{name} {path}");
            let right = send(&app, method(name, &path, &[("authorization", &bearer)])).await;
            assert_eq!(right.status(), StatusCode::OK, "{name} {path}");
        }
    }
}

#[tokio::test]
async fn a_loopback_server_answers_under_local_names_only() {
    let (app, _dir) = app(true, None);
    for (host, status) in [
        ("localhost:9911", StatusCode::OK),
        ("127.0.0.1:9911", StatusCode::OK),
        ("[::1]:9911", StatusCode::OK),
        ("rebound.example:9911", StatusCode::MISDIRECTED_REQUEST),
    ] {
        let response = send(&app, get("/api/v1/targets", &[("host", host)])).await;
        assert_eq!(response.status(), status, "{host}");
    }
}

#[tokio::test]
async fn a_page_of_another_site_cannot_trigger_a_capture() {
    let (app, _dir) = app(true, None);
    let host = ("host", "127.0.0.1:9911");
    for (header, status) in [
        (("origin", "http://127.0.0.1:9911"), StatusCode::CREATED),
        (("sec-fetch-site", "same-origin"), StatusCode::CREATED),
        (("origin", "https://evil.example"), StatusCode::FORBIDDEN),
        (("origin", "http://127.0.0.1:8080"), StatusCode::FORBIDDEN),
        (("origin", "null"), StatusCode::FORBIDDEN),
        (("sec-fetch-site", "cross-site"), StatusCode::FORBIDDEN),
    ] {
        let response = send(&app, method("POST", CAPTURE, &[host, header])).await;
        assert_eq!(response.status(), status, "{header:?}");
    }
}

#[tokio::test]
async fn a_page_of_another_site_cannot_make_the_browser_ask_for_profiles() {
    let (app, _dir) = app(true, None);
    let path = "/t/recommendations/debug/pprof/heap";
    for (headers, status) in [
        (vec![], StatusCode::OK),
        (vec![("sec-fetch-site", "none"), ("sec-fetch-dest", "document")], StatusCode::OK),
        (vec![("sec-fetch-site", "cross-site"), ("sec-fetch-dest", "document")], StatusCode::OK),
        (
            vec![("sec-fetch-site", "cross-site"), ("sec-fetch-dest", "image")],
            StatusCode::FORBIDDEN,
        ),
        (
            vec![("sec-fetch-site", "cross-site"), ("sec-fetch-dest", "iframe")],
            StatusCode::FORBIDDEN,
        ),
        (vec![("origin", "https://evil.example")], StatusCode::FORBIDDEN),
    ] {
        let headers: Vec<_> = [("host", "127.0.0.1:9911")].into_iter().chain(headers).collect();
        let response = send(&app, get(path, &headers)).await;
        assert_eq!(response.status(), status, "{headers:?}");
    }
}
