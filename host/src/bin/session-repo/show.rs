//! `session-repo show`: a conversation as people read it in a terminal.

mod bytes;
mod calls;
mod content;
mod conversation;
mod entry;
mod reader;
mod style;

use crate::failure::{Failure, failed};
use crate::output;
use crate::place::{self, Opened, Place};
use crate::terminal::tell;
use crate::wire::Subject;
use anyhow::Context;
use conversation::Conversation;
use session_repository::{Entity, Error, Repository};
use std::io::Write;
use std::time::Duration;
use style::Style;
use tokio::time::Instant;

/// How long to wait before asking again for what is new.
const POLL: Duration = Duration::from_millis(500);

/// How long at most to take a file for unchanged because its time and size are.
const TRUST: Duration = Duration::from_secs(5);

/// Prints a conversation, and with `follow` what is new in it until Ctrl-C.
pub(crate) async fn run(place: &Place, session_id: &str, follow: bool) -> anyhow::Result<()> {
    // Before the store is opened, because others may wait for it.
    Repository::prepare().map_err(|error| failed(&error))?;
    let mut open = None;
    let done = tokio::select! {
        shown = show(place, &mut open, session_id, follow) => match shown {
            Err(Stop::NotOpened(error)) => Err(error),
            Err(Stop::Failed(failure)) => Err(failure.describe(&Subject { session_id: session_id.to_owned(), ..Subject::default() })),
            Ok(()) => Ok(()),
        },
        interrupted = tokio::signal::ctrl_c(), if follow => interrupted.context("Ctrl-C"),
    };
    if let Some((_, repository)) = open {
        place::closed(repository.close()).await;
    }
    done
}

/// Why showing ended early.
enum Stop {
    NotOpened(anyhow::Error),
    Failed(Failure),
}

impl<F: Into<Failure>> From<F> for Stop {
    fn from(failure: F) -> Self {
        Self::Failed(failure.into())
    }
}

async fn show(place: &Place, open: &mut Option<(Opened, Repository)>, session_id: &str, follow: bool) -> Result<(), Stop> {
    let mut conversation = Conversation::new(session_id.to_owned(), Style::of_stdout());
    let mut out = std::io::BufWriter::new(std::io::stdout());
    let (store, repository) = open.insert(opened(place.open_existing().await).map_err(Stop::NotOpened)?);
    let header = conversation.header(repository).await?;
    output::written(out.write_all(header.as_bytes()))?;
    let printed = news(&mut conversation, store, repository, &mut out).await?;
    if !follow {
        let end = if printed == 0 { "\nno messages yet\n" } else { "" };
        output::written(out.write_all(end.as_bytes()).and_then(|()| out.flush()))?;
        return Ok(());
    }
    let mut told = false;
    loop {
        // Nobody can write to a file that is open, so it is let go between two looks.
        if place.is_file()
            && let Some((_, repository)) = open.take()
        {
            place::closed(repository.close()).await;
        }
        let (stamp, since) = (place.stamp(), Instant::now());
        tokio::time::sleep(POLL).await;
        while place.is_file() && place.stamp() == stamp && since.elapsed() < TRUST {
            tokio::time::sleep(POLL).await;
        }
        if open.is_none() {
            match place.try_open_existing().await {
                Ok(store) => *open = Some(opened(Ok(store)).map_err(Stop::NotOpened)?),
                Err(Error::Unavailable(why)) => {
                    if !told {
                        tell(&format!("waiting: {why}"));
                        told = true;
                    }
                    continue;
                }
                Err(error) => return Err(error.into()),
            }
        }
        if let Some((store, repository)) = open {
            match news(&mut conversation, store, repository, &mut out).await {
                // It goes on where it was once the store is there again.
                Err(Failure::Call(error)) if error.is_retryable() => {
                    if !told {
                        tell(&format!("waiting: {error}"));
                        told = true;
                    }
                }
                shown => drop(shown?),
            }
        }
    }
}

fn opened(store: anyhow::Result<Opened>) -> anyhow::Result<(Opened, Repository)> {
    let store = store?;
    let repository = store.repository()?;
    Ok((store, repository))
}

async fn news(conversation: &mut Conversation, store: &Opened, repository: &Repository, out: &mut impl Write) -> Result<usize, Failure> {
    let agents = store.store.agent_ids(conversation.session_id()).await?.ok_or(Error::NotFound(Entity::Session))?;
    conversation.news(repository, &agents, out).await
}
