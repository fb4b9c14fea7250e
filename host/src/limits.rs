//! Every bound that the host keeps, with its unit and default.

use std::time::Duration;

const MIB: usize = 1024 * 1024;

/// The bounds of a host. Change a field of the default to change a bound:
///
/// ```
/// # use session_repository::Limits;
/// let limits = Limits { message_bytes: 64 * 1024, ..Limits::default() };
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The largest text that one call may bring, in bytes of JSON: a message, an agent, a metadata update or a feedback entry. More is
    /// `too-large`. Default: 24 MiB; MongoDB takes 16 MiB in one document, which is a third more as JSON where it is base64.
    pub message_bytes: usize,
    /// The largest answer of one call, in bytes of JSON, and 64 for each item of a list: a page of messages, the metadata, all feedback. More is `too-large`.
    /// Default: 64 MiB; one MongoDB document is seldom more, as JSON.
    pub page_bytes: usize,
    /// Calls that one instance serves at once; more wait. Default: 256.
    pub calls_per_instance: usize,
    /// Text of the calls that may be under way at once, in bytes; more wait. At least `message_bytes`. Default: 64 MiB.
    pub bytes_in_flight: usize,
    /// Linear memory of one instance, in bytes: the calls that it serves and their answers have to fit. An instance that needs more traps
    /// and is replaced; the calls that it had end in `unavailable`. Default: 1 GiB, of which only what is used is taken.
    pub instance_memory_bytes: usize,
    /// How long the store may take for one call before the caller gets `timeout`, and how long a call waits for an instance to take it.
    /// A write that is under way then is finished all the same, before any later call on its session begins.
    /// Default: 60 seconds, twice the time the MongoDB driver looks for a server.
    pub call_deadline: Duration,
    /// Calls that go on in the store after their deadline. While there are so many, every new call is `unavailable`; calls that were under
    /// way by then may come on top. The count is the store's, whichever repository made the calls. Default: 1,024.
    pub overdue_calls: usize,
    /// Text that overdue calls brought and still hold, in bytes. While there is so much, every new call is `unavailable`. Until an overdue
    /// call has ended, its text counts towards `bytes_in_flight` as well. Default: 32 MiB.
    pub overdue_bytes: usize,
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
