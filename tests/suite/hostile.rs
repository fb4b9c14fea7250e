//! Plugins that misbehave: the caller of one gets an error, and nobody else notices.

mod calls;
mod code;
mod flood;
mod host;
mod ids;
#[cfg(target_os = "linux")]
mod leak;
mod site;
mod values;
