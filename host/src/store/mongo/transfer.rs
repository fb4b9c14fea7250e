//! Dumps of a collection, and loading them.

use super::MongoStore;
use super::error::{DUPLICATE_KEY, Failure};
use crate::error::{Error, Result};
use crate::store::schema::build::{MAX_DOCUMENT, serialized};
use crate::store::schema::extended;
use crate::store::schema::read::corrupt;
use crate::transfer::parts::Part;
use crate::transfer::{Dumped, Imported};
use mongodb::bson::raw::RawBsonRef;
use mongodb::bson::{Bson, Document, RawDocumentBuf, doc};
use mongodb::error::ErrorKind;
use tokio::sync::mpsc;

/// Documents that are inserted together at most, and their bytes.
const BATCH: usize = 500;
const BATCH_BYTES: usize = 16 * 1024 * 1024;

impl MongoStore {
    /// How many documents there are, as the collection's own statistics have it.
    pub(crate) async fn count_sessions(&self) -> Result<u64> {
        self.collection.estimated_document_count().await.map_err(|error| Failure::of(error).into_error())
    }

    /// Sends all sessions after an id.
    pub(crate) async fn dump(&self, after: Option<String>, chunks: &mpsc::Sender<Result<Dumped>>) -> Result<()> {
        let failed = |error| Failure::of(error).into_error();
        // A comparison with text finds text only; other ids are not sessions'.
        let filter = match after {
            Some(after) => doc! { "_id": { "$gt": after } },
            None => doc! { "_id": { "$gte": "" } },
        };
        let mut cursor = self.collection.find(filter).sort(doc! { "_id": 1 }).await.map_err(failed)?;
        while cursor.advance().await.map_err(failed)? {
            let document = cursor.current();
            let Ok(Some(RawBsonRef::String(session_id))) = document.get("_id") else { return Err(corrupt("session")) };
            let mut text = String::with_capacity(2 * document.as_bytes().len());
            extended::write_session(&mut text, document)?;
            text.push('\n');
            for piece in [Dumped::Text(text), Dumped::Session(session_id.to_owned())] {
                if chunks.send(Ok(piece)).await.is_err() {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Stores the sessions whose parts come.
    pub(crate) async fn load(&self, mut batches: mpsc::Receiver<Vec<Part>>) -> Result<Imported> {
        let mut imported = Imported::default();
        let (mut assembly, mut documents, mut bytes) = (Assembly::default(), Vec::new(), 0);
        while let Some(parts) = batches.recv().await {
            for part in parts {
                match part {
                    Part::End => match std::mem::take(&mut assembly).finish() {
                        Ok(document) => {
                            bytes += document.as_bytes().len();
                            documents.push(document);
                        }
                        Err(why) => imported.refuse(why),
                    },
                    Part::Broken(why) => {
                        assembly = Assembly::default();
                        imported.refuse(why);
                    }
                    part => assembly.add(part),
                }
                if documents.len() >= BATCH || bytes >= BATCH_BYTES {
                    self.insert(std::mem::take(&mut documents), &mut imported).await?;
                    bytes = 0;
                }
            }
        }
        self.insert(documents, &mut imported).await?;
        Ok(imported)
    }

    /// Inserts documents; those whose id is taken are compared with what is there.
    async fn insert(&self, batch: Vec<RawDocumentBuf>, imported: &mut Imported) -> Result<()> {
        if batch.is_empty() {
            return Ok(());
        }
        let count = batch.len() as u64;
        let failures = match self.collection.insert_many(&batch).ordered(false).await {
            Ok(_) => Vec::new(),
            Err(error) => match error.kind.as_ref() {
                ErrorKind::InsertMany(failure) if failure.write_concern_error.is_none() => failure.write_errors.clone().unwrap_or_default(),
                _ => return Err(Failure::of(error).into_error()),
            },
        };
        imported.new += count - failures.len() as u64;
        for failure in failures {
            let Some(document) = batch.get(failure.index) else { continue };
            let Ok(Some(RawBsonRef::String(session_id))) = document.get("_id") else { continue };
            if super::error::is_not_now(failure.code) {
                return Err(Error::Unavailable(String::from("the store is stopping or changing its primary")));
            }
            let stored = if failure.code == DUPLICATE_KEY {
                self.collection.find_one(doc! { "_id": session_id }).await.map_err(|error| Failure::of(error).into_error())?
            } else {
                None
            };
            match stored {
                Some(stored) if stored.as_bytes() == document.as_bytes() => imported.same += 1,
                Some(_) => imported.differs(session_id),
                // Also for an index of somebody's that has the document's values already.
                None => {
                    tracing::warn!(code = failure.code, message = failure.message, "a session cannot be stored");
                    imported.refuse(format!("session {session_id:?}: the server refuses it (error {})", failure.code));
                }
            }
        }
        Ok(())
    }
}

/// A session document, as far as its parts have come.
#[derive(Default)]
struct Assembly {
    session_id: String,
    document: Document,
    feedback: Vec<Bson>,
    /// The agents that are complete, and the one that is not.
    agents: Document,
    agent: Option<(String, Document, Vec<Bson>)>,
    /// About how many bytes it has; no more are kept than the server takes.
    bytes: u64,
}

impl Assembly {
    fn add(&mut self, part: Part) {
        if self.bytes > MAX_DOCUMENT && !matches!(part, Part::Session(_)) {
            return;
        }
        match part {
            Part::Session(id) => {
                self.document.insert("_id", id.clone());
                self.session_id = id;
            }
            Part::Field(name, value) => {
                self.count(&name, &value);
                self.document.insert(name, value);
            }
            Part::Agent(agent_id) => {
                self.end_agent();
                self.agent = Some((agent_id, Document::new(), Vec::new()));
            }
            Part::AgentField(name, value) => {
                self.count(&name, &value);
                if let Some((_, agent, _)) = &mut self.agent {
                    agent.insert(name, value);
                }
            }
            Part::Message(message) => {
                let message = Bson::Document(message);
                self.count("", &message);
                if let Some((_, _, messages)) = &mut self.agent {
                    messages.push(message);
                }
            }
            Part::Feedback(entry) => {
                let entry = Bson::Document(entry);
                self.count("", &entry);
                self.feedback.push(entry);
            }
            Part::End | Part::Broken(_) => {}
        }
    }

    fn count(&mut self, name: &str, value: &Bson) {
        let size = serialized(&Document::from_iter([(name.to_owned(), value.clone())])).map_or(0, |raw| raw.as_bytes().len());
        self.bytes += size as u64;
    }

    fn end_agent(&mut self) {
        if let Some((agent_id, mut agent, messages)) = self.agent.take() {
            fill(&mut agent, "messages", Bson::Array(messages));
            self.agents.insert(agent_id, agent);
        }
    }

    /// The whole document, or why there is none.
    fn finish(mut self) -> Result<RawDocumentBuf, String> {
        self.end_agent();
        for (name, value) in [("agents", Bson::Document(self.agents)), ("feedbacks", Bson::Array(self.feedback))] {
            fill(&mut self.document, name, value);
        }
        let refused = |error: Error| format!("session {:?}: {error}", self.session_id);
        if self.bytes > MAX_DOCUMENT {
            return Err(refused(Error::TooLarge { size: self.bytes, limit: MAX_DOCUMENT }));
        }
        let document = serialized(&self.document).map_err(refused)?;
        let size = document.as_bytes().len() as u64;
        if size > MAX_DOCUMENT { Err(refused(Error::TooLarge { size, limit: MAX_DOCUMENT })) } else { Ok(document) }
    }
}

/// Puts what came in parts into its field, if that is there and not null.
fn fill(document: &mut Document, name: &str, parts: Bson) {
    if let Some(place @ (Bson::Document(_) | Bson::Array(_))) = document.get_mut(name) {
        *place = parts;
    }
}
