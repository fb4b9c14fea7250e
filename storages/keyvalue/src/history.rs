//! The messages of an agent: blocks of older ones in blobs, and a tail of the newest in the agent itself.

use crate::bucket::Bucket;
use crate::draft::Draft;
use crate::head::{Block, History};
use crate::reader::Reader;
use crate::runs::Runs;
use crate::stop::Step;
use session_repository_storage::error::Result;
use session_repository_storage::types::{Message, Page};

/// The size from which messages make a block, in bytes of text.
const BLOCK_BYTES: usize = 32 << 10;

impl History {
    /// The time of the newest message.
    pub(crate) fn newest(&self) -> Option<i64> {
        self.tail.last().map(|message| message.created_at).or(self.blocks.last().map(|block| block.last))
    }

    /// Finds a message.
    pub(crate) fn find(&self, reader: &Reader<'_, impl Bucket>, id: i64) -> Step<Option<Message>> {
        if let Some(message) = self.tail.iter().find(|message| message.message_id == id) {
            return Ok(Some(message.clone()));
        }
        for block in self.blocks.iter().filter(|block| block.ids.may_contain(id)) {
            let found = block.messages(reader)?.into_iter().find(|message| message.message_id == id);
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    /// The messages of a page. It reads the blocks that have some of them, and no others.
    pub(crate) fn page(&self, reader: &Reader<'_, impl Bucket>, Page { offset, limit }: Page) -> Step<Vec<Message>> {
        let count = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
        let (mut skip, wanted) = (offset, limit.map_or(usize::MAX, count));
        let mut page = Vec::new();
        for block in &self.blocks {
            if page.len() >= wanted {
                return Ok(page);
            }
            if skip >= block.count {
                skip -= block.count;
                continue;
            }
            page.extend(block.messages(reader)?.into_iter().skip(count(skip)).take(wanted - page.len()));
            skip = 0;
        }
        page.extend(self.tail.iter().skip(count(skip)).take(wanted - page.len()).cloned());
        Ok(page)
    }

    /// Adds a message whose id is free, behind all that are not newer. At most one late message is added in a write.
    pub(crate) fn add(&mut self, draft: &mut Draft<'_, impl Bucket>, message: Message) -> Step<()> {
        let at = message.created_at;
        self.highest = self.highest.max(Some(message.message_id));
        if self.blocks.last().is_none_or(|block| block.last <= at) {
            insert(&mut self.tail, message);
            return Ok(());
        }
        let late = self.blocks.partition_point(|block| block.first <= at).saturating_sub(1);
        let Some(block) = self.blocks.get(late) else { return Ok(()) };
        let mut messages = block.messages(draft.reader())?;
        insert(&mut messages, message);
        self.rewrite(draft, late, messages)
    }

    /// Changes a message. Tells whether there is one with this id.
    pub(crate) fn change(
        &mut self,
        draft: &mut Draft<'_, impl Bucket>,
        id: i64,
        change: impl FnOnce(&mut Message) -> Result<()>,
    ) -> Step<bool> {
        if let Some(message) = self.tail.iter_mut().find(|message| message.message_id == id) {
            change(message)?;
            return Ok(true);
        }
        for number in 0..self.blocks.len() {
            let Some(block) = self.blocks.get(number).filter(|block| block.ids.may_contain(id)) else { continue };
            let mut messages = block.messages(draft.reader())?;
            if let Some(message) = messages.iter_mut().find(|message| message.message_id == id) {
                change(message)?;
                self.rewrite(draft, number, messages)?;
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Moves messages from the tail to blocks, if they are enough.
    pub(crate) fn seal(&mut self, draft: &mut Draft<'_, impl Bucket>) -> Step<()> {
        let mut groups = groups(std::mem::take(&mut self.tail));
        if groups.last().is_some_and(|group| size(group) < BLOCK_BYTES) {
            self.tail = groups.pop().unwrap_or_default();
        }
        for group in groups {
            self.blocks.push(Block::write(draft, &group)?);
        }
        Ok(())
    }

    /// Replaces a block by one with these messages, or by several if they are many.
    fn rewrite(&mut self, draft: &mut Draft<'_, impl Bucket>, number: usize, messages: Vec<Message>) -> Step<()> {
        if let Some(block) = self.blocks.get(number) {
            draft.replace(block.blob.clone());
        }
        let mut groups = groups(messages);
        // No small block is left over.
        if groups.len() > 1 && groups.last().is_some_and(|group| size(group) < BLOCK_BYTES) {
            let rest = groups.pop().unwrap_or_default();
            if let Some(group) = groups.last_mut() {
                group.extend(rest);
            }
        }
        let blocks = groups.iter().map(|group| Block::write(draft, group)).collect::<Step<Vec<_>>>()?;
        self.blocks.splice(number..=number, blocks);
        Ok(())
    }
}

impl Block {
    fn messages(&self, reader: &Reader<'_, impl Bucket>) -> Step<Vec<Message>> {
        reader.blob(&self.blob)
    }

    fn write(draft: &mut Draft<'_, impl Bucket>, messages: &[Message]) -> Step<Self> {
        let time = |message: Option<&Message>| message.map_or(0, |message| message.created_at);
        Ok(Self {
            blob: draft.blob(&messages)?,
            count: messages.len() as u64,
            first: time(messages.first()),
            last: time(messages.last()),
            ids: Runs::of(messages.iter().map(|message| message.message_id)),
        })
    }
}

/// Inserts a message behind all that are not newer.
fn insert(messages: &mut Vec<Message>, message: Message) {
    let place = messages.partition_point(|other| other.created_at <= message.created_at);
    messages.insert(place, message);
}

/// Messages in groups, each ended by the message with which it is large enough for a block.
fn groups(messages: Vec<Message>) -> Vec<Vec<Message>> {
    let (mut groups, mut open) = (Vec::new(), 0);
    for message in messages {
        let bytes = size(std::slice::from_ref(&message));
        match groups.last_mut() {
            Some(group) if open < BLOCK_BYTES => Vec::push(group, message),
            _ => {
                groups.push(vec![message]);
                open = 0;
            }
        }
        open += bytes;
    }
    groups
}

/// About how many bytes messages take.
fn size(messages: &[Message]) -> usize {
    /// Its id, its times and their names.
    const OVERHEAD: usize = 100;
    messages.iter().map(|message| message.body.as_str().len() + OVERHEAD).sum()
}
