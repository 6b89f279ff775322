//! As much of JSON Schema as cli/schema.json uses; any other word in it is refused.

use libchat::{Cursor, Short};
use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

const SCHEMA: &str = include_str!("../../schema.json");

/// Fails unless `value` is what `definition` says.
#[track_caller]
pub fn check(definition: &str, value: &Value) {
    let root: Value = serde_json::from_str(SCHEMA).expect("schema.json");
    if let Err(why) = fits(&root, &root["$defs"][definition], value) {
        panic!("{definition}: {why}\n{value:#}");
    }
}

fn fits(root: &Value, schema: &Value, value: &Value) -> Result<(), String> {
    let rules = schema.as_object().ok_or("no such definition")?;
    for (word, rule) in rules {
        let holds = match word.as_str() {
            "description" => true,
            "const" => value == rule,
            "type" => [rule]
                .into_iter()
                .chain(rule.as_array().into_iter().flatten())
                .any(|it| it == type_of(value) || (it == "number" && value.is_number())),
            "format" => value.as_str().is_some_and(is_utc_time),
            "pattern" => value.as_str().is_some_and(|text| match rule.as_str() {
                Some("^[0-9a-f]{8}$") => text.parse::<Short>().is_ok(),
                Some(cursor) if cursor.starts_with("^c1") => text.parse::<Cursor>().is_ok(),
                _ => false,
            }),
            "required" => rule.as_array().into_iter().flatten().all(|key| {
                value
                    .as_object()
                    .is_none_or(|object| object.contains_key(key.as_str().unwrap_or("")))
            }),
            "$ref" => {
                let path = rule.as_str().and_then(|it| it.strip_prefix('#')).unwrap_or_default();
                fits(root, root.pointer(path).unwrap_or(&Value::Null), value)?;
                true
            }
            "items" => {
                for item in value.as_array().into_iter().flatten() {
                    fits(root, rule, item)?;
                }
                true
            }
            "properties" | "additionalProperties" => {
                members(root, schema, value)?;
                true
            }
            other => return Err(format!("schema.json uses {other}, which the test does not know")),
        };
        if !holds {
            return Err(format!("{value} breaks {word}: {rule}"));
        }
    }
    Ok(())
}

fn members(root: &Value, schema: &Value, value: &Value) -> Result<(), String> {
    for (key, member) in value.as_object().into_iter().flatten() {
        let known = schema["properties"].get(key);
        match known.or(schema.get("additionalProperties")) {
            Some(Value::Bool(false)) => return Err(format!("{key} is not in schema.json")),
            Some(rule) => fits(root, rule, member).map_err(|why| format!("{key}: {why}"))?,
            None => {}
        }
    }
    Ok(())
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn is_utc_time(text: &str) -> bool {
    text.ends_with('Z') && OffsetDateTime::parse(text, &Rfc3339).is_ok()
}
