//! Heap dumps over HTTP: listed, captured, downloaded whole and in parts, in every form.

use axum::Router;
use axum::body::to_bytes;
use axum::http::StatusCode;
use axum::response::Response;

use crate::fixed::{DUMP, FIRST, HEAP, app, get, header, json, method, send, text};
use crate::store::{BROKEN, BUSY, GO, REMOVED, UNAVAILABLE};

const STEM: &str = "recommendations-20261118T110630Z";

async fn download(app: &Router, query: &str, headers: &[(&str, &str)]) -> Response {
    send(app, get(&format!("/api/v1/heap-dumps/{query}"), headers)).await
}

#[tokio::test]
async fn dumps_are_listed_for_all_targets_or_for_one() {
    for (path, ids) in [
        ("/api/v1/heap-dumps", vec![DUMP, FIRST]),
        ("/api/v1/heap-dumps?target=recommendations", vec![DUMP, FIRST]),
        ("/api/v1/heap-dumps?target=orders", vec![]),
    ] {
        let (_, body) = json(path).await;
        let dumps = body["heap_dumps"].as_array().expect("a list");
        assert_eq!(dumps.iter().map(|dump| &dump["id"]).collect::<Vec<_>>(), ids, "{path}");
    }
}

#[tokio::test]
async fn what_is_known_of_a_dump_is_listed_with_it_and_what_is_not_is_null() {
    let (_, body) = json("/api/v1/heap-dumps").await;
    let [known, unknown] = [&body["heap_dumps"][0], &body["heap_dumps"][1]];
    for (key, value) in [
        ("verdict", "heap-leak"),
        ("reason", "memory reached a new height"),
        ("source", "recorder"),
        ("build_id", "8f3a"),
        ("encoding", "jemalloc-text"),
    ] {
        assert_eq!(known[key], value);
        assert!(unknown[key].is_null(), "{key}");
    }
    assert_eq!(known["limit"], 256 << 20);
    assert_eq!(known["inuse_space"], 110 << 20);
}

#[tokio::test]
async fn a_dump_is_downloaded_as_it_was_taken_under_a_telling_name() {
    let (app, _dir) = app(true, None);
    for query in [DUMP.to_owned(), format!("{DUMP}?format=raw")] {
        let response = download(&app, &query, &[]).await;
        assert_eq!(response.status(), StatusCode::OK);
        let name = format!("attachment; filename=\"{STEM}.heap\"");
        assert_eq!(header(&response, "content-disposition"), name);
        assert_eq!(header(&response, "content-length"), HEAP.len().to_string());
        assert_eq!(header(&response, "accept-ranges"), "bytes");
        assert_eq!(text(response).await, HEAP);
    }
}

#[tokio::test]
async fn every_form_has_its_type_and_its_name() {
    let (app, _dir) = app(true, None);
    let (binary, plain) = ("application/octet-stream", "text/plain; charset=utf-8");
    for (query, kind, disposition, name) in [
        (format!("{DUMP}?format=pprof"), binary, "attachment", "pb.gz"),
        (format!("{DUMP}?format=flamegraph"), "image/svg+xml", "inline", "svg"),
        (format!("{DUMP}?format=collapsed"), plain, "attachment", "collapsed.txt"),
        (format!("{DUMP}?format=top"), plain, "inline", "top.txt"),
        (format!("{GO}?format=raw"), binary, "attachment", "pb.gz"),
    ] {
        let response = download(&app, &query, &[]).await;
        assert_eq!(response.status(), StatusCode::OK, "{query}");
        assert_eq!(header(&response, "content-type"), kind, "{query}");
        assert_eq!(header(&response, "x-content-type-options"), "nosniff");
        let named = format!("{disposition}; filename=\"{STEM}.{name}\"");
        assert_eq!(header(&response, "content-disposition"), named, "{query}");
        assert_eq!(header(&response, "accept-ranges"), "bytes");
    }
}

#[tokio::test]
async fn growth_is_one_dump_less_another_and_named_so() {
    let (app, _dir) = app(true, None);
    let response = download(&app, &format!("{DUMP}?format=top&base={FIRST}"), &[]).await;
    let named = format!("inline; filename=\"{STEM}-growth.top.txt\"");
    assert_eq!(header(&response, "content-disposition"), named);
    assert_eq!(text(response).await, format!("top: {DUMP} since Some(\"{FIRST}\")"));
}

#[tokio::test]
async fn a_flamegraph_may_run_its_own_script_and_reach_nothing() {
    let (app, _dir) = app(true, None);
    for query in ["", "&s=cache", "&x=1&y=2"] {
        let response = download(&app, &format!("{DUMP}?format=flamegraph{query}"), &[]).await;
        let policy = header(&response, "content-security-policy");
        assert!(policy.starts_with("default-src 'none'; script-src 'unsafe-inline';"), "{policy}");
        assert!(policy.contains("sandbox allow-scripts allow-modals;"), "{policy}");
        assert!(!policy.contains("same-origin") && !policy.contains("connect-src"), "{policy}");
        assert!(text(response).await.contains("<svg"));
    }
    let other = download(&app, &format!("{DUMP}?format=top"), &[]).await;
    assert!(header(&other, "content-security-policy").contains("script-src 'self'"));
}

#[tokio::test]
async fn what_cannot_be_downloaded_says_why() {
    let (app, _dir) = app(true, None);
    let long = format!("{DUMP}?format=top&base={}", "x".repeat(300));
    for (query, status, hint) in [
        (format!("{DUMP}?format=svg"), 400, "`flamegraph`"),
        (format!("{DUMP}?format="), 400, "`raw`"),
        (format!("{DUMP}?form=raw"), 400, "form"),
        (format!("{DUMP}?format=raw&base={FIRST}"), 400, "as it was taken"),
        (format!("{DUMP}?format=collapsed&base={FIRST}"), 400, "shrank"),
        (format!("{DUMP}?base={FIRST}"), 400, "as it was taken"),
        (format!("{DUMP}?format=top&base={DUMP}"), 400, "itself"),
        (format!("{DUMP}?format=top&base="), 400, "1 to 256"),
        (long, 400, "256 bytes"),
        (format!("{DUMP}?format=top&base=..%2F..%2Fetc%2Fpasswd"), 404, "no heap dump"),
        (format!("{DUMP}?format=top&base=nothing"), 404, "`nothing`"),
        (format!("{DUMP}?format=top&base={FIRST}&base={FIRST}"), 400, "duplicate"),
        ("nothing?format=top".to_owned(), 404, "`nothing`"),
        ("%2e%2e%2fone?format=raw".to_owned(), 404, "no heap dump"),
        (format!("{REMOVED}?format=top"), 404, "`removed`"),
        (format!("{UNAVAILABLE}?format=top"), 503, "the symbols are being read"),
        (format!("{BUSY}?format=top"), 503, "try again"),
        (format!("{BROKEN}?format=top"), 502, "line 3 is cut short"),
    ] {
        let response = download(&app, &query, &[]).await;
        assert_eq!(response.status().as_u16(), status, "{query}");
        assert_eq!(header(&response, "retry-after").is_empty(), !query.starts_with(BUSY));
        let body = text(response).await;
        assert!(body.contains(hint) && body.starts_with("{\"error\":"), "{query}: {body}");
    }
}

#[tokio::test]
async fn a_dump_is_sent_in_the_parts_that_are_asked_for() {
    let (app, _dir) = app(true, None);
    let length = HEAP.len();
    for (range, first, last) in [
        ("bytes=0-3", 0, 3),
        ("bytes=5-", 5, length - 1),
        ("bytes=-4", length - 4, length - 1),
        ("bytes=7-1000000", 7, length - 1),
        ("bytes=-18446744073709551616", 0, length - 1),
    ] {
        let response = download(&app, DUMP, &[("range", range)]).await;
        assert_eq!(response.status(), StatusCode::PARTIAL_CONTENT, "{range}");
        let content = format!("bytes {first}-{last}/{length}");
        assert_eq!(header(&response, "content-range"), content);
        assert_eq!(header(&response, "content-length"), (last - first + 1).to_string());
        assert_eq!(text(response).await, &HEAP[first..=last]);
    }
}

#[tokio::test]
async fn a_part_of_a_form_is_the_same_bytes_as_in_the_whole() {
    let (app, _dir) = app(true, None);
    let query = format!("{DUMP}?format=flamegraph");
    let whole = to_bytes(download(&app, &query, &[]).await.into_body(), 1 << 24).await;
    let whole = whole.expect("a body");
    let response = download(&app, &query, &[("range", "bytes=100-299")]).await;
    assert_eq!(response.status(), StatusCode::PARTIAL_CONTENT);
    assert_eq!(header(&response, "content-range"), format!("bytes 100-299/{}", whole.len()));
    assert_eq!(text(response).await.as_bytes(), &whole[100..300]);
}

#[tokio::test]
async fn a_range_beyond_the_end_is_refused_with_the_length() {
    let (app, _dir) = app(true, None);
    for range in ["bytes=29-", "bytes=99999999999999999999-", "bytes=-0"] {
        let response = download(&app, DUMP, &[("range", range)]).await;
        assert_eq!(response.status(), StatusCode::RANGE_NOT_SATISFIABLE, "{range}");
        assert_eq!(header(&response, "content-range"), format!("bytes */{}", HEAP.len()));
        assert!(text(response).await.contains("\"error\""));
    }
}

#[tokio::test]
async fn several_ranges_and_nonsense_get_the_whole() {
    let (app, _dir) = app(true, None);
    let many = format!("bytes={}", vec!["0-0"; 1000].join(","));
    for range in [many.as_str(), "bytes=0-1,2-3", "bytes=b-", "bytes=9-3", "pages=1-2", "x"] {
        let response = download(&app, DUMP, &[("range", range)]).await;
        assert_eq!(response.status(), StatusCode::OK, "{range}");
        assert_eq!(text(response).await, HEAP);
    }
}

#[tokio::test]
async fn a_part_is_sent_only_of_the_version_that_the_client_has() {
    let (app, _dir) = app(true, None);
    let tag = header(&download(&app, DUMP, &[]).await, "etag");
    assert!(tag.starts_with('"') && tag.ends_with('"') && tag.len() == 18, "{tag}");
    for (known, status) in [(tag.as_str(), 206), ("\"other\"", 200), ("W/\"x\"", 200)] {
        let sent = [("range", "bytes=0-1"), ("if-range", known)];
        assert_eq!(download(&app, DUMP, &sent).await.status().as_u16(), status, "{known}");
    }
    let known = download(&app, DUMP, &[("if-none-match", &tag)]).await;
    assert_eq!(known.status(), StatusCode::NOT_MODIFIED);
    assert_eq!(text(known).await, "");
    let other = download(&app, DUMP, &[("if-match", "\"other\"")]).await;
    assert_eq!(other.status(), StatusCode::PRECONDITION_FAILED);
}

#[tokio::test]
async fn every_form_has_a_tag_of_its_own() {
    let (app, _dir) = app(true, None);
    let mut tags = std::collections::BTreeSet::new();
    for query in [
        DUMP.to_owned(),
        FIRST.to_owned(),
        format!("{DUMP}?format=pprof"),
        format!("{DUMP}?format=top"),
        format!("{DUMP}?format=top&base={FIRST}"),
    ] {
        tags.insert(header(&download(&app, &query, &[]).await, "etag"));
        tags.insert(header(&download(&app, &query, &[]).await, "etag"));
    }
    assert_eq!(tags.len(), 5, "{tags:?}");
}

#[tokio::test]
async fn head_tells_the_length_and_ignores_ranges() {
    let (app, _dir) = app(true, None);
    for query in [DUMP.to_owned(), format!("{DUMP}?format=top")] {
        let path = format!("/api/v1/heap-dumps/{query}");
        let whole = text(send(&app, get(&path, &[])).await).await;
        let response = send(&app, method("HEAD", &path, &[("range", "bytes=0-1")])).await;
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(header(&response, "content-length"), whole.len().to_string());
        assert!(!header(&response, "etag").is_empty());
        assert_eq!(text(response).await, "");
    }
}

#[tokio::test]
async fn a_dump_that_was_deleted_meanwhile_is_not_found() {
    let (app, dir) = app(true, None);
    dir.close().expect("deleted");
    let response = download(&app, DUMP, &[]).await;
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
    assert!(!header(&second, "retry-after").is_empty());
    let third = method("POST", "/api/v1/targets/recommendations/heap-dumps", &[]);
    assert_eq!(send(&app, third).await.status(), StatusCode::CREATED);
}
