//! The rules, natively: what is refused and where, what is stripped, what is kept.

use session_repository_component::body::{
    agent_update, appended_message, digest, feedback, message_update, new_agent, new_message, same_content,
};
use session_repository_component::json::{object, same};
use session_repository_component::stamp::milliseconds;
use session_repository_component::validate::{
    AgentId, Invalid, Page, SessionId, idempotency_key, message_count, message_id, metadata, metadata_keys, session_type,
};

fn agent_id() -> Result<AgentId, Invalid> {
    AgentId::parse(String::from("a"))
}

/// What is wrong with an object, or nothing.
fn fault(text: &str) -> Option<String> {
    object(text).err().map(|fault| fault.describe("body"))
}

#[test]
fn members_are_cut_out_as_they_were_written() {
    let members = object(" { \"a\" : [1, {\"b\": \"}\"}] , \"\\u00e9\\n\":-0.5e1 } ").unwrap_or_default();
    let cut: Vec<_> = members.iter().map(|member| (member.key.as_ref(), member.raw_key, member.value)).collect();
    assert_eq!(cut, [("a", "\"a\"", "[1, {\"b\": \"}\"}]"), ("é\n", "\"\\u00e9\\n\"", "-0.5e1")]);
    assert_eq!(object("{}"), Ok(vec![]));
}

#[test]
fn faults_name_their_place() {
    for (text, expected) in [
        (r#"{"a": {"b": [0, {"c": 9223372036854775808}]}}"#, "body.a.b[1].c: the integer does not fit in 64 bits signed"),
        (r#"{"a b": 1e999}"#, r#"body["a b"]: the number does not fit in a 64-bit float"#),
        (r#"{"a": "\ud83d"}"#, "body.a: the string holds a lone surrogate"),
        (r#"{"a": "\ud83dx"}"#, "body.a: the string holds a lone surrogate"),
        (r#"{"a": "\ud83d\u0041"}"#, "body.a: the string holds a lone surrogate"),
        (r#"{"a": "\ude00"}"#, "body.a: the string holds a lone surrogate"),
        (r#"{"a": {"k": 1, "\u006b": 2}}"#, r#"body.a: the key "k" occurs twice"#),
        (r#"{"k\u0000": 1}"#, r#"body: the key "k\0" holds a NUL"#),
        ("[]", "body: must be a JSON object"),
        ("\"text\"", "body: must be a JSON object"),
        ("", "body: not valid JSON: expected a value at byte 0, the text ends"),
        (r#"{"a": 1} x"#, "body: not valid JSON: expected the end at byte 9, found 'x'"),
        (r#"{"a": tru}"#, "body.a: not valid JSON: expected a value at byte 6, found 't'"),
        (r#"{"a": 1,}"#, "body: not valid JSON: expected a key in double quotes at byte 8, found '}'"),
        (r#"{"a" 1}"#, "body: not valid JSON: expected `:` at byte 5, found '1'"),
        (r#"{"a": [1 2]}"#, "body.a: not valid JSON: expected `,` or `]` at byte 9, found '2'"),
        (r#"{"a": 1"#, "body: not valid JSON: expected `,` or `}` at byte 7, the text ends"),
        (r#"{"a": [1"#, "body.a: not valid JSON: expected `,` or `]` at byte 8, the text ends"),
        (r#"{"a": 1. }"#, "body.a: not valid JSON: expected a digit at byte 8, found ' '"),
        ("{\"a\": \"\n\"}", "body.a: not valid JSON: expected an escape, not a bare control character, at byte 7, found '\\n'"),
        (r#"{"a": "\x"}"#, "body.a: not valid JSON: expected an escape at byte 8, found 'x'"),
    ] {
        assert_eq!(fault(text).as_deref(), Some(expected), "{text}");
    }
}

#[test]
fn a_foreign_key_is_quoted_and_cut_in_messages() {
    let text = format!(r#"{{"{}\n": 1e999}}"#, "k".repeat(1000));
    let message = fault(&text).unwrap_or_default();
    assert!(message.len() < 200 && message.contains('…'), "{message}");
}

#[test]
fn numbers_of_64_bits_are_the_limit() {
    for good in ["9223372036854775807", "-9223372036854775808", "-0", "0", "1e308", "1.7976931348623157e308", "1e-999", "0.0", "1E+2"] {
        assert_eq!(fault(&format!(r#"{{"n":{good}}}"#)), None, "{good}");
    }
    for bad in [
        "9223372036854775808",
        "-9223372036854775809",
        "18446744073709551616",
        "1e309",
        "-1e400",
        "+1",
        "01",
        ".5",
        "1.",
        "1e",
        "0x1",
        "NaN",
        "Infinity",
        "-",
    ] {
        assert!(fault(&format!(r#"{{"n":{bad}}}"#)).is_some(), "{bad}");
    }
}

#[test]
fn ninety_levels_are_the_limit() {
    let arrays = |levels: usize| format!(r#"{{"k":{}{}}}"#, "[".repeat(levels - 1), "]".repeat(levels - 1));
    let objects = |levels: usize| format!("{}1{}", r#"{"k":"#.repeat(levels), "}".repeat(levels));
    assert_eq!((fault(&arrays(90)), fault(&objects(90))), (None, None));
    for deep in [arrays(91), objects(91), arrays(100_000)] {
        assert!(fault(&deep).is_some_and(|fault| fault.ends_with("nested deeper than 90 levels")));
    }
}

#[test]
fn equal_json_values_are_the_same_however_they_are_written() {
    for (one, other) in [
        (r#"{"a":1,"b":[true,null]}"#, r#" { "b" : [ true , null ] , "\u0061" : 1 } "#),
        ("1.0", "10e-1"),
        (r#""\u00e9\/\ud83d\ude00""#, "\"é/😀\""),
        ("-0", "-0.0"),
        ("0.0", "-0.0"),
        ("{}", "{ }"),
        ("[[]]", "[ [ ] ]"),
    ] {
        assert!(same(one, other) && same(other, one), "{one} {other}");
    }
    for (one, other) in [
        ("1", "1.0"),
        ("1", "2"),
        ("1", r#""1""#),
        ("[1,2]", "[2,1]"),
        ("[1]", "[1,1]"),
        (r#"{"a":1}"#, r#"{"a":1,"b":2}"#),
        (r#"{"a":1}"#, r#"{"b":1}"#),
        ("null", "false"),
        ("{}", "[]"),
        (r#""a""#, r#""A""#),
    ] {
        assert!(!same(one, other) && !same(other, one), "{one} {other}");
    }
}

#[test]
fn large_and_deeply_nested_values_are_compared() {
    let deep = |last: u8| format!("{}{}{}", "[".repeat(89), "[1,1],".repeat(700_000) + &last.to_string(), "]".repeat(89));
    assert!(!same(&deep(1), &deep(2)));
    assert!(same(&deep(1), &deep(1).replace(',', " , ")));
}

#[test]
fn content_is_the_same_whatever_its_metrics() {
    assert!(same_content(r#"{"role":"user","latency_ms":1}"#, r#"{"event_loop_metrics":{},"role":"user"}"#));
    assert!(!same_content(r#"{"role":"user","latency":1}"#, r#"{"role":"user"}"#));
}

#[test]
fn what_the_component_sets_is_stripped_and_the_rest_stays_as_written() -> Result<(), Invalid> {
    let stamped = r#"{"created_at": 1, "k" : 1.50, "updated_at": {"x": 1}, "l": "\u00e9"}"#;
    assert_eq!(new_message(stamped.to_owned(), 1)?, r#"{"k":1.50,"l":"\u00e9"}"#);
    assert_eq!(new_agent(stamped.to_owned(), &agent_id()?)?, r#"{"k":1.50,"l":"\u00e9"}"#);
    assert_eq!(feedback(stamped.to_owned())?, r#"{"k":1.50,"updated_at":{"x": 1},"l":"\u00e9"}"#);
    assert_eq!(new_message(String::from(r#"{ "k" : 1 }"#), 1)?, r#"{ "k" : 1 }"#);
    assert_eq!(new_message(String::from(r#"{"message_id": 1}"#), 1)?, "{}");
    assert_eq!(new_message(String::from(r#"{"agent_id": 1}"#), 1)?, r#"{"agent_id": 1}"#, "a field like any other in a message");
    Ok(())
}

#[test]
fn an_appended_message_brings_no_id_of_its_own() -> Result<(), Invalid> {
    let stamped = r#"{"created_at": 1, "k" : 1.50, "updated_at": {"x": 1}, "latency_ms": 7, "l": "\u00e9"}"#;
    assert_eq!(appended_message(stamped.to_owned(), "message")?, r#"{"k":1.50,"latency_ms":7,"l":"\u00e9"}"#);
    assert_eq!(appended_message(String::from(r#"{ "k" : 1 }"#), "message")?, r#"{ "k" : 1 }"#, "the rest stays as written");
    assert_eq!(appended_message(String::from(r#"{"k": {"message_id": 1}}"#), "message")?, r#"{"k": {"message_id": 1}}"#);
    for id in [r#"{"message_id": 0}"#, r#"{"k": 1, "message_id": null}"#, r#"{"message\u005fid": 1}"#] {
        let refused = appended_message(id.to_owned(), "messages[3]");
        assert!(refused.is_err_and(|Invalid(message)| message.starts_with("messages[3].message_id: ")), "{id}");
    }
    for text in ["[]", "{", "", "null"] {
        assert!(
            appended_message(text.to_owned(), "messages[3]").is_err_and(|Invalid(message)| message.starts_with("messages[3]")),
            "{text}"
        );
    }
    Ok(())
}

#[test]
fn an_agent_update_keeps_config_that_it_does_not_bring() -> Result<(), Invalid> {
    let update = agent_update(String::from(r#"{"model": "m", "system_prompt": null, "state": null}"#), &agent_id()?)?;
    assert_eq!((update.fields.as_str(), update.keep), (r#"{"model":"m","state":null}"#, vec![String::from("prompt_metadata")]));
    Ok(())
}

#[test]
fn a_message_update_keeps_metrics_that_it_does_not_bring() -> Result<(), Invalid> {
    let update = message_update(String::from(r#"{"latency_ms": null, "k": 1}"#), 1)?;
    assert_eq!(update.fields, r#"{"latency_ms": null, "k": 1}"#);
    assert_eq!(update.keep, ["event_loop_metrics", "input_tokens", "output_tokens", "guardrail_event", "storage_id"]);
    Ok(())
}

#[test]
fn a_storage_id_is_neither_an_error_nor_stored() -> Result<(), Invalid> {
    let brought = r#"{"storage_id": "x", "k": 1}"#;
    assert_eq!(new_message(brought.to_owned(), 1)?, r#"{"k":1}"#);
    assert_eq!(appended_message(brought.to_owned(), "message")?, r#"{"k":1}"#);
    let update = message_update(brought.to_owned(), 1)?;
    assert_eq!(update.fields, r#"{"k":1}"#);
    assert!(update.keep.iter().any(|name| name == "storage_id"));
    // Further down it is somebody's data.
    assert_eq!(new_message(String::from(r#"{"k": {"storage_id": 1}}"#), 1)?, r#"{"k": {"storage_id": 1}}"#);
    Ok(())
}

#[test]
fn equal_contents_have_equal_digests_and_others_do_not() -> Result<(), Invalid> {
    let of = |bodies: &[&str]| digest(&bodies.iter().map(|body| (*body).to_owned()).collect::<Vec<_>>());
    let one = of(&[r#"{"a": 1, "b": "\u00e9", "c": [1.50, {"x": null, "y": true}]}"#])?;
    assert_eq!(one.len(), 32);
    for same in [
        r#"{"c":[1.5,{"y":true,"x":null}],"b":"é","a":1}"#,
        r#"{"a": 1, "b": "é", "c": [15e-1, {"x": null, "y": true}], "latency_ms": 7, "event_loop_metrics": {}}"#,
    ] {
        assert_eq!(of(&[same])?, one, "{same}");
    }
    for other in [
        r#"{"a": 1.0, "b": "é", "c": [1.5, {"x": null, "y": true}]}"#,
        r#"{"a": 1, "b": "é", "c": [1.5, {"x": null, "y": true}], "d": null}"#,
        r#"{"a": 1, "b": "é", "c": [1.5, {"x": null}, {"y": true}]}"#,
        "{}",
    ] {
        assert_ne!(of(&[other])?, one, "{other}");
    }
    // Where one message ends and the next begins counts.
    let (two, three) = (of(&["{}", r#"{"a":1}"#])?, of(&["{}", "{}", r#"{"a":1}"#])?);
    assert_eq!([two == three, two == of(&[r#"{"a":1}"#, "{}"])?, of(&["{}"])? == of(&["{}", "{}"])?], [false; 3]);
    Ok(())
}

#[test]
fn ids_in_bodies_agree_with_the_call() -> Result<(), Invalid> {
    assert!(new_message(String::from(r#"{"message_id": 2}"#), 1).is_err());
    assert!(new_message(String::from(r#"{"message_id": 1.0}"#), 1).is_err());
    assert!(new_agent(String::from(r#"{"agent_id": "b"}"#), &agent_id()?).is_err());
    assert!(new_agent(String::from(r#"{"agent_id": null}"#), &agent_id()?).is_err());
    assert_eq!(new_agent(String::from(r#"{"agent_id": "\u0061"}"#), &agent_id()?)?, "{}");
    Ok(())
}

#[test]
fn ids_have_bounds() {
    assert!(SessionId::parse("x".repeat(512)).is_ok());
    for bad in [String::new(), "x".repeat(513), String::from("\0")] {
        assert!(SessionId::parse(bad).is_err());
    }
    assert!(AgentId::parse("x".repeat(256)).is_ok());
    for bad in [String::new(), "x".repeat(257), String::from("\0"), String::from("a.b"), String::from("$a")] {
        assert!(AgentId::parse(bad).is_err());
    }
    assert_eq!((message_id(0), message_id(i64::MAX)), (Ok(0), Ok(i64::MAX)));
    assert!(message_id(-1).is_err());
    assert_eq!(session_type(None).as_deref(), Ok("default"));
    assert!(session_type(Some("x".repeat(513))).is_err());
}

#[test]
fn idempotency_keys_have_bounds() {
    assert_eq!(idempotency_key(None), Ok(None));
    for good in [String::from("0"), String::from("$a.b "), "x".repeat(256)] {
        assert_eq!(idempotency_key(Some(good.clone())), Ok(Some(good)));
    }
    for bad in [String::new(), "x".repeat(257), format!("x{}", "é".repeat(128)), String::from("a\0b")] {
        assert!(idempotency_key(Some(bad)).is_err_and(|Invalid(message)| message.starts_with("idempotency_key: ")));
    }
}

#[test]
fn one_call_appends_one_to_a_thousand_messages() {
    assert_eq!((message_count(1), message_count(1000)), (Ok(()), Ok(())));
    assert!(message_count(0).is_err_and(|Invalid(message)| message == "messages: must not be empty"));
    assert!(message_count(1001).is_err_and(|Invalid(message)| message.contains("1001") && message.contains("1000")));
}

#[test]
fn pages_are_not_negative() {
    assert_eq!(Page::parse(None, 0), Ok(Page { offset: 0, limit: None }));
    assert_eq!(Page::parse(Some(i64::MAX), i64::MAX), Ok(Page { offset: i64::MAX.unsigned_abs(), limit: Some(i64::MAX.unsigned_abs()) }));
    assert!(Page::parse(Some(-1), 0).is_err() && Page::parse(None, i64::MIN).is_err());
}

#[test]
fn metadata_paths_do_not_overlap() {
    for good in [
        "{}",
        r#"{"a":1,"ab":1}"#,
        r#"{"a.b":1,"a.c":1}"#,
        r#"{"a":{"b":1}}"#,
        r#"{"a-b":1,"a.b":1,"a0":1}"#,
        r#"{"1":1,"01":1,"l.1":1,"l.10":1,"l.01x":1,"l.2.a":1,"l.02.b":1}"#,
    ] {
        assert!(metadata(good).is_ok(), "{good}");
    }
    for two_spellings in [r#"{"l.1":1,"l.01":1}"#, r#"{"l.0":1,"l.00":1}"#, r#"{"l.1":1,"m":1,"l.01.x":1}"#, r#"{"l.0.1":1,"l.00.01.x":1}"#]
    {
        assert!(metadata(two_spellings).is_err_and(|Invalid(message)| message.contains("overlap")), "{two_spellings}");
    }
    for bad in
        [r#"{"a":1,"a.b":1}"#, r#"{"a.b.c":1,"a.b-":1,"z":1,"a.b":1}"#, r#"{"":1}"#, r#"{"a..b":1}"#, r#"{"$a":1}"#, r#"{"a.$":1}"#, "[]"]
    {
        assert!(metadata(bad).is_err(), "{bad}");
    }
}

#[test]
fn keys_to_delete_are_reduced_to_those_that_no_other_covers() {
    let keys = |keys: &[&str]| metadata_keys(&keys.iter().map(|key| (*key).to_owned()).collect::<Vec<_>>());
    assert_eq!(keys(&["b", "a.b.c", "a-b", "a.b", "b", "a.bc"]), Ok(["a.b", "a.bc", "a-b", "b"].map(str::to_owned).to_vec()));
    assert_eq!(keys(&["1", "01", "l.1.x", "l", "l.01"]), Ok(["01", "1", "l"].map(str::to_owned).to_vec()));
    for two_spellings in [["l.1", "l.01"], ["l.00", "l.0"], ["l.1.x", "l.01"]] {
        assert!(keys(&two_spellings).is_err_and(|Invalid(message)| message.contains("one array item")), "{two_spellings:?}");
    }
    assert!(keys(&["a", ""]).is_err_and(|Invalid(message)| message.starts_with("keys[1]")));
}

#[test]
fn stamps_are_milliseconds() {
    assert_eq!(milliseconds(1_706_265_045, 123_999_999), 1_706_265_045_123);
    assert_eq!((milliseconds(0, 0), milliseconds(u64::MAX, 0)), (0, i64::MAX));
    // WASI 0.3 knows times before 1970.
    assert_eq!((milliseconds(-2, 500_000_000), milliseconds(i64::MIN, 0)), (-1_500, i64::MIN));
}
