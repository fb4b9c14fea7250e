//! Where answers name sessions.

use crate::store::Appended;
use crate::types::{Agent, Feedback, Json, Message, Session};

/// An answer of the store. Each kind says where it names sessions, so that none is forgotten.
pub(crate) trait SessionIds {
    /// Changes each session's id in it.
    fn each_session_id(&mut self, change: &mut dyn FnMut(&mut String));
}

impl SessionIds for Session {
    fn each_session_id(&mut self, change: &mut dyn FnMut(&mut String)) {
        change(&mut self.session_id);
    }
}

impl<T: SessionIds> SessionIds for Option<T> {
    fn each_session_id(&mut self, change: &mut dyn FnMut(&mut String)) {
        self.iter_mut().for_each(|item| item.each_session_id(change));
    }
}

impl<T: SessionIds> SessionIds for Vec<T> {
    fn each_session_id(&mut self, change: &mut dyn FnMut(&mut String)) {
        self.iter_mut().for_each(|item| item.each_session_id(change));
    }
}

macro_rules! name_no_sessions {
    ($($answer:ty)+) => {
        $(impl SessionIds for $answer {
            fn each_session_id(&mut self, _: &mut dyn FnMut(&mut String)) {}
        })+
    };
}

name_no_sessions! { () i64 Json Agent Message Feedback Appended }
