//! A session document as its parts come. What is too much of an agent's messages goes to blocks on the way, so that no session is too large.

use crate::error::{Error, Result};
use crate::store::mongo::archive::moving::{BLOCK_BYTES, BLOCK_MESSAGES, block};
use crate::store::schema::build::{MAX_DOCUMENT, serialized};
use crate::store::schema::read::{self, corrupt};
use crate::transfer::parts::Part;
use mongodb::bson::oid::ObjectId;
use mongodb::bson::{Array, Bson, DateTime, Document, RawDocumentBuf, doc};
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};

/// How many bytes of messages a session's document gets at most when it is made, whatever the agents have each.
const MOST_MESSAGES: u64 = 8 * 1024 * 1024;

/// What the fields around the messages may take of a block, in bytes.
const BLOCK_FRAME: u64 = 2048;

/// A session that is ready to be stored.
pub(super) struct Assembled {
    pub(super) document: RawDocumentBuf,
    pub(super) blocks: Blocks,
    /// The messages of each agent.
    pub(super) contents: Vec<(String, Content)>,
}

/// The blocks that were made for a session.
pub(super) struct Blocks {
    pub(super) session_id: String,
    pub(super) archives: Vec<ObjectId>,
}

/// What messages an agent has, whatever their order and wherever they lie.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Content {
    messages: u64,
    /// The sums of two hashes of each.
    sums: [u64; 2],
}

impl Content {
    pub(super) fn add(&mut self, message: &RawDocumentBuf) {
        let hasher = BuildHasherDefault::<DefaultHasher>::default();
        self.messages += 1;
        for (salt, sum) in (0_u8..).zip(&mut self.sums) {
            *sum = sum.wrapping_add(hasher.hash_one((salt, message.as_bytes())));
        }
    }
}

/// A session document without its messages, and without what tells where they lie.
pub(super) fn head(session: &mongodb::bson::raw::RawDocument) -> Result<RawDocumentBuf> {
    let mut head = Document::try_from(session).map_err(|_| corrupt("session"))?;
    if let Some(Bson::Document(agents)) = head.get_mut("agents") {
        for (_, agent) in agents.iter_mut() {
            let Bson::Document(agent) = agent else { continue };
            agent.remove("archive");
            if let Some(Bson::Array(messages)) = agent.get_mut("messages") {
                messages.clear();
            }
        }
    }
    serialized(&head)
}

/// A session document, as far as its parts have come.
pub(super) struct Assembly {
    archive_after: Option<u64>,
    session_id: String,
    document: Document,
    feedback: Array,
    agents: Vec<Agent>,
    /// About how many bytes all has that is no message; no more than the server takes are kept.
    bytes: u64,
    /// How many bytes the messages have that are in no block.
    messages_bytes: u64,
    full: Vec<RawDocumentBuf>,
}

struct Agent {
    agent_id: String,
    document: Document,
    /// What goes into the document: the newest.
    messages: Vec<RawDocumentBuf>,
    /// Their size.
    bytes: u64,
    content: Content,
    archive: Option<Archive>,
}

/// The archive that an agent gets.
struct Archive {
    id: ObjectId,
    count: i64,
    top: i64,
    latest: Option<i64>,
}

impl Assembly {
    pub(super) fn new(archive_after: Option<u64>) -> Self {
        Self {
            archive_after,
            session_id: String::new(),
            document: Document::new(),
            feedback: Array::new(),
            agents: Vec::new(),
            bytes: 0,
            messages_bytes: 0,
            full: Vec::new(),
        }
    }

    pub(super) fn add(&mut self, part: Part) {
        if self.fixed_bytes() > MAX_DOCUMENT && !matches!(part, Part::Session(_)) {
            return;
        }
        match part {
            Part::Session(id) => {
                self.document.insert("_id", id.clone());
                self.session_id = id;
            }
            Part::Field(name, value) => {
                self.count(&name, &value);
                self.document.insert(name, value);
            }
            Part::Agent(agent_id) => {
                self.archive_last(0);
                let (document, messages) = (Document::new(), Vec::new());
                self.agents.push(Agent { agent_id, document, messages, bytes: 0, content: Content::default(), archive: None });
            }
            Part::AgentField(name, value) => {
                self.count(&name, &value);
                if let Some(agent) = self.agents.last_mut() {
                    agent.document.insert(name, value);
                }
            }
            Part::Message(message) => {
                let (Some(agent), Ok(message)) = (self.agents.last_mut(), serialized(&message)) else { return };
                agent.bytes += message.as_bytes().len() as u64;
                self.messages_bytes += message.as_bytes().len() as u64;
                agent.content.add(&message);
                agent.messages.push(message);
                // Beyond the threshold by a margin, so that messages that do not come in the order of their times find it.
                self.archive_last(self.archive_after.unwrap_or(0).max(BLOCK_BYTES));
            }
            Part::Feedback(entry) => {
                let entry = Bson::Document(entry);
                self.count("", &entry);
                self.feedback.push(entry);
            }
            Part::End | Part::Broken(_) => {}
        }
    }

    fn count(&mut self, name: &str, value: &Bson) {
        let size = serialized(&Document::from_iter([(name.to_owned(), value.clone())])).map_or(0, |raw| raw.as_bytes().len());
        self.bytes += size as u64;
    }

    /// How many bytes it has that can go to no block.
    fn fixed_bytes(&self) -> u64 {
        self.bytes + if self.archive_after.is_some() { 0 } else { self.messages_bytes }
    }

    /// Archives what the last agent has beyond the threshold and a margin; and of all agents, what is too much for one document.
    fn archive_last(&mut self, margin: u64) {
        let Some(after) = self.archive_after else { return };
        if let Some(agent) = self.agents.last_mut().filter(|agent| agent.bytes > after + margin) {
            self.messages_bytes -= agent.archive(&self.session_id, after + margin / 2, &mut self.full);
        }
        if self.messages_bytes > MOST_MESSAGES + margin {
            for agent in &mut self.agents {
                self.messages_bytes -= agent.archive(&self.session_id, BLOCK_BYTES.min(after), &mut self.full);
            }
        }
    }

    /// The blocks that are ready to be stored.
    pub(super) fn full_blocks(&mut self) -> Vec<RawDocumentBuf> {
        std::mem::take(&mut self.full)
    }

    pub(super) fn blocks_so_far(&self) -> Blocks {
        let archives = self.agents.iter().filter_map(|agent| agent.archive.as_ref()).map(|archive| archive.id).collect();
        Blocks { session_id: self.session_id.clone(), archives }
    }

    /// The whole session, or why there is none; and the last blocks.
    pub(super) fn finish(mut self) -> (Result<Assembled, (Blocks, String)>, Vec<RawDocumentBuf>) {
        self.archive_last(0);
        let full = self.full_blocks();
        let blocks = self.blocks_so_far();
        let session_id = self.session_id.clone();
        match self.document() {
            Ok((document, contents)) => (Ok(Assembled { document, blocks, contents }), full),
            Err(error) => (Err((blocks, format!("session {session_id:?}: {error}"))), full),
        }
    }

    fn document(mut self) -> Result<(RawDocumentBuf, Vec<(String, Content)>)> {
        let size = self.fixed_bytes();
        if size > MAX_DOCUMENT {
            return Err(Error::TooLarge { size, limit: MAX_DOCUMENT });
        }
        let (mut agents, mut contents) = (Document::new(), Vec::new());
        for agent in self.agents {
            contents.push((agent.agent_id.clone(), agent.content.clone()));
            let (agent_id, document) = agent.stored()?;
            agents.insert(agent_id, document);
        }
        for (name, value) in [("agents", Bson::Document(agents)), ("feedbacks", Bson::Array(self.feedback))] {
            fill(&mut self.document, name, value);
        }
        let document = serialized(&self.document)?;
        let size = document.as_bytes().len() as u64;
        if size > MAX_DOCUMENT { Err(Error::TooLarge { size, limit: MAX_DOCUMENT }) } else { Ok((document, contents)) }
    }
}

impl Agent {
    /// Moves the oldest messages to blocks until at most `after` bytes are left; tells how many bytes moved.
    fn archive(&mut self, session_id: &str, after: u64, full: &mut Vec<RawDocumentBuf>) -> u64 {
        let before = self.bytes;
        if before <= after {
            return 0;
        }
        // As the server orders them: what is no time comes before all times.
        let time = |message: &RawDocumentBuf| message.get_datetime("created_at").ok().map(DateTime::timestamp_millis);
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
            let archive = self.archive.get_or_insert_with(|| Archive { id: ObjectId::new(), count: 0, top: -1, latest: None });
            full.push(archive.block(session_id, &self.agent_id, &oldest));
        }
        self.messages = messages.collect();
        before - self.bytes
    }

    fn stored(self) -> Result<(String, Document)> {
        let Self { agent_id, mut document, messages, archive, .. } = self;
        let messages = messages.iter().map(|message| Document::try_from(message).map(Bson::from).map_err(|_| corrupt("message")));
        fill(&mut document, "messages", Bson::Array(messages.collect::<Result<_>>()?));
        if let Some(Archive { id, count, top, latest }) = archive {
            let mut stored = doc! { "id": id, "count": count, "writes": 0_i64, "fence": 0_i64, "top": top };
            if let Some(latest) = latest {
                stored.insert("latest", DateTime::from_millis(latest));
            }
            document.insert("archive", stored);
        }
        Ok((agent_id, document))
    }
}

impl Archive {
    fn block(&mut self, session_id: &str, agent_id: &str, messages: &[RawDocumentBuf]) -> RawDocumentBuf {
        let block = block((self.id, self.count), session_id, agent_id, 0, messages);
        for message in messages {
            self.count += 1;
            self.top = self.top.max(read::message_id(message).ok().flatten().unwrap_or(-1));
            self.latest = self.latest.max(message.get_datetime("created_at").ok().map(DateTime::timestamp_millis));
        }
        block
    }
}

/// Puts what came in parts into its field, if that is there and not null.
fn fill(document: &mut Document, name: &str, parts: Bson) {
    if let Some(place @ (Bson::Document(_) | Bson::Array(_))) = document.get_mut(name) {
        *place = parts;
    }
}
