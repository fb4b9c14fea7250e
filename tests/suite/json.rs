//! The component's JSON checker against another reader of JSON: on random texts, both must agree.

use proptest::prelude::*;
use serde_json::Value;
use session_repository_component::json::{object, same};

/// Random JSON values as text, with odd white space, escapes and numbers.
fn json() -> impl Strategy<Value = String> {
    let number = prop_oneof![
        any::<i64>().prop_map(|n| n.to_string()),
        any::<f64>().prop_filter("JSON has no such number", |n| n.is_finite()).prop_map(|n| format!("{n:e}")),
        Just(String::from("-0")),
        Just(String::from("1.50E+3")),
    ];
    let text = prop_oneof![
        any::<String>().prop_map(|text| Value::from(text).to_string()),
        "[a-z$._]{0,4}".prop_map(|text| Value::from(text).to_string()),
        any::<char>().prop_map(escaped),
    ];
    let leaf = prop_oneof![Just(String::from("null")), Just(String::from("true")), Just(String::from("false")), number, text.clone()];
    leaf.prop_recursive(6, 48, 6, move |inner| {
        let space = || "[ \t\r\n]{0,2}";
        let items = prop::collection::vec((space(), inner.clone(), space()), 0..6);
        let members = prop::collection::vec((text.clone(), space(), inner, space()), 0..6);
        prop_oneof![
            items.prop_map(|items| {
                let items: Vec<_> = items.into_iter().map(|(before, item, after)| format!("{before}{item}{after}")).collect();
                format!("[{}]", items.join(","))
            }),
            members.prop_map(|members| {
                let members: Vec<_> =
                    members.into_iter().map(|(key, before, value, after)| format!("{key}{before}:{value}{after}")).collect();
                format!("{{{}}}", members.join(","))
            }),
        ]
    })
}

/// A string of one character, all of it escaped.
fn escaped(character: char) -> String {
    let units: String = character.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")).collect();
    format!("\"{units}\"")
}

fn has_twin_or_nul_key(value: &str) -> bool {
    match object(value) {
        Ok(_) => false,
        Err(fault) => {
            let message = fault.describe("");
            message.contains("occurs twice") || message.contains("holds a NUL")
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_json_is_accepted_and_cut_into_its_members(value in json()) {
        let text = format!(r#"{{"k":{value}}}"#);
        if !has_twin_or_nul_key(&text) {
            let members = object(&text).map_err(|fault| TestCaseError::fail(fault.describe(&text)))?;
            prop_assert_eq!(members.iter().map(|member| member.value).collect::<Vec<_>>(), [value.as_str()]);
        }
    }

    #[test]
    fn what_is_accepted_is_json(text in prop_oneof![r#"\{"k": ?[\[\]{}:, "\\a-f0-9eE.+u-]{0,12}\}"#, r"[{}\[\],:.0-9eE+-]{0,10}", ".*"]) {
        if object(&text).is_ok() {
            prop_assert!(serde_json::from_str::<serde_json::Map<String, Value>>(&text).is_ok(), "{}", text);
        }
    }

    #[test]
    fn a_value_is_the_same_as_itself_written_otherwise(value in json()) {
        let text = format!(r#"{{"k":{value}}}"#);
        if !has_twin_or_nul_key(&text) {
            let parsed: Value = serde_json::from_str(&text).map_err(|error| TestCaseError::fail(error.to_string()))?;
            prop_assert!(same(&text, &serde_json::to_string_pretty(&parsed).map_err(|error| TestCaseError::fail(error.to_string()))?));
        }
    }

    #[test]
    fn values_are_the_same_exactly_if_another_reader_says_so(one in json(), other in json()) {
        let (left, right) = (format!(r#"{{"k":{one}}}"#), format!(r#"{{"k":{other}}}"#));
        if !has_twin_or_nul_key(&left) && !has_twin_or_nul_key(&right) {
            let read = |text: &str| serde_json::from_str::<Value>(text).map_err(|error| TestCaseError::fail(error.to_string()));
            prop_assert_eq!(same(&left, &right), read(&left)? == read(&right)?);
        }
    }
}
