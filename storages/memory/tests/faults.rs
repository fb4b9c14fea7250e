//! The faults: each one shows, and changes nothing else.

mod common;

use common::*;
use session_repository_storage::error::{Error, Result};
use session_repository_storage::types::Page;
use session_repository_storage_memory::faults::{Fault, Faulty, named};

/// What a storage answers to a series of calls, each answer by a name.
fn observations(mut storage: Faulty) -> Result<Vec<(&'static str, String)>> {
    let mut seen = Vec::new();
    let mut see = |name, answer: &dyn std::fmt::Debug| seen.push((name, format!("{answer:?}")));
    let one = || Ok(vec![object("{}")?]);
    let hidden = texts(&["latency_ms"]);
    storage.insert_session(session("s", 10))?;
    storage.insert_agent("s", agent("a", r#"{"model":"m","old":1}"#, 11)?, None)?;
    storage.insert_agent("s", agent("b", "{}", 12)?, None)?;

    see("agent again", &storage.insert_agent("s", agent("b", r#"{"new":1}"#, 13)?, None));
    see("agent again, found", &storage.find_agent("s", "b")?);
    storage.replace_agent("s", "a", replacement(r#"{"state":1}"#, &["model"])?, at(14))?;
    let replaced = storage.find_agent("s", "a")?.map(|agent| (agent.data, agent.created_at));
    see("replaced agent", &replaced.as_ref().map(|(data, _)| data));
    see("replaced agent, created", &replaced.as_ref().map(|(_, created)| created));

    storage.append_message("s", "a", message(7, r#"{"n":7,"latency_ms":1}"#, 20)?, &hidden, None)?;
    see("session after a message", &storage.find_session("s")?.map(|session| session.updated_at));
    storage.append_message("s", "a", message(3, r#"{"n":3,"latency_ms":1}"#, 21)?, &hidden, None)?;
    let revision = storage.find_session("s")?.map_or(0, |session| session.revision);
    see("message again", &storage.append_message("s", "a", message(3, r#"{"n":3}"#, 22)?, &hidden, None)?);
    let now = storage.find_session("s")?.map_or(0, |session| session.revision);
    see("message again, revision", &(now > revision && storage.list_messages("s", "a", ALL, &[])?.len() == 2));
    see("read", &storage.find_message("s", "a", 3, &hidden)?.map(|message| message.body));
    let list = |storage: &Faulty, offset, limit| -> Result<Vec<i64>> {
        Ok(storage.list_messages("s", "a", Page { offset, limit }, &hidden)?.iter().map(|message| message.message_id).collect())
    };
    see("list", &list(&storage, 0, None)?);
    see("list, body", &storage.list_messages("s", "a", ALL, &hidden)?.first().map(|message| message.body.clone()));
    see("first page", &list(&storage, 0, Some(1))?.len());
    see("second page", &list(&storage, 1, None)?.len());
    storage.replace_message("s", "a", 3, replacement(r#"{"new":1}"#, &[])?, at(23))?;
    let replaced = storage.find_message("s", "a", 3, &hidden)?;
    see("replaced message, fields", &replaced.as_ref().map(|message| message.body.as_str().contains(r#""n""#)));
    see("replaced message, created", &replaced.as_ref().map(|message| message.created_at));

    see("next id", &storage.append_messages("s", "a", one()?, key("k", "d"), at(24))?);
    let next = storage.append_messages("s", "a", one()?, key("k2", "d"), at(24))?;
    let revision = storage.find_session("s")?.map_or(0, |session| session.revision);
    see("repeat", &(storage.append_messages("s", "a", one()?, key("k2", "d"), at(25))? == next));
    see("repeat, revision", &(storage.find_session("s")?.map_or(0, |session| session.revision) == revision + 1));
    let other = storage.append_messages("s", "b", one()?, key("k2", "d"), at(25))?;
    see("key of another agent", &other);

    see("stale", &storage.append_messages("s", "b", [one()?, one()?].concat(), None, expecting(26, 1000)).is_err());
    see("stale, messages", &storage.list_messages("s", "b", ALL, &[])?.len().min(2));
    let current = storage.find_session("s")?.map_or(0, |session| session.revision);
    see("expected", &storage.set_metadata("s", &fields(&[("m", "{}")]), expecting(27, current)).is_ok());
    storage.set_metadata("s", &fields(&[("m", r#"{"x":1}"#)]), at(27))?;
    storage.set_metadata("s", &fields(&[("p.q", "2")]), at(28))?;
    let metadata = storage.get_metadata("s")?.map(|metadata| metadata.into_string()).unwrap_or_default();
    see("metadata, other fields", &metadata.contains(r#""m":{"x":1}"#));
    see("metadata, path", &metadata.contains(r#""p":{"q":2}"#));

    let revision = storage.find_session("s")?.map_or(0, |session| session.revision);
    storage.append_feedback("s", feedback("{}", 30)?, None)?;
    see("revision of feedback", &storage.find_session("s")?.map(|session| session.revision - revision));
    storage.append_feedback("s", feedback("{}", 31)?, None)?;
    see("feedback", &storage.list_feedback("s")?.iter().map(|entry| entry.created_at).collect::<Vec<_>>());
    see("unknown session", &storage.append_messages("none", "a", one()?, None, at(32)));
    see("unknown session, found", &storage.find_session("none")?);
    Ok(seen)
}

/// The names of the answers that a fault changes.
fn changed(fault: Fault) -> Result<Vec<&'static str>> {
    let (sound, faulty) = (observations(Faulty::new(None))?, observations(Faulty::new(Some(fault)))?);
    Ok(sound.into_iter().zip(faulty).filter(|(sound, faulty)| sound != faulty).map(|((name, _), _)| name).collect())
}

#[test]
fn each_fault_changes_its_own_answers() -> Result<()> {
    for fault in Fault::ALL.iter().copied() {
        let expected: &[&str] = match fault {
            Fault::KeyIgnored => &["repeat", "repeat, revision"],
            Fault::PageOffsetOffByOne => &["second page"],
            Fault::PageLimitOffByOne => &["first page"],
            Fault::StaleNotChecked => &["stale", "stale, messages"],
            Fault::MetricsLeakedOnRead => &["read"],
            Fault::MetricsLeakedOnList => &["list, body"],
            Fault::ListOrderedById => &["list", "list, body"],
            Fault::HalfOfABatchKept => &["stale, messages"],
            Fault::UpdateLosesCreatedAt => &["replaced agent, created", "replaced message, created"],
            Fault::UpdateLeavesOldFields => &["replaced agent", "replaced message, fields"],
            Fault::SessionNotAdvancedByMessages => &["session after a message"],
            Fault::RevisionNotAdvancedByFeedback => &["revision of feedback"],
            Fault::ExistingAgentOverwritten => &["agent again", "agent again, found"],
            Fault::UnknownSessionCreatedByAppend => &["unknown session", "unknown session, found"],
            Fault::MetadataReplacedWhole => &["metadata, other fields"],
            Fault::DottedKeyStoredPlain => &["metadata, path"],
            Fault::FeedbackNewestFirst => &["feedback"],
            Fault::KeysSharedBetweenAgents => &["key of another agent", "stale, messages"],
            Fault::NextIdFromCount => &["next id"],
            Fault::AgentConfigLost => &["replaced agent"],
            Fault::SameMessageStoredTwice => &["message again", "list", "second page", "replaced message, created"],
            Fault::ExpectedRevisionAlwaysStale => &["expected"],
            Fault::RepeatAdvancesRevision => &["message again, revision", "repeat, revision"],
        };
        assert_eq!(changed(fault)?, expected, "{}", fault.name());
    }
    Ok(())
}

#[test]
fn a_marker_names_a_fault() {
    let marker = |name: &str| named(format!("session-repository-fault: {name:<38}").as_bytes());
    for fault in Fault::ALL {
        assert_eq!(marker(fault.name()), Ok(Some(*fault)));
        assert!(fault.name().len() <= 38, "{} does not fit into the marker", fault.name());
    }
    assert_eq!(marker("none"), Ok(None));
    for unknown in ["", "None", "key-ignored-", "key ignored"] {
        assert_eq!(marker(unknown), Err(Error::InvalidArgument(format!("there is no fault {unknown:?}"))));
    }
}

#[test]
fn the_marker_names_no_fault_as_it_is_built() -> Result<()> {
    assert_eq!(observations(Faulty::default())?, observations(Faulty::new(None))?);
    Ok(())
}
