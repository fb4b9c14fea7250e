//! Messages: their ids, their order, and the keys that make appends safe to repeat.

mod common;

use common::*;
use session_repository_storage::error::{Entity, Error, Result};
use session_repository_storage::types::{Appended, Page};

#[test]
fn a_taken_id_is_told_and_changes_nothing() -> Result<()> {
    let mut sessions = with_agent()?;
    let stored = message(5, r#"{"role": "user", "latency_ms": 1, "n": 1.0}"#, 20)?;
    assert_eq!(sessions.append_message("s", "a", stored.clone(), &[], None)?, Appended::New);
    let before = format!("{sessions:?}");
    // A repeat is told before stale.
    let taken = sessions.append_message("s", "a", message(5, "{}", 30)?, &texts(&["latency_ms", "absent"]), Some(9))?;
    assert_eq!(taken, Appended::Taken(message(5, r#"{"role":"user","n":1.0}"#, 20)?));
    assert_eq!(sessions.append_message("s", "a", message(5, "{}", 30)?, &texts(&["absent"]), None)?, Appended::Taken(stored));
    assert_eq!(format!("{sessions:?}"), before);
    Ok(())
}

#[test]
fn a_message_is_read_without_the_omitted_fields() -> Result<()> {
    let mut sessions = with_agent()?;
    sessions.append_message("s", "a", message(1, r#"{"a": {"x": 1}, "x": 2, "b": [1.0, 1e22, 9223372036854775807]}"#, 20)?, &[], None)?;
    let expected = message(1, r#"{"a":{"x": 1},"b":[1.0, 1e22, 9223372036854775807]}"#, 20)?;
    assert_eq!(sessions.find_message("s", "a", 1, &texts(&["x"]))?, Some(expected.clone()));
    assert_eq!(sessions.list_messages("s", "a", ALL, &texts(&["x"]))?, [expected]);
    assert_eq!((sessions.find_message("s", "a", 2, &[])?, sessions.find_message("s", "b", 1, &[])?), (None, None));
    assert_eq!(sessions.find_message("none", "a", 1, &[])?, None);
    Ok(())
}

#[test]
fn a_replaced_message_keeps_its_creation_its_place_and_the_named_fields() -> Result<()> {
    let mut sessions = with_agent()?;
    for id in [1, 2] {
        sessions.append_message("s", "a", message(id, r#"{"old": 1, "tokens": 7}"#, 20)?, &[], None)?;
    }
    sessions.replace_message("s", "a", 1, replacement(r#"{"new": 1}"#, &["tokens"])?, at(30))?;
    let found = sessions.find_message("s", "a", 1, &[])?.map(|m| (m.body.into_string(), m.created_at, m.updated_at));
    assert_eq!(found, Some((String::from(r#"{"new":1,"tokens":7}"#), 20, 30)));
    assert_eq!(listed(&sessions)?, [(1, 20), (2, 20)]);
    assert_eq!(state(&sessions), Some((4, 30, 30)));
    Ok(())
}

#[test]
fn messages_are_listed_by_time_and_equal_times_in_the_order_of_their_appends() -> Result<()> {
    let mut sessions = with_agent()?;
    for (id, time) in [(9, 20), (3, 40), (7, 30), (1, 20), (8, 40), (2, 30), (4, 10)] {
        sessions.append_message("s", "a", message(id, "{}", time)?, &[], None)?;
    }
    let expected = [(4, 10), (9, 20), (1, 20), (7, 30), (2, 30), (3, 40), (8, 40)];
    assert_eq!(listed(&sessions)?, expected);
    for (id, time) in expected {
        assert_eq!(sessions.find_message("s", "a", id, &[])?, Some(message(id, "{}", time)?));
    }
    for offset in 0..=8u64 {
        for limit in [None, Some(0), Some(1), Some(3), Some(u64::MAX)] {
            let page = sessions.list_messages("s", "a", Page { offset, limit }, &[])?;
            let page: Vec<_> = page.iter().map(|message| (message.message_id, message.created_at)).collect();
            let taken = usize::try_from(limit.unwrap_or(u64::MAX)).unwrap_or(usize::MAX);
            let wanted: Vec<_> = expected.into_iter().skip(usize::try_from(offset).unwrap_or(usize::MAX)).take(taken).collect();
            assert_eq!(page, wanted, "{offset} {limit:?}");
        }
    }
    let beyond = Page { offset: u64::MAX, limit: None };
    assert_eq!(sessions.list_messages("s", "a", beyond, &[])?, []);
    assert_eq!((sessions.list_messages("s", "b", ALL, &[])?, sessions.list_messages("none", "a", ALL, &[])?), (vec![], vec![]));
    Ok(())
}

#[test]
fn appends_count_up_from_the_highest_id_and_are_never_older_than_the_newest_message() -> Result<()> {
    let mut sessions = with_agent()?;
    let bodies = |count| (0..count).map(|_| object("{}")).collect::<Result<Vec<_>>>();
    assert_eq!(sessions.append_messages("s", "a", bodies(2)?, None, at(20))?, 0);
    sessions.append_message("s", "a", message(40, "{}", 50)?, &[], None)?;
    sessions.append_message("s", "a", message(7, "{}", 15)?, &[], None)?;
    assert_eq!(sessions.append_messages("s", "a", bodies(2)?, None, at(30))?, 41);
    assert_eq!(listed(&sessions)?, [(7, 15), (0, 20), (1, 20), (40, 50), (41, 50), (42, 50)]);
    assert_eq!(state(&sessions), Some((5, 50, 50)));
    let none = sessions.append_messages("s", "a", vec![], None, at(30));
    assert_eq!(none, Err(Error::InvalidArgument(String::from("messages: must not be empty"))));
    Ok(())
}

#[test]
fn ids_run_out() -> Result<()> {
    let mut sessions = with_agent()?;
    sessions.append_message("s", "a", message(i64::MAX - 2, "{}", 20)?, &[], None)?;
    let bodies = |count| (0..count).map(|_| object("{}")).collect::<Result<Vec<_>>>();
    let before = format!("{sessions:?}");
    let message = format!("message_id: there is no next id, the highest of the agent's messages is too near to {}", i64::MAX);
    assert_eq!(sessions.append_messages("s", "a", bodies(3)?, key("k", "d"), at(20)), Err(Error::InvalidArgument(message.clone())));
    assert_eq!(format!("{sessions:?}"), before);
    assert_eq!(sessions.append_messages("s", "a", bodies(2)?, None, at(20))?, i64::MAX - 1);
    assert_eq!(sessions.append_messages("s", "a", bodies(1)?, None, at(20)), Err(Error::InvalidArgument(message)));
    // The revision counts first.
    assert_eq!(sessions.append_messages("s", "a", bodies(1)?, None, expecting(20, 9)), Err(Error::Stale(3)));
    Ok(())
}

#[test]
fn a_known_key_appends_nothing_and_stands_for_one_content() -> Result<()> {
    let mut sessions = with_agent()?;
    sessions.insert_agent("s", agent("b", "{}", 10)?, None)?;
    let one = || Ok(vec![object("{}")?]);
    sessions.append_messages("s", "a", one()?, None, at(20))?;
    assert_eq!(sessions.append_messages("s", "a", one()?, key("k", "d"), at(20))?, 1);
    sessions.append_messages("s", "a", one()?, None, at(20))?;
    let before = format!("{sessions:?}");
    // A repeat is told before stale.
    assert_eq!(sessions.append_messages("s", "a", one()?, key("k", "d"), expecting(30, 99))?, 1);
    let other = sessions.append_messages("s", "a", one()?, key("k", "e"), expecting(30, 99));
    assert_eq!(other, Err(Error::AlreadyExists(Entity::Message)));
    assert_eq!(format!("{sessions:?}"), before);
    // A refused append leaves no key, and another agent has keys of its own.
    assert_eq!(sessions.append_messages("s", "a", one()?, key("l", "d"), expecting(30, 99)), Err(Error::Stale(5)));
    assert_eq!(sessions.append_messages("s", "a", one()?, key("l", "e"), at(30))?, 3);
    assert_eq!(sessions.append_messages("s", "b", one()?, key("k", "e"), at(30))?, 0);
    Ok(())
}

#[test]
fn an_agent_remembers_its_last_256_keyed_appends() -> Result<()> {
    let mut sessions = with_agent()?;
    for number in 0..=256 {
        sessions.append_messages("s", "a", vec![object("{}")?], key(&format!("k{number}"), "d"), at(20))?;
        sessions.append_messages("s", "a", vec![object("{}")?], None, at(20))?;
    }
    assert_eq!(sessions.append_messages("s", "a", vec![object("{}")?], key("k1", "d"), at(20))?, 2);
    assert_eq!(sessions.append_messages("s", "a", vec![object("{}")?], key("k256", "d"), at(20))?, 512);
    assert_eq!(sessions.append_messages("s", "a", vec![object("{}")?], key("k0", "other"), at(20))?, 514);
    Ok(())
}
