//! Which commands went to MongoDB, and what each of them cost.

use mongodb::event::EventHandler;
use mongodb::event::command::CommandEvent;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

/// A command that was answered.
#[derive(Debug, Clone)]
pub(super) struct Sent {
    /// Its name and the collection that it went to.
    pub(super) name: String,
    pub(super) micros: f64,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Commands(Arc<Mutex<Log>>);

#[derive(Debug, Default)]
struct Log {
    under_way: HashMap<i32, String>,
    sent: Vec<Sent>,
}

impl Commands {
    /// Hears of the commands of a client.
    pub(super) fn handler(&self) -> EventHandler<CommandEvent> {
        let log = Arc::clone(&self.0);
        EventHandler::callback(move |event| {
            let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
            let (request, took, failed) = match event {
                CommandEvent::Started(started) => {
                    let collection = started.command.get_str(&started.command_name).unwrap_or_default();
                    log.under_way.insert(started.request_id, format!("{} {collection}", started.command_name));
                    return;
                }
                CommandEvent::Succeeded(done) => (done.request_id, done.duration, ""),
                CommandEvent::Failed(done) => (done.request_id, done.duration, " (failed)"),
                _ => return,
            };
            let name = log.under_way.remove(&request).unwrap_or_default();
            log.sent.push(Sent { name: format!("{name}{failed}"), micros: took.as_secs_f64() * 1e6 });
        })
    }

    /// What was sent since the last time.
    pub(super) fn take(&self) -> Vec<Sent> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner).sent)
    }
}

/// How many of each command went to a call, and their medians.
pub(super) fn summary(sent: &[Sent], calls: usize) -> String {
    let mut by_name: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    for command in sent {
        by_name.entry(&command.name).or_default().push(command.micros);
    }
    #[allow(clippy::cast_precision_loss, reason = "small counts")]
    let each = |(name, micros): (&str, Vec<f64>)| {
        format!("{:.2} {name} of {:.0}", micros.len() as f64 / calls.max(1) as f64, super::report::median(&micros))
    };
    by_name.into_iter().map(each).collect::<Vec<_>>().join(", ")
}
