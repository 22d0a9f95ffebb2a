//! What is served has the form that the OpenAPI document says: the same keys, each of the type named.

use serde_json::Value;
use watchdog_web::dumps::Format;

use crate::fixed::{DUMP, app, json, method, send, text};
use crate::store::{BROKEN, BUSY};

/// Says where `value` differs from `schema`; follows references, alternatives, objects and lists.
fn differences(document: &Value, schema: &Value, value: &Value, at: &str) -> Vec<String> {
    if let Some(reference) = schema["$ref"].as_str() {
        let schema = document.pointer(&reference[1..]).expect(reference);
        return differences(document, schema, value, at);
    }
    if let Some(alternatives) = schema["anyOf"].as_array() {
        let each = alternatives.iter().map(|schema| differences(document, schema, value, at));
        return each.min_by_key(Vec::len).expect("an alternative");
    }
    match (&schema["type"], value) {
        (Value::Array(kinds), _) => {
            let fits = kinds.iter().any(|kind| is(kind, value));
            if fits { vec![] } else { vec![format!("{at}: {value} is none of {kinds:?}")] }
        }
        (kind, _) if !is(kind, value) => vec![format!("{at}: {value} is no {kind}")],
        (_, Value::Array(items)) => items
            .iter()
            .flat_map(|item| differences(document, &schema["items"], item, &format!("{at}[]")))
            .collect(),
        (_, Value::Object(fields)) => {
            let known = schema["properties"].as_object().expect("properties");
            let missing = known.keys().filter(|key| !fields.contains_key(*key));
            let missing = missing.map(|key| format!("{at}.{key} is not served"));
            let served = fields.iter().flat_map(|(key, value)| match known.get(key) {
                Some(schema) => differences(document, schema, value, &format!("{at}.{key}")),
                None => vec![format!("{at}.{key} is not documented")],
            });
            missing.chain(served).collect()
        }
        _ => enumerated(schema, value, at),
    }
}

fn enumerated(schema: &Value, value: &Value, at: &str) -> Vec<String> {
    match schema["enum"].as_array() {
        Some(values) if !values.contains(value) => vec![format!("{at}: {value} is unknown")],
        _ => vec![],
    }
}

fn is(kind: &Value, value: &Value) -> bool {
    match kind.as_str().expect("a type") {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_u64(),
        "number" => value.is_number(),
        "null" => value.is_null(),
        other => panic!("the document uses the type {other}, which this test does not know"),
    }
}

async fn check(document: &Value, route: &str, path: &str, method_name: &str, code: &str) {
    let (app, _dir) = app(true, None);
    let response = send(&app, method(method_name, path, &[("accept", "*/*")])).await;
    assert_eq!(response.status().as_str(), code, "{path}");
    let body: Value = serde_json::from_str(&text(response).await).expect("JSON");
    let documented = &document["paths"][route][method_name.to_lowercase()]["responses"][code];
    let documented = match documented["$ref"].as_str() {
        Some(reference) => document.pointer(&reference[1..]).expect(reference),
        None => documented,
    };
    let schema = &documented["content"]["application/json"]["schema"];
    assert!(schema.is_object(), "{route} documents no {code}");
    assert_eq!(differences(document, schema, &body, route), Vec::<String>::new());
}

#[tokio::test]
async fn every_json_answer_has_the_documented_form() {
    let (_, document) = json("/api/v1/openapi.json").await;
    let incident = "/api/v1/incidents/recommendations-41-1794999984";
    let capture = |target: &str| format!("/api/v1/targets/{target}/heap-dumps");
    let rendered = |id: &str| format!("/api/v1/heap-dumps/{id}?format=top");
    let (broken, busy) = (rendered(BROKEN), rendered(BUSY));
    for (route, path, method, code) in [
        ("/health/live", "/health/live", "GET", "200"),
        ("/health/ready", "/health/ready", "GET", "503"),
        ("/api/v1/targets", "/api/v1/targets", "GET", "200"),
        ("/api/v1/targets", "/api/v1/targets?a=b", "GET", "400"),
        ("/api/v1/targets/{target}", "/api/v1/targets/orders", "GET", "200"),
        ("/api/v1/targets/{target}", "/api/v1/targets/nobody", "GET", "404"),
        ("/api/v1/targets/{target}/series", "/api/v1/targets/recommendations/series", "GET", "200"),
        ("/api/v1/incidents", "/api/v1/incidents", "GET", "200"),
        ("/api/v1/incidents/{id}", incident, "GET", "200"),
        ("/api/v1/heap-dumps", "/api/v1/heap-dumps", "GET", "200"),
        ("/api/v1/heap-dumps/{id}", &format!("/api/v1/heap-dumps/{DUMP}?format=svg"), "GET", "400"),
        ("/api/v1/heap-dumps/{id}", &broken, "GET", "502"),
        ("/api/v1/heap-dumps/{id}", &busy, "GET", "503"),
        ("/debug/pprof/heap", "/debug/pprof/heap", "GET", "400"),
        ("/debug/pprof/allocs", "/debug/pprof/allocs?target=payments", "GET", "503"),
        ("/t/{target}/debug/pprof/heap", "/t/nobody/debug/pprof/heap", "GET", "404"),
        ("/t/{target}/debug/pprof/allocs", "/t/payments/debug/pprof/allocs", "GET", "503"),
        ("/debug/pprof/cmdline", "/debug/pprof/cmdline", "GET", "400"),
        ("/api/v1/targets/{target}/heap-dumps", &capture("recommendations"), "POST", "201"),
        ("/api/v1/targets/{target}/heap-dumps", &capture("payments"), "POST", "409"),
    ] {
        check(&document, route, path, method, code).await;
    }
}

#[tokio::test]
async fn a_wrong_form_is_noticed() {
    let (_, document) = json("/api/v1/openapi.json").await;
    let schema = &document["components"]["schemas"]["HeapDump"];
    let wrong =
        serde_json::json!({"id": 7, "target": "a", "pid": 1, "taken": 1.5, "size": -1, "extra": 1});
    let found = differences(&document, schema, &wrong, "dump");
    assert_eq!(found.len(), 12, "{found:?}");
}

#[tokio::test]
async fn every_documented_format_exists_and_every_format_is_documented() {
    let (_, document) = json("/api/v1/openapi.json").await;
    let documented = &document["components"]["schemas"]["Format"]["enum"];
    let known = Format::ALL.map(Format::as_str);
    assert_eq!(documented, &serde_json::json!(known));
}
