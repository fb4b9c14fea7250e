//! Subcommands on agents.

use super::flags::{Output, Write};
use crate::calls::{AgentsCreate, AgentsRead, AgentsUpdate, Call};
use crate::input::text;
use clap::Subcommand;
use session_repository::Json;

#[derive(Debug, Subcommand)]
pub(crate) enum AgentCommand {
    /// Create an agent.
    #[command(after_help = "\
Examples:
  session-repo agent create user-123 assistant-1 '{\"model\": \"claude-3-sonnet\", \"system_prompt\": \"Be kind.\"}'
  session-repo agent create user-123 assistant-1 @agent.json")]
    Create {
        /// The session's id.
        session: String,
        /// The agent's id, 1 to 256 bytes, without `.` and not starting with `$`.
        agent: String,
        /// The agent's fields: a JSON object, @FILE, or - for stdin.
        #[arg(default_value = "{}")]
        fields: String,
        #[command(flatten)]
        write: Write,
    },
    /// Read an agent, without its messages.
    #[command(after_help = "Example:\n  session-repo agent read user-123 assistant-1")]
    Read {
        /// The session's id.
        session: String,
        /// The agent's id.
        agent: String,
        #[command(flatten)]
        output: Output,
    },
    /// Replace an agent's fields; model, system_prompt and prompt_metadata stay unless they are named.
    #[command(after_help = "Example:\n  session-repo agent update user-123 assistant-1 '{\"state\": {\"step\": 2}}'")]
    Update {
        /// The session's id.
        session: String,
        /// The agent's id.
        agent: String,
        /// The agent's fields: a JSON object, @FILE, or - for stdin.
        fields: String,
        #[command(flatten)]
        write: Write,
    },
}

impl AgentCommand {
    /// The call that it stands for, and how its answer is printed. Reads what arguments refer to: `@FILE` and `-`.
    pub(super) fn call(self) -> anyhow::Result<(Call, Output)> {
        Ok(match self {
            Self::Create { session: session_id, agent: agent_id, fields, write } => {
                let agent = Json::from(text(fields)?);
                (AgentsCreate { session_id, agent_id, agent, expected_revision: write.if_revision }.into(), write.output)
            }
            Self::Read { session: session_id, agent: agent_id, output } => (AgentsRead { session_id, agent_id }.into(), output),
            Self::Update { session: session_id, agent: agent_id, fields, write } => {
                let agent = Json::from(text(fields)?);
                (AgentsUpdate { session_id, agent_id, agent, expected_revision: write.if_revision }.into(), write.output)
            }
        })
    }
}
