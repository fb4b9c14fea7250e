//! Whole sessions: the document, and the archived messages where they belong.

use super::assembly::{Assembled, Content, head};
use crate::error::Result;
use crate::store::mongo::MongoStore;
use crate::store::mongo::archive::Archive;
use crate::store::schema::extended;
use crate::store::schema::json::{broken, write_text};
use crate::store::schema::read::{corrupt, items, object};
use crate::transfer::Dumped;
use mongodb::bson::raw::{RawBsonRef, RawDocument};
use tokio::sync::mpsc;

/// How much text goes out at once, in bytes.
const CHUNK: usize = 64 * 1024;

/// Text on its way out.
struct Out<'a> {
    text: String,
    chunks: &'a mpsc::Sender<Result<Dumped>>,
}

impl Out<'_> {
    /// Sends what there is; tells whether anybody still wants it.
    async fn flush(&mut self, from: usize) -> bool {
        if self.text.len() <= from {
            return true;
        }
        self.chunks.send(Ok(Dumped::Text(std::mem::take(&mut self.text)))).await.is_ok()
    }

    fn name(&mut self, name: &str) -> Result<()> {
        if !self.text.ends_with('{') {
            self.text.push(',');
        }
        write_text(&mut self.text, name)?;
        self.text.push(':');
        Ok(())
    }
}

fn members(document: &RawDocument) -> impl Iterator<Item = Result<(&str, RawBsonRef<'_>)>> {
    document.into_iter().map(|member| member.map(|(name, value)| (name.as_str(), value)).map_err(broken))
}

/// The agents of a session that have an archive.
fn has_archive(session: &RawDocument) -> Result<bool> {
    let Ok(Some(RawBsonRef::Document(agents))) = session.get("agents") else { return Ok(false) };
    for agent in members(agents) {
        if let (_, RawBsonRef::Document(agent)) = agent?
            && object(agent, "archive").is_ok_and(|archive| archive.is_some())
        {
            return Ok(true);
        }
    }
    Ok(false)
}

impl MongoStore {
    /// Sends a session as text; tells whether anybody still wants it.
    pub(super) async fn dump_session(
        &self,
        session_id: &str,
        session: &RawDocument,
        chunks: &mpsc::Sender<Result<Dumped>>,
    ) -> Result<bool> {
        let mut out = Out { text: String::with_capacity(2 * session.as_bytes().len()), chunks };
        if has_archive(session)? {
            if !self.write_whole(&mut out, session_id, session).await? {
                return Ok(false);
            }
        } else {
            extended::write_session(&mut out.text, session)?;
        }
        out.text.push('\n');
        Ok(out.flush(0).await)
    }

    async fn write_whole(&self, out: &mut Out<'_>, session_id: &str, session: &RawDocument) -> Result<bool> {
        out.text.push('{');
        for member in members(session) {
            let (name, value) = member?;
            out.name(name)?;
            let RawBsonRef::Document(agents) = value else {
                extended::write_value(&mut out.text, value)?;
                continue;
            };
            if name != "agents" {
                extended::write_value(&mut out.text, value)?;
                continue;
            }
            out.text.push('{');
            for agent in members(agents) {
                let (agent_id, value) = agent?;
                out.name(agent_id)?;
                match value {
                    RawBsonRef::Document(agent) => {
                        if !self.write_agent(out, session_id, agent).await? {
                            return Ok(false);
                        }
                    }
                    value => extended::write_value(&mut out.text, value)?,
                }
            }
            out.text.push('}');
        }
        out.text.push('}');
        Ok(true)
    }

    async fn write_agent(&self, out: &mut Out<'_>, session_id: &str, agent: &RawDocument) -> Result<bool> {
        let mut archive = Archive::of(agent)?;
        out.text.push('{');
        for member in members(agent) {
            let (name, value) = member?;
            match (name, value) {
                // It tells where messages lie, and here they lie together.
                ("archive", RawBsonRef::Document(_)) => {}
                ("messages", RawBsonRef::Array(_) | RawBsonRef::Null) if archive.is_some() => {
                    out.name(name)?;
                    out.text.push('[');
                    if let Some(archive) = archive.take()
                        && !self.write_archived(out, session_id, &archive).await?
                    {
                        return Ok(false);
                    }
                    if let RawBsonRef::Array(recent) = value {
                        for message in recent {
                            separate(&mut out.text);
                            extended::write_value(&mut out.text, message.map_err(broken)?)?;
                        }
                    }
                    out.text.push(']');
                }
                (name, value) => {
                    out.name(name)?;
                    extended::write_value(&mut out.text, value)?;
                }
            }
        }
        out.text.push('}');
        // They would be lost where there is no place for them.
        if archive.is_some() { Err(corrupt("messages")) } else { Ok(true) }
    }

    async fn write_archived(&self, out: &mut Out<'_>, session_id: &str, archive: &Archive) -> Result<bool> {
        let mut written = 0;
        while written < archive.count {
            let messages = self.archived_from(session_id, archive, written).await?;
            written += messages.len() as u64;
            for message in &messages {
                separate(&mut out.text);
                extended::write_document(&mut out.text, message)?;
            }
            if !out.flush(CHUNK).await {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether a session that came is the one that is stored, wherever its messages lie.
    pub(super) async fn is_same(&self, session: &Assembled, stored: &RawDocument) -> Result<bool> {
        if stored.as_bytes() == session.document.as_bytes() {
            return Ok(true);
        }
        // Where nothing is archived, the order of the messages is the documents' own.
        if !has_archive(stored)? && session.blocks.archives.is_empty() {
            return Ok(false);
        }
        if head(stored)?.as_bytes() != head(&session.document)?.as_bytes() {
            return Ok(false);
        }
        for (agent_id, content) in &session.contents {
            let Some(agent) = object(stored, "agents")?.map(|agents| object(agents, agent_id)).transpose()?.flatten() else {
                return Ok(false);
            };
            let mut there = Content::default();
            if let Some(archive) = Archive::of(agent)? {
                let (session_id, mut read) = (&session.blocks.session_id, 0);
                while read < archive.count {
                    let messages = self.archived_from(session_id, &archive, read).await?;
                    read += messages.len() as u64;
                    messages.iter().for_each(|message| there.add(message));
                }
            }
            let recent = items(agent, "messages", "message", |message| Ok(message.to_owned()))?;
            recent.iter().for_each(|message| there.add(message));
            if there != *content {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

fn separate(text: &mut String) {
    if !text.ends_with('[') {
        text.push(',');
    }
}
