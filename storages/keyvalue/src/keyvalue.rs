//! The storage: its calls, each a few attempts at reading or replacing a session's head.

use crate::bucket::Bucket;
use crate::draft::Draft;
use crate::head::{Agent, Head, History, Part};
use crate::reader::Reader;
use crate::stop::{Step, Stop, attempts};
use session_repository_storage::appends::{self, Appends, Batch};
use session_repository_storage::error::{Entity, Error, Result};
use session_repository_storage::object::{MAX_TEXT, Object};
use session_repository_storage::paths;
use session_repository_storage::storage::Storage;
use session_repository_storage::types::{self, AppendKey, Appended, Feedback, Field, Message, Page, Replacement, Session, Write};

/// How often a read begins again because a write has replaced what it was to read.
const READ_ATTEMPTS: usize = 16;

/// How often a write begins again because another one came first.
const WRITE_ATTEMPTS: usize = 64;

/// Sessions in a bucket.
#[derive(Debug)]
pub struct KeyValue<B>(pub B);

/// What became of a write: its answer, and when it changes the session; never, if it changes nothing.
type Outcome<R> = (R, Option<i64>);

impl<B: Bucket> KeyValue<B> {
    /// Reads a session.
    fn read<R>(&self, session_id: &str, look: impl Fn(&Reader<'_, B>, Head) -> Step<R>) -> Result<Option<R>> {
        let reader = Reader::new(&self.0, session_id);
        attempts(READ_ATTEMPTS, |revision| {
            let Some(head) = reader.head(reader.bucket.get(&reader.keys.head())?)? else { return Ok(None) };
            *revision = Some(head.session.revision);
            look(&reader, head).map(Some)
        })
    }

    /// Reads an agent.
    fn read_agent<R>(&self, session_id: &str, agent_id: &str, look: impl Fn(&Reader<'_, B>, Agent) -> Step<R>) -> Result<Option<R>> {
        let found = self.read(session_id, |reader, mut head| {
            let Some(part) = head.agents.remove(agent_id) else { return Ok(None) };
            look(reader, reader.part(part)?).map(Some)
        })?;
        Ok(found.flatten())
    }

    /// Writes to a session.
    fn write<R>(&self, session_id: &str, change: impl Fn(&mut Draft<'_, B>) -> Step<Outcome<R>>) -> Result<R> {
        let (reader, mut orphans) = (Reader::new(&self.0, session_id), Vec::new());
        attempts(WRITE_ATTEMPTS, |revision| {
            let (swap, value) = reader.bucket.begin(&reader.keys.head())?;
            let head = reader.head(value)?.ok_or(Error::NotFound(Entity::Session))?;
            *revision = Some(head.session.revision);
            let mut draft = Draft::new(&reader, head);
            let (answer, at) = change(&mut draft)?;
            if let Some(at) = at {
                draft.head.session.advance(at);
                draft.commit(swap, &mut orphans)?;
            }
            Ok(answer)
        })
    }

    fn change_metadata(&self, session_id: &str, write: Write, is_empty: bool, change: impl Fn(&Object) -> Result<Object>) -> Result<()> {
        self.write(session_id, |draft| {
            draft.head.session.check(write)?;
            if is_empty {
                return Ok(((), None));
            }
            let part = std::mem::take(&mut draft.head.metadata);
            let metadata = draft.take(part)?;
            draft.head.metadata = Part::Here(change(&metadata)?);
            Ok(((), Some(write.at)))
        })
    }
}

impl<B: Bucket> Storage for KeyValue<B> {
    fn insert_session(&mut self, session: Session) -> Result<()> {
        let session = Session { revision: 0, ..session };
        let reader = Reader::new(&self.0, &session.session_id);
        let head = Head::new(session.clone()).encode()?;
        attempts(WRITE_ATTEMPTS, |_| {
            let (swap, value) = reader.bucket.begin(&reader.keys.head())?;
            if value.is_some() {
                return Err(Error::AlreadyExists(Entity::Session).into());
            }
            if reader.bucket.swap(swap, &head)? { Ok(()) } else { Err(Stop::Changed) }
        })
    }

    fn find_session(&self, session_id: &str) -> Result<Option<Session>> {
        self.read(session_id, |_, head| Ok(head.session))
    }

    fn insert_agent(&mut self, session_id: &str, agent: types::Agent, expected: Option<u64>) -> Result<()> {
        let types::Agent { agent_id, data, created_at, updated_at } = agent;
        self.write(session_id, |draft| {
            if draft.head.agents.contains_key(&agent_id) {
                return Err(Error::AlreadyExists(Entity::Agent).into());
            }
            draft.head.session.check(Write { at: updated_at, expected })?;
            let (history, appends) = (History::default(), Appends::default());
            draft.put_agent(&agent_id, Agent { data: data.clone(), created_at, updated_at, history, appends }, updated_at);
            Ok(((), Some(updated_at)))
        })
    }

    fn find_agent(&self, session_id: &str, agent_id: &str) -> Result<Option<types::Agent>> {
        self.read_agent(session_id, agent_id, |_, Agent { data, created_at, updated_at, .. }| {
            Ok(types::Agent { agent_id: agent_id.to_owned(), data, created_at, updated_at })
        })
    }

    fn replace_agent(&mut self, session_id: &str, agent_id: &str, data: Replacement, write: Write) -> Result<()> {
        self.write(session_id, |draft| {
            let mut agent = draft.take_agent(agent_id)?;
            draft.head.session.check(write)?;
            agent.data = data.fields.clone().keeping(&data.keep, &agent.data)?;
            draft.put_agent(agent_id, agent, write.at);
            Ok(((), Some(write.at)))
        })
    }

    fn append_message(
        &mut self,
        session_id: &str,
        agent_id: &str,
        message: Message,
        omit: &[String],
        expected: Option<u64>,
    ) -> Result<Appended> {
        let at = message.created_at;
        self.write(session_id, |draft| {
            let mut agent = draft.take_agent(agent_id)?;
            if let Some(taken) = agent.history.find(draft.reader(), message.message_id)? {
                return Ok((Appended::Taken(taken.without(omit)?), None));
            }
            draft.head.session.check(Write { at, expected })?;
            agent.history.add(draft, message.clone())?;
            agent.history.seal(draft)?;
            draft.put_agent(agent_id, agent, at);
            Ok((Appended::New, Some(at)))
        })
    }

    fn append_messages(
        &mut self,
        session_id: &str,
        agent_id: &str,
        bodies: Vec<Object>,
        key: Option<AppendKey>,
        write: Write,
    ) -> Result<i64> {
        appends::check(&bodies)?;
        self.write(session_id, |draft| {
            let mut agent = draft.take_agent(agent_id)?;
            if let Some(first) = agent.appends.remembered(key.as_ref())? {
                return Ok((first, None));
            }
            draft.head.session.check(write)?;
            let Batch { first, at, messages } =
                Batch::new(bodies.iter().cloned(), agent.history.highest, agent.history.newest(), write.at)?;
            for message in messages {
                agent.history.add(draft, message)?;
            }
            agent.history.seal(draft)?;
            if let Some(key) = key.clone() {
                agent.appends.remember(key, first);
            }
            draft.put_agent(agent_id, agent, at);
            Ok((first, Some(at)))
        })
    }

    fn find_message(&self, session_id: &str, agent_id: &str, message_id: i64, omit: &[String]) -> Result<Option<Message>> {
        let found = self.read_agent(session_id, agent_id, |reader, agent| agent.history.find(reader, message_id))?;
        found.flatten().map(|message| message.without(omit)).transpose()
    }

    fn replace_message(&mut self, session_id: &str, agent_id: &str, message_id: i64, body: Replacement, write: Write) -> Result<()> {
        self.write(session_id, |draft| {
            let mut agent = draft.take_agent(agent_id)?;
            // Told after `not-found`.
            let checked = draft.head.session.check(write);
            let is_found = agent.history.change(draft, message_id, |message| {
                checked?;
                message.replace(body.fields.clone().keeping(&body.keep, &message.body)?, write.at);
                Ok(())
            })?;
            if !is_found {
                return Err(Error::NotFound(Entity::Message).into());
            }
            draft.put_agent(agent_id, agent, write.at);
            Ok(((), Some(write.at)))
        })
    }

    fn list_messages(&self, session_id: &str, agent_id: &str, page: Page, omit: &[String]) -> Result<Vec<Message>> {
        let page = self.read_agent(session_id, agent_id, |reader, agent| agent.history.page(reader, page))?;
        page.into_iter().flatten().map(|message| message.without(omit)).collect()
    }

    fn set_metadata(&mut self, session_id: &str, fields: &[Field], write: Write) -> Result<()> {
        self.change_metadata(session_id, write, fields.is_empty(), |metadata| paths::set_all(metadata, fields))
    }

    fn get_metadata(&self, session_id: &str) -> Result<Option<Object>> {
        self.read(session_id, |reader, head| reader.part(head.metadata))
    }

    fn unset_metadata(&mut self, session_id: &str, paths: &[String], write: Write) -> Result<()> {
        self.change_metadata(session_id, write, paths.is_empty(), |metadata| paths::unset_all(metadata, paths))
    }

    fn append_feedback(&mut self, session_id: &str, feedback: Feedback, expected: Option<u64>) -> Result<()> {
        let at = feedback.created_at;
        self.write(session_id, |draft| {
            draft.head.session.check(Write { at, expected })?;
            let part = std::mem::take(&mut draft.head.feedback);
            let mut entries = draft.take(part)?;
            let size: usize = entries.iter().chain([&feedback]).map(|entry| entry.body.as_str().len()).sum();
            if size > MAX_TEXT {
                return Err(Error::TooLarge { size: size as u64, limit: MAX_TEXT as u64 }.into());
            }
            let place = entries.partition_point(|entry| entry.created_at <= at);
            entries.insert(place, feedback.clone());
            draft.head.feedback = Part::Here(entries);
            Ok(((), Some(at)))
        })
    }

    fn list_feedback(&self, session_id: &str) -> Result<Vec<Feedback>> {
        Ok(self.read(session_id, |reader, head| reader.part(head.feedback))?.unwrap_or_default())
    }
}
