//! What an untrusted caller may do, and how much of it.

use std::collections::BTreeSet;

/// An interface of the WIT package.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Interface {
    /// `session:repository/sessions`.
    Sessions,
    /// `session:repository/agents`.
    Agents,
    /// `session:repository/messages`.
    Messages,
    /// `session:repository/metadata`.
    Metadata,
    /// `session:repository/feedback`.
    Feedback,
}

impl Interface {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Sessions, Self::Agents, Self::Messages, Self::Metadata, Self::Feedback];

    /// The name in the WIT package.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sessions => "sessions",
            Self::Agents => "agents",
            Self::Messages => "messages",
            Self::Metadata => "metadata",
            Self::Feedback => "feedback",
        }
    }
}

/// What a caller may do: on which sessions, reading or writing, through which interfaces, and how much of it.
///
/// Ids are compared byte by byte. A call on any other session ends in [`AccessDenied`](crate::Error::AccessDenied) before the store is asked,
/// so its answer and its time say nothing of whether there is such a session.
///
/// The store works on eight calls of a repository (or context) with a scope at once, and on fewer, two at least, if they bring more than 32 KiB
/// each. More wait their turn within their deadline, so that those of others need not wait for a flood. A turn lasts until the answer has room
/// in the instance, or, after a timeout, until the store has ended the call. Turns, quotas and counts belong to the repository, so keep one for
/// each tenant and do not build one for each request.
///
/// ```
/// use session_repository::{Interface, Quotas, Scope};
///
/// let scope = Scope::hidden_prefix("tenant-7/")
///     .named("tenant-7")
///     .interfaces([Interface::Sessions, Interface::Messages])
///     .quotas(Quotas::default().calls_per_second(50).bytes_per_call(64 * 1024));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope {
    name: String,
    sessions: Allowed,
    is_read_only: bool,
    interfaces: BTreeSet<Interface>,
    quotas: Quotas,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Allowed {
    These(BTreeSet<String>),
    Prefix { prefix: String, is_hidden: bool },
}

/// The longest id of a session, in bytes.
const MAX_SESSION_ID: usize = 512;

impl Scope {
    fn on(sessions: Allowed) -> Self {
        let interfaces = Interface::ALL.into_iter().collect();
        Self { name: String::from("unnamed"), sessions, is_read_only: false, interfaces, quotas: Quotas::default() }
    }

    /// One session.
    pub fn session(session_id: impl Into<String>) -> Self {
        Self::sessions([session_id])
    }

    /// These sessions. Without any, every call is denied.
    pub fn sessions(session_ids: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self::on(Allowed::These(session_ids.into_iter().map(Into::into).collect()))
    }

    /// The sessions whose ids begin with a prefix and go on after it. End it with a mark that no other prefix has before its end: `tenant-1`
    /// has the sessions of `tenant-10`, and `tenant-1/` has not. With an empty prefix every call is denied.
    pub fn prefix(prefix: impl Into<String>) -> Self {
        Self::on(Allowed::Prefix { prefix: prefix.into(), is_hidden: false })
    }

    /// The same, with a prefix that the caller neither gives nor sees: it is put in front of each id that the caller names, and taken off each
    /// id in an answer. Together they have at most 512 bytes.
    pub fn hidden_prefix(prefix: impl Into<String>) -> Self {
        Self::on(Allowed::Prefix { prefix: prefix.into(), is_hidden: true })
    }

    /// The same scope with a name, by which logs and audits know it. Default: `unnamed`.
    #[must_use]
    pub fn named(self, name: impl Into<String>) -> Self {
        Self { name: name.into(), ..self }
    }

    /// The same scope for reading only.
    #[must_use]
    pub fn read_only(self) -> Self {
        Self { is_read_only: true, ..self }
    }

    /// The same scope through these interfaces only. Default: all of them.
    #[must_use]
    pub fn interfaces(self, interfaces: impl IntoIterator<Item = Interface>) -> Self {
        Self { interfaces: interfaces.into_iter().collect(), ..self }
    }

    /// The same scope with other quotas. Default: none.
    #[must_use]
    pub fn quotas(self, quotas: Quotas) -> Self {
        Self { quotas, ..self }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether an interface may be called, for writing or for reading.
    pub fn allows(&self, interface: Interface, is_write: bool) -> bool {
        self.interfaces.contains(&interface) && !(is_write && self.is_read_only)
    }

    pub(crate) fn quota(&self) -> &Quotas {
        &self.quotas
    }

    /// The id under which the store knows the session that a caller names; none if the session is outside the scope.
    pub(crate) fn stored_id(&self, session_id: String) -> Option<String> {
        match &self.sessions {
            Allowed::These(ids) => ids.contains(&session_id).then_some(session_id),
            Allowed::Prefix { prefix, .. } if prefix.is_empty() => None,
            Allowed::Prefix { prefix, is_hidden: false } => {
                (session_id.len() > prefix.len() && session_id.starts_with(prefix.as_str())).then_some(session_id)
            }
            Allowed::Prefix { prefix, is_hidden: true } => {
                let stored = prefix.clone() + &session_id;
                (!session_id.is_empty() && stored.len() <= MAX_SESSION_ID).then_some(stored)
            }
        }
    }

    /// The id by which a caller knows a session.
    pub(crate) fn shown_id<'a>(&self, session_id: &'a str) -> &'a str {
        match &self.sessions {
            Allowed::Prefix { prefix, is_hidden: true } => session_id.strip_prefix(prefix.as_str()).unwrap_or_default(),
            _ => session_id,
        }
    }
}

/// How much of what a [`Scope`] allows: for all callers that share the scope's repository or context. Nothing is bounded by default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Quotas {
    /// Calls in a second, also those that are denied or refused as invalid. Within a second as many can come at once; more are
    /// [`QuotaExceeded`](crate::Error::QuotaExceeded). With 0, each is, and the time to wait is `u64::MAX`.
    pub calls_per_second: Option<u32>,
    /// Calls that are in the store or wait for their turn there; more are [`QuotaExceeded`](crate::Error::QuotaExceeded).
    pub calls_in_flight: Option<usize>,
    /// The text that one call brings, in bytes of JSON as it is stored; more is [`TooLarge`](crate::Error::TooLarge). Fields that are not
    /// stored, ids and the like may take 64 KiB more.
    pub bytes_per_call: Option<usize>,
    /// The text that writes bring in a minute, in bytes of JSON. Within a minute as much can come at once; more is
    /// [`QuotaExceeded`](crate::Error::QuotaExceeded), and one call with more is [`TooLarge`](crate::Error::TooLarge).
    pub bytes_per_minute: Option<usize>,
}

impl Quotas {
    /// The same quotas with another [`calls_per_second`](field@Self::calls_per_second).
    #[must_use]
    pub fn calls_per_second(self, calls: u32) -> Self {
        Self { calls_per_second: Some(calls), ..self }
    }

    /// The same quotas with another [`calls_in_flight`](field@Self::calls_in_flight).
    #[must_use]
    pub fn calls_in_flight(self, calls: usize) -> Self {
        Self { calls_in_flight: Some(calls), ..self }
    }

    /// The same quotas with another [`bytes_per_call`](field@Self::bytes_per_call).
    #[must_use]
    pub fn bytes_per_call(self, bytes: usize) -> Self {
        Self { bytes_per_call: Some(bytes), ..self }
    }

    /// The same quotas with another [`bytes_per_minute`](field@Self::bytes_per_minute).
    #[must_use]
    pub fn bytes_per_minute(self, bytes: usize) -> Self {
        Self { bytes_per_minute: Some(bytes), ..self }
    }
}
