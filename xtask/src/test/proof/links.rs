//! Where the links of a dashboard to a watchdog lead.

use std::collections::BTreeSet;

use serde_json::Value;

/// What stands before the watchdog's address in every link to it.
const PAGE: &str = "${page:raw}";

/// The paths on the watchdog, with the name of the target written in and without what only a browser reads.
pub(super) fn of(dashboard: &Value, target: &str) -> BTreeSet<String> {
    let mut urls = BTreeSet::new();
    collect(dashboard, &mut urls);
    let paths = urls.iter().filter_map(|url| {
        let (_instance, path) = url.strip_prefix(PAGE)?.split_once('/')?;
        let path = path.split('#').next().unwrap_or_default();
        Some(format!("/{}", written(path, target)))
    });
    paths.collect()
}

fn collect(value: &Value, urls: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            urls.extend(fields.get("url").and_then(Value::as_str).map(str::to_owned));
            fields.values().for_each(|value| collect(value, urls));
        }
        Value::Array(values) => values.iter().for_each(|value| collect(value, urls)),
        _ => {}
    }
}

/// The only variable behind the host is the target's name.
fn written(path: &str, target: &str) -> String {
    let mut parts = path.split("${");
    let start = parts.next().unwrap_or_default().to_owned();
    parts.fold(start, |text, part| match part.split_once('}') {
        Some((_, rest)) => format!("{text}{target}{rest}"),
        None => text,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn links_to_the_watchdog_are_found_wherever_they_are() {
        let dashboard = json!({
            "links": [{"url": "https://example.org/runbooks"}],
            "panels": [{
                "fieldConfig": {
                    "defaults": {"links": [
                        {"url": "${page:raw}${__field.labels.instance}/#${__field.labels.target:percentencode}"},
                        {"url": "/d/oomen-target?var-target=x"},
                    ]},
                    "overrides": [{"properties": [{"value": [
                        {"url": "${page:raw}${__data.fields.instance}/t/${__data.fields.target}/heap?f=x"},
                    ]}]}],
                },
            }],
        });
        let found: Vec<_> = of(&dashboard, "orders").into_iter().collect();
        assert_eq!(found, ["/", "/t/orders/heap?f=x"]);
    }
}
