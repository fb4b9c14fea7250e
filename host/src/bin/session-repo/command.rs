//! The subcommands, one for each operation.

use crate::args::{AgentCommand, FeedbackCommand, MessageCommand, MetadataCommand, Operation, Output, SessionCommand};
use crate::calls::*;
use crate::failure::Failure;
use crate::input::{text, texts};
use crate::output;
use session_repository::{Error, Json, Repository};

/// The call that an operation stands for, and how its answer is printed. Reads what arguments refer to: `@FILE` and `-`.
pub(crate) fn call(operation: Operation) -> anyhow::Result<(Call, Output)> {
    Ok(match operation {
        Operation::Session(SessionCommand::Create { session: session_id, session_type, write }) => {
            (SessionsCreate { session_id, session_type, expected_revision: write.if_revision }.into(), write.output)
        }
        Operation::Session(SessionCommand::Read { session: session_id, output }) => (SessionsRead { session_id }.into(), output),
        Operation::Agent(AgentCommand::Create { session: session_id, agent: agent_id, fields, write }) => {
            let agent = Json::from(text(fields)?);
            (AgentsCreate { session_id, agent_id, agent, expected_revision: write.if_revision }.into(), write.output)
        }
        Operation::Agent(AgentCommand::Read { session: session_id, agent: agent_id, output }) => {
            (AgentsRead { session_id, agent_id }.into(), output)
        }
        Operation::Agent(AgentCommand::Update { session: session_id, agent: agent_id, fields, write }) => {
            let agent = Json::from(text(fields)?);
            (AgentsUpdate { session_id, agent_id, agent, expected_revision: write.if_revision }.into(), write.output)
        }
        Operation::Message(MessageCommand::Append { session: session_id, agent: agent_id, messages, idempotency_key, write }) => {
            let expected_revision = write.if_revision;
            let mut messages: Vec<Json> = texts(messages)?.into_iter().map(Json::from).collect();
            let call = match messages.pop() {
                Some(message) if messages.is_empty() => {
                    MessagesAppend { session_id, agent_id, message, idempotency_key, expected_revision }.into()
                }
                last => {
                    messages.extend(last);
                    MessagesAppendMany { session_id, agent_id, messages, idempotency_key, expected_revision }.into()
                }
            };
            (call, write.output)
        }
        Operation::Message(MessageCommand::Create { session: session_id, agent: agent_id, id: message_id, fields, write }) => {
            let message = Json::from(text(fields)?);
            (MessagesCreate { session_id, agent_id, message_id, message, expected_revision: write.if_revision }.into(), write.output)
        }
        Operation::Message(MessageCommand::Read { session: session_id, agent: agent_id, id: message_id, output }) => {
            (MessagesRead { session_id, agent_id, message_id }.into(), output)
        }
        Operation::Message(MessageCommand::Update { session: session_id, agent: agent_id, id: message_id, fields, write }) => {
            let message = Json::from(text(fields)?);
            (MessagesUpdate { session_id, agent_id, message_id, message, expected_revision: write.if_revision }.into(), write.output)
        }
        Operation::Message(MessageCommand::List { session: session_id, agent: agent_id, limit, offset, output }) => {
            (MessagesList { session_id, agent_id, limit, offset }.into(), output)
        }
        Operation::Metadata(MetadataCommand::Set { session: session_id, fields, write }) => {
            let metadata = Json::from(text(fields)?);
            (MetadataUpdate { session_id, metadata, expected_revision: write.if_revision }.into(), write.output)
        }
        Operation::Metadata(MetadataCommand::Get { session: session_id, output }) => (MetadataGet { session_id }.into(), output),
        Operation::Metadata(MetadataCommand::Delete { session: session_id, keys, write }) => {
            (MetadataDelete { session_id, keys, expected_revision: write.if_revision }.into(), write.output)
        }
        Operation::Feedback(FeedbackCommand::Add { session: session_id, fields, write }) => {
            let feedback = Json::from(text(fields)?);
            (FeedbackAdd { session_id, feedback, expected_revision: write.if_revision }.into(), write.output)
        }
        Operation::Feedback(FeedbackCommand::List { session: session_id, output }) => (FeedbackList { session_id }.into(), output),
    })
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
