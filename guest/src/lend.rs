//! How the bindings of the synchronous flavour take their arguments: by reference, where those of the other take them whole.

use crate::bindings::imported::storage::{AppendKey, MetadataField};
use crate::bindings::imported::types::{Agent, FeedbackEntry, Message, Session};

pub(crate) trait Lend {
    type As<'a>
    where
        Self: 'a;

    fn lend(&self) -> Self::As<'_>;
}

macro_rules! lend {
    ($($type:ty as $lent:ty: |$value:ident| $lend:expr;)+) => {
        $(impl Lend for $type {
            type As<'a> = $lent;

            fn lend(&self) -> Self::As<'_> {
                let $value = self;
                $lend
            }
        })+
    };
}

lend! {
    i64 as i64: |value| *value;
    u64 as u64: |value| *value;
    Option<u64> as Option<u64>: |value| *value;
    String as &'a str: |value| value;
    Vec<String> as &'a [String]: |value| value;
    Vec<MetadataField> as &'a [MetadataField]: |value| value;
    Option<AppendKey> as Option<&'a AppendKey>: |value| value.as_ref();
    Session as &'a Session: |value| value;
    Agent as &'a Agent: |value| value;
    Message as &'a Message: |value| value;
    FeedbackEntry as &'a FeedbackEntry: |value| value;
}
