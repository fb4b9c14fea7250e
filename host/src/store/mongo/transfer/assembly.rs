//! A session document as its parts come. What is too much of an agent's messages goes to blocks on the way, so that no session is too large.

use crate::error::{Error, Result};
use crate::store::mongo::archive::blocks::{BLOCK_BYTES, BLOCK_MESSAGES, block};
use crate::store::mongo::archive::{number, position};
use crate::store::schema::build::{MAX_DOCUMENT, serialized};
use crate::store::schema::read::{self, corrupt};
use crate::store::transfer::parts::Part;
use mongodb::bson::oid::ObjectId;
use mongodb::bson::raw::{CString, RawBson, RawBsonRef, RawDocument};
use mongodb::bson::{Bson, DateTime, RawArrayBuf, RawDocumentBuf, doc};
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};

/// How many bytes of messages a session's document gets at most when it is made, whatever the agents have each.
const MOST_MESSAGES: u64 = 8 * 1024 * 1024;

/// What the fields around the messages may take of a block, in bytes.
const BLOCK_FRAME: u64 = 2048;

/// A session that is ready to be stored.
pub(super) struct Assembled {
    pub(super) document: RawDocumentBuf,
    /// Whether one with its id was there already, so that its blocks were not stored.
    pub(super) is_there: bool,
    pub(super) blocks: NewBlocks,
    /// The messages of each agent.
    pub(super) contents: Vec<(String, Content)>,
}

/// The blocks that were made for a session.
pub(super) struct NewBlocks {
    pub(super) session_id: String,
    pub(super) archives: Vec<ObjectId>,
    /// How many there are.
    pub(super) count: u64,
}

/// What messages an agent has, wherever they lie.
#[derive(Debug, Clone, Default)]
pub(super) struct Content {
    messages: u64,
    /// The sums of two hashes of each, whatever their order.
    sums: [u64; 2],
    /// A hash of all in their order.
    ordered: u64,
}

impl Content {
    pub(super) fn add(&mut self, message: RawBsonRef<'_>) {
        self.messages += 1;
        // What is no document came with no dump, so counting it is enough.
        let RawBsonRef::Document(message) = message else { return };
        let hasher = BuildHasherDefault::<DefaultHasher>::default();
        for (salt, sum) in (0_u8..).zip(&mut self.sums) {
            *sum = sum.wrapping_add(hasher.hash_one((salt, message.as_bytes())));
        }
        self.ordered = hasher.hash_one((self.ordered, message.as_bytes()));
    }

    /// Whether both are the same: in one order, unless an archive has put them in the order of their times.
    pub(super) fn is_same(&self, other: &Self, in_any_order: bool) -> bool {
        self.messages == other.messages && self.sums == other.sums && (in_any_order || self.ordered == other.ordered)
    }
}

/// A session document without its messages, and without what tells where and how they lie.
pub(super) fn head(session: &RawDocument) -> Result<RawDocumentBuf> {
    rebuilt(session, |name, value| match value {
        RawBsonRef::Document(agents) if name == "agents" => Ok(Some(RawBson::Document(rebuilt(agents, |_, agent| match agent {
            RawBsonRef::Document(agent) => Ok(Some(RawBson::Document(rebuilt(agent, |name, value| match (name, value) {
                ("archive" | "moving" | "in_order", _) => Ok(None),
                ("messages", RawBsonRef::Array(_)) => Ok(Some(RawBson::Array(RawArrayBuf::new()))),
                (_, value) => Ok(Some(value.into())),
            })?))),
            other => Ok(Some(other.into())),
        })?))),
        value => Ok(Some(value.into())),
    })
}

/// A document with other values, or without some of its fields.
fn rebuilt(document: &RawDocument, mut value: impl FnMut(&str, RawBsonRef<'_>) -> Result<Option<RawBson>>) -> Result<RawDocumentBuf> {
    let mut rebuilt = RawDocumentBuf::new();
    for field in document {
        let (name, stored) = field.map_err(|_| corrupt("session"))?;
        if let Some(value) = value(name.as_str(), stored)? {
            rebuilt.append(name, value);
        }
    }
    Ok(rebuilt)
}

/// Adds a field.
fn append(document: &mut RawDocumentBuf, name: String, value: impl Into<Bson>) -> Result<()> {
    let name = CString::try_from(name).map_err(|_| corrupt("session"))?;
    document.append(name, RawBson::try_from(value.into()).map_err(|_| corrupt("session"))?);
    Ok(())
}

/// A session document, as far as its parts have come.
pub(super) struct Assembly {
    archive_after: Option<u64>,
    session_id: String,
    /// The fields, with `agents` and `feedbacks` empty.
    document: RawDocumentBuf,
    feedback: RawArrayBuf,
    agents: Vec<NewAgent>,
    /// How many bytes the messages have that are in no block.
    messages_bytes: u64,
    full: Vec<RawDocumentBuf>,
    /// Whether a session with this id was there when the first block was full.
    pub(super) is_there: Option<bool>,
    /// Why it cannot be stored.
    fault: Option<Error>,
}

struct NewAgent {
    agent_id: String,
    /// The fields, with `messages` empty.
    document: RawDocumentBuf,
    /// What goes into the document: the newest.
    messages: Vec<RawDocumentBuf>,
    /// Their size.
    bytes: u64,
    content: Content,
    /// The time of the last message, as long as all have one and come in the order of their times.
    latest: Option<DateTime>,
    archive: Option<NewArchive>,
}

/// The archive that an agent gets.
struct NewArchive {
    id: ObjectId,
    blocks: u64,
    /// How many messages it has.
    count: u64,
    top: i64,
    latest: Option<i64>,
}

impl Assembly {
    pub(super) fn new(archive_after: Option<u64>) -> Self {
        Self {
            archive_after,
            session_id: String::new(),
            document: RawDocumentBuf::new(),
            feedback: RawArrayBuf::new(),
            agents: Vec::new(),
            messages_bytes: 0,
            full: Vec::new(),
            is_there: None,
            fault: None,
        }
    }

    pub(super) fn add(&mut self, part: Part) {
        // No more is kept than the server takes.
        let size = self.fixed_bytes();
        if size > MAX_DOCUMENT {
            self.fault = Some(Error::TooLarge { size, limit: MAX_DOCUMENT });
        }
        if self.fault.is_none()
            && let Err(error) = self.take(part)
        {
            self.fault = Some(error);
        }
    }

    fn take(&mut self, part: Part) -> Result<()> {
        match part {
            Part::Session(id) => {
                self.session_id.clone_from(&id);
                append(&mut self.document, String::from("_id"), id)?;
            }
            Part::Field(name, value) => append(&mut self.document, name, value)?,
            Part::Agent(agent_id) => {
                self.archive_last(0);
                let (document, messages) = (RawDocumentBuf::new(), Vec::new());
                let (content, latest) = (Content::default(), Some(DateTime::MIN));
                self.agents.push(NewAgent { agent_id, document, messages, bytes: 0, content, latest, archive: None });
            }
            Part::AgentField(name, value) => {
                if let Some(agent) = self.agents.last_mut() {
                    append(&mut agent.document, name, value)?;
                }
            }
            Part::Message(message) => {
                let Some(agent) = self.agents.last_mut() else { return Ok(()) };
                let message = serialized(&message)?;
                agent.bytes += message.as_bytes().len() as u64;
                self.messages_bytes += message.as_bytes().len() as u64;
                agent.content.add(RawBsonRef::Document(&message));
                agent.latest = agent.latest.and_then(|latest| message.get_datetime("created_at").ok().filter(|time| *time >= latest));
                agent.messages.push(message);
                // Beyond the threshold by a margin, so that messages that do not come in the order of their times find it.
                self.archive_last(self.archive_after.unwrap_or(0).max(BLOCK_BYTES));
            }
            Part::Feedback(entry) => self.feedback.push(serialized(&entry)?),
            Part::End | Part::Broken(_) => {}
        }
        Ok(())
    }

    /// How many bytes it has that can go to no block.
    fn fixed_bytes(&self) -> u64 {
        let agents: usize = self.agents.iter().map(|agent| agent.document.as_bytes().len()).sum();
        let fixed = (self.document.as_bytes().len() + self.feedback.as_bytes().len() + agents) as u64;
        // Of an archived history less is left than this, unless messages are too large for a block.
        fixed + if self.archive_after.is_some() && self.messages_bytes <= MAX_DOCUMENT { 0 } else { self.messages_bytes }
    }

    /// Archives what the last agent has beyond the threshold and a margin; and of all agents, what is too much for one document.
    fn archive_last(&mut self, margin: u64) {
        let Some(after) = self.archive_after else { return };
        if let Some(agent) = self.agents.last_mut().filter(|agent| agent.bytes > after + margin) {
            self.messages_bytes -= agent.archive(&self.session_id, after + margin / 2, &mut self.full);
        }
        if self.messages_bytes > MOST_MESSAGES + margin {
            let mut largest: Vec<&mut NewAgent> = self.agents.iter_mut().collect();
            largest.sort_by_key(|agent| std::cmp::Reverse(agent.bytes));
            for agent in largest {
                let excess = self.messages_bytes.saturating_sub(MOST_MESSAGES);
                if excess == 0 {
                    break;
                }
                // At least about a block, so that none is cut into small ones.
                let left = agent.bytes.saturating_sub(excess.max(BLOCK_BYTES));
                self.messages_bytes -= agent.archive(&self.session_id, left, &mut self.full);
            }
        }
    }

    /// The blocks that are ready to be stored.
    pub(super) fn full_blocks(&mut self) -> Vec<RawDocumentBuf> {
        std::mem::take(&mut self.full)
    }

    pub(super) fn blocks_so_far(&self) -> NewBlocks {
        let archives = || self.agents.iter().filter_map(|agent| agent.archive.as_ref());
        NewBlocks {
            session_id: self.session_id.clone(),
            archives: archives().map(|archive| archive.id).collect(),
            count: archives().map(|archive| archive.blocks).sum(),
        }
    }

    pub(super) fn session_id(&self) -> &str {
        &self.session_id
    }

    /// Makes the last blocks: all parts have come.
    pub(super) fn complete(&mut self) {
        self.archive_last(0);
    }

    /// The whole session, or why there is none.
    pub(super) fn finish(self) -> Result<Assembled, (NewBlocks, String)> {
        let blocks = self.blocks_so_far();
        let (session_id, is_there) = (self.session_id.clone(), self.is_there.unwrap_or(false));
        match self.document() {
            Ok((document, contents)) => Ok(Assembled { document, is_there, blocks, contents }),
            Err(error) => Err((blocks, format!("session {session_id:?}: {error}"))),
        }
    }

    fn document(self) -> Result<(RawDocumentBuf, Vec<(String, Content)>)> {
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        let (mut agents, mut contents) = (RawDocumentBuf::new(), Vec::new());
        for agent in self.agents {
            contents.push((agent.agent_id.clone(), agent.content.clone()));
            let agent_id = CString::try_from(agent.agent_id.clone()).map_err(|_| corrupt("agent"))?;
            agents.append(agent_id, agent.stored()?);
        }
        let (mut agents, mut feedback) = (Some(agents), Some(self.feedback));
        // What came in parts goes into its field, if that is there and not null.
        let document = rebuilt(&self.document, |name, value| {
            Ok(Some(match (name, value) {
                ("agents", RawBsonRef::Document(_)) => RawBson::Document(agents.take().unwrap_or_default()),
                ("feedbacks", RawBsonRef::Array(_)) => RawBson::Array(feedback.take().unwrap_or_default()),
                (_, value) => value.into(),
            }))
        })?;
        let size = document.as_bytes().len() as u64;
        if size > MAX_DOCUMENT { Err(Error::TooLarge { size, limit: MAX_DOCUMENT }) } else { Ok((document, contents)) }
    }
}

impl NewAgent {
    /// Moves the oldest messages to blocks until at most `after` bytes are left; tells how many bytes moved.
    fn archive(&mut self, session_id: &str, after: u64, full: &mut Vec<RawDocumentBuf>) -> u64 {
        let before = self.bytes;
        if before <= after {
            return 0;
        }
        // As lists order them: messages without a time come last.
        let time = |message: &RawDocumentBuf| created(message).unwrap_or(i64::MAX);
        if !self.messages.is_sorted_by_key(time) {
            self.messages.sort_by_key(time);
        }
        let mut messages = std::mem::take(&mut self.messages).into_iter().peekable();
        while self.bytes > after {
            let (mut block_bytes, mut oldest) = (0, Vec::new());
            while let Some(message) = messages.next_if(|message| {
                let bytes = message.as_bytes().len() as u64;
                // What fills a document by itself stays where it came from.
                if oldest.is_empty() {
                    bytes <= MAX_DOCUMENT - BLOCK_FRAME
                } else {
                    oldest.len() < BLOCK_MESSAGES && block_bytes + bytes <= BLOCK_BYTES
                }
            }) {
                block_bytes += message.as_bytes().len() as u64;
                oldest.push(message);
            }
            if oldest.is_empty() {
                break;
            }
            self.bytes -= block_bytes;
            let archive =
                self.archive.get_or_insert_with(|| NewArchive { id: ObjectId::new(), blocks: 0, count: 0, top: -1, latest: None });
            full.push(archive.block(session_id, &self.agent_id, &oldest));
        }
        self.messages = messages.collect();
        before - self.bytes
    }

    fn stored(self) -> Result<RawDocumentBuf> {
        let Self { document, messages, archive, content, latest, .. } = self;
        // How many of all messages are in order is another number where some of them are archived.
        let counted = number(&document, "in_order").ok().flatten();
        let are_in_order = latest.is_some() && counted == i64::try_from(content.messages).ok();
        let recent = i32::try_from(messages.len()).unwrap_or(i32::MAX);
        let mut array = RawArrayBuf::new();
        messages.into_iter().for_each(|message| array.push(message));
        let mut messages = Some(array);
        let mut stored = rebuilt(&document, |name, value| {
            Ok(match (name, value) {
                ("messages", RawBsonRef::Array(_)) => Some(RawBson::Array(messages.take().unwrap_or_default())),
                ("in_order", RawBsonRef::Int32(_) | RawBsonRef::Int64(_)) => are_in_order.then_some(RawBson::Int32(recent)),
                (_, value) => Some(value.into()),
            })
        })?;
        if let Some(NewArchive { id, count, top, latest, .. }) = archive {
            let mut archive = doc! { "id": id, "count": position(count), "writes": 0_i64, "fence": 0_i64, "top": top };
            if let Some(latest) = latest {
                archive.insert("latest", DateTime::from_millis(latest));
            }
            append(&mut stored, String::from("archive"), archive)?;
        }
        Ok(stored)
    }
}

impl NewArchive {
    fn block(&mut self, session_id: &str, agent_id: &str, messages: &[RawDocumentBuf]) -> RawDocumentBuf {
        let mut array = RawArrayBuf::new();
        messages.iter().for_each(|message| array.push(message.as_ref()));
        let block = block((self.id, self.count), session_id, agent_id, 0, array);
        self.blocks += 1;
        for message in messages {
            self.count += 1;
            self.top = self.top.max(read::message_id(message).ok().flatten().unwrap_or(-1));
            self.latest = self.latest.max(created(message));
        }
        block
    }
}

/// When a message was created, in milliseconds since the epoch, if that can be read.
fn created(message: &RawDocument) -> Option<i64> {
    read::stamp(message, "created_at").ok().flatten().map(|created| created.0)
}
