//! Numbers that stand for a collection, a session or an agent in the keys of what belongs to it. Each is given once and never again.

use redb::{Key, TypeName, Value};
use std::cmp::Ordering;

macro_rules! numbers {
    ($($(#[$doc:meta])* $name:ident;)+) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub(super) struct $name(u64);

        impl $name {
            pub(super) fn new(number: u64) -> Self {
                Self(number)
            }

            /// The end of a range of keys that begin with this number.
            pub(super) fn next(self) -> Self {
                Self(self.0 + 1)
            }
        }

        impl From<$name> for u64 {
            fn from(number: $name) -> Self {
                number.0
            }
        }

        // In the file it is a `u64`, by its bytes, its order and its name.
        impl Value for $name {
            type SelfType<'a> = Self;
            type AsBytes<'a> = <u64 as Value>::AsBytes<'a>;

            fn fixed_width() -> Option<usize> {
                u64::fixed_width()
            }

            fn from_bytes<'a>(data: &'a [u8]) -> Self
            where
                Self: 'a,
            {
                Self(u64::from_bytes(data))
            }

            fn as_bytes<'a, 'b: 'a>(value: &'a Self::SelfType<'b>) -> Self::AsBytes<'a>
            where
                Self: 'b,
            {
                u64::as_bytes(&value.0)
            }

            fn type_name() -> TypeName {
                u64::type_name()
            }
        }

        impl Key for $name {
            fn compare(one: &[u8], other: &[u8]) -> Ordering {
                u64::compare(one, other)
            }
        }
    )+};
}

numbers! {
    /// The number of a collection.
    CollectionNo;
    /// The number of a session.
    SessionNo;
    /// The number of an agent.
    AgentNo;
}
