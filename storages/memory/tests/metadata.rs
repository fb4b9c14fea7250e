//! Metadata and the paths into it.

mod common;

use common::*;
use session_repository_storage::error::{Error, Result};
use session_repository_storage::object::{MAX_TEXT, Object};
use session_repository_storage_memory::sessions::Sessions;

fn stored(sessions: &Sessions) -> Option<String> {
    sessions.get_metadata("s").ok().flatten().map(Object::into_string)
}

/// What metadata becomes by setting fields.
fn set(metadata: &[(&str, &str)], then: &[(&str, &str)]) -> Result<String> {
    let mut sessions = with_agent()?;
    sessions.set_metadata("s", &fields(metadata), at(20))?;
    sessions.set_metadata("s", &fields(then), at(20))?;
    Ok(stored(&sessions).unwrap_or_default())
}

#[test]
fn fields_are_set_and_the_others_stay_as_they_are_written() -> Result<()> {
    let first = [("a", "1.0"), ("b", r#"{"x": 1e22, "y": [9223372036854775807]}"#), ("c", r#""\u0041""#)];
    assert_eq!(set(&first, &[("a", "1"), ("b.z", "null")])?, r#"{"a":1,"b":{"x":1e22,"y":[9223372036854775807],"z":null},"c":"\u0041"}"#);
    assert_eq!(set(&first, &[("b", "{}")])?, r#"{"a":1.0,"b":{},"c":"\u0041"}"#);
    Ok(())
}

#[test]
fn paths_make_the_objects_that_are_missing_in_their_order() -> Result<()> {
    assert_eq!(set(&[], &[("b.c.d", "1"), ("a", "2"), ("b.a", "3")])?, r#"{"a":2,"b":{"a":3,"c":{"d":1}}}"#);
    assert_eq!(set(&[], &[("10", "1"), ("9", "2"), ("010", "3")])?, r#"{"010":3,"9":2,"10":1}"#);
    assert_eq!(set(&[], &[("deep.0.a", "1")])?, r#"{"deep":{"0":{"a":1}}}"#);
    Ok(())
}

#[test]
fn numbers_are_positions_in_arrays() -> Result<()> {
    let list = [("l", "[1, 2.0]")];
    assert_eq!(set(&list, &[("l.1", "9")])?, r#"{"l":[1,9]}"#);
    assert_eq!(set(&list, &[("l.04", "9")])?, r#"{"l":[1,2.0,null,null,9]}"#);
    assert_eq!(set(&list, &[("l.3.x.y", "9")])?, r#"{"l":[1,2.0,null,{"x":{"y":9}}]}"#);
    // Lower positions are set first, so what pads the array for the higher is not in their way.
    assert_eq!(set(&[("l", "[]")], &[("l.1", "{}"), ("l.0.a", "{}")])?, r#"{"l":[{"a":{}},{}]}"#);
    Ok(())
}

#[test]
fn a_path_through_a_value_that_cannot_hold_it_changes_nothing() -> Result<()> {
    let mut sessions = with_agent()?;
    sessions.set_metadata("s", &fields(&[("scalar", "1"), ("null", "null"), ("l", "[null]"), ("text", r#""{}""#)]), at(20))?;
    let before = format!("{sessions:?}");
    for path in ["scalar.x", "null.x", "l.name", "l.0.x", "l.-1", "l.1500002", "l.4294967296", "text.x"] {
        let refused = sessions.set_metadata("s", &fields(&[("ok", "1"), (path, "2")]), at(30));
        let message = format!("metadata: the path {path:?} leads through a value that cannot hold it");
        assert_eq!(refused, Err(Error::InvalidArgument(message)));
    }
    let message = String::from("metadata: a path leads through a value that cannot hold it");
    assert_eq!(sessions.set_metadata("s", &fields(&[("a.b", "1"), ("scalar.x", "2")]), at(30)), Err(Error::InvalidArgument(message)));
    assert_eq!(sessions.set_metadata("s", &fields(&[("scalar.x", "2")]), expecting(30, 9)), Err(Error::Stale(2)));
    assert_eq!(format!("{sessions:?}"), before);
    Ok(())
}

#[test]
fn positions_far_away_are_limited_by_the_size_of_the_metadata() -> Result<()> {
    let mut sessions = with_agent()?;
    sessions.set_metadata("s", &fields(&[("l", "[]"), ("m", "[]"), ("n", "[]")]), at(20))?;
    let before = format!("{sessions:?}");
    let limit = MAX_TEXT as u64;
    let far = fields(&[("l.1500000", "1"), ("m.1500000", "1"), ("n.1500000", "1")]);
    assert_eq!(sessions.set_metadata("s", &far, at(30)), Err(Error::TooLarge { size: limit + 1, limit }));
    assert_eq!(format!("{sessions:?}"), before);
    sessions.set_metadata("s", &fields(&[("l.1500000", "1"), ("m.1500000", "1")]), at(30))?;
    assert_eq!(stored(&sessions).map(|text| text.len()), Some(2 * (1_500_000 * 5 + 1) + r#"{"l":[],"m":[],"n":[]}"#.len()));
    let refused = sessions.set_metadata("s", &fields(&[("n.1500000", "1")]), at(30));
    assert!(matches!(refused, Err(Error::TooLarge { .. })), "{refused:?}");
    Ok(())
}

#[test]
fn removed_items_of_arrays_become_null() -> Result<()> {
    let mut sessions = with_agent()?;
    sessions.set_metadata(
        "s",
        &fields(&[("a", r#"{"b": 1, "c": 2.0}"#), ("l", r#"[1, {"x": 1, "y": 2}, 3]"#), ("d", "4"), ("e", "5"), ("f", "6")]),
        at(20),
    )?;
    let paths = ["a.b", "d", "absent", "absent.too", "l.00", "l.1.x", "l.9", "l.name", "a.c.e"];
    sessions.unset_metadata("s", &texts(&paths), at(30))?;
    assert_eq!(stored(&sessions).as_deref(), Some(r#"{"a":{"c":2.0},"e":5,"f":6,"l":[null,{"y":2},3]}"#));
    sessions.unset_metadata("s", &texts(&["absent"]), at(40))?;
    assert_eq!(state(&sessions), Some((4, 40, 10)));
    Ok(())
}

#[test]
fn no_fields_change_nothing_but_expect_the_revision() -> Result<()> {
    let mut sessions = with_agent()?;
    let before = format!("{sessions:?}");
    sessions.set_metadata("s", &[], expecting(20, 1))?;
    sessions.unset_metadata("s", &[], expecting(20, 1))?;
    assert_eq!(sessions.set_metadata("s", &[], expecting(20, 0)), Err(Error::Stale(1)));
    assert_eq!(sessions.unset_metadata("s", &[], expecting(20, 0)), Err(Error::Stale(1)));
    assert_eq!(format!("{sessions:?}"), before);
    assert_eq!((stored(&sessions).as_deref(), sessions.get_metadata("none")?), (Some("{}"), None));
    Ok(())
}
