//! Two at once: one is held at a step while others do whatever they like, and then goes on.

use super::history::{Place, SMALL, Said, Witnesses, body};
use super::proxy::{Command, Held, Moment, Plan, Proxy, Step, at_step};
use anyhow::{Context, ensure};
use serde_json::json;
use session_repository_tests::Database;
use std::future::Future;

/// What others do meanwhile.
#[derive(Debug, Clone, Copy)]
enum Meanwhile {
    Nothing,
    Move,
    AppendAndMove,
    UpdateOldest,
    UpdateNewest,
    UpdateNewestThenOldest,
    UpdateAndMove,
    Undo,
    UndoAndMove,
    MoveAndUndo,
    UpdateTwiceAndUndo,
}

const ALL: [Meanwhile; 11] = [
    Meanwhile::Nothing,
    Meanwhile::Move,
    Meanwhile::AppendAndMove,
    Meanwhile::UpdateOldest,
    Meanwhile::UpdateNewest,
    Meanwhile::UpdateNewestThenOldest,
    Meanwhile::UpdateAndMove,
    Meanwhile::Undo,
    Meanwhile::UndoAndMove,
    Meanwhile::MoveAndUndo,
    Meanwhile::UpdateTwiceAndUndo,
];

impl Meanwhile {
    async fn happen(self, others: &Witnesses, session: &str, expected: &mut Said) -> anyhow::Result<()> {
        let run = async || others.archiving.store.archive_run(session).await?.context("no session");
        let undo = async || others.never.store.archive_undo(session).await?.context("no session");
        let newest = expected.len() - 1;
        match self {
            Self::Nothing => {}
            Self::Move => drop(run().await?),
            Self::AppendAndMove => {
                for _ in 0..3 {
                    let next = expected.len() as i64;
                    others.never.append(session, next..next + 1).await?;
                    expected.push((next, body(next)));
                }
                run().await?;
            }
            Self::UpdateOldest => update(others, session, expected, 0, 1).await?,
            Self::UpdateNewest => update(others, session, expected, newest, 1).await?,
            Self::UpdateNewestThenOldest => {
                update(others, session, expected, newest, 1).await?;
                update(others, session, expected, 0, 2).await?;
            }
            Self::UpdateAndMove => {
                update(others, session, expected, 0, 1).await?;
                run().await?;
                update(others, session, expected, 1, 2).await?;
            }
            Self::Undo => drop(undo().await?),
            Self::UndoAndMove => {
                undo().await?;
                run().await?;
            }
            Self::MoveAndUndo => {
                run().await?;
                undo().await?;
            }
            Self::UpdateTwiceAndUndo => {
                update(others, session, expected, 0, 1).await?;
                update(others, session, expected, 0, 2).await?;
                undo().await?;
            }
        }
        others.check(session, expected).await.with_context(|| format!("{self:?}, while it is held"))
    }
}

async fn update(others: &Witnesses, session: &str, expected: &mut Said, at: usize, n: i64) -> anyhow::Result<()> {
    let new = json!({"by others": n});
    others.never.update(session, expected[at].0, new.clone()).await?;
    expected[at].1 = new;
    Ok(())
}

/// Has one do something through a proxy that holds it by a rule, the others meanwhile what they do, and lets it go on.
async fn hold<T: Send + 'static>(
    database: &Database,
    rule: impl FnMut(&Command) -> Plan + Send + 'static,
    doing: impl AsyncFnOnce(Place) -> T,
    meanwhile: impl Future<Output = anyhow::Result<()>>,
) -> anyhow::Result<T> {
    let mut proxy = Proxy::start(|_| Plan::Pass).await?;
    let place = Place::through(&proxy.uri(), database, Some(SMALL)).await?;
    proxy.rule(rule);
    let others = async {
        let held = proxy.held().await?;
        meanwhile.await.with_context(|| format!("{:?} held", held.command.step()))?;
        held.resume();
        anyhow::Ok(())
    };
    let (done, others) = tokio::join!(doing(place.clone()), others);
    others?;
    place.close().await;
    Ok(done)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mover_that_is_late_harms_nothing() -> anyhow::Result<()> {
    let database = Database::fresh().await?;
    let others = Witnesses::open(&database).await?;
    let steps = [
        (Step::Seal, Moment::Before),
        (Step::Seal, Moment::After),
        (Step::WriteBlocks, Moment::Before),
        (Step::WriteBlocks, Moment::After),
        (Step::CommitMove, Moment::Before),
        (Step::CommitMove, Moment::After),
    ];
    for (step, moment) in steps {
        for meanwhile in ALL {
            // The first move makes the archive; another one goes on with it.
            for begun in [false, true] {
                let name = format!("{step:?} {moment:?} {meanwhile:?} {begun}");
                let mut expected = if begun { others.archiving.seed(&name, 6).await? } else { others.never.seed(&name, 6).await? };
                others.never.append(&name, 6..12).await?;
                expected.extend((6..12).map(|n| (n, body(n))));
                let happens = meanwhile.happen(&others, &name, &mut expected);
                let rule = at_step(step, 0, Plan::Hold(moment));
                let run = async |place: Place| place.store.archive_run(&name).await;
                hold(&database, rule, run, happens).await?.with_context(|| name.clone())?;
                others.go_on(&database, &name, expected).await.with_context(|| name.clone())?;
            }
        }
    }
    others.close().await;
    database.drop().await
}

/// Two movers whose blocks differ in size have both written the same one, and neither has made it part of the archive.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_movers_with_one_block_one_succeeds() -> anyhow::Result<()> {
    let database = Database::fresh().await?;
    let others = Witnesses::open(&database).await?;
    let start = |place: &Place, name: &str| {
        let (store, name) = (place.store.clone(), name.to_owned());
        tokio::spawn(async move { store.archive_run(&name).await })
    };
    for sizes in [[SMALL, 4 * SMALL], [4 * SMALL, SMALL]] {
        for order in [[0, 1], [1, 0]] {
            for seeded in [0, 10] {
                let name = format!("{sizes:?} {order:?} {seeded}");
                let mut expected = others.archiving.seed(&name, 1 + seeded).await?;
                others.never.append(&name, 1 + seeded..31 + seeded).await?;
                expected.extend((1 + seeded..31 + seeded).map(|n| (n, body(n))));
                let (mut places, mut held, mut movers) = (Vec::new(), Vec::new(), Vec::new());
                for size in sizes {
                    let mut proxy = Proxy::start(at_step(Step::CommitMove, 0, Plan::Hold(Moment::Before))).await?;
                    let place = Place::through(&proxy.uri(), &database, Some(size)).await?;
                    movers.push(Some(start(&place, &name)));
                    held.push(Some(proxy.held().await?));
                    places.push((place, proxy));
                }
                for at in order {
                    held[at].take().context("it went on already")?.resume();
                    movers[at].take().context("it has ended already")?.await?.with_context(|| name.clone())?;
                    others.check(&name, &expected).await.with_context(|| name.clone())?;
                }
                others.go_on(&database, &name, expected).await.with_context(|| name.clone())?;
                for (place, _proxy) in places {
                    place.close().await;
                }
            }
        }
    }
    others.close().await;
    database.drop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_append_whose_move_is_late_is_acknowledged_and_in_its_place() -> anyhow::Result<()> {
    let database = Database::fresh().await?;
    let others = Witnesses::open(&database).await?;
    for step in [Step::Seal, Step::WriteBlocks, Step::CommitMove] {
        for meanwhile in ALL {
            let name = format!("{step:?} {meanwhile:?}");
            let mut expected = others.never.seed(&name, 10).await?;
            expected.push((10, body(10)));
            let happens = meanwhile.happen(&others, &name, &mut expected);
            let append = async |place: Place| place.repo.messages().append(&*name, "a", body(10), None).await;
            let id = hold(&database, at_step(step, 0, Plan::Hold(Moment::Before)), append, happens).await?;
            ensure!(id == Ok(10), "{name}: {id:?}");
            others.go_on(&database, &name, expected).await.with_context(|| name.clone())?;
        }
    }
    others.close().await;
    database.drop().await
}

/// The answer of an append leaves when the append is durable; its move goes on behind it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_append_does_not_wait_for_its_move() -> anyhow::Result<()> {
    let database = Database::fresh().await?;
    let others = Witnesses::open(&database).await?;
    for step in [Step::Index, Step::Seal, Step::WriteBlocks, Step::CommitMove] {
        let name = format!("{step:?}");
        let mut expected = others.never.seed(&name, 10).await?;
        let mut proxy = Proxy::start(|_| Plan::Pass).await?;
        let place = Place::through(&proxy.uri(), &database, Some(SMALL)).await?;
        proxy.rule(at_step(step, 0, Plan::Hold(Moment::Before)));
        for n in 10..13 {
            ensure!(place.repo.messages().append(&*name, "a", body(n), None).await? == n, "{name}");
            expected.push((n, body(n)));
        }
        // It is under way, and held since then.
        let held = proxy.held().await?;
        others.check(&name, &expected).await?;
        held.resume();
        // What is under way comes to its end first.
        place.close().await;
        let status = others.never.store.archive_status(&name).await?.context("no session")?;
        ensure!(status[0].moving_bytes == 0 && status[0].bytes <= SMALL, "{name}: {status:?}");
        others.go_on(&database, &name, expected).await.with_context(|| name.clone())?;
    }
    others.close().await;
    database.drop().await
}

/// An agent whose move takes long keeps one place among the movers of a process, however often it appends.
#[tokio::test]
async fn an_agent_whose_move_is_late_holds_up_no_other() -> anyhow::Result<()> {
    let database = Database::fresh().await?;
    let others = Witnesses::open(&database).await?;
    for session in ["s", "t"] {
        others.never.seed(session, 10).await?;
    }
    let mut proxy = Proxy::start(|_| Plan::Pass).await?;
    let place = Place::through(&proxy.uri(), &database, Some(SMALL)).await?;
    proxy.rule(|command| if command.step() == Some(Step::Seal) { Plan::Hold(Moment::Before) } else { Plan::Pass });
    let append = async |session: &str, n: i64| place.repo.messages().append(session, "a", body(n), None).await;
    append("s", 10).await?;
    let mut held = vec![proxy.held().await?];
    for n in 11..15 {
        append("s", n).await?;
    }
    append("t", 10).await?;
    // That of the other session.
    held.push(proxy.held().await?);
    let of = |held: &Held| held.command.body.get_document("query").and_then(|query| query.get_str("_id")).map(str::to_owned);
    ensure!(of(&held[0])? == "s" && of(&held[1])? == "t", "{held:?}");
    proxy.rule(|_| Plan::Pass);
    held.into_iter().for_each(Held::resume);
    place.close().await;
    for (session, messages) in [("s", 15), ("t", 11)] {
        others.go_on(&database, session, super::history::said(0..messages)).await?;
    }
    others.close().await;
    database.drop().await
}

/// An update of message 0, which is in the archive, is held. Those of others that come before its commit are replaced by it, those that
/// come after it replace it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_update_of_the_archive_that_is_late_neither_is_lost_nor_undoes_later_ones() -> anyhow::Result<()> {
    let database = Database::fresh().await?;
    let others = Witnesses::open(&database).await?;
    let steps = [
        (Step::Write, Moment::After),
        (Step::CommitUpdate, Moment::Before),
        (Step::CommitUpdate, Moment::After),
        (Step::UpdateBlock, Moment::Before),
        (Step::UpdateBlock, Moment::After),
        (Step::ForgetRedo, Moment::Before),
        (Step::ForgetRedo, Moment::After),
    ];
    for (step, moment) in steps {
        let is_committed = !(step == Step::Write || (step, moment) == (Step::CommitUpdate, Moment::Before));
        // A large one does not stay in the session's document.
        let size = if step == Step::ForgetRedo { 5_000 } else { 10 };
        for meanwhile in ALL {
            let name = format!("{step:?} {moment:?} {meanwhile:?}");
            let mut expected = others.archiving.seed(&name, 10).await?;
            let new = json!({"late": true, "text": "z".repeat(size)});
            if is_committed {
                expected[0].1 = new.clone();
            }
            let happens = meanwhile.happen(&others, &name, &mut expected);
            let update = async |place: Place| place.repo.messages().update(&*name, "a", 0, new.clone()).await;
            hold(&database, at_step(step, 0, Plan::Hold(moment)), update, happens).await?.with_context(|| name.clone())?;
            if !is_committed {
                expected[0].1 = new;
            }
            others.go_on(&database, &name, expected).await.with_context(|| name.clone())?;
        }
    }
    others.close().await;
    database.drop().await
}

/// An undo is held. Its last step removes blocks, and others may have begun an archive anew by then.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_undo_that_is_late_removes_nothing_that_is_in_use() -> anyhow::Result<()> {
    let database = Database::fresh().await?;
    let others = Witnesses::open(&database).await?;
    for step in [Step::Fold, Step::DeleteBlocks] {
        for moment in [Moment::Before, Moment::After] {
            for meanwhile in ALL {
                let name = format!("{step:?} {moment:?} {meanwhile:?}");
                let mut expected = others.archiving.seed(&name, 10).await?;
                let happens = meanwhile.happen(&others, &name, &mut expected);
                let undo = async |place: Place| place.store.archive_undo(&name).await;
                hold(&database, at_step(step, 0, Plan::Hold(moment)), undo, happens).await?.with_context(|| name.clone())?;
                others.go_on(&database, &name, expected).await.with_context(|| name.clone())?;
            }
        }
    }
    others.close().await;
    database.drop().await
}

/// A block that lacks an update is brought up to date before the next update of another message, or else the first one would be lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_block_that_lacks_an_update_gets_it_whoever_comes_next() -> anyhow::Result<()> {
    let database = Database::fresh().await?;
    let others = Witnesses::open(&database).await?;
    let proxy = Proxy::start(|_| Plan::Pass).await?;
    let lame = Place::through(&proxy.uri(), &database, Some(SMALL)).await?;
    for meanwhile in ALL {
        for size in [10, 5_000] {
            let name = format!("{meanwhile:?} {size}");
            let mut expected = others.archiving.seed(&name, 10).await?;
            let new = json!({"pending": "z".repeat(size)});
            for (at, moment) in [(1, Moment::Before), (0, Moment::Before), (2, Moment::After)] {
                // Its connection ends at the last of the blocks that it brings up to date.
                let mut is_committed = false;
                proxy.rule(move |command| {
                    is_committed |= command.step() == Some(Step::CommitUpdate);
                    if is_committed && command.step() == Some(Step::UpdateBlock) { Plan::Cut(moment) } else { Plan::Pass }
                });
                lame.update_lamely(&name, at, new.clone()).await.with_context(|| name.clone())?;
                expected[usize::try_from(at)?].1 = new.clone();
                others.check(&name, &expected).await.with_context(|| name.clone())?;
            }
            meanwhile.happen(&others, &name, &mut expected).await.with_context(|| name.clone())?;
            others.go_on(&database, &name, expected).await.with_context(|| name.clone())?;
        }
    }
    lame.close().await;
    others.close().await;
    database.drop().await
}

/// A reader has seen the document, or the blocks, and what it sees then is from after a change.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_between_two_states_reads_one_of_them() -> anyhow::Result<()> {
    let database = Database::fresh().await?;
    let others = Witnesses::open(&database).await?;
    let is_read = |command: &Command, archive: bool| {
        matches!(command.name.as_str(), "aggregate" | "find") && command.collection.ends_with(".archive") == archive
    };
    for archive in [false, true] {
        for meanwhile in ALL {
            for moment in [Moment::Before, Moment::After] {
                let name = format!("{archive} {meanwhile:?} {moment:?}");
                let mut expected = others.archiving.seed(&name, 10).await?;
                let before = expected.clone();
                let happens = meanwhile.happen(&others, &name, &mut expected);
                let mut reads = 0;
                let rule = move |command: &Command| {
                    reads += usize::from(is_read(command, archive));
                    if reads == 1 && is_read(command, archive) { Plan::Hold(moment) } else { Plan::Pass }
                };
                let list = async |place: Place| place.repo.messages().list(&*name, "a", None, 0).await;
                let list = hold(&database, rule, list, happens).await?.with_context(|| name.clone())?;
                let list = list.iter().map(|message| Ok((message.message_id, message.body.parse()?))).collect::<anyhow::Result<Said>>()?;
                let is_between = list.iter().zip(&before).all(|(one, old)| one == old || expected.contains(one));
                ensure!(is_between && (before.len()..=expected.len()).contains(&list.len()), "{name}: {list:?}");
                // An update is never seen without those before it.
                let is_mixed = matches!(meanwhile, Meanwhile::UpdateNewestThenOldest) && list[0] == expected[0] && list[9] != expected[9];
                ensure!(!is_mixed, "{name}: {list:?}");
                ensure!(list.iter().zip(0..).all(|((id, _), place)| *id == place), "{name}: {list:?}");
            }
        }
    }
    others.close().await;
    database.drop().await
}
