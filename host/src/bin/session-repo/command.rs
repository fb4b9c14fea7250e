//! The subcommands, one for each operation.

use crate::args::{AgentCommand, Command, FeedbackCommand, MessageCommand, MetadataCommand, SessionCommand};
use crate::wire::Subject;
use crate::{input, output};
use session_repository::{Entity, Error, Repository};

/// Reads what arguments refer to: `@FILE` and `-`.
pub(crate) fn prepare(command: Command) -> anyhow::Result<Command> {
    let mut command = command;
    match &mut command {
        Command::Agent(AgentCommand::Create { fields, .. } | AgentCommand::Update { fields, .. })
        | Command::Message(MessageCommand::Create { fields, .. } | MessageCommand::Update { fields, .. })
        | Command::Metadata(MetadataCommand::Set { fields, .. })
        | Command::Feedback(FeedbackCommand::Add { fields, .. }) => *fields = input::text(std::mem::take(fields))?,
        _ => {}
    }
    Ok(command)
}

/// Runs a command and prints its result.
pub(crate) async fn run(repository: &Repository, command: Command) -> anyhow::Result<()> {
    let subject = subject(&command);
    execute(repository, command).await.map_err(|failure| match failure {
        Failure::Call(error) => anyhow::anyhow!("{}: {}", error.code(), subject.describe(&error)),
        Failure::Print(error) => error,
    })
}

fn subject(command: &Command) -> Subject {
    let of = |session: &str, agent: Option<&str>, message_id: Option<i64>| Subject {
        session_id: session.to_owned(),
        agent_id: agent.map(str::to_owned),
        message_id,
    };
    match command {
        Command::Exec(_) => Subject::default(),
        Command::Session(SessionCommand::Create { session, .. } | SessionCommand::Read { session, .. })
        | Command::Metadata(
            MetadataCommand::Set { session, .. } | MetadataCommand::Get { session, .. } | MetadataCommand::Delete { session, .. },
        )
        | Command::Feedback(FeedbackCommand::Add { session, .. } | FeedbackCommand::List { session, .. }) => of(session, None, None),
        Command::Agent(
            AgentCommand::Create { session, agent, .. }
            | AgentCommand::Read { session, agent, .. }
            | AgentCommand::Update { session, agent, .. },
        )
        | Command::Message(MessageCommand::List { session, agent, .. }) => of(session, Some(agent), None),
        Command::Message(
            MessageCommand::Create { session, agent, id, .. }
            | MessageCommand::Read { session, agent, id, .. }
            | MessageCommand::Update { session, agent, id, .. },
        ) => of(session, Some(agent), Some(*id)),
    }
}

enum Failure {
    Call(Error),
    Print(anyhow::Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Call(error)
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::Print(error)
    }
}

async fn execute(repository: &Repository, command: Command) -> Result<(), Failure> {
    let missing = |entity| Error::NotFound(entity);
    match command {
        Command::Exec(_) => {}
        Command::Session(SessionCommand::Create { session, session_type, output }) => {
            output::session(&repository.sessions().create(session, session_type.as_deref()).await?, output.json)?;
        }
        Command::Session(SessionCommand::Read { session, output }) => {
            output::session(&repository.sessions().read(session).await?.ok_or(missing(Entity::Session))?, output.json)?;
        }
        Command::Agent(AgentCommand::Create { session, agent, fields, output }) => {
            repository.agents().create(session, agent, fields).await?;
            output::done(output.json)?;
        }
        Command::Agent(AgentCommand::Read { session, agent, output }) => {
            output::agent(&repository.agents().read(session, agent).await?.ok_or(missing(Entity::Agent))?, output.json)?;
        }
        Command::Agent(AgentCommand::Update { session, agent, fields, output }) => {
            repository.agents().update(session, agent, fields).await?;
            output::done(output.json)?;
        }
        Command::Message(MessageCommand::Create { session, agent, id, fields, output }) => {
            repository.messages().create(session, agent, id, fields).await?;
            output::done(output.json)?;
        }
        Command::Message(MessageCommand::Read { session, agent, id, output }) => {
            let message = repository.messages().read(session, agent, id).await?.ok_or(missing(Entity::Message))?;
            output::message(&message, output.json)?;
        }
        Command::Message(MessageCommand::Update { session, agent, id, fields, output }) => {
            repository.messages().update(session, agent, id, fields).await?;
            output::done(output.json)?;
        }
        Command::Message(MessageCommand::List { session, agent, limit, offset, output }) => {
            output::messages(&repository.messages().list(session, agent, limit, offset).await?, output.json)?;
        }
        Command::Metadata(MetadataCommand::Set { session, fields, output }) => {
            repository.metadata().update(session, fields).await?;
            output::done(output.json)?;
        }
        Command::Metadata(MetadataCommand::Get { session, output }) => {
            output::metadata(&repository.metadata().get(session).await?.ok_or(missing(Entity::Session))?, output.json)?;
        }
        Command::Metadata(MetadataCommand::Delete { session, keys, output }) => {
            repository.metadata().delete(session, keys).await?;
            output::done(output.json)?;
        }
        Command::Feedback(FeedbackCommand::Add { session, fields, output }) => {
            repository.feedback().add(session, fields).await?;
            output::done(output.json)?;
        }
        Command::Feedback(FeedbackCommand::List { session, output }) => {
            output::feedback(&repository.feedback().list(session).await?, output.json)?;
        }
    }
    Ok(())
}
