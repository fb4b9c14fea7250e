//! Damage in a history and its archive: `check` names it, and `check --repair` mends what can be mended.

use super::history::{Place, SMALL, Said};
use super::proxy::{Moment, Plan, Proxy, Step, at_step};
use crate::check::check;
use crate::check::mongo::indexed;
use crate::run::{Desk, Site};
use mongodb::bson::oid::ObjectId;
use mongodb::bson::{Bson, DateTime, Document, doc};
use serde_json::json;
use session_repository_tests::{Database, program};

/// A session `s` whose agent `a` has most of its messages in the archive.
struct Damaged {
    desk: Desk,
    database: Database,
    site: Site,
    place: Place,
    said: Said,
}

/// All that is stored.
type Stored = (Vec<Document>, Vec<Document>);

impl Damaged {
    async fn new() -> anyhow::Result<Self> {
        let (desk, database, site) = indexed(Vec::new()).await?;
        let place = Place::open(&database, Some(SMALL)).await?;
        let said = place.seed("s", 30).await?;
        Ok(Self { desk, database, site, place, said })
    }

    async fn stored(&self) -> anyhow::Result<Stored> {
        let mut stored = (Vec::new(), Vec::new());
        for (collection, documents) in [(self.database.documents(), &mut stored.0), (self.database.blocks(), &mut stored.1)] {
            let mut found = collection.find(doc! {}).sort(doc! { "_id": 1 }).await?;
            while found.advance().await? {
                documents.push(found.deserialize_current()?);
            }
        }
        Ok(stored)
    }

    /// Changes the session's document by an update of its own.
    async fn damage(&self, update: impl Into<mongodb::options::UpdateModifications>) -> anyhow::Result<()> {
        let done = self.database.documents().update_one(doc! { "_id": "s" }, update).await?;
        anyhow::ensure!(done.modified_count == 1, "nothing was damaged");
        Ok(())
    }

    async fn block(&self) -> anyhow::Result<Document> {
        let first = self.database.blocks().find_one(doc! {}).sort(doc! { "_id": 1 }).await?;
        first.ok_or_else(|| anyhow::anyhow!("no block"))
    }

    /// What is wrong is told, once by a dry run also as what can be mended; nothing is changed by either. Then it is mended, all but what
    /// is named as such.
    async fn is_mended(&self, wrong: &[&str], stays: &[&str]) -> anyhow::Result<()> {
        let before = self.stored().await?;
        let all: Vec<_> = wrong.iter().chain(stays).map(|text| (*text).to_owned()).collect();
        let sorted = |mut texts: Vec<String>| {
            texts.sort_unstable();
            texts
        };
        let mended = |report: &serde_json::Value| {
            let texts = report["mended"].as_array().into_iter().flatten().filter_map(|text| text.as_str().map(str::to_owned));
            sorted(texts.collect())
        };
        let (all, wrong, stays) = (sorted(all), sorted(wrong.iter().map(|text| (*text).to_owned()).collect()), stays);
        let (report, problems, _) = check(&self.desk, &self.site, &[]).await?;
        assert_eq!((sorted(problems), report.get("mended")), (all.clone(), None));
        let (report, problems, _) = check(&self.desk, &self.site, &["--repair", "--dry-run"]).await?;
        assert_eq!((sorted(problems), mended(&report)), (all, wrong.clone()));
        assert_eq!(self.stored().await?, before, "a look changes nothing");
        let (report, problems, _) = check(&self.desk, &self.site, &["--repair"]).await?;
        assert_eq!((problems, mended(&report)), (stays.iter().map(|text| (*text).to_owned()).collect(), wrong));
        assert_eq!(check(&self.desk, &self.site, &[]).await?.1, stays);
        Ok(())
    }

    /// It is all there, and goes on.
    async fn goes_on(mut self) -> anyhow::Result<()> {
        let place = Place::open(&self.database, Some(SMALL)).await?;
        assert_eq!(place.read("s").await?, self.said);
        let next = i64::try_from(self.said.len())?;
        place.append("s", next..next + 5).await?;
        self.said.extend(super::history::said(next..next + 5));
        assert_eq!(place.read("s").await?, self.said);
        assert_eq!(check(&self.desk, &self.site, &[]).await?.1, Vec::<String>::new());
        place.close().await;
        self.end().await
    }

    async fn end(self) -> anyhow::Result<()> {
        self.place.close().await;
        self.database.drop().await
    }
}

#[tokio::test]
async fn orphans_are_removed_with_a_session_and_without() -> anyhow::Result<()> {
    let all = Damaged::new().await?;
    let blocks = all.database.blocks();
    let (mine, nobodys) = (ObjectId::new(), ObjectId::new());
    for (session, archive, first) in [("s", mine, 0_i64), ("s", mine, 5), ("never", nobodys, 0)] {
        let mut block = all.block().await?;
        block.insert("_id", doc! { "archive": archive, "first": first });
        block.insert("session_id", session);
        blocks.insert_one(block).await?;
    }
    let expected = [
        "session \"s\": 2 blocks of an archive that no agent has (orphans)",
        "session \"never\": 1 blocks of an archive that no agent has (orphans)",
    ];
    all.is_mended(&expected, &[]).await?;
    assert_eq!(blocks.count_documents(doc! { "_id.archive": { "$in": [mine, nobodys] } }).await?, 0);
    all.goes_on().await
}

#[tokio::test]
async fn blocks_behind_the_end_of_an_archive_are_removed() -> anyhow::Result<()> {
    let all = Damaged::new().await?;
    let mut block = all.block().await?;
    block.get_document_mut("_id")?.insert("first", 1000_i64);
    all.database.blocks().insert_one(block).await?;
    all.is_mended(&["agent \"a\" of session \"s\": 1 blocks that are not part of the archive"], &[]).await?;
    assert_eq!(all.database.blocks().count_documents(doc! { "_id.first": 1000 }).await?, 0);
    all.goes_on().await
}

#[tokio::test]
async fn a_move_that_was_left_behind_is_completed() -> anyhow::Result<()> {
    let mut all = Damaged::new().await?;
    let never = Place::open(&all.database, None).await?;
    never.append("s", 30..60).await?;
    all.said.extend(super::history::said(30..60));
    never.close().await;
    let rule = |step: Option<Step>| if step == Some(Step::CommitMove) { Plan::Cut(Moment::Before) } else { Plan::Pass };
    let proxy = Proxy::start(move |command| rule(command.step())).await?;
    let mover = Place::through(&proxy.uri(), &all.database, Some(SMALL)).await?;
    let moved = mover.store.archive_run("s").await;
    assert!(moved.is_err(), "{moved:?}");
    mover.close().await;
    all.is_mended(&["agent \"a\" of session \"s\": a move to the archive was not completed"], &[]).await?;
    let agent = all.database.document("s").await?;
    assert!(!agent.get_document("agents")?.get_document("a")?.contains_key("moving"));
    all.goes_on().await
}

/// A server whose clock was ahead has dated a claim, and its mover has died.
#[tokio::test]
async fn a_claim_from_the_future_holds_nobody_up() -> anyhow::Result<()> {
    let mut all = Damaged::new().await?;
    let never = Place::open(&all.database, None).await?;
    never.append("s", 30..60).await?;
    all.said.extend(super::history::said(30..60));
    let rule = |step: Option<Step>| if step == Some(Step::CommitMove) { Plan::Cut(Moment::Before) } else { Plan::Pass };
    let proxy = Proxy::start(move |command| rule(command.step())).await?;
    let mover = Place::through(&proxy.uri(), &all.database, Some(SMALL)).await?;
    assert!(mover.store.archive_run("s").await.is_err());
    mover.close().await;
    all.damage(vec![doc! { "$set": { "agents.a.archive.claimed": { "$add": ["$$NOW", 3_600_000] } } }]).await?;
    let sealed = all.database.document("s").await?;
    let sealed = sealed.get_document("agents")?.get_document("a")?.get_document("moving")?.get_array("messages")?.first().cloned();
    let id = i64::from(sealed.as_ref().and_then(Bson::as_document).map(|message| message.get_i32("message_id")).transpose()?.unwrap_or(-1));
    assert_eq!(check(&all.desk, &all.site, &[]).await?.1, ["agent \"a\" of session \"s\": a move to the archive was not completed"]);
    let new = json!({"updated": true});
    tokio::time::timeout(super::PATIENCE, never.update("s", id, new.clone())).await??;
    all.said[usize::try_from(id)?].1 = new;
    never.close().await;
    all.goes_on().await
}

#[tokio::test]
async fn a_mover_at_work_is_no_damage() -> anyhow::Result<()> {
    // Built before the claim, which holds for seconds only.
    program().await?;
    let all = Damaged::new().await?;
    let never = Place::open(&all.database, None).await?;
    never.append("s", 30..60).await?;
    never.close().await;
    let mut proxy = Proxy::start(super::proxy::at_step(Step::CommitMove, 0, Plan::Hold(Moment::Before))).await?;
    let mover = Place::through(&proxy.uri(), &all.database, Some(SMALL)).await?;
    let store = mover.store.clone();
    let moving = tokio::spawn(async move { store.archive_run("s").await });
    let held = proxy.held().await?;
    // Its blocks are there, and are not committed yet.
    all.damage(vec![doc! { "$set": { "agents.a.archive.claimed": "$$NOW" } }]).await?;
    assert_eq!(check(&all.desk, &all.site, &["--repair"]).await?.1, Vec::<String>::new());
    held.resume();
    assert!(moving.await??.is_some_and(|moved| moved > 0));
    mover.close().await;
    let mut all = all;
    all.said.extend(super::history::said(30..60));
    all.goes_on().await
}

#[tokio::test]
async fn a_block_that_lacks_an_update_gets_it() -> anyhow::Result<()> {
    let mut all = Damaged::new().await?;
    let rule = |step: Option<Step>| if step == Some(Step::UpdateBlock) { Plan::Cut(Moment::Before) } else { Plan::Pass };
    let proxy = Proxy::start(move |command| rule(command.step())).await?;
    let lame = Place::through(&proxy.uri(), &all.database, Some(SMALL)).await?;
    let new = json!({"updated": true});
    lame.update_lamely("s", 1, new.clone()).await?;
    lame.close().await;
    all.said[1].1 = new;
    all.is_mended(&["agent \"a\" of session \"s\": a block lacks the last update of one of its messages"], &[]).await?;
    assert_eq!(all.database.blocks().count_documents(doc! { "messages.updated": true }).await?, 1);
    all.goes_on().await
}

#[tokio::test]
async fn what_an_archive_tells_of_its_messages_is_raised_to_what_they_have() -> anyhow::Result<()> {
    for damage in [doc! { "agents.a.archive.top": 3_i64 }, doc! { "agents.a.archive.latest": DateTime::from_millis(5) }] {
        let all = Damaged::new().await?;
        let before = all.stored().await?;
        all.damage(doc! { "$set": damage }).await?;
        all.is_mended(&["agent \"a\" of session \"s\": the archive has messages with a higher id or a later time than it tells"], &[])
            .await?;
        assert_eq!(all.stored().await?, before);
        all.goes_on().await?;
    }
    Ok(())
}

#[tokio::test]
async fn messages_that_are_lost_are_named_and_stay_so() -> anyhow::Result<()> {
    let all = Damaged::new().await?;
    let blocks = all.database.blocks();
    let (first, second) = (all.block().await?, blocks.find_one(doc! {}).sort(doc! { "_id": 1 }).skip(1).await?.unwrap_or_default());
    let (start, end) = (second.get_document("_id")?.get_i64("first")?, second.get_array("messages")?.len());
    blocks.delete_one(doc! { "_id": second.get_document("_id")? }).await?;
    let last = start + i64::try_from(end)? - 1;
    let missing = format!("agent \"a\" of session \"s\": messages are missing in the archive, at the positions {start} to {last}");
    all.is_mended(&[], &[&missing]).await?;
    assert_eq!(all.block().await?, first);
    blocks.delete_many(doc! {}).await?;
    let count = all.database.document("s").await?.get_document("agents")?.get_document("a")?.get_document("archive")?.get_i64("count")?;
    let none = format!("agent \"a\" of session \"s\": all {count} archived messages are missing: the archive has no blocks");
    all.is_mended(&[], &[&none]).await?;
    all.end().await
}

#[tokio::test]
async fn messages_that_count_as_ordered_are_put_into_their_order() -> anyhow::Result<()> {
    let all = Damaged::new().await?;
    // One millisecond apart, and the newest first.
    let document = all.database.document("s").await?;
    let mut messages = document.get_document("agents")?.get_document("a")?.get_array("messages")?.clone();
    for (later, message) in (0..).zip(&mut messages) {
        let message = message.as_document_mut().ok_or_else(|| anyhow::anyhow!("no message"))?;
        let created = message.get_datetime("created_at")?.timestamp_millis();
        message.insert("created_at", DateTime::from_millis(created + later));
    }
    messages.reverse();
    all.damage(doc! { "$set": { "agents.a.messages": messages } }).await?;
    all.is_mended(&["agent \"a\" of session \"s\": its messages count as ordered by time, and are not"], &[]).await?;
    all.goes_on().await
}

#[tokio::test]
async fn nulls_become_empty_and_what_has_no_sensible_reading_stays_as_it_is() -> anyhow::Result<()> {
    let all = Damaged::new().await?;
    let date = DateTime::from_millis(5);
    let odd = doc! {
        "_id": "odd", "session_id": "odd", "created_at": date, "updated_at": date, "agents": Bson::Null, "feedbacks": Bson::Null,
        "metadata": Bson::Null, "revision": Bson::Null,
    };
    all.database.documents().insert_one(odd).await?;
    all.database.documents().insert_one(doc! { "_id": "undated", "session_id": "undated", "agents": { "b": { "messages": 5 } } }).await?;
    let stays = [
        "session \"undated\": it has no created_at",
        "agent \"b\" of session \"undated\": it has no agent_data",
        "agent \"b\" of session \"undated\": its messages cannot be read",
    ];
    all.is_mended(&["session \"odd\": null in the place of agents, feedbacks, metadata or revision"], &stays).await?;
    let odd = all.database.document("odd").await?;
    let empty = (odd.get_document("agents"), odd.get_array("feedbacks"), odd.get_document("metadata"), odd.get_i64("revision"));
    assert!(
        matches!(empty, (Ok(agents), Ok(feedback), Ok(metadata), _) if agents.is_empty() && feedback.is_empty() && metadata.is_empty())
    );
    assert!(odd.get("revision") != Some(&Bson::Null), "{odd}");
    all.end().await
}

#[tokio::test]
async fn a_missing_index_is_made() -> anyhow::Result<()> {
    let all = Damaged::new().await?;
    all.database.documents().drop_index("updated_at_1").await?;
    let missing = "no index on updated_at: a search by it reads every session. Opening the store for writing makes the index, if the user may \
                   make one; so does check --repair";
    all.is_mended(&[missing], &[]).await?;
    all.goes_on().await
}

#[tokio::test]
async fn what_cannot_be_mended_keeps_nothing_else_from_it() -> anyhow::Result<()> {
    let all = Damaged::new().await?;
    all.place.seed("t", 30).await?;
    // What is sealed does not fit its cuts, and what an archive tells of is no number.
    let moving = doc! { "cuts": [5], "messages": [{ "message_id": 1 }] };
    all.database.documents().update_one(doc! { "_id": "s" }, doc! { "$set": { "agents.a.moving": moving } }).await?;
    all.place.seed("u", 30).await?;
    all.database.documents().update_one(doc! { "_id": "u" }, doc! { "$set": { "agents.a.archive.count": "many" } }).await?;
    all.database.documents().update_one(doc! { "_id": "t" }, doc! { "$set": { "agents.a.archive.top": 1 } }).await?;
    let (report, problems, _) = check(&all.desk, &all.site, &["--repair"]).await?;
    let left = "agent \"a\" of session \"s\": a move to the archive was not completed; it cannot be mended: ";
    assert!(problems.iter().any(|problem| problem.starts_with(left)), "{problems:?}");
    assert!(problems.contains(&String::from("agent \"a\" of session \"u\": what it tells of its archive cannot be read")), "{problems:?}");
    let raised = "agent \"a\" of session \"t\": the archive has messages with a higher id or a later time than it tells";
    assert_eq!((problems.len(), &report["mended"]), (2, &json!([raised])));
    all.end().await
}

#[tokio::test]
async fn a_missing_index_of_the_archive_is_made() -> anyhow::Result<()> {
    let all = Damaged::new().await?;
    all.database.blocks().drop_indexes().await?;
    let missing = "no index on the blocks of the archive: a read of an archived message reads every block. The next move to the archive \
                   makes the index, if the user may make one; so does check --repair";
    all.is_mended(&[missing], &[]).await?;
    all.goes_on().await
}

/// As after a backup whose documents are older than its blocks.
#[tokio::test]
async fn a_document_that_is_behind_its_blocks_is_read_and_mended() -> anyhow::Result<()> {
    let mut all = Damaged::new().await?;
    let newer = json!({"newer": true});
    let set = doc! { "$set": { "writes": 7_i64, "messages.0.text": "", "messages.0.newer": true } };
    all.database.blocks().update_one(doc! { "_id.first": 0_i64 }, set).await?;
    let unset = doc! { "$unset": { "messages.0.n": "", "messages.0.text": "" } };
    all.database.blocks().update_one(doc! { "_id.first": 0_i64 }, unset).await?;
    all.said[0].1 = newer;
    assert_eq!(all.place.read("s").await?, all.said);
    let refused = all.place.repo.messages().update("s", "a", 0, json!({"new": 1})).await;
    assert!(matches!(&refused, Err(session_repository::Error::Corrupt(why)) if why.contains("check --repair")), "{refused:?}");
    let undone = all.place.store.archive_undo("s").await;
    assert!(matches!(undone, Err(session_repository::Error::Corrupt(_))), "{undone:?}");
    all.is_mended(&["agent \"a\" of session \"s\": its archive has updates that the session's document does not tell of"], &[]).await?;
    all.place.update("s", 0, json!({"new": 1})).await?;
    all.said[0].1 = json!({"new": 1});
    all.goes_on().await
}

/// A block that cannot be read costs what a missing one does.
#[tokio::test]
async fn a_block_that_cannot_be_read_costs_itself() -> anyhow::Result<()> {
    for broken in [doc! { "$unset": { "messages": "" } }, doc! { "$set": { "messages": "text" } }, doc! { "$set": { "writes": "text" } }] {
        let all = Damaged::new().await?;
        all.place.update("s", 0, json!({"pending": true})).await?;
        let length = all.block().await?.get_array("messages")?.len();
        all.database.blocks().update_one(doc! { "_id.first": 0_i64 }, broken.clone()).await?;
        // Also one that has seen nothing of it before.
        let place = Place::open(&all.database, Some(SMALL)).await?;
        for place in [&all.place, &place] {
            let list = place.repo.messages().list("s", "a", None, 0).await?;
            let ids: Vec<_> = list.iter().map(|message| message.message_id).collect();
            assert_eq!(ids, (i64::try_from(length)?..30).collect::<Vec<_>>(), "{broken}");
            assert_eq!(place.repo.messages().read("s", "a", 0).await?, None, "{broken}");
        }
        place.close().await;
        let lost = format!("agent \"a\" of session \"s\": messages are missing in the archive, at the positions 0 to {}", length - 1);
        assert_eq!(check(&all.desk, &all.site, &["--repair"]).await?.1, [lost], "{broken}");
        all.end().await?;
    }
    Ok(())
}

/// Where it cannot be told what an agent has, nothing is taken for an orphan.
#[tokio::test]
async fn blocks_of_a_damaged_archive_are_kept() -> anyhow::Result<()> {
    for damage in [doc! { "agents.a.archive.id": "text" }, doc! { "agents.a.archive": 5 }, doc! { "agents": "text" }] {
        let all = Damaged::new().await?;
        all.place.repo.agents().create("s", "b", "{}").await?;
        all.place.repo.messages().create("s", "b", 0, json!({"n": 0})).await?;
        let blocks = all.database.blocks().count_documents(doc! {}).await?;
        all.damage(doc! { "$set": damage.clone() }).await?;
        let ran = all.desk.run(&all.site, &["check", "--repair"]).await?;
        assert!(ran.status == Some(1) && ran.stderr.contains("so none of its blocks counts as an orphan"), "{}", ran.stderr);
        // Agent `b` has a message with an id that the blocks have, too.
        all.place.repo.messages().update("s", "b", 0, json!({"n": 1})).await.ok();
        all.place.store.archive_undo("s").await.ok();
        assert_eq!(all.database.blocks().count_documents(doc! {}).await?, blocks, "{damage}");
        all.end().await?;
    }
    Ok(())
}

/// An update that stands nowhere in its block changes nothing there.
#[tokio::test]
async fn a_pending_update_of_no_message_fills_up_no_block() -> anyhow::Result<()> {
    let all = Damaged::new().await?;
    let redo = doc! { "first": 0_i64, "at": 99_i64, "message": { "message_id": 0, "new": true } };
    all.damage(doc! { "$set": { "agents.a.archive.redo": [redo] } }).await?;
    let before = all.block().await?;
    check(&all.desk, &all.site, &["--repair"]).await?;
    assert_eq!(all.block().await?, before);
    assert_eq!(check(&all.desk, &all.site, &[]).await?.1, Vec::<String>::new());
    all.goes_on().await
}

/// A check of a session in use does not take an update on its way to its block for damage.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_update_at_work_is_no_damage() -> anyhow::Result<()> {
    let all = Damaged::new().await?;
    let mut updates = Proxy::start(at_step(Step::UpdateBlock, 0, Plan::Hold(Moment::Before))).await?;
    // The check asks once for the archive, and then twice for the update that its block lacks.
    let mut asked = 0;
    let mut asks = Proxy::start(move |command| {
        asked += usize::from(command.body.get_document("projection").is_ok_and(|fields| fields.contains_key("owner")));
        if asked == 3 { Plan::Hold(Moment::Before) } else { Plan::Pass }
    })
    .await?;
    let place = Place::through(&updates.uri(), &all.database, Some(SMALL)).await?;
    let updating = place.clone();
    let update = tokio::spawn(async move { updating.update("s", 0, json!({"new": true})).await });
    let late = updates.held().await?;
    let site = Site { url: asks.uri(), ..all.site.clone() };
    let ends = async {
        let again = asks.held().await?;
        asks.rule(|_| Plan::Pass);
        late.resume();
        update.await??;
        again.resume();
        anyhow::Ok(())
    };
    let (checked, ended) = tokio::join!(check(&all.desk, &site, &[]), ends);
    ended?;
    assert_eq!(checked?.1, Vec::<String>::new());
    place.close().await;
    all.end().await
}
