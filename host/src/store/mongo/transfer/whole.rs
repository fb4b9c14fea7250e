//! Whole sessions: the document, and the archived messages where they belong.

use super::assembly::{Assembled, Content, head};
use crate::error::Result;
use crate::store::mongo::archive::blocks::incomplete;
use crate::store::mongo::archive::{Archive, number, position};
use crate::store::mongo::store::{MongoStore, primary};
use crate::store::schema::extended::{write_members, write_name, write_value};
use crate::store::schema::json::{broken, put};
use crate::store::schema::read::{corrupt, member, object};
use crate::store::transfer::out::Out;
use mongodb::bson::raw::{RawArray, RawBson, RawBsonRef, RawDocument};
use mongodb::bson::{RawDocumentBuf, doc};
use std::borrow::Cow;
use tokio::runtime::Handle;

/// What of an agent lies where, as the session's document tells.
struct Lying<'a> {
    archive: Option<Archive>,
    /// The messages on their way to the archive.
    moving: Option<&'a RawArray>,
    /// The recent messages, or what another program has in their place.
    messages: Option<RawBsonRef<'a>>,
}

impl<'a> Lying<'a> {
    fn of(agent: &'a RawDocument) -> Result<Self> {
        let moving = match member(agent, "moving")? {
            // Without cuts it is somebody else's.
            Some(RawBsonRef::Document(moving)) if matches!(moving.get("cuts"), Ok(Some(RawBsonRef::Array(_)))) => {
                match member(moving, "messages")? {
                    Some(RawBsonRef::Array(messages)) => Some(messages),
                    _ => return Err(corrupt("archive")),
                }
            }
            _ => None,
        };
        let archive = Archive::of(agent)?.filter(|archive| archive.count > 0 || moving.is_some());
        Ok(Self { moving: moving.filter(|_| archive.is_some()), archive, messages: member(agent, "messages")? })
    }

    /// How many messages are in blocks.
    fn archived(&self) -> u64 {
        self.archive.as_ref().map_or(0, |archive| archive.count)
    }

    /// The messages that are in the document.
    fn in_document(&self) -> impl Iterator<Item = RawBsonRef<'a>> {
        let recent = match self.messages {
            Some(RawBsonRef::Array(recent)) => Some(recent),
            _ => None,
        };
        self.moving.into_iter().chain(recent).flatten().filter_map(std::result::Result::ok)
    }

    /// Whether a dump of the document as it is would not have all messages where they belong.
    fn is_apart(&self) -> bool {
        self.archive.is_some()
    }

    /// Checks that archived messages have a place in a dump: they would be lost without one.
    fn require_place(&self, agent: &RawDocument) -> Result<()> {
        let has_place = matches!(agent.get("messages"), Ok(Some(RawBsonRef::Array(_) | RawBsonRef::Null)));
        if self.is_apart() && !has_place { Err(corrupt("messages")) } else { Ok(()) }
    }

    /// How many messages there are, if all are known to be in the order of their times.
    fn in_order(&self, agent: &RawDocument) -> Option<i64> {
        let Some(RawBsonRef::Array(recent)) = self.messages else { return None };
        let counted = number(agent, "in_order").ok().flatten().and_then(|counted| u64::try_from(counted).ok())?;
        (counted == recent.into_iter().count() as u64).then(|| position(self.archived() + self.in_document().count() as u64))
    }
}

fn agent_of<'a>(session: &'a RawDocument, agent_id: &str) -> Result<Option<&'a RawDocument>> {
    Ok(object(session, "agents")?.map(|agents| object(agents, agent_id)).transpose()?.flatten())
}

impl MongoStore {
    /// A session of which all messages can be read, as it is now if it has changed; none if it is gone. Else `corrupt`.
    pub(super) async fn whole<'a>(&self, session_id: &str, session: &'a RawDocument) -> Result<Option<Cow<'a, RawDocument>>> {
        let mut session = Cow::Borrowed(session);
        while !self.has_blocks(session_id, &session).await? {
            // Its archive may have been folded back in between.
            match self.read_whole(session_id).await? {
                Some(now) if *now == *session => return Err(incomplete(session_id)),
                Some(now) => session = Cow::Owned(now),
                None => return Ok(None),
            }
        }
        Ok(Some(session))
    }

    /// Whether blocks hold as many messages as a session tells of.
    async fn has_blocks(&self, session_id: &str, session: &RawDocument) -> Result<bool> {
        let Some(RawBsonRef::Document(agents)) = member(session, "agents")? else { return Ok(true) };
        for agent in agents {
            let (_, RawBsonRef::Document(agent)) = agent.map_err(broken)? else { continue };
            let lying = Lying::of(agent)?;
            lying.require_place(agent)?;
            let Some(archive) = lying.archive.filter(|archive| archive.count > 0) else { continue };
            if self.messages_of(session_id, &archive).await? < archive.count {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Writes a session as text. Blocks, so it belongs on a thread that may.
    pub(super) fn write_session(&self, runtime: &Handle, out: &mut Out, session_id: &str, session: &RawDocument) -> Result<()> {
        write_members(out, session, |out, name, value| match value {
            RawBsonRef::Document(agents) if name == "agents" => write_members(out, agents, |out, agent_id, agent| match agent {
                RawBsonRef::Document(agent) => self.write_agent(runtime, out, (session_id, agent_id), agent),
                other => write_value(out, other),
            }),
            value => write_value(out, value),
        })
    }

    fn write_agent(&self, runtime: &Handle, out: &mut Out, of: (&str, &str), agent: &RawDocument) -> Result<()> {
        let lying = Lying::of(agent)?;
        lying.require_place(agent)?;
        put(out, "{")?;
        let mut is_first = true;
        for field in agent {
            let (name, value) = field.map_err(broken)?;
            match name.as_str() {
                // They tell where messages lie, and here they lie together.
                "archive" | "moving" if lying.is_apart() => {}
                // So it is the number of all of them.
                "in_order" if matches!(value, RawBsonRef::Int32(_) | RawBsonRef::Int64(_)) => {
                    if let Some(count) = lying.in_order(agent) {
                        write_name(out, "in_order", &mut is_first)?;
                        put(out, &count.to_string())?;
                    }
                }
                "messages" if lying.is_apart() => {
                    write_name(out, "messages", &mut is_first)?;
                    self.write_messages(runtime, out, of, &lying)?;
                }
                name => {
                    write_name(out, name, &mut is_first)?;
                    write_value(out, value)?;
                }
            }
        }
        put(out, "}")
    }

    /// Writes all messages of an agent, in their order. If the archive is folded back meanwhile, goes on with the document as it is then:
    /// each message keeps its position in the history.
    fn write_messages(&self, runtime: &Handle, out: &mut Out, (session_id, agent_id): (&str, &str), lying: &Lying<'_>) -> Result<()> {
        put(out, "[")?;
        let mut written = 0;
        let read_again = || runtime.block_on(self.read_whole(session_id));
        if !self.write_archived(runtime, out, session_id, lying, &mut written)? {
            let mut session = read_again()?;
            loop {
                let Some(agent) = session.as_deref().map(|session| agent_of(session, agent_id)).transpose()?.flatten() else {
                    return Err(incomplete(session_id));
                };
                let now = Lying::of(agent)?;
                let before = written;
                if self.write_archived(runtime, out, session_id, &now, &mut written)? {
                    write_rest(out, &now, &mut written)?;
                    break;
                }
                let later = read_again()?;
                if written == before && later == session {
                    return Err(incomplete(session_id));
                }
                session = later;
            }
        } else {
            write_rest(out, lying, &mut written)?;
        }
        put(out, "]")
    }

    /// Writes the messages in blocks from a position on; tells whether all were there.
    fn write_archived(&self, runtime: &Handle, out: &mut Out, session_id: &str, lying: &Lying<'_>, written: &mut u64) -> Result<bool> {
        let Some(archive) = &lying.archive else { return Ok(true) };
        while *written < archive.count {
            let messages = runtime.block_on(self.block_at(session_id, archive, *written))?;
            if messages.is_empty() {
                return Ok(false);
            }
            let left = usize::try_from(archive.count - *written).unwrap_or(usize::MAX);
            for message in messages.iter().take(left) {
                write_item(out, message.as_raw_bson_ref(), written)?;
            }
        }
        Ok(true)
    }

    /// The whole document of a session, on the primary.
    async fn read_whole(&self, session_id: &str) -> Result<Option<RawDocumentBuf>> {
        self.find(session_id, doc! {}, Some(primary())).await
    }

    /// Whether a session that came is the one that is stored, wherever its messages lie.
    pub(super) async fn is_same(&self, session: &Assembled, stored: &RawDocument) -> Result<bool> {
        if stored.as_bytes() == session.document.as_bytes() {
            return Ok(true);
        }
        if head(stored)?.as_bytes() != head(&session.document)?.as_bytes() {
            return Ok(false);
        }
        for (agent_id, content) in &session.contents {
            let Some(agent) = agent_of(stored, agent_id)? else { return Ok(false) };
            let lying = Lying::of(agent)?;
            let mut there = Content::default();
            if let Some(archive) = &lying.archive {
                let mut read = 0;
                while read < archive.count {
                    let messages = self.block_at(&session.blocks.session_id, archive, read).await?;
                    if messages.is_empty() {
                        return Err(incomplete(&session.blocks.session_id));
                    }
                    read += messages.len() as u64;
                    messages.iter().map(RawBson::as_raw_bson_ref).for_each(|message| there.add(message));
                }
            }
            lying.in_document().for_each(|message| there.add(message));
            // Where nothing is archived, the order of the messages is the documents' own.
            if !there.is_same(content, lying.is_apart() || !session.blocks.archives.is_empty()) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// Writes what of the messages lies in the document, from a position of the history on.
fn write_rest(out: &mut Out, lying: &Lying<'_>, written: &mut u64) -> Result<()> {
    let before = usize::try_from(written.saturating_sub(lying.archived())).unwrap_or(usize::MAX);
    for message in lying.in_document().skip(before) {
        write_item(out, message, written)?;
    }
    Ok(())
}

fn write_item(out: &mut Out, message: RawBsonRef<'_>, written: &mut u64) -> Result<()> {
    if *written > 0 {
        put(out, ",")?;
    }
    *written += 1;
    write_value(out, message)
}
