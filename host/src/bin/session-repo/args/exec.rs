//! The command line of `exec`.

use crate::calls;
use clap::Args;

pub(super) const EXAMPLE: &str = "\
Example:
  echo '{\"id\": 1, \"call\": \"sessions.read\", \"args\": {\"session_id\": \"user-123\"}}' | session-repo exec
  {\"id\":1,\"result\":null}";

const REQUESTS: &str = "\
Requests: {\"id\": any JSON value, echoed back; \"call\": a call; \"args\": an object of its parameters}, and nothing else.
Responses: {\"id\": …, \"result\": …} or {\"id\": …, \"error\": {\"code\": …, \"message\": …}}, one for each line that is not blank.

Calls:
";

const RULES: &str = "\
* Writes also take an expected_revision (none): the number that a session's revision must be, or nothing is written and the error is stale.

Agents have their agent_id, messages their message_id among their own fields; those that are appended get theirs from the store. An append \
with an idempotency_key can be repeated: the key's first append stores, the others return the same id. The same key with other content is \
already-exists (entity: message). Times are RFC 3339 in UTC with \
milliseconds.

Errors: not-found and already-exists (with entity: session, agent or message), stale (with current, the revision that the session is at), \
invalid-argument, too-large (with size and limit in bytes), access-denied, quota-exceeded (with retry_after_ms), unsupported, timeout, \
unavailable, corrupt, internal.

Responses come as calls finish; calls that name the same session take effect in the order of their lines. At the end of stdin all calls \
are answered, then the exit status is 0: a refused call is an answer. The store is opened first; if that fails, the exit status is 1.";

/// The protocol, for the help.
pub(super) fn protocol() -> String {
    format!("{REQUESTS}{}\n{RULES}", calls::table())
}

#[derive(Debug, Args)]
pub(crate) struct ExecArgs {
    /// How many calls may be in flight; reading stdin waits when this many are. A call is in flight until its response is written, and holds
    /// it in memory until then: at most 64 MiB.
    #[arg(long, value_name = "N", default_value = "64", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) concurrency: u32,
}
