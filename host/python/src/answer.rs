//! Answers of the repository as plain Python values, which the package makes its records of.

use pyo3::IntoPyObjectExt;
use pyo3::prelude::*;
use session_repository::{Agent, ArchivedAgent, Feedback, Json, Message, Session, Timestamp, Undone};

/// A value that a call answers.
pub(crate) trait Answer: Send + 'static {
    /// The value in Python.
    fn into_python(self, py: Python<'_>) -> PyResult<Py<PyAny>>;
}

/// Values that PyO3 knows how to convert.
macro_rules! plain {
    ($($type:ty),+) => {
        $(impl Answer for $type {
            fn into_python(self, py: Python<'_>) -> PyResult<Py<PyAny>> {
                self.into_py_any(py)
            }
        })+
    };
}

plain!((), i64, u64);

/// Records, each as a tuple of its fields.
macro_rules! records {
    ($($type:ty: $record:pat => $fields:expr;)+) => {
        $(impl Answer for $type {
            fn into_python(self, py: Python<'_>) -> PyResult<Py<PyAny>> {
                let $record = self;
                $fields.into_py_any(py)
            }
        })+
    };
}

records! {
    Json: text => text.as_str();
    Session: session => (
        session.session_id, session.session_type, milliseconds(session.created_at), milliseconds(session.updated_at), session.revision
    );
    Agent: agent => (agent.agent_id, agent.data.as_str(), milliseconds(agent.created_at), milliseconds(agent.updated_at));
    Message: message => (
        message.message_id, message.body.as_str(), milliseconds(message.created_at), milliseconds(message.updated_at)
    );
    Feedback: entry => (entry.body.as_str(), milliseconds(entry.created_at));
    ArchivedAgent: agent => (
        agent.agent_id,
        agent.messages,
        agent.bytes,
        agent.moving_bytes,
        agent.archived_messages,
        agent.pending_bytes,
        agent.archived_blocks,
        agent.archived_bytes
    );
    Undone: undone => (undone.folded, undone.orphans);
}

fn milliseconds(Timestamp(milliseconds): Timestamp) -> i64 {
    milliseconds
}

impl<T: Answer> Answer for Option<T> {
    fn into_python(self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        self.map_or_else(|| Ok(py.None()), |value| value.into_python(py))
    }
}

impl<T: Answer> Answer for Vec<T> {
    fn into_python(self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        self.into_iter().map(|item| item.into_python(py)).collect::<PyResult<Vec<_>>>()?.into_py_any(py)
    }
}
