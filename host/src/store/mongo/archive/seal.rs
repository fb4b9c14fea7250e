//! The first step of a move: the oldest messages are sealed for one mover.

use super::Archive;
use super::blocks::documents;
use super::conditions::same_mover;
use crate::error::Result;
use crate::store::mongo::error::Failure;
use crate::store::mongo::expressions::{AgentPath, are_in_order, array, highest, in_order, is_object, newest, on};
use crate::store::mongo::known::{Move, Mover};
use crate::store::mongo::store::MongoStore;
use crate::store::schema::json::broken;
use crate::store::schema::read::{corrupt, member};
use mongodb::bson::oid::ObjectId;
use mongodb::bson::raw::{RawBson, RawBsonRef, RawDocument};
use mongodb::bson::{Bson, Document, RawDocumentBuf, doc};
use mongodb::options::{ReturnDocument, UpdateModifications};

/// Messages that are sealed for this mover.
pub(super) struct Sealed {
    /// The mover's number.
    pub(super) fence: i64,
    pub(super) archive: ObjectId,
    /// How many messages are in blocks already.
    pub(super) count: u64,
    pub(super) messages: Vec<RawBson>,
    /// The lengths of the blocks.
    pub(super) cuts: Vec<usize>,
}

impl Sealed {
    fn mover(&self) -> Mover {
        Mover { archive: self.archive, fence: self.fence }
    }
}

impl MongoStore {
    /// Takes the oldest messages, cut into blocks, out of the recent ones; none if the agent has changed since the look.
    pub(super) async fn seal(&self, path: &AgentPath, archive: Option<&Archive>, cuts: &[usize]) -> Result<Option<Sealed>> {
        let messages: usize = cuts.iter().sum();
        let Some(last) = messages.checked_sub(1) else { return Ok(None) };
        let mut filter = doc! { "_id": path.session_id() };
        filter.extend(on(path.agent(), is_object()));
        filter.extend(on(path.field(&format!("messages.{last}")), doc! { "$exists": true }));
        filter.extend(on(path.field("moving"), doc! { "$exists": false }));
        filter.extend(match archive {
            Some(archive) => same_mover(path, archive.id, archive.fence),
            // Null is no archive either.
            None => on(path.field("archive"), Bson::Null),
        });
        let before = self.find_and_update(filter, sealing(path, cuts), path).await?;
        let Some(found) = before else { return Ok(None) };
        let sealed = read_sealed(&found)?;
        let bytes = documents(&sealed.messages).map(|message| message.as_bytes().len() as u64).sum();
        self.sessions.moved(path.agent_ref(), Move { messages: messages as u64, bytes, freed: 0, mover: Some(sealed.mover()) });
        Ok(Some(sealed))
    }

    /// Takes a higher number for what another mover has sealed; none if the agent has changed since the look.
    pub(super) async fn take_over(&self, path: &AgentPath, archive: &Archive) -> Result<Option<Sealed>> {
        let mut filter = doc! { "_id": path.session_id() };
        filter.extend(same_mover(path, archive.id, archive.fence));
        filter.extend(on(path.field("moving.cuts"), doc! { "$exists": true }));
        let mut update = Document::new();
        update.insert("$inc", on(path.field("archive.fence"), 1_i64));
        update.insert("$currentDate", on(path.field("archive.claimed"), true));
        let Some(found) = self.find_and_update(filter, update, path).await? else { return Ok(None) };
        let sealed = read_sealed(&found)?;
        self.sessions.moved(path.agent_ref(), Move { mover: Some(sealed.mover()), ..Move::default() });
        Ok(Some(sealed))
    }

    async fn find_and_update(
        &self,
        filter: Document,
        update: impl Into<UpdateModifications>,
        path: &AgentPath,
    ) -> Result<Option<RawDocumentBuf>> {
        let projection = doc! { "_id": 0, "archive": path.value("archive"), "moving": path.value("moving") };
        let update = self.collection.find_one_and_update(filter, update).projection(projection).return_document(ReturnDocument::After);
        update.write_concern(self.majority.clone()).await.map_err(|error| Failure::of_update(error).into_error())
    }

    /// Gives up a claim, so that others need not wait for this mover. If this fails, too, they wait a few seconds.
    pub(super) async fn release(&self, path: &AgentPath, claim: Document) {
        let mut filter = doc! { "_id": path.session_id() };
        filter.extend(claim);
        let release = self.update(filter, doc! { "$unset": on(path.field("archive.claimed"), "") });
        release.await.map_err(Failure::into_error).ok();
    }
}

/// Reads what a mover got.
fn read_sealed(found: &RawDocument) -> Result<Sealed> {
    let archive = Archive::of(found)?.ok_or_else(|| corrupt("archive"))?;
    let Some(RawBsonRef::Document(moving)) = member(found, "moving")? else { return Err(corrupt("archive")) };
    let (Some(RawBsonRef::Array(messages)), Some(RawBsonRef::Array(cuts))) = (member(moving, "messages")?, member(moving, "cuts")?) else {
        return Err(corrupt("archive"));
    };
    let messages = messages.into_iter().map(|message| message.map(RawBson::from).map_err(broken)).collect::<Result<_>>()?;
    let cut = |cut| match cut {
        Ok(RawBsonRef::Int32(cut)) => usize::try_from(cut).map_err(|_| corrupt("archive")),
        _ => Err(corrupt("archive")),
    };
    let cuts = cuts.into_iter().map(cut).collect::<Result<_>>()?;
    Ok(Sealed { fence: archive.fence, archive: archive.id, count: archive.count, messages, cuts })
}

/// Takes the oldest messages out of the recent ones, for the mover with the next number. Makes the archive where there is none.
fn sealing(path: &AgentPath, cuts: &[usize]) -> Vec<Document> {
    let count = i32::try_from(cuts.iter().sum::<usize>()).unwrap_or(i32::MAX);
    let cuts: Vec<i32> = cuts.iter().map(|cut| i32::try_from(*cut).unwrap_or(i32::MAX)).collect();
    let messages = path.value("messages");
    let sorted = doc! { "$cond": [are_in_order(path), &messages, in_order(array(messages.as_str()), |all| Bson::from(all))] };
    let archive = |name: &str| path.value(&format!("archive.{name}"));
    let begun = doc! {
        "id": { "$ifNull": [archive("id"), ObjectId::new()] },
        "count": { "$ifNull": [archive("count"), 0_i64] },
        "writes": { "$ifNull": [archive("writes"), 0_i64] },
        "fence": { "$add": [{ "$ifNull": [archive("fence"), 0_i64] }, 1_i64] },
        "claimed": "$$NOW",
        "top": { "$max": [archive("top"), highest("$$sealed.message_id")] },
        "latest": { "$max": [archive("latest"), newest("$$sealed.created_at")] },
    };
    let sealed = doc! { "$slice": [&messages, count] };
    let mut ordered = Document::new();
    ordered.insert(path.field("messages"), sorted);
    let mut taken = Document::new();
    taken.insert(path.field("messages"), doc! { "$slice": [&messages, count, i32::MAX] });
    taken.insert(path.field("in_order"), doc! { "$subtract": [{ "$size": &messages }, count] });
    taken.insert(path.field("moving"), doc! { "messages": &sealed, "cuts": { "$literal": cuts } });
    taken.insert(
        path.field("archive"),
        doc! { "$let": { "vars": { "sealed": sealed }, "in": { "$mergeObjects": [path.value("archive"), begun] } } },
    );
    vec![doc! { "$set": ordered }, doc! { "$set": taken }]
}
