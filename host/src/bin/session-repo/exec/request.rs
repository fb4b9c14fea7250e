//! From a line to a call: the envelope.

use crate::calls::Call;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::fmt;

/// Reads a line: the id to answer with, as far as there is one, and the request or what is wrong with it.
pub(super) fn parse(line: &[u8]) -> (Option<Box<RawValue>>, Result<Call, String>) {
    let mut envelope = Envelope::default();
    let mut parser = serde_json::Deserializer::from_slice(line);
    let read = envelope.deserialize_into(&mut parser).and_then(|()| parser.end());
    if let Err(error) = read {
        return (None, Err(format!("not a JSON object: {error}")));
    }
    let Envelope { id, call, args, fault } = envelope;
    let request = match fault {
        Some(fault) => Err(fault),
        None => request(call.as_deref(), args.as_deref()),
    };
    (id, request)
}

#[derive(Default)]
struct Envelope {
    id: Option<Box<RawValue>>,
    call: Option<Box<RawValue>>,
    args: Option<Box<RawValue>>,
    /// What is wrong with the keys. The line is read to its end all the same, because what is not JSON has no id.
    fault: Option<String>,
}

impl Envelope {
    fn deserialize_into<'de, D: Deserializer<'de>>(&mut self, deserializer: D) -> Result<(), D::Error> {
        struct Fill<'a>(&'a mut Envelope);
        impl<'de> DeserializeSeed<'de> for Fill<'_> {
            type Value = ();
            fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
                deserializer.deserialize_map(self)
            }
        }
        impl<'de> Visitor<'de> for Fill<'_> {
            type Value = ();
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
                let Fill(envelope) = self;
                while let Some(key) = map.next_key::<String>()? {
                    let slot = match key.as_str() {
                        "id" => &mut envelope.id,
                        "call" => &mut envelope.call,
                        "args" => &mut envelope.args,
                        _ => {
                            map.next_value::<IgnoredAny>()?;
                            envelope.fault.get_or_insert(format!("unknown key {}, expected `id`, `call` or `args`", quoted(&key)));
                            continue;
                        }
                    };
                    let value = map.next_value()?;
                    if slot.replace(value).is_some() {
                        envelope.fault.get_or_insert(format!("the key `{key}` occurs twice"));
                    }
                }
                Ok(())
            }
        }
        Fill(self).deserialize(deserializer)
    }
}

fn request(call: Option<&RawValue>, args: Option<&RawValue>) -> Result<Call, String> {
    let call = call.ok_or("the key `call` is missing")?;
    let call: String = serde_json::from_str(call.get()).map_err(|_| String::from("`call` must be a string"))?;
    // The name is settled first: who calls what does not exist is not told about its arguments.
    let read = Call::reader(&call).ok_or_else(|| format!("unknown call {}", quoted(&call)))?;
    let args = args.ok_or("the key `args` is missing")?;
    read(args)
}

/// A foreign name, fit to stand in a short message.
fn quoted(name: &str) -> String {
    format!("{:?}", name.chars().take(64).collect::<String>())
}
