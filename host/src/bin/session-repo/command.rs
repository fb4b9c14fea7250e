//! The subcommands, one for each operation.

use crate::args::{AgentCommand, FeedbackCommand, MessageCommand, MetadataCommand, Operation, SessionCommand, Write};
use crate::interfaces::Interfaces;
use crate::wire::Subject;
use crate::{input, output, wire};
use session_repository::{Entity, Error, Repository};

/// Reads what arguments refer to: `@FILE` and `-`.
pub(crate) fn prepare(operation: Operation) -> anyhow::Result<Operation> {
    let mut operation = operation;
    match &mut operation {
        Operation::Agent(AgentCommand::Create { fields, .. } | AgentCommand::Update { fields, .. })
        | Operation::Message(MessageCommand::Create { fields, .. } | MessageCommand::Update { fields, .. })
        | Operation::Metadata(MetadataCommand::Set { fields, .. })
        | Operation::Feedback(FeedbackCommand::Add { fields, .. }) => *fields = input::text(std::mem::take(fields))?,
        Operation::Message(MessageCommand::Append { messages, .. }) => *messages = input::texts(std::mem::take(messages))?,
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
        )
        | Operation::Message(MessageCommand::Append { session, agent, .. }) => of(session, Some(agent), None),
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
    match operation {
        Operation::Session(command) => session(repository, command).await,
        Operation::Agent(command) => agent(repository, command).await,
        Operation::Message(command) => message(repository, command).await,
        Operation::Metadata(command) => metadata(repository, command).await,
        Operation::Feedback(command) => feedback(repository, command).await,
    }
}

async fn session(repository: &Repository, command: SessionCommand) -> Result<(), Failure> {
    match command {
        SessionCommand::Create { session, session_type, write } => {
            let sessions = write.on(repository).sessions;
            output::session(&sessions.create(session, session_type.as_deref()).await?, write.output.json)?;
        }
        SessionCommand::Read { session, output } => {
            let found = repository.sessions().read(session).await?.ok_or(Error::NotFound(Entity::Session))?;
            output::session(&found, output.json)?;
        }
    }
    Ok(())
}

async fn agent(repository: &Repository, command: AgentCommand) -> Result<(), Failure> {
    match command {
        AgentCommand::Create { session, agent, fields, write } => {
            write.on(repository).agents.create(session, agent, fields).await?;
            output::done(write.output.json)?;
        }
        AgentCommand::Read { session, agent, output } => {
            let found = repository.agents().read(session, agent).await?.ok_or(Error::NotFound(Entity::Agent))?;
            output::agent(&found, output.json)?;
        }
        AgentCommand::Update { session, agent, fields, write } => {
            write.on(repository).agents.update(session, agent, fields).await?;
            output::done(write.output.json)?;
        }
    }
    Ok(())
}

async fn message(repository: &Repository, command: MessageCommand) -> Result<(), Failure> {
    match command {
        MessageCommand::Append { session, agent, mut messages, idempotency_key, write } => {
            let (interface, key) = (write.on(repository).messages, idempotency_key.as_deref());
            let told = match messages.pop() {
                Some(message) if messages.is_empty() => wire::appended(interface.append(session, agent, message, key).await?),
                last => wire::appended_many(interface.append_many(session, agent, messages.into_iter().chain(last), key).await?),
            };
            output::object(&told, write.output.json)?;
        }
        MessageCommand::Create { session, agent, id, fields, write } => {
            write.on(repository).messages.create(session, agent, id, fields).await?;
            output::done(write.output.json)?;
        }
        MessageCommand::Read { session, agent, id, output } => {
            let found = repository.messages().read(session, agent, id).await?.ok_or(Error::NotFound(Entity::Message))?;
            output::message(&found, output.json)?;
        }
        MessageCommand::Update { session, agent, id, fields, write } => {
            write.on(repository).messages.update(session, agent, id, fields).await?;
            output::done(write.output.json)?;
        }
        MessageCommand::List { session, agent, limit, offset, output } => {
            output::messages(&repository.messages().list(session, agent, limit, offset).await?, output.json)?;
        }
    }
    Ok(())
}

async fn metadata(repository: &Repository, command: MetadataCommand) -> Result<(), Failure> {
    match command {
        MetadataCommand::Set { session, fields, write } => {
            write.on(repository).metadata.update(session, fields).await?;
            output::done(write.output.json)?;
        }
        MetadataCommand::Get { session, output } => {
            let found = repository.metadata().get(session).await?.ok_or(Error::NotFound(Entity::Session))?;
            output::metadata(&found, output.json)?;
        }
        MetadataCommand::Delete { session, keys, write } => {
            write.on(repository).metadata.delete(session, keys).await?;
            output::done(write.output.json)?;
        }
    }
    Ok(())
}

async fn feedback(repository: &Repository, command: FeedbackCommand) -> Result<(), Failure> {
    match command {
        FeedbackCommand::Add { session, fields, write } => {
            write.on(repository).feedback.add(session, fields).await?;
            output::done(write.output.json)?;
        }
        FeedbackCommand::List { session, output } => {
            output::feedback(&repository.feedback().list(session).await?, output.json)?;
        }
    }
    Ok(())
}

impl Write {
    /// What to write through.
    fn on<'a>(&self, repository: &'a Repository) -> Interfaces<'a> {
        Interfaces::of(repository, self.if_revision)
    }
}
