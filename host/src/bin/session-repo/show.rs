//! `session-repo show`: a conversation as people read it in a terminal.

mod bytes;
mod calls;
mod content;
mod conversation;
mod entry;
mod reader;
mod style;

pub(crate) use style::colour;

use crate::command::Failure;
use crate::output;
use crate::wire::Subject;
use anyhow::Context;
use conversation::Conversation;
use session_repository::{Entity, Error, Repository, Result};
use std::io::Write;
use std::time::Duration;
use style::Style;

/// How long to wait before asking again for what is new.
const POLL: Duration = Duration::from_millis(500);

/// Prints a conversation, and with `follow` what is new in it until Ctrl-C. `agents` lists the agents of the session, if it exists.
pub(crate) async fn run(
    repository: &Repository,
    agents: impl AsyncFn() -> Result<Option<Vec<String>>>,
    session_id: &str,
    follow: bool,
) -> anyhow::Result<()> {
    tokio::select! {
        shown = show(repository, agents, session_id, follow) => {
            shown.map_err(|failure| failure.describe(&Subject { session_id: session_id.to_owned(), ..Subject::default() }))
        }
        interrupted = tokio::signal::ctrl_c(), if follow => interrupted.context("Ctrl-C"),
    }
}

async fn show(
    repository: &Repository,
    agents: impl AsyncFn() -> Result<Option<Vec<String>>>,
    session_id: &str,
    follow: bool,
) -> Result<(), Failure> {
    let mut conversation = Conversation::new(session_id.to_owned(), Style::of_stdout());
    let mut out = std::io::BufWriter::new(std::io::stdout());
    let header = conversation.header(repository).await?;
    output::written(out.write_all(header.as_bytes()))?;
    loop {
        let agents = agents().await?.ok_or(Error::NotFound(Entity::Session))?;
        let printed = conversation.news(repository, &agents, &mut out).await?;
        if !follow {
            let end = if printed == 0 { "\nno messages yet\n" } else { "" };
            output::written(out.write_all(end.as_bytes()).and_then(|()| out.flush()))?;
            return Ok(());
        }
        tokio::time::sleep(POLL).await;
    }
}
