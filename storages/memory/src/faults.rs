//! A storage that misbehaves in one way, to show that the conformance suite notices.

use crate::agent::Agent;
use crate::sessions::Sessions;
use serde_json::value::RawValue;
use session_repository_storage::error::{Error, Result};
use session_repository_storage::object::{self, Object};
use session_repository_storage::storage::Storage;
use session_repository_storage::types::{self, AppendKey, Appended, Feedback, Field, Message, Page, Replacement, Session, Write};
use std::hint::black_box;

/// What the marker begins with.
const PREFIX: &str = "session-repository-fault: ";

/// The fault of the component: a name behind the prefix, padded with spaces. A test overwrites it in the built component.
static MARKER: [u8; 64] = *b"session-repository-fault: none                                  ";

macro_rules! faults {
    ($($(#[$doc:meta])+ $fault:ident = $name:literal;)+) => {
        /// A way in which a storage misbehaves.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Fault {
            $($(#[$doc])+ $fault,)+
        }

        impl Fault {
            /// All faults.
            pub const ALL: &[Self] = &[$(Self::$fault),+];

            /// The name by which the marker chooses the fault.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$fault => $name,)+
                }
            }
        }
    };
}

faults! {
    /// An append does not remember its key.
    KeyIgnored = "key-ignored";
    /// A page with an offset begins one message too late.
    PageOffsetOffByOne = "page-offset-off-by-one";
    /// A page has one message more than its limit.
    PageLimitOffByOne = "page-limit-off-by-one";
    /// A write goes ahead on any revision.
    StaleNotChecked = "stale-not-checked";
    /// A read message has the fields that are to be omitted.
    MetricsLeakedOnRead = "metrics-leaked-on-read";
    /// Listed messages have the fields that are to be omitted.
    MetricsLeakedOnList = "metrics-leaked-on-list";
    /// Messages are listed by their ids.
    ListOrderedById = "list-ordered-by-id";
    /// An append of several that is refused as stale stores its first message.
    HalfOfABatchKept = "half-of-a-batch-kept";
    /// A replaced agent or message was created when it was replaced.
    UpdateLosesCreatedAt = "update-loses-created-at";
    /// A replaced agent or message has its old fields in addition.
    UpdateLeavesOldFields = "update-leaves-old-fields";
    /// Writes of messages leave the `updated-at` of the session.
    SessionNotAdvancedByMessages = "session-not-advanced-by-messages";
    /// Feedback leaves the revision of the session.
    RevisionNotAdvancedByFeedback = "revision-not-advanced-by-feedback";
    /// A new agent takes the place of one with the same id.
    ExistingAgentOverwritten = "existing-agent-overwritten";
    /// An append makes the session and the agent that do not exist.
    UnknownSessionCreatedByAppend = "unknown-session-created-by-append";
    /// Setting metadata removes all other fields.
    MetadataReplacedWhole = "metadata-replaced-whole";
    /// A path in metadata is the name of a field.
    DottedKeyStoredPlain = "dotted-key-stored-plain";
    /// Feedback is listed newest first.
    FeedbackNewestFirst = "feedback-newest-first";
    /// A key of one agent is known to the others of the session.
    KeysSharedBetweenAgents = "keys-shared-between-agents";
    /// The next id is the number of messages.
    NextIdFromCount = "next-id-from-count";
    /// A replaced agent keeps no stored fields.
    AgentConfigLost = "agent-config-lost";
    /// A message with a taken id is stored again.
    SameMessageStoredTwice = "same-message-stored-twice";
    /// Every write that expects a revision is refused.
    ExpectedRevisionAlwaysStale = "expected-revision-always-stale";
    /// A repeated append advances the revision.
    RepeatAdvancesRevision = "repeat-advances-revision";
}

/// The fault that a marker names; none for the name `none`.
pub fn named(marker: &[u8]) -> Result<Option<Fault>> {
    let name = str::from_utf8(marker).ok().and_then(|marker| marker.strip_prefix(PREFIX)).map(|name| name.trim_end_matches(' '));
    let fault = Fault::ALL.iter().copied().find(|fault| name == Some(fault.name()));
    if fault.is_none() && name != Some("none") {
        return Err(Error::InvalidArgument(format!("there is no fault {:?}", name.unwrap_or_default())));
    }
    Ok(fault)
}

/// Sessions with a fault.
#[derive(Debug)]
pub struct Faulty {
    sessions: Sessions,
    fault: Result<Option<Fault>>,
}

impl Default for Faulty {
    /// No sessions yet, with the fault that the marker of the component names.
    fn default() -> Self {
        // Nothing is known about what is behind a black box, so the bytes of the built component count.
        Self { sessions: Sessions::default(), fault: named(black_box(&MARKER)) }
    }
}

impl Faulty {
    /// No sessions yet, with this fault.
    pub fn new(fault: Option<Fault>) -> Self {
        Self { sessions: Sessions::default(), fault: Ok(fault) }
    }

    fn has(&self, fault: Fault) -> bool {
        self.fault == Ok(Some(fault))
    }

    /// The revision that a write expects with this fault.
    fn expecting(&self, expected: Option<u64>) -> Option<u64> {
        match self.fault {
            Ok(Some(Fault::StaleNotChecked)) => None,
            // No session is ever at this one.
            Ok(Some(Fault::ExpectedRevisionAlwaysStale)) => expected.map(|_| u64::MAX),
            _ => expected,
        }
    }

    fn write(&self, Write { at, expected }: Write) -> Write {
        Write { at, expected: self.expecting(expected) }
    }

    fn agent(&mut self, session_id: &str, agent_id: &str) -> Option<&mut Agent> {
        agent(&mut self.sessions, session_id, agent_id)
    }

    /// Makes the session and the agent of an append to an unknown session.
    fn create_unknown(&mut self, session_id: &str, agent_id: &str, at: i64) -> Result<()> {
        if !self.has(Fault::UnknownSessionCreatedByAppend) || self.sessions.0.contains_key(session_id) {
            return Ok(());
        }
        let (session_id, session_type) = (session_id.to_owned(), String::from("default"));
        let session = Session { session_id: session_id.clone(), session_type, created_at: at, updated_at: at, revision: 0 };
        let agent = types::Agent { agent_id: agent_id.to_owned(), data: Object::default(), created_at: at, updated_at: at };
        self.sessions.insert_session(session)?;
        self.sessions.insert_agent(&session_id, agent, None)
    }

    /// Performs a write of messages, with the faults in what it does to the session.
    fn message_write<R>(&mut self, session_id: &str, write: impl FnOnce(&mut Sessions) -> Result<R>) -> Result<R> {
        let before = self.sessions.find_session(session_id)?;
        let answer = write(&mut self.sessions)?;
        if let Some(before) = before {
            let stays = self.has(Fault::SessionNotAdvancedByMessages);
            let advances = self.has(Fault::RepeatAdvancesRevision);
            let session = &mut self.sessions.state(session_id)?.session;
            if stays {
                session.updated_at = before.updated_at;
            }
            // Only a repeat leaves the revision.
            if advances && session.revision == before.revision {
                session.revision += 1;
            }
        }
        Ok(answer)
    }
}

/// Functions that no fault concerns are those of the sessions.
impl Storage for Faulty {
    /// A marker without a fault is refused here, so that a test with a misspelt name fails.
    fn insert_session(&mut self, session: Session) -> Result<()> {
        self.fault.clone()?;
        self.sessions.insert_session(session)
    }

    fn find_session(&self, session_id: &str) -> Result<Option<Session>> {
        self.sessions.find_session(session_id)
    }

    fn insert_agent(&mut self, session_id: &str, agent: types::Agent, expected: Option<u64>) -> Result<()> {
        let (expected, agent_id) = (self.expecting(expected), agent.agent_id.clone());
        let is_overwritten = self.has(Fault::ExistingAgentOverwritten);
        let before = if is_overwritten { self.sessions.state(session_id)?.agents.remove(&agent_id) } else { None };
        let answer = self.sessions.insert_agent(session_id, agent, expected);
        if let (Some(before), Err(_)) = (before, &answer) {
            self.sessions.state(session_id)?.agents.insert(agent_id, before);
        }
        answer
    }

    fn find_agent(&self, session_id: &str, agent_id: &str) -> Result<Option<types::Agent>> {
        self.sessions.find_agent(session_id, agent_id)
    }

    fn replace_agent(&mut self, session_id: &str, agent_id: &str, mut data: Replacement, write: Write) -> Result<()> {
        let write = self.write(write);
        if self.has(Fault::AgentConfigLost) {
            data.keep.clear();
        }
        if self.has(Fault::UpdateLeavesOldFields)
            && let Some(agent) = self.agent(session_id, agent_id)
        {
            keep_all(&mut data, &agent.data)?;
        }
        self.sessions.replace_agent(session_id, agent_id, data, write)?;
        if self.has(Fault::UpdateLosesCreatedAt)
            && let Some(agent) = self.agent(session_id, agent_id)
        {
            agent.created_at = write.at;
        }
        Ok(())
    }

    fn append_message(
        &mut self,
        session_id: &str,
        agent_id: &str,
        message: Message,
        omit: &[String],
        expected: Option<u64>,
    ) -> Result<Appended> {
        let (expected, message_id) = (self.expecting(expected), message.message_id);
        self.create_unknown(session_id, agent_id, message.created_at)?;
        let forgets = self.has(Fault::SameMessageStoredTwice);
        let forgotten = self.agent(session_id, agent_id).filter(|_| forgets).and_then(|agent| agent.ids.remove(&message_id));
        let answer = self.message_write(session_id, |sessions| sessions.append_message(session_id, agent_id, message, omit, expected));
        if let (Some(position), Err(_), Some(agent)) = (forgotten, &answer, self.agent(session_id, agent_id)) {
            agent.ids.insert(message_id, position);
        }
        answer
    }

    fn append_messages(
        &mut self,
        session_id: &str,
        agent_id: &str,
        bodies: Vec<Object>,
        key: Option<AppendKey>,
        write: Write,
    ) -> Result<i64> {
        let (write, key) = (self.write(write), key.filter(|_| !self.has(Fault::KeyIgnored)));
        self.create_unknown(session_id, agent_id, write.at)?;
        if let Some(key) = key.as_ref().filter(|_| self.has(Fault::KeysSharedBetweenAgents)) {
            for agent in self.sessions.state(session_id)?.agents.values() {
                if let Some(first) = agent.appends.remembered(Some(key))? {
                    return Ok(first);
                }
            }
        }
        let half = bodies.first().cloned().filter(|_| self.has(Fault::HalfOfABatchKept) && bodies.len() > 1);
        let counts = self.has(Fault::NextIdFromCount);
        let answer = self.message_write(session_id, |sessions| {
            let append = |sessions: &mut Sessions| sessions.append_messages(session_id, agent_id, bodies, key, write);
            if counts { with_ids_by_count(sessions, session_id, agent_id, append) } else { append(sessions) }
        });
        if let (Err(Error::Stale(_)), Some(half)) = (&answer, half) {
            self.sessions.append_messages(session_id, agent_id, vec![half], None, Write { expected: None, ..write })?;
        }
        answer
    }

    fn find_message(&self, session_id: &str, agent_id: &str, message_id: i64, omit: &[String]) -> Result<Option<Message>> {
        let omit = if self.has(Fault::MetricsLeakedOnRead) { &[] } else { omit };
        self.sessions.find_message(session_id, agent_id, message_id, omit)
    }

    fn replace_message(&mut self, session_id: &str, agent_id: &str, message_id: i64, mut body: Replacement, write: Write) -> Result<()> {
        let write = self.write(write);
        if self.has(Fault::UpdateLeavesOldFields)
            && let Some(message) = self.agent(session_id, agent_id).and_then(|agent| agent.message(message_id))
        {
            keep_all(&mut body, &message.body)?;
        }
        self.message_write(session_id, |sessions| sessions.replace_message(session_id, agent_id, message_id, body, write))?;
        if self.has(Fault::UpdateLosesCreatedAt)
            && let Some(Agent { ids, messages, .. }) = self.agent(session_id, agent_id)
            && let Some(message) = ids.get(&message_id).and_then(|position| messages.get_mut(*position))
        {
            message.created_at = write.at;
        }
        Ok(())
    }

    fn list_messages(&self, session_id: &str, agent_id: &str, page: Page, omit: &[String]) -> Result<Vec<Message>> {
        let Page { mut offset, mut limit } = page;
        let omit = if self.has(Fault::MetricsLeakedOnList) { &[] } else { omit };
        if self.has(Fault::ListOrderedById) {
            let mut all = self.sessions.list_messages(session_id, agent_id, Page::default(), omit)?;
            all.sort_by_key(|message| message.message_id);
            let count = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
            return Ok(all.into_iter().skip(count(offset)).take(limit.map_or(usize::MAX, count)).collect());
        }
        if self.has(Fault::PageOffsetOffByOne) && offset > 0 {
            offset = offset.saturating_add(1);
        }
        if self.has(Fault::PageLimitOffByOne) {
            limit = limit.map(|limit| limit.saturating_add(1));
        }
        self.sessions.list_messages(session_id, agent_id, Page { offset, limit }, omit)
    }

    fn set_metadata(&mut self, session_id: &str, fields: &[Field], write: Write) -> Result<()> {
        let write = self.write(write);
        if self.has(Fault::DottedKeyStoredPlain) && !fields.is_empty() {
            let state = self.sessions.state(session_id)?;
            state.session.check(write)?;
            let mut members = object::members(state.metadata.as_str())?;
            for Field { path, value } in fields {
                let value: &RawValue = serde_json::from_str(value).map_err(|_| object::unreadable())?;
                members.insert(path.clone(), value);
            }
            state.metadata = Object::write(&members)?;
            state.session.advance(write.at);
            return Ok(());
        }
        if self.has(Fault::MetadataReplacedWhole) && !fields.is_empty() {
            let before = std::mem::take(&mut self.sessions.state(session_id)?.metadata);
            return self.sessions.set_metadata(session_id, fields, write).or_else(|error| {
                self.sessions.state(session_id)?.metadata = before;
                Err(error)
            });
        }
        self.sessions.set_metadata(session_id, fields, write)
    }

    fn get_metadata(&self, session_id: &str) -> Result<Option<Object>> {
        self.sessions.get_metadata(session_id)
    }

    fn unset_metadata(&mut self, session_id: &str, paths: &[String], write: Write) -> Result<()> {
        let write = self.write(write);
        self.sessions.unset_metadata(session_id, paths, write)
    }

    fn append_feedback(&mut self, session_id: &str, feedback: Feedback, expected: Option<u64>) -> Result<()> {
        let expected = self.expecting(expected);
        self.sessions.append_feedback(session_id, feedback, expected)?;
        if self.has(Fault::RevisionNotAdvancedByFeedback) {
            self.sessions.state(session_id)?.session.revision -= 1;
        }
        Ok(())
    }

    fn list_feedback(&self, session_id: &str) -> Result<Vec<Feedback>> {
        let mut entries = self.sessions.list_feedback(session_id)?;
        if self.has(Fault::FeedbackNewestFirst) {
            entries.reverse();
        }
        Ok(entries)
    }
}

/// Has a replacement keep all stored fields that it does not bring.
fn keep_all(new: &mut Replacement, stored: &Object) -> Result<()> {
    let brought = object::members(new.fields.as_str())?;
    new.keep = object::members(stored.as_str())?.into_keys().filter(|name| !brought.contains_key(name)).collect();
    Ok(())
}

/// Performs an append while the agent has no id but that of its last position, so that the next one is the number of messages.
fn with_ids_by_count<R>(sessions: &mut Sessions, session_id: &str, agent_id: &str, append: impl FnOnce(&mut Sessions) -> R) -> R {
    let Some(agent) = agent(sessions, session_id, agent_id) else { return append(sessions) };
    let count = agent.messages.len();
    let next = i64::try_from(count).unwrap_or(i64::MAX);
    let by_count = count.checked_sub(1).map(|last| (next - 1, last)).into_iter().collect();
    let mut ids = std::mem::replace(&mut agent.ids, by_count);
    let answer = append(sessions);
    if let Some(agent) = self::agent(sessions, session_id, agent_id) {
        ids.extend(agent.ids.split_off(&next));
        agent.ids = ids;
    }
    answer
}

fn agent<'s>(sessions: &'s mut Sessions, session_id: &str, agent_id: &str) -> Option<&'s mut Agent> {
    sessions.0.get_mut(session_id)?.agents.get_mut(agent_id)
}
