//! The subcommands, one for each operation of the repository.

mod agent;
mod feedback;
mod flags;
mod message;
mod metadata;
mod session;

pub(crate) use flags::Output;

use crate::calls::{Answer, Call};
use crate::failure::Failure;
use crate::output;
use agent::AgentCommand;
use clap::Subcommand;
use feedback::FeedbackCommand;
use message::MessageCommand;
use metadata::MetadataCommand;
use session::SessionCommand;
use session_repository::{Error, Repository};

/// One operation of the repository.
#[derive(Debug, Subcommand)]
pub(crate) enum Operation {
    /// Create or read a session.
    #[command(subcommand)]
    Session(SessionCommand),
    /// Create, read or update an agent of a session.
    #[command(subcommand)]
    Agent(AgentCommand),
    /// Append, create, read, update or list the messages of an agent.
    #[command(subcommand)]
    Message(MessageCommand),
    /// Set, get or delete metadata of a session.
    #[command(subcommand)]
    Metadata(MetadataCommand),
    /// Add or list feedback on a session.
    #[command(subcommand)]
    Feedback(FeedbackCommand),
}

impl Operation {
    /// The call that it stands for, and how its answer is printed. Reads what arguments refer to.
    pub(crate) fn call(self) -> anyhow::Result<(Call, Output)> {
        match self {
            Self::Session(command) => command.call(),
            Self::Agent(command) => command.call(),
            Self::Message(command) => command.call(),
            Self::Metadata(command) => command.call(),
            Self::Feedback(command) => command.call(),
        }
    }
}

/// Makes a call and prints its answer.
pub(crate) async fn run(repository: &Repository, call: Call, output: &Output) -> anyhow::Result<()> {
    let subject = call.subject();
    match call.execute(repository).await {
        Ok(Answer::Absent(entity)) => Err(Failure::Call(Error::NotFound(entity)).describe(&subject)),
        Ok(answer) => output::answer(&answer, output.json),
        Err(error) => Err(Failure::Call(error).describe(&subject)),
    }
}
