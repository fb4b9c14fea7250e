//! What all writes share: the look at a session when an attempt has matched nothing, and what can be done about what it finds.

use super::answer::{self, Look};
use super::attempts::{ATTEMPTS, back_off, contended};
use super::conditions::{RESERVE, has_room, session};
use super::error::Failure;
use super::expressions::{AgentPath, on};
use super::known;
use super::questions::{self, Question};
use super::store::{MongoStore, primary};
use crate::error::{Entity, Error, Result};
use crate::store::schema::build::MAX_DOCUMENT;
use crate::store::schema::read::corrupt;
use mongodb::bson::{Bson, Document, doc};
use mongodb::options::UpdateModifications;

/// Checks that a session is at the revision that a write expects.
pub(crate) fn require_revision(expected: Option<u64>, current: u64) -> Result<()> {
    if expected.is_some_and(|expected| expected != current) {
        return Err(Error::Stale { current });
    }
    // As long as it can be advanced.
    if current < i64::MAX.unsigned_abs() { Ok(()) } else { Err(corrupt("revision")) }
}

/// An update of a session's document, or of an agent in it.
pub(crate) struct SessionUpdate<'a> {
    pub(crate) session_id: &'a str,
    /// The agent, if a look has to tell whether it is there.
    pub(crate) path: Option<&'a AgentPath>,
    /// What has to hold beside the session's id and revision.
    pub(crate) condition: Document,
    pub(crate) update: UpdateModifications,
    pub(crate) expected: Option<u64>,
    /// How many bytes it adds.
    pub(crate) adds: u64,
    /// Whether it minds the room that is left.
    pub(crate) is_append: bool,
    /// What a look says against it before the revision counts.
    pub(crate) judge: fn(&Look) -> Result<()>,
}

impl<'a> SessionUpdate<'a> {
    /// An update that needs no more than the session, and adds nothing.
    pub(crate) fn of(session_id: &'a str, update: impl Into<UpdateModifications>, expected: Option<u64>) -> Self {
        let (condition, update) = (Document::new(), update.into());
        Self { session_id, path: None, condition, update, expected, adds: 0, is_append: false, judge: |_| Ok(()) }
    }
}

impl MongoStore {
    /// Looks, on the primary, why a write matched nothing; a session that is not there is the answer already.
    pub(crate) async fn look(&self, session_id: &str, path: Option<&AgentPath>, question: &Question<'_>) -> Result<Look> {
        let found = self.find(session_id, questions::look(path, question), Some(primary())).await?;
        answer::look(&found.ok_or(Error::NotFound(Entity::Session))?)
    }

    /// Checks that the session is there, at the revision that a write which changes nothing expects.
    pub(crate) async fn require_session(&self, session_id: &str, expected: Option<u64>) -> Result<()> {
        let look = self.look(session_id, None, &Question::default()).await?;
        self.check_and_make_room(session_id, &look, expected, 0).await
    }

    /// Judges by a look what else stands in the way of a write that adds so many bytes; makes room for it where that is possible. If it
    /// returns, the write could go through now.
    pub(crate) async fn check_and_make_room(&self, session_id: &str, look: &Look, expected: Option<u64>, adds: u64) -> Result<()> {
        require_revision(expected, look.revision)?;
        let needs = adds.saturating_add(RESERVE);
        if adds > 0 && look.size.saturating_add(needs) > MAX_DOCUMENT { self.make_room(session_id, needs, adds).await } else { Ok(()) }
    }

    /// Applies an update to a session until it goes through, or a look finds why it cannot.
    pub(crate) async fn update_session(&self, state: &mut known::State, update: SessionUpdate<'_>) -> Result<(), Failure> {
        let SessionUpdate { session_id, path, condition, update, expected, adds, is_append, judge } = update;
        for attempt in 0..ATTEMPTS {
            back_off(attempt).await;
            let mut filter = session(session_id, expected);
            filter.extend(condition.clone());
            if is_append {
                filter.insert("$expr", has_room(adds));
            }
            match self.update(filter, update.clone()).await {
                Ok(true) => {
                    state.wrote(adds);
                    return Ok(());
                }
                Ok(false) => {
                    let question = Question { grows: is_append, ..Question::default() };
                    let look = self.look(session_id, path, &question).await.map_err(Failure::Other)?;
                    judge(&look).map_err(Failure::Other)?;
                    let needs = if is_append { adds } else { 0 };
                    self.check_and_make_room(session_id, &look, expected, needs).await.map_err(Failure::Other)?;
                }
                Err(failure) => self.relieve(failure, session_id, adds).await?,
            }
        }
        Err(Failure::Other(contended()))
    }

    /// Takes away what a write failed for, if that is possible: makes room where the server found that a session would outgrow its limit,
    /// and empties fields that are null. Any other failure stays one.
    pub(crate) async fn relieve(&self, failure: Failure, session_id: &str, adds: u64) -> Result<(), Failure> {
        match failure {
            Failure::TooLarge => {
                let question = Question { grows: true, ..Question::default() };
                let look = self.look(session_id, None, &question).await.map_err(Failure::Other)?;
                let needs = adds.max((MAX_DOCUMENT + 1).saturating_sub(look.size));
                self.make_room(session_id, needs, adds).await.map_err(Failure::Other)
            }
            Failure::Refused if self.empty_nulls(session_id).await? => Ok(()),
            failure => Err(failure),
        }
    }

    /// Puts what is empty in the place of fields that another program has left null: a null reads as if the field was absent, but the
    /// server's operators refuse it. Tells whether there was any.
    pub(crate) async fn empty_nulls(&self, session_id: &str) -> Result<bool, Failure> {
        const NULL: i32 = 10;
        let empty =
            [("agents", doc! {}.into()), ("feedbacks", Bson::Array(Vec::new())), ("metadata", doc! {}.into()), ("revision", 0_i64.into())];
        let nulls: Vec<Document> = empty.iter().map(|(field, _)| on(*field, doc! { "$type": NULL })).collect();
        let emptied = |(field, empty): (&str, Bson)| {
            let stored = format!("${field}");
            let value = doc! { "$cond": [{ "$eq": [{ "$type": &stored }, "null"] }, { "$literal": empty }, &stored] };
            // A field that is missing stays so.
            (field.to_owned(), Bson::from(value))
        };
        let set: Document = empty.into_iter().map(emptied).collect();
        self.update(doc! { "_id": session_id, "$or": nulls }, vec![doc! { "$set": set }]).await
    }
}
