//! Every bound that the host keeps, with its unit and default.

use crate::error::{Error, Result};
use std::time::Duration;

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// The least memory with which an instance can serve calls, in bytes.
const LEAST_INSTANCE_MEMORY: usize = 4 * MIB;

/// Memory of an instance without its calls, in bytes. Measured: 1.1 MiB.
const INSTANCE: usize = 2 * MIB;

/// Memory of a call without its texts, in bytes. Measured: 0.8 KiB.
const CALL: usize = KIB;

// How the rest of an instance's memory is shared out, measured with the texts that need most:
//
// - An answer takes at most 1.4 times its size (items of two bytes); twice its size is set aside: two fifths in all.
// - What a call brings lies there twice at most while the store works: an eighth in all.
// - While a message is checked, which happens for one call at a time, it takes at most sixteen times its size (one whose id is taken, of
//   members of a few bytes each): two fifths.
const ANSWERS: usize = 5;
const IN_FLIGHT: usize = 16;
const MESSAGE: usize = 40;

/// Calls without their texts have at most this part.
const CALLS: usize = 16;

/// Bytes beside the body that a call may bring: ids and the like. The component checks their real bounds.
pub(crate) const SMALL_ARGUMENTS: usize = 64 * KIB;

/// The bounds of a host. A method of the bound's name changes it:
///
/// ```
/// # use session_repository::Limits;
/// let limits = Limits::default().message_bytes(64 * 1024);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// The largest text that one call may bring, in bytes of JSON: a message, an agent, a metadata update or a feedback entry. More is
    /// `too-large`. Default: 24 MiB; MongoDB takes 16 MiB in one document, which is a third more as JSON where it is base64.
    pub message_bytes: usize,
    /// The largest answer of one call, in bytes of JSON, and 64 for each item of a list: a page of messages, the metadata, all feedback. More is `too-large`.
    /// Default: 64 MiB; one MongoDB document is seldom more, as JSON.
    pub page_bytes: usize,
    /// Calls that one instance serves at once; more wait. If the repository has a scope, more are `quota-exceeded`. Default: 256.
    pub calls_per_instance: usize,
    /// Text of the calls that may be under way at once, in bytes; more wait. If the repository has a scope, more is `quota-exceeded`. At least
    /// `message_bytes`. Default: 64 MiB.
    pub bytes_in_flight: usize,
    /// Linear memory of one instance of a [`Repository`](crate::Repository), in bytes, at least 4 MiB. Its calls and their answers share it:
    ///
    /// - Answers that an instance holds at once have at most a fifth of it. An answer that does not fit waits for others to be handed over,
    ///   and is `unavailable` when `call_deadline` comes first. If the repository has a scope, an answer counts until its caller takes it. An
    ///   answer that would not even fit alone is `too-large`.
    /// - `message_bytes` is at most a fortieth of it, and `bytes_in_flight` a sixteenth. `calls_per_instance` is at most 64 for each MiB. More
    ///   of them is not granted.
    ///
    /// Whoever runs the component in an engine of their own bounds its memory there. Default: 1 GiB, of which only what is used is taken.
    pub instance_memory_bytes: usize,
    /// How long the store may take for one call before the caller gets `timeout`, and how long a call waits for an instance to take it.
    /// A write that is under way then is finished all the same, before any later call on its session begins. Code of a repository's instance
    /// that runs for so long, and two seconds at least, without giving way is stopped: the instance is replaced, and its calls end in
    /// `unavailable`.
    /// Default: 60 seconds, twice the time the MongoDB driver looks for a server.
    pub call_deadline: Duration,
    /// Calls that go on in the store after their deadline. While there are so many, every new call is `unavailable`; calls that were under
    /// way by then may come on top. All calls without a [`Scope`](crate::Scope) count together, whichever
    /// repository of the store made them; each repository with a scope is counted by itself, and its turns mostly end first. Default: 1,024.
    pub overdue_calls: usize,
    /// Text that overdue calls brought and still hold, in bytes. While there is so much, every new call is `unavailable`. Until an overdue
    /// call has ended, its text counts towards `bytes_in_flight` as well. Default: 32 MiB.
    pub overdue_bytes: usize,
}

impl Limits {
    /// The same limits with another [`message_bytes`](field@Self::message_bytes).
    #[must_use]
    pub fn message_bytes(self, message_bytes: usize) -> Self {
        Self { message_bytes, ..self }
    }

    /// The same limits with another [`page_bytes`](field@Self::page_bytes).
    #[must_use]
    pub fn page_bytes(self, page_bytes: usize) -> Self {
        Self { page_bytes, ..self }
    }

    /// The same limits with another [`calls_per_instance`](field@Self::calls_per_instance).
    #[must_use]
    pub fn calls_per_instance(self, calls_per_instance: usize) -> Self {
        Self { calls_per_instance, ..self }
    }

    /// The same limits with another [`bytes_in_flight`](field@Self::bytes_in_flight).
    #[must_use]
    pub fn bytes_in_flight(self, bytes_in_flight: usize) -> Self {
        Self { bytes_in_flight, ..self }
    }

    /// The same limits with another [`instance_memory_bytes`](field@Self::instance_memory_bytes).
    #[must_use]
    pub fn instance_memory_bytes(self, instance_memory_bytes: usize) -> Self {
        Self { instance_memory_bytes, ..self }
    }

    /// The same limits with another [`call_deadline`](field@Self::call_deadline).
    #[must_use]
    pub fn call_deadline(self, call_deadline: Duration) -> Self {
        Self { call_deadline, ..self }
    }

    /// The same limits with another [`overdue_calls`](field@Self::overdue_calls).
    #[must_use]
    pub fn overdue_calls(self, overdue_calls: usize) -> Self {
        Self { overdue_calls, ..self }
    }

    /// The same limits with another [`overdue_bytes`](field@Self::overdue_bytes).
    #[must_use]
    pub fn overdue_bytes(self, overdue_bytes: usize) -> Self {
        Self { overdue_bytes, ..self }
    }

    /// These limits, with those lowered that an instance's memory does not bear.
    pub(crate) fn within_memory(self) -> Result<Self> {
        if self.instance_memory_bytes < LEAST_INSTANCE_MEMORY {
            return Err(Error::InvalidArgument(format!("instance_memory_bytes: must be at least {LEAST_INSTANCE_MEMORY}")));
        }
        let calls_per_instance = self.calls_per_instance.clamp(1, self.instance_memory_bytes / CALLS / CALL);
        let fits = Self { calls_per_instance, ..self };
        let message_bytes = fits.message_bytes.min(fits.texts() / MESSAGE);
        // A call may bring ids and the like beside its message.
        let least_in_flight = message_bytes.saturating_add(SMALL_ARGUMENTS);
        Ok(Self {
            message_bytes,
            page_bytes: fits.page_bytes.min(fits.answer_bytes()),
            bytes_in_flight: fits.bytes_in_flight.min(fits.texts() / IN_FLIGHT).max(least_in_flight),
            ..fits
        })
    }

    /// Answers that one instance may hold at once, in bytes, counted as for `page_bytes`.
    pub(crate) fn answer_bytes(&self) -> usize {
        self.texts() / ANSWERS
    }

    /// Memory of an instance for the texts of its calls.
    fn texts(&self) -> usize {
        self.instance_memory_bytes.saturating_sub(INSTANCE).saturating_sub(self.calls_per_instance.saturating_mul(CALL))
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            message_bytes: 24 * MIB,
            page_bytes: 64 * MIB,
            calls_per_instance: 256,
            bytes_in_flight: 64 * MIB,
            instance_memory_bytes: 1024 * MIB,
            call_deadline: Duration::from_secs(60),
            overdue_calls: 1024,
            overdue_bytes: 32 * MIB,
        }
    }
}
