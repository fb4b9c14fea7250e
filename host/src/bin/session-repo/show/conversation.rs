//! A conversation, and how far it was printed.

use super::entry;
use super::reader::Reader;
use super::style::{Style, Tone};
use crate::failure::Failure;
use crate::output;
use crate::terminal::tell;
use session_repository::{Entity, Error, Feedback, Repository, Result, Timestamp};
use std::io::Write;

/// A conversation that is printed bit by bit. Of each agent it holds a page of messages at most.
#[derive(Debug)]
pub(crate) struct Conversation {
    session_id: String,
    style: Style,
    /// One for each agent that was announced.
    readers: Vec<Reader>,
    /// The feedback at the last look.
    feedback: Vec<Feedback>,
    /// Whether it was said that the feedback cannot be read.
    is_feedback_damaged: bool,
    /// The day of what was printed last.
    day: Option<String>,
}

impl Conversation {
    /// A conversation of which nothing was printed.
    pub(crate) fn new(session_id: String, style: Style) -> Self {
        Self { session_id, style, readers: Vec::new(), feedback: Vec::new(), is_feedback_damaged: false, day: None }
    }

    pub(crate) fn session_id(&self) -> &str {
        &self.session_id
    }

    /// What the session is: its type, times and metadata.
    ///
    /// # Errors
    ///
    /// `not-found`, and whatever the repository returns.
    pub(crate) async fn header(&self, repository: &Repository) -> Result<String> {
        let session = repository.sessions().read(&self.session_id).await?.ok_or(Error::NotFound(Entity::Session))?;
        let metadata = match repository.metadata().get(&self.session_id).await {
            Ok(metadata) => Ok(metadata.ok_or(Error::NotFound(Entity::Session))?),
            Err(Error::Corrupt(why)) => Err(why),
            Err(error) => return Err(error),
        };
        Ok(entry::session(&self.style, &session, &metadata))
    }

    /// Prints what was not printed before: agents, messages in the order of their times, then feedback. Tells how many messages and
    /// entries of feedback it printed. `agents` are all agents that the session has now.
    ///
    /// After an error it can be called again, with another handle on the same sessions, too: nothing is lost or printed twice.
    ///
    /// # Errors
    ///
    /// Whatever the repository returns, and what happens to `out`.
    pub(crate) async fn news(&mut self, repository: &Repository, agents: &[String], out: &mut impl Write) -> Result<usize, Failure> {
        self.announce(repository, agents, out).await?;
        let mut printed = 0;
        self.readers.iter_mut().for_each(Reader::look_again);
        while let Some((time, entry)) = self.next_message(repository).await? {
            self.print(time, &entry, out)?;
            printed += 1;
        }
        for feedback in self.new_feedback(repository).await? {
            self.print(feedback.created_at, &entry::feedback(&self.style, &feedback), out)?;
            printed += 1;
        }
        output::written(out.flush())?;
        Ok(printed)
    }

    /// Prints agents that were not there before.
    async fn announce(&mut self, repository: &Repository, agents: &[String], out: &mut impl Write) -> Result<(), Failure> {
        let mut title = if self.readers.is_empty() { "agents" } else { "new agents" };
        for agent_id in agents {
            if self.readers.iter().any(|reader| reader.agent_id == *agent_id) {
                continue;
            }
            // What other programs stored may not read as an agent. Its messages may be read all the same, unless its id is no id here.
            let (read, readable) = match repository.agents().read(&self.session_id, agent_id).await {
                Ok(Some(agent)) => (Ok(agent), true),
                // Something else stands in its place, or it has just gone.
                Ok(None) => (Err(String::from("it is no agent")), true),
                Err(Error::Corrupt(why)) => (Err(why), true),
                Err(Error::InvalidArgument(why)) => (Err(why), false),
                Err(error) => return Err(error.into()),
            };
            if !title.is_empty() {
                let title = self.style.line(&[(Tone::Faint, std::mem::take(&mut title))]);
                output::written(out.write_all(format!("\n{title}").as_bytes()))?;
            }
            output::written(out.write_all(entry::agent(&self.style, agent_id, &read).as_bytes()))?;
            self.readers.push(Reader::new(agent_id.clone(), readable));
        }
        Ok(())
    }

    /// The earliest message that was not printed, as text; of equal times the one whose agent came first.
    async fn next_message(&mut self, repository: &Repository) -> Result<Option<(Timestamp, String)>> {
        for reader in &mut self.readers {
            match reader.fill(repository, &self.session_id).await {
                Err(Error::Corrupt(why)) => {
                    tell(&format!("the messages of agent {:?} cannot be read: {why}", reader.agent_id));
                    reader.give_up();
                }
                filled => filled?,
            }
        }
        let waiting = self.readers.iter_mut().filter_map(|reader| Some((reader.unprinted.front()?.created_at, reader)));
        let Some((time, reader)) = waiting.min_by_key(|(time, _)| *time) else { return Ok(None) };
        let message = reader.unprinted.pop_front();
        Ok(message.map(|message| (time, entry::message(&self.style, &reader.agent_id, &message, &mut reader.calls))))
    }

    /// What came to the feedback since the last look. It may stand between older entries, because clocks differ.
    async fn new_feedback(&mut self, repository: &Repository) -> Result<Vec<Feedback>> {
        let entries = match repository.feedback().list(&self.session_id).await {
            Err(Error::Corrupt(_)) if self.is_feedback_damaged => return Ok(Vec::new()),
            Err(Error::Corrupt(why)) => {
                tell(&format!("the feedback cannot be read: {why}"));
                self.is_feedback_damaged = true;
                return Ok(Vec::new());
            }
            entries => entries?,
        };
        let mut known = self.feedback.iter().peekable();
        let new = entries.iter().filter(|entry| known.next_if(|known| known == entry).is_none()).cloned().collect();
        self.feedback = entries;
        Ok(new)
    }

    fn print(&mut self, time: Timestamp, entry: &str, out: &mut impl Write) -> anyhow::Result<()> {
        let day = entry::date(time);
        if self.day.as_ref() != Some(&day) {
            output::written(write!(out, "\n{}", self.style.day(&day)))?;
            self.day = Some(day);
        }
        output::written(write!(out, "\n{entry}"))
    }
}
