//! The subcommands, one for each operation.

use crate::args::{AgentCommand, FeedbackCommand, MessageCommand, MetadataCommand, Operation, SessionCommand};
use crate::wire::Subject;
use crate::{input, output};
use session_repository::{Entity, Error, Repository};

/// Reads what arguments refer to: `@FILE` and `-`.
pub(crate) fn prepare(operation: Operation) -> anyhow::Result<Operation> {
    let mut operation = operation;
    match &mut operation {
        Operation::Agent(AgentCommand::Create { fields, .. } | AgentCommand::Update { fields, .. })
        | Operation::Message(MessageCommand::Create { fields, .. } | MessageCommand::Update { fields, .. })
        | Operation::Metadata(MetadataCommand::Set { fields, .. })
        | Operation::Feedback(FeedbackCommand::Add { fields, .. }) => *fields = input::text(std::mem::take(fields))?,
        _ => {}
    }
    Ok(operation)
}

/// Runs an operation and prints its result.
pub(crate) async fn run(repository: &Repository, operation: Operation) -> anyhow::Result<()> {
    let subject = subject(&operation);
    execute(repository, operation).await.map_err(|failure| failure.describe(&subject))
}

fn subject(operation: &Operation) -> Subject {
    let of = |session: &str, agent: Option<&str>, message_id: Option<i64>| Subject {
        session_id: session.to_owned(),
        agent_id: agent.map(str::to_owned),
        message_id,
        is_page: false,
    };
    match operation {
        Operation::Session(SessionCommand::Create { session, .. } | SessionCommand::Read { session, .. })
        | Operation::Metadata(
            MetadataCommand::Set { session, .. } | MetadataCommand::Get { session, .. } | MetadataCommand::Delete { session, .. },
        )
        | Operation::Feedback(FeedbackCommand::Add { session, .. } | FeedbackCommand::List { session, .. }) => of(session, None, None),
        Operation::Agent(
            AgentCommand::Create { session, agent, .. }
            | AgentCommand::Read { session, agent, .. }
            | AgentCommand::Update { session, agent, .. },
        ) => of(session, Some(agent), None),
        Operation::Message(MessageCommand::List { session, agent, .. }) => Subject { is_page: true, ..of(session, Some(agent), None) },
        Operation::Message(
            MessageCommand::Create { session, agent, id, .. }
            | MessageCommand::Read { session, agent, id, .. }
            | MessageCommand::Update { session, agent, id, .. },
        ) => of(session, Some(agent), Some(*id)),
    }
}

/// Why a subcommand failed.
pub(crate) enum Failure {
    /// A call did.
    Call(Error),
    /// Its result could not be printed.
    Print(anyhow::Error),
}

impl Failure {
    /// The failure as the command line says it.
    pub(crate) fn describe(self, subject: &Subject) -> anyhow::Error {
        match self {
            Self::Call(error) => anyhow::anyhow!("{}: {}", error.code(), subject.describe(&error)),
            Self::Print(error) => error,
        }
    }
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

async fn execute(repository: &Repository, operation: Operation) -> Result<(), Failure> {
    let missing = |entity| Error::NotFound(entity);
    match operation {
        Operation::Session(SessionCommand::Create { session, session_type, output }) => {
            output::session(&repository.sessions().create(session, session_type.as_deref()).await?, output.json)?;
        }
        Operation::Session(SessionCommand::Read { session, output }) => {
            output::session(&repository.sessions().read(session).await?.ok_or(missing(Entity::Session))?, output.json)?;
        }
        Operation::Agent(AgentCommand::Create { session, agent, fields, output }) => {
            repository.agents().create(session, agent, fields).await?;
            output::done(output.json)?;
        }
        Operation::Agent(AgentCommand::Read { session, agent, output }) => {
            output::agent(&repository.agents().read(session, agent).await?.ok_or(missing(Entity::Agent))?, output.json)?;
        }
        Operation::Agent(AgentCommand::Update { session, agent, fields, output }) => {
            repository.agents().update(session, agent, fields).await?;
            output::done(output.json)?;
        }
        Operation::Message(MessageCommand::Create { session, agent, id, fields, output }) => {
            repository.messages().create(session, agent, id, fields).await?;
            output::done(output.json)?;
        }
        Operation::Message(MessageCommand::Read { session, agent, id, output }) => {
            let message = repository.messages().read(session, agent, id).await?.ok_or(missing(Entity::Message))?;
            output::message(&message, output.json)?;
        }
        Operation::Message(MessageCommand::Update { session, agent, id, fields, output }) => {
            repository.messages().update(session, agent, id, fields).await?;
            output::done(output.json)?;
        }
        Operation::Message(MessageCommand::List { session, agent, limit, offset, output }) => {
            output::messages(&repository.messages().list(session, agent, limit, offset).await?, output.json)?;
        }
        Operation::Metadata(MetadataCommand::Set { session, fields, output }) => {
            repository.metadata().update(session, fields).await?;
            output::done(output.json)?;
        }
        Operation::Metadata(MetadataCommand::Get { session, output }) => {
            output::metadata(&repository.metadata().get(session).await?.ok_or(missing(Entity::Session))?, output.json)?;
        }
        Operation::Metadata(MetadataCommand::Delete { session, keys, output }) => {
            repository.metadata().delete(session, keys).await?;
            output::done(output.json)?;
        }
        Operation::Feedback(FeedbackCommand::Add { session, fields, output }) => {
            repository.feedback().add(session, fields).await?;
            output::done(output.json)?;
        }
        Operation::Feedback(FeedbackCommand::List { session, output }) => {
            output::feedback(&repository.feedback().list(session).await?, output.json)?;
        }
    }
    Ok(())
}
