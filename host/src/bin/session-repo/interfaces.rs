//! The interfaces of a repository, bound to the revision that a write expects.

use session_repository::{Agents, Feedbacks, Messages, Metadata, Repository, Sessions};

pub(crate) struct Interfaces<'a> {
    pub(crate) sessions: Sessions<'a>,
    pub(crate) agents: Agents<'a>,
    pub(crate) messages: Messages<'a>,
    pub(crate) metadata: Metadata<'a>,
    pub(crate) feedback: Feedbacks<'a>,
}

impl<'a> Interfaces<'a> {
    /// Writes through them take place at the expected revision, at any if there is none.
    pub(crate) fn of(repository: &'a Repository, expected_revision: Option<u64>) -> Self {
        let (sessions, agents, messages) = (repository.sessions(), repository.agents(), repository.messages());
        let (metadata, feedback) = (repository.metadata(), repository.feedback());
        match expected_revision {
            None => Self { sessions, agents, messages, metadata, feedback },
            Some(revision) => Self {
                sessions: sessions.if_revision(revision),
                agents: agents.if_revision(revision),
                messages: messages.if_revision(revision),
                metadata: metadata.if_revision(revision),
                feedback: feedback.if_revision(revision),
            },
        }
    }
}
