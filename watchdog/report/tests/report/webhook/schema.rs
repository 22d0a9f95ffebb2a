//! The part of JSON Schema that `docs/webhook.schema.json` is written in. A keyword that is not known here is an error, so
//! that nothing in the file goes unchecked.

use serde_json::Value;

/// Checks `value` against `schema`, a part of `root`.
pub(super) fn check(root: &Value, schema: &Value, value: &Value, at: &str) -> Result<(), String> {
    for (keyword, wanted) in schema.as_object().ok_or("a schema is an object")? {
        let fits = match keyword.as_str() {
            "$schema" | "$id" | "$defs" | "title" | "description" | "format" => true,
            "$ref" => {
                let pointer = wanted.as_str().ok_or("a reference is text")?.trim_start_matches('#');
                let target = root.pointer(pointer).ok_or(format!("nothing is at {pointer}"))?;
                return check(root, target, value, at);
            }
            "const" => value == wanted,
            "enum" => list(wanted)?.contains(value),
            "type" => match wanted {
                Value::Array(kinds) => kinds.iter().any(|kind| is(kind, value)),
                kind => is(kind, value),
            },
            "minimum" => {
                value.as_f64().is_none_or(|n| wanted.as_f64().is_some_and(|least| n >= least))
            }
            "maximum" => {
                value.as_f64().is_none_or(|n| wanted.as_f64().is_some_and(|most| n <= most))
            }
            "required" => value.as_object().is_none_or(|object| {
                wanted.as_array().is_some_and(|names| {
                    names
                        .iter()
                        .all(|name| name.as_str().is_some_and(|name| object.contains_key(name)))
                })
            }),
            "properties" => {
                for (name, part) in wanted.as_object().ok_or("properties are an object")? {
                    if let Some(value) = value.get(name) {
                        check(root, part, value, &format!("{at}.{name}"))?;
                    }
                }
                // What is sent must be described, although receivers are to bear more.
                value
                    .as_object()
                    .is_none_or(|object| object.keys().all(|name| wanted.get(name).is_some()))
            }
            "items" => {
                for (index, item) in value.as_array().into_iter().flatten().enumerate() {
                    check(root, wanted, item, &format!("{at}[{index}]"))?;
                }
                true
            }
            "maxItems" => value.as_array().is_none_or(|a| Some(a.len() as u64) <= wanted.as_u64()),
            other => return Err(format!("the keyword `{other}` is not known here")),
        };
        if !fits {
            return Err(format!("{at}: {value} does not fit `{keyword}`: {wanted}"));
        }
    }
    Ok(())
}

fn list(value: &Value) -> Result<&Vec<Value>, String> {
    value.as_array().ok_or_else(|| "an enum is a list".into())
}

fn is(kind: &Value, value: &Value) -> bool {
    match kind.as_str() {
        Some("object") => value.is_object(),
        Some("array") => value.is_array(),
        Some("string") => value.is_string(),
        Some("integer") => value.is_u64() || value.is_i64(),
        Some("number") => value.is_number(),
        Some("boolean") => value.is_boolean(),
        Some("null") => value.is_null(),
        _ => false,
    }
}
