//! `session-repo archive`: where the messages of a session lie in MongoDB, and moving them.

use crate::args::ArchiveCommand;
use crate::failure::Failure;
use crate::output;
use crate::place::Place;
use crate::wire::Subject;
use serde_json::json;
use session_repository::{AnyStore, Entity, Error};

pub(crate) async fn run(place: &Place, command: ArchiveCommand) -> anyhow::Result<()> {
    // Only in MongoDB is there an archive to write to; other stores say so.
    let is_writing = !matches!(command, ArchiveCommand::Status { .. }) && place.is_mongo();
    let store = if is_writing { place.open().await? } else { place.open_existing().await? };
    let (ArchiveCommand::Status { session, .. } | ArchiveCommand::Run { session, .. } | ArchiveCommand::Undo { session, .. }) = &command;
    let subject = Subject { session_id: session.clone(), ..Subject::default() };
    let done = on(&store.store, command).await;
    store.close().await;
    done.map_err(|failure| failure.describe(&subject))
}

async fn on(store: &AnyStore, command: ArchiveCommand) -> Result<(), Failure> {
    let missing = Error::NotFound(Entity::Session);
    match command {
        ArchiveCommand::Status { session, output } => {
            output::archive(&store.archive_status(&session).await?.ok_or(missing)?, output.json)?;
        }
        ArchiveCommand::Run { session, output } => {
            let moved = store.archive_run(&session).await?.ok_or(missing)?;
            if output.json {
                output::print_exact(&json!({"moved": moved}).to_string())?;
            } else {
                output::print(&format!("moved {}", count(moved, "message")))?;
            }
        }
        ArchiveCommand::Undo { session, output } => {
            let undone = store.archive_undo(&session).await?.ok_or(missing)?;
            if output.json {
                output::print_exact(&json!(undone).to_string())?;
            } else {
                output::print(&format!("folded {} back", count(undone.folded, "message")))?;
                if undone.orphans > 0 {
                    output::print(&format!("removed {} that belonged to no archive", count(undone.orphans, "block")))?;
                }
            }
        }
    }
    Ok(())
}

fn count(count: u64, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}
