//! The checker of schema.json finds what breaks it.

mod common;

use common::schema::check;
use serde_json::json;

fn refuses(definition: &str, value: serde_json::Value) {
    std::panic::catch_unwind(|| check(definition, &value)).expect_err("refused");
}

#[test]
fn a_document_that_breaks_its_schema_is_found() {
    let receipt = json!({"schema": 1, "id": "a", "cursor": null, "duplicate": false});
    check("receipt", &receipt);
    for (key, value) in [
        ("schema", json!(2)),
        ("id", json!(null)),
        ("cursor", json!(1)),
        ("duplicate", json!("no")),
        ("more", json!(1)),
    ] {
        let mut broken = receipt.clone();
        broken[key] = value;
        refuses("receipt", broken);
    }
    refuses("receipt", json!({"schema": 1, "id": "a", "cursor": null}));
    refuses("caught_up", json!({"schema": 1, "event": "caught_up", "cursor": "c2.1.1.0"}));
    refuses("threads", json!({"schema": 1, "threads": [{}]}));
    refuses("error", json!({"error": {"code": 1}}));
    refuses("no_such_definition", json!({}));
}
