//! Reading the messages of an agent, page by page and each of them once.

use super::calls::Calls;
use session_repository::{Error, Message, Repository, Result, Timestamp};
use std::collections::VecDeque;

/// How many messages are read at once, unless so many are too large for one answer.
const PAGE: i64 = 100;
/// How many are read at least: one that was read before and one that was not.
const SMALLEST_PAGE: i64 = 2;
/// How many of the last messages are known again when they are read again.
const REMEMBERED: usize = 1_000;

/// What tells a message from others. Its content does not: a redaction changes it.
type Key = (i64, Timestamp);

fn key(message: &Message) -> Key {
    (message.message_id, message.created_at)
}

/// How far the messages of one agent were read.
#[derive(Debug)]
pub(crate) struct Reader {
    pub(crate) agent_id: String,
    /// Whether the repository can name the agent.
    pub(crate) readable: bool,
    /// Messages that were read and not printed.
    pub(crate) unprinted: VecDeque<Message>,
    pub(crate) calls: Calls,
    /// How many messages to read at once.
    limit: i64,
    /// How many messages of the list were read.
    position: i64,
    /// The last of these.
    read: VecDeque<Key>,
    /// Messages after them that were read before and come again.
    again: VecDeque<Key>,
    /// Whether the next messages may be such that were read before, but too long ago to be known again.
    uncertain: bool,
    /// Whether the list was read to its end.
    ended: bool,
}

impl Reader {
    pub(crate) fn new(agent_id: String, readable: bool) -> Self {
        Self {
            agent_id,
            readable,
            unprinted: VecDeque::new(),
            calls: Calls::default(),
            limit: PAGE,
            position: 0,
            read: VecDeque::new(),
            again: VecDeque::new(),
            uncertain: false,
            ended: false,
        }
    }

    /// Reads no more of the agent.
    pub(crate) fn give_up(&mut self) {
        self.readable = false;
        self.ended = true;
    }

    /// From now on, looks for messages behind the end that was found before.
    pub(crate) fn look_again(&mut self) {
        self.ended = !self.readable;
    }

    /// Reads on until there is a message to print, or no more to read.
    pub(crate) async fn fill(&mut self, repository: &Repository, session_id: &str) -> Result<()> {
        while self.unprinted.is_empty() && !self.ended {
            // The last one is read once more. Where another stands in its place, one with an earlier time came in before it: clocks
            // differ, and of two writers the one whose time is earlier may write later.
            let last = self.read.back().copied();
            let overlap = i64::from(last.is_some());
            let (page, more) = self.page(repository, session_id, self.position - overlap).await?;
            let mut page = page.into_iter();
            if last.is_some() && page.next().as_ref().map(key) != last {
                self.go_back();
                continue;
            }
            page.for_each(|message| self.take(message));
            if !more {
                self.ended = true;
                self.uncertain = false;
                self.again.clear();
            }
        }
        Ok(())
    }

    /// Messages from a position, and whether there may be more.
    async fn page(&mut self, repository: &Repository, session_id: &str, offset: i64) -> Result<(Vec<Message>, bool)> {
        loop {
            match repository.messages().list(session_id, &self.agent_id, Some(self.limit), offset).await {
                Err(Error::TooLarge { .. }) if self.limit > SMALLEST_PAGE => self.limit = (self.limit / 10).max(SMALLEST_PAGE),
                page => {
                    let page = page?;
                    let more = i64::try_from(page.len()) == Ok(self.limit);
                    self.limit = (2 * self.limit).min(PAGE);
                    return Ok((page, more));
                }
            }
        }
    }

    /// Starts over with the earliest message that is known.
    fn go_back(&mut self) {
        self.position -= i64::try_from(self.read.len()).unwrap_or(self.position);
        self.uncertain = self.position > 0;
        self.read.append(&mut self.again);
        self.again = std::mem::take(&mut self.read);
    }

    fn take(&mut self, message: Message) {
        let key = key(&message);
        if let Some(at) = self.again.iter().position(|known| *known == key) {
            self.again.drain(..=at);
            self.uncertain = false;
        } else if !self.uncertain {
            self.unprinted.push_back(message);
        }
        self.position += 1;
        if self.read.len() == REMEMBERED {
            self.read.pop_front();
        }
        self.read.push_back(key);
    }
}
