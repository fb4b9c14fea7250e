//! Moving sessions between stores: one session document on a line, as Extended JSON, in the order of the session ids.

pub(crate) mod out;
pub(crate) mod parts;
pub(crate) mod read;

/// How many complaints an import keeps; it counts all.
const COMPLAINTS: usize = 20;

/// A piece of a dump.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Dumped {
    /// Text, of which each session's ends with a line's end.
    Text(String),
    /// The session with this id is complete.
    Session(String),
    /// A session is left out, because some of it is gone or cannot be read.
    Skipped {
        /// Its id.
        session_id: String,
        /// What is wrong with it.
        why: String,
    },
}

/// What became of an import.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Imported {
    /// Sessions that were stored.
    pub new: u64,
    /// Sessions that were there already, exactly as they were to be stored.
    pub same: u64,
    /// Sessions of which the store has another one with the same id, which was left as it is.
    pub different: u64,
    /// Lines that are no session document, or none that the store can keep; nothing of them was stored.
    pub refused: u64,
    /// The first of what was different or refused, for people.
    pub complaints: Vec<String>,
}

impl Imported {
    /// Whether all that was read is in the store now.
    pub fn is_complete(&self) -> bool {
        self.different == 0 && self.refused == 0
    }

    pub(crate) fn differs(&mut self, session_id: &str) {
        self.different += 1;
        self.complain(format!("session {session_id:?}: another one is there and was left as it is"));
    }

    pub(crate) fn refuse(&mut self, why: String) {
        self.refused += 1;
        self.complain(why);
    }

    fn complain(&mut self, why: String) {
        if self.complaints.len() < COMPLAINTS {
            self.complaints.push(why);
        }
    }
}
