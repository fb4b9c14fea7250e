//! Appending messages, under ids of the caller's or the next ones.
//!
//! If this process knows how the session is, an append is one plain update that asks for that state: the cheapest command there is. Else it
//! is one update that works in any state and tells how it left the session; that costs the server about half as much again. For a large
//! append it is cheaper to look first.

use super::answer::Repeat;
use super::archive::blocks::BLOCK_BYTES;
use super::archive::conditions::{is_as_searched, last_mover, not_archived};
use super::archive::{Archive, count, is_moving, number, position};
use super::attempts::{ATTEMPTS, back_off, contended};
use super::conditions::{RESERVE, checked_size, has_room, known_session, session};
use super::error::Failure;
use super::expressions::{AgentPath, is_object, on};
use super::known::{self, KnownAgent, Mover};
use super::questions::{self, Question};
use super::store::{MongoStore, primary};
use super::updates::{Append, Ids};
use crate::error::{Entity, Error, Result};
use crate::store::schema::build::MAX_DOCUMENT;
use crate::store::schema::json::{date, parse_object};
use crate::store::schema::read::{self, member};
use crate::store::schema::tree::integer;
use crate::store::{AgentRef, AppendKey, Appended, NewMessages, Write, no_next_id};
use crate::types::{Message, Timestamp};
use mongodb::bson::raw::{RawBsonRef, RawDocument};
use mongodb::bson::{Document, doc};
use mongodb::options::ReturnDocument;

/// What the fields that the server adds to a new message may take, in bytes.
const ADDED: u64 = 64;

/// How large a session may be so that an append to it needs no check of its size: others would have to add as much again before this
/// process sees the session anew.
const ROOMY: u64 = MAX_DOCUMENT / 2;

/// An append of so many bytes or more looks at a session that is not known, rather than to work in any state.
const LARGE: u64 = 256 * 1024;

/// How an append left the session, or finds it.
struct Left {
    revision: u64,
    size: u64,
    highest: i64,
    agent: Option<KnownAgent>,
    is_moving: bool,
}

impl Left {
    fn of(found: &RawDocument) -> Result<Self> {
        let highest = number(found, "highest")?.unwrap_or(-1);
        let archive = Archive::of(found)?;
        let mover = archive.as_ref().map(|archive| Mover { archive: archive.id, fence: archive.fence });
        let archived = archive.and_then(|archive| archive.latest);
        let (messages, bytes) = (count(found, "messages")?, count(found, "bytes")?);
        let is_known = matches!(member(found, "in_order")?, Some(RawBsonRef::Boolean(true)));
        let latest = match member(found, "latest")? {
            Some(RawBsonRef::DateTime(latest)) if is_known => Some(Timestamp(latest.timestamp_millis())),
            None if messages == 0 => Some(Timestamp(i64::MIN)),
            // The last message has no time, so the next one does not belong behind it.
            _ => None,
        };
        let latest = latest.map(|latest| archived.map_or(latest, |archived| latest.max(archived)));
        let agent = latest.map(|latest| KnownAgent { messages, bytes, highest, latest, mover, asked: 0 });
        let (revision, size) = (read::revision(member(found, "revision")?)?, count(found, "size")?);
        Ok(Self { revision, size, highest, agent, is_moving: is_moving(found)? })
    }
}

impl Append {
    /// How many messages there are.
    fn count(&self) -> i64 {
        i64::try_from(self.fields.len()).unwrap_or(i64::MAX)
    }

    /// The first id and the time that the messages get behind those that are known; none if they do not belong there.
    fn follows(&self, agent: &KnownAgent) -> Option<(i64, Timestamp)> {
        match self.ids {
            Ids::Given(id) => (id > agent.highest && self.now >= agent.latest).then_some((id, self.now)),
            Ids::Next => {
                let first = agent.highest.checked_add(1)?;
                first.checked_add(self.count() - 1)?;
                Some((first, self.now.max(agent.latest)))
            }
        }
    }

    /// What an update in any state asks of the agent.
    fn fits(&self, path: &AgentPath) -> Document {
        let mut filter = on(path.agent(), is_object());
        match self.ids {
            Ids::Given(id) => {
                filter.extend(on(path.field("messages.message_id"), doc! { "$ne": integer(id) }));
                // Nothing is older than the archive, so that what lies there stays where it is.
                filter.extend(on(path.field("archive.latest"), doc! { "$not": { "$gt": date(self.now) } }));
            }
            Ids::Next => {
                let runs_out = doc! { "$elemMatch": { "message_id": { "$gt": self.last_free(), "$lte": i64::MAX } } };
                filter.extend(on(path.field("messages"), doc! { "$not": runs_out }));
                filter.extend(on(path.field("archive.top"), doc! { "$not": { "$gt": self.last_free() } }));
            }
        }
        filter.extend(self.is_new(path));
        filter
    }

    /// A condition on the key: the agent does not remember it.
    fn is_new(&self, path: &AgentPath) -> Document {
        self.key.as_ref().map_or_else(Document::new, |key| on(path.field("appends.key"), doc! { "$ne": &key.key }))
    }

    /// The highest id behind which there is room for all messages.
    fn last_free(&self) -> i64 {
        i64::MAX - self.count()
    }
}

impl MongoStore {
    /// Appends a message unless its id is taken, in the session's document or in the archive.
    pub(crate) async fn append_one(&self, agent: &AgentRef, message: Message, omit: &[String], write: Write) -> Result<Appended> {
        let (path, id) = (AgentPath::of(agent), message.message_id);
        let fields = vec![parse_object(&message.body)?];
        let mut append = Append { ids: Ids::Given(id), fields, now: write.at, key: None };
        let adds = append.size()?;
        let mut state = self.sessions.turn(&agent.session).await;
        if self.append_known(&mut state, &path, &append, write.expected, adds).await.map_err(Failure::into_error)?.is_some() {
            return Ok(Appended::New);
        }
        let mut is_free = not_archived(&path, id);
        for attempt in 0..ATTEMPTS {
            back_off(attempt).await;
            if self.append_in_any_state(&mut state, &path, &append, write.expected, adds, is_free).await?.is_some() {
                return Ok(Appended::New);
            }
            let question = Question { message_id: Some(id), grows: true, ..Question::default() };
            let found = self.sight(&path, id, &question).await?;
            if let Some(taken) = found.message() {
                // Only its content counts, so any time will do.
                return Ok(Appended::Taken(read::message(taken, omit)?.dated(None)));
            }
            self.check_and_make_room(&agent.session, &found.look, write.expected, adds).await?;
            // Nothing is older than the archive.
            append.now = append.now.max(found.archive.as_ref().and_then(|archive| archive.latest).unwrap_or(append.now));
            is_free = match found.archive {
                // It has such ids, and this one is none of them.
                Some(archive) if id <= archive.top => is_as_searched(&path, &archive),
                _ => not_archived(&path, id),
            };
        }
        Err(contended())
    }

    /// Appends messages under the next ids.
    pub(crate) async fn append_next(&self, agent: &AgentRef, new: NewMessages, write: Write) -> Result<i64> {
        let path = AgentPath::of(agent);
        let NewMessages { bodies, key } = new;
        if bodies.is_empty() {
            return Err(Error::InvalidArgument(String::from("messages: must not be empty")));
        }
        let fields = bodies.iter().map(parse_object).collect::<Result<Vec<_>>>()?;
        let append = Append { ids: Ids::Next, fields, now: write.at, key };
        let adds = append.size()?;
        let mut state = self.sessions.turn(&agent.session).await;
        if let Some(first) = self.append_known(&mut state, &path, &append, write.expected, adds).await.map_err(Failure::into_error)? {
            return Ok(first);
        }
        for attempt in 0..ATTEMPTS {
            back_off(attempt).await;
            let left = self.append_in_any_state(&mut state, &path, &append, write.expected, adds, Document::new()).await?;
            if let Some(highest) = left {
                return Ok(highest - (append.count() - 1));
            }
            let key = append.key.as_ref().map(|key| key.key.as_str());
            let look = self.look(&agent.session, Some(&path), &Question { key, grows: true, ..Question::default() }).await?;
            look.require_agent()?;
            if let (Some(repeat), Some(key)) = (&look.repeat, &append.key) {
                return repeat.answer(key);
            }
            self.check_and_make_room(&agent.session, &look, write.expected, adds).await?;
            if look.highest > append.last_free() {
                return Err(no_next_id());
            }
        }
        Err(contended())
    }

    /// Appends if the session is as this process knows it; tells the first id. None if it is not, or nothing is known.
    async fn append_known(
        &self,
        state: &mut known::State,
        path: &AgentPath,
        append: &Append,
        expected: Option<u64>,
        adds: u64,
    ) -> Result<Option<i64>, Failure> {
        if adds >= LARGE && state.known(path.agent_id()).is_none() {
            self.learn(state, path).await.map_err(Failure::Other)?;
        }
        let Some((known, agent)) = state.known(path.agent_id()) else { return Ok(None) };
        let is_expected = expected.is_none_or(|expected| expected == known.revision);
        let size = known.size.saturating_add(adds);
        let Some((first, now)) = append.follows(&agent).filter(|_| is_expected && size.saturating_add(RESERVE) <= MAX_DOCUMENT) else {
            return Ok(None);
        };
        let mut filter = known_session(path.session_id(), known.revision);
        filter.extend(on(path.field("messages"), doc! { "$size": position(agent.messages) }));
        if agent.messages > 0 {
            // Gone where another program has made the agent anew.
            filter.extend(on(path.field("in_order"), position(agent.messages)));
        }
        filter.extend(last_mover(path, agent.mover));
        filter.extend(append.is_new(path));
        if size > ROOMY {
            filter.insert("$expr", has_room(adds));
        }
        let appended = match self.update(filter, append.in_known_state(path, first, now)).await {
            Ok(appended) => appended,
            // Whatever it does not fit, the other way finds out.
            Err(Failure::Refused | Failure::TooLarge) => false,
            Err(failure) => return Err(failure),
        };
        if !appended {
            state.missed();
            return Ok(None);
        }
        let last = first + (append.count() - 1);
        let messages = agent.messages + append.fields.len() as u64;
        let mut agent = KnownAgent { messages, bytes: agent.bytes + adds, highest: last, latest: now, ..agent };
        // Again only after some growth: the known size is a little more than the real one, and it may be that nothing can be moved.
        let growth = self.archive_after.map_or(0, |after| (after / 8).min(BLOCK_BYTES));
        let is_grown = agent.asked == 0 || agent.bytes >= agent.asked.saturating_add(growth);
        if is_grown && self.move_if_due(path, agent.bytes) {
            agent.asked = agent.bytes;
        }
        known.appended(path.agent_id(), agent, adds);
        state.hit();
        Ok(Some(first))
    }

    /// Looks how a session is.
    async fn learn(&self, state: &mut known::State, path: &AgentPath) -> Result<()> {
        let Some(found) = self.find(path.session_id(), questions::to_append(path), Some(primary())).await? else { return Ok(()) };
        if matches!(member(&found, "agent")?, Some(RawBsonRef::String("object"))) {
            let left = Left::of(&found)?;
            state.saw(left.revision, left.size, path.agent_id(), left.agent);
        }
        Ok(())
    }

    /// Appends whatever the state of the session is; tells the highest id after it. None if the filter matched nothing, or room had to be
    /// made first.
    async fn append_in_any_state(
        &self,
        state: &mut known::State,
        path: &AgentPath,
        append: &Append,
        expected: Option<u64>,
        adds: u64,
        is_free: Document,
    ) -> Result<Option<i64>> {
        let mut filter = session(path.session_id(), expected);
        filter.extend(append.fits(path));
        filter.extend(is_free);
        filter.insert("$expr", has_room(adds));
        let update = self.collection.find_one_and_update(filter, append.in_any_state(path));
        let update = update.projection(questions::to_append(path)).return_document(ReturnDocument::After);
        match update.await.map_err(Failure::of_update) {
            Ok(Some(found)) => {
                let left = Left::of(&found)?;
                state.wrote_to(left.revision, left.size, path.agent_id(), left.agent);
                self.move_if_due(path, if left.is_moving { u64::MAX } else { count(&found, "bytes")? });
                Ok(Some(left.highest))
            }
            Ok(None) => Ok(None),
            Err(failure) => self.relieve(failure, path.session_id(), adds).await.map(|()| None).map_err(Failure::into_error),
        }
    }

    /// Has messages moved to the archive if an agent has so many bytes of them that it is time; tells whether it is.
    fn move_if_due(&self, path: &AgentPath, bytes: u64) -> bool {
        let is_due = self.archive_after.is_some_and(|after| bytes > after);
        if is_due {
            self.request_move(path.agent_ref());
        }
        is_due
    }
}

impl Append {
    /// About how many bytes it adds to the session's document.
    fn size(&self) -> Result<u64> {
        let mut size = 0;
        for fields in &self.fields {
            size += checked_size(fields)? + ADDED;
        }
        Ok(size + self.key.as_ref().map_or(0, |AppendKey { key, digest }| (key.len() + digest.len()) as u64 + ADDED))
    }
}

impl Repeat {
    /// The answer to an append whose key the agent remembers.
    fn answer(&self, key: &AppendKey) -> Result<i64> {
        // Older versions stored no digest; their keys stand for any content.
        if self.digest.as_ref().is_some_and(|digest| *digest != key.digest) {
            return Err(Error::AlreadyExists(Entity::Message));
        }
        Ok(self.first)
    }
}
