//! Heap dumps over HTTP: listed, captured, downloaded.

use axum::http::StatusCode;

use crate::fixed::{DUMP, HEAP, app, get, json, method, send, text};

#[tokio::test]
async fn dumps_are_listed_for_all_targets_or_for_one() {
    for (path, ids) in [
        ("/api/v1/heap-dumps", vec![DUMP]),
        ("/api/v1/heap-dumps?target=recommendations", vec![DUMP]),
        ("/api/v1/heap-dumps?target=orders", vec![]),
    ] {
        let (_, body) = json(path).await;
        let dumps = body["heap_dumps"].as_array().expect("a list");
        assert_eq!(dumps.iter().map(|dump| &dump["id"]).collect::<Vec<_>>(), ids, "{path}");
    }
}

#[tokio::test]
async fn a_dump_is_downloaded_as_it_was_taken_under_a_telling_name() {
    let (app, _dir) = app(true, None);
    for path in
        [format!("/api/v1/heap-dumps/{DUMP}"), format!("/api/v1/heap-dumps/{DUMP}?format=raw")]
    {
        let response = send(&app, get(&path, &[])).await;
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(
            response.headers()["content-disposition"],
            "attachment; filename=\"recommendations-20261118T110630Z.heap\""
        );
        assert_eq!(response.headers()["content-length"], HEAP.len().to_string().as_str());
        assert_eq!(text(response).await, HEAP);
    }
}

#[tokio::test]
async fn a_format_that_does_not_exist_is_refused_with_those_that_do() {
    let (status, body) = json(&format!("/api/v1/heap-dumps/{DUMP}?format=pprof")).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(body["error"].as_str().expect("text").contains("`raw`"), "{body}");
}

#[tokio::test]
async fn a_dump_that_was_deleted_meanwhile_is_not_found() {
    let (app, dir) = app(true, None);
    dir.close().expect("deleted");
    let response = send(&app, get(&format!("/api/v1/heap-dumps/{DUMP}"), &[])).await;
    assert_eq!(response.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_capture_answers_with_the_dump_and_where_it_is() {
    let (app, _dir) = app(true, None);
    let response =
        send(&app, method("POST", "/api/v1/targets/recommendations/heap-dumps", &[])).await;
    assert_eq!(response.status(), StatusCode::CREATED);
    assert_eq!(response.headers()["location"], format!("/api/v1/heap-dumps/{DUMP}").as_str());
    assert!(text(response).await.contains(DUMP));
}

#[tokio::test]
async fn a_capture_that_cannot_work_says_why() {
    let (app, _dir) = app(true, None);
    for (target, status, hint) in [
        ("nobody", StatusCode::NOT_FOUND, "nobody"),
        ("payments", StatusCode::CONFLICT, "profiling is off"),
    ] {
        let path = format!("/api/v1/targets/{target}/heap-dumps");
        let response = send(&app, method("POST", &path, &[])).await;
        assert_eq!(response.status(), status);
        assert!(text(response).await.contains(hint));
    }
}

#[tokio::test(start_paused = true)]
async fn a_capture_that_hangs_is_given_up_and_blocks_no_later_one() {
    let (app, _dir) = app(true, None);
    let hanging = method("POST", "/api/v1/targets/orders/heap-dumps", &[]);
    let other = method("POST", "/api/v1/targets/recommendations/heap-dumps", &[]);
    // Polled in order: the first holds the only permit when the second asks.
    let (first, second) = tokio::join!(send(&app, hanging), send(&app, other));
    assert_eq!(first.status(), StatusCode::GATEWAY_TIMEOUT);
    assert_eq!(second.status(), StatusCode::TOO_MANY_REQUESTS);
    let third = method("POST", "/api/v1/targets/recommendations/heap-dumps", &[]);
    assert_eq!(send(&app, third).await.status(), StatusCode::CREATED);
}
