//! What the plugin exports.

mod bindings {
    #![allow(clippy::all, unreachable_pub, reason = "generated")]

    wit_bindgen::generate!({ path: ["../../wit", "wit"], world: "test:plugins/plugins", generate_all });
}

use bindings::session::repository::types::Error;
use bindings::session::repository::{agents, feedback, messages, metadata, sessions};

struct Plugins;

bindings::export!(Plugins with_types_in bindings);

fn line<T>(name: &str, answer: Result<T, Error>) -> String {
    match answer {
        Ok(_) => format!("{name} ok"),
        Err(error) => format!("{name} {error:?}"),
    }
}

impl bindings::Guest for Plugins {
    async fn everything(id: String) -> Vec<String> {
        let (s, a) = (|| id.clone(), || String::from("a"));
        let body = || String::from("{}");
        vec![
            line("sessions.create", sessions::create(s(), None, None).await),
            line("sessions.read", sessions::read(s()).await),
            line("agents.create", agents::create(s(), a(), body(), None).await),
            line("agents.read", agents::read(s(), a()).await),
            line("agents.update", agents::update(s(), a(), body(), None).await),
            line("messages.create", messages::create(s(), a(), 0, body(), None).await),
            line("messages.read", messages::read(s(), a(), 0).await),
            line("messages.append", messages::append(s(), a(), body(), None, None).await),
            line("messages.append-many", messages::append_many(s(), a(), vec![body()], None, None).await),
            line("messages.update", messages::update(s(), a(), 0, body(), None).await),
            line("messages.list", messages::list(s(), a(), None, 0).await),
            line("metadata.update", metadata::update(s(), String::from(r#"{"k": 1}"#), None).await),
            line("metadata.delete", metadata::delete(s(), vec![String::from("k")], None).await),
            line("metadata.get", metadata::get(s()).await),
            line("feedback.add", feedback::add(s(), body(), None).await),
            line("feedback.list", feedback::list(s()).await),
        ]
    }
}
