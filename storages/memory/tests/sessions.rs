//! Sessions, agents, feedback and the revisions of all writes.

mod common;

use common::*;
use session_repository_storage::error::{Entity, Error, Result};
use session_repository_storage::object::MAX_TEXT;
use session_repository_storage::types::Session;
use session_repository_storage_memory::sessions::Sessions;

#[test]
fn a_session_is_stored_once_at_revision_0() -> Result<()> {
    let mut sessions = Sessions::default();
    sessions.insert_session(Session { revision: 7, ..session("s", 10) })?;
    assert_eq!(sessions.insert_session(session("s", 20)), Err(Error::AlreadyExists(Entity::Session)));
    assert_eq!(sessions.find_session("s")?, Some(session("s", 10)));
    assert_eq!(sessions.find_session("other")?, None);
    Ok(())
}

#[test]
fn an_agent_is_stored_once() -> Result<()> {
    let mut sessions = with_agent()?;
    sessions.insert_agent("s", agent("b", r#"{"model": "m"}"#, 20)?, None)?;
    assert_eq!(sessions.insert_agent("s", agent("a", "{}", 30)?, None), Err(Error::AlreadyExists(Entity::Agent)));
    assert_eq!(sessions.insert_agent("none", agent("a", "{}", 30)?, None), Err(Error::NotFound(Entity::Session)));
    assert_eq!(sessions.find_agent("s", "b")?, Some(agent("b", r#"{"model": "m"}"#, 20)?));
    assert_eq!((sessions.find_agent("s", "c")?, sessions.find_agent("none", "a")?), (None, None));
    assert_eq!(state(&sessions), Some((2, 20, 10)));
    Ok(())
}

#[test]
fn a_replaced_agent_keeps_its_creation_and_the_named_fields() -> Result<()> {
    let mut sessions = with_agent()?;
    sessions.replace_agent("s", "a", replacement(r#"{"model": 1.0, "old": true, "prompt": "p"}"#, &[])?, at(20))?;
    sessions.replace_agent("s", "a", replacement(r#"{"state": 1e22}"#, &["model", "prompt", "absent"])?, at(30))?;
    let found = sessions.find_agent("s", "a")?.map(|agent| (agent.data.into_string(), agent.created_at, agent.updated_at));
    assert_eq!(found, Some((String::from(r#"{"state":1e22,"model":1.0,"prompt":"p"}"#), 10, 30)));
    assert_eq!(sessions.replace_agent("s", "b", replacement("{}", &[])?, at(40)), Err(Error::NotFound(Entity::Agent)));
    assert_eq!(sessions.replace_agent("none", "a", replacement("{}", &[])?, at(40)), Err(Error::NotFound(Entity::Session)));
    Ok(())
}

#[test]
fn times_of_the_last_write_never_go_back() -> Result<()> {
    let mut sessions = with_agent()?;
    sessions.append_message("s", "a", message(1, "{}", 50)?, &[], None)?;
    sessions.replace_agent("s", "a", replacement("{}", &[])?, at(20))?;
    sessions.replace_message("s", "a", 1, replacement("{}", &[])?, at(20))?;
    sessions.append_message("s", "a", message(2, "{}", 20)?, &[], None)?;
    sessions.set_metadata("s", &fields(&[("a", "1")]), at(20))?;
    sessions.append_feedback("s", feedback("{}", 20)?, None)?;
    assert_eq!(state(&sessions), Some((7, 50, 50)));
    assert_eq!(sessions.find_message("s", "a", 1, &[])?.map(|message| message.updated_at), Some(50));
    Ok(())
}

#[test]
fn feedback_is_listed_oldest_first() -> Result<()> {
    let mut sessions = with_agent()?;
    for (body, time) in [(r#"{"n":1}"#, 20), (r#"{"n":2}"#, 15), (r#"{"n":3}"#, 20), (r#"{"n":4}"#, 15)] {
        sessions.append_feedback("s", feedback(body, time)?, None)?;
    }
    let listed: Vec<_> = sessions.list_feedback("s")?.into_iter().map(|entry| (entry.body.into_string(), entry.created_at)).collect();
    let expected = [(r#"{"n":2}"#, 15), (r#"{"n":4}"#, 15), (r#"{"n":1}"#, 20), (r#"{"n":3}"#, 20)];
    assert_eq!(listed, expected.map(|(body, time)| (body.to_owned(), time)));
    assert_eq!(sessions.list_feedback("none")?, []);
    assert_eq!(sessions.append_feedback("none", feedback("{}", 20)?, None), Err(Error::NotFound(Entity::Session)));
    Ok(())
}

#[test]
fn every_write_advances_the_revision_by_one_and_is_refused_at_another() -> Result<()> {
    type Call = fn(&mut Sessions, i64, u64) -> Result<()>;
    let writes: [Call; 8] = [
        |sessions, time, revision| sessions.insert_agent("s", agent("b", "{}", time)?, Some(revision)),
        |sessions, time, revision| sessions.append_message("s", "a", message(1, "{}", time)?, &[], Some(revision)).map(drop),
        |sessions, time, revision| sessions.append_messages("s", "a", vec![object("{}")?], None, expecting(time, revision)).map(drop),
        |sessions, time, revision| sessions.replace_agent("s", "a", replacement("{}", &[])?, expecting(time, revision)),
        |sessions, time, revision| sessions.replace_message("s", "a", 1, replacement("{}", &[])?, expecting(time, revision)),
        |sessions, time, revision| sessions.set_metadata("s", &fields(&[("m", "1")]), expecting(time, revision)),
        |sessions, time, revision| sessions.unset_metadata("s", &texts(&["m"]), expecting(time, revision)),
        |sessions, time, revision| sessions.append_feedback("s", feedback("{}", time)?, Some(revision)),
    ];
    let mut sessions = with_agent()?;
    for (revision, (time, write)) in (1..).zip((20..).zip(writes)) {
        let before = format!("{sessions:?}");
        assert_eq!(write(&mut sessions, time, revision + 1), Err(Error::Stale(revision)));
        assert_eq!(write(&mut sessions, time, revision - 1), Err(Error::Stale(revision)));
        assert_eq!(format!("{sessions:?}"), before);
        write(&mut sessions, time, revision)?;
        let session = sessions.find_session("s")?.map(|session| (session.revision, session.updated_at));
        assert_eq!(session, Some((revision + 1, time)));
    }
    Ok(())
}

#[test]
fn what_does_not_exist_or_exists_already_is_told_before_stale() -> Result<()> {
    let mut sessions = with_agent()?;
    let empty = || replacement("{}", &[]);
    assert_eq!(sessions.insert_agent("s", agent("a", "{}", 20)?, Some(9)), Err(Error::AlreadyExists(Entity::Agent)));
    assert_eq!(sessions.replace_agent("s", "b", empty()?, expecting(20, 9)), Err(Error::NotFound(Entity::Agent)));
    assert_eq!(sessions.replace_message("s", "b", 1, empty()?, expecting(20, 9)), Err(Error::NotFound(Entity::Agent)));
    assert_eq!(sessions.replace_message("s", "a", 1, empty()?, expecting(20, 9)), Err(Error::NotFound(Entity::Message)));
    assert_eq!(sessions.append_message("s", "b", message(1, "{}", 20)?, &[], Some(9)), Err(Error::NotFound(Entity::Agent)));
    assert_eq!(sessions.append_messages("none", "a", vec![object("{}")?], None, expecting(20, 9)), Err(Error::NotFound(Entity::Session)));
    assert_eq!(sessions.set_metadata("none", &[], expecting(20, 9)), Err(Error::NotFound(Entity::Session)));
    assert_eq!(sessions.unset_metadata("none", &[], expecting(20, 9)), Err(Error::NotFound(Entity::Session)));
    assert_eq!(state(&sessions), Some((1, 10, 10)));
    Ok(())
}

#[test]
fn text_that_is_no_object_is_refused() {
    for bad in ["", "[]", "null", "1", "{", "{} {}", r#"{"a": tru}"#] {
        assert_eq!(object(bad), Err(Error::InvalidArgument(String::from("the JSON cannot be stored"))), "{bad}");
    }
}

#[test]
fn objects_have_a_largest_size() -> Result<()> {
    let sized = |size: usize| object(&format!(r#"{{"k":"{}"}}"#, "x".repeat(size - 8)));
    assert_eq!(sized(MAX_TEXT)?.as_str().len(), MAX_TEXT);
    let limit = MAX_TEXT as u64;
    assert_eq!(sized(MAX_TEXT + 1), Err(Error::TooLarge { size: limit + 1, limit }));
    // What is kept counts, too.
    let mut sessions = with_agent()?;
    sessions.replace_agent("s", "a", replacement(&format!(r#"{{"kept":"{}"}}"#, "x".repeat(MAX_TEXT / 2)), &[])?, at(20))?;
    let before = format!("{sessions:?}");
    let refused = sessions.replace_agent("s", "a", replacement(sized(MAX_TEXT / 2 + 1)?.as_str(), &["kept"])?, at(20));
    assert!(matches!(refused, Err(Error::TooLarge { .. })), "{refused:?}");
    assert_eq!(format!("{sessions:?}"), before);
    Ok(())
}
