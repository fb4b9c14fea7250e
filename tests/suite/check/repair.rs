//! Mending a file: what can be derived from its messages.

use super::check;
use crate::run::{Desk, Site};
use redb::{Database, ReadableTable, TableDefinition, WriteTransaction};
use std::fs;

/// The page in front of the database.
const HEADER: usize = 4096;

const MESSAGES: TableDefinition<(u64, u64), &[u8]> = TableDefinition::new("messages");
const MESSAGE_IDS: TableDefinition<(u64, i64, u64), ()> = TableDefinition::new("message_ids");
const MESSAGE_ORDER: TableDefinition<(u64, u64), &[u8]> = TableDefinition::new("message_order");
const NUMBERS: TableDefinition<&str, (u64,)> = TableDefinition::new("numbers");

/// A file with an agent whose messages have ids and times in another order than their places. And its dump.
async fn seeded(desk: &Desk) -> anyhow::Result<(Site, String)> {
    let site = desk.file_site("sessions.store");
    let message = |n: i64| {
        let (id, second) = ((n * 7) % 40, (n * 11) % 40);
        format!(r#"{{"message_id":{id},"n":{n},"created_at":{{"$date":"2024-01-26T10:00:{second:0>2}Z"}}}}"#)
    };
    let messages = (0..40).map(message).collect::<Vec<_>>().join(",");
    let created = r#""created_at":{"$date":"2024-01-26T10:00:00Z"}"#;
    let dump = format!(r#"{{"_id":"s",{created},"agents":{{"a":{{"agent_data":{{}},{created},"messages":[{messages}]}}}}}}"#);
    desk.feed(&site, &["import"], dump).await?.ok()?;
    let dump = desk.dump(&site).await?;
    Ok((site, dump))
}

/// Changes the database in a file.
fn damage(desk: &Desk, damage: impl Fn(&WriteTransaction) -> anyhow::Result<()>) -> anyhow::Result<()> {
    let (path, inner) = (desk.path("sessions.store"), desk.path("inner.redb"));
    let file = fs::read(&path)?;
    let (header, database) = file.split_at(HEADER);
    fs::write(&inner, database)?;
    let database = Database::open(&inner)?;
    let transaction = database.begin_write()?;
    damage(&transaction)?;
    transaction.commit()?;
    drop(database);
    fs::write(&path, [header, &fs::read(&inner)?].concat())?;
    Ok(())
}

/// What is wrong is told, and what can be mended; then it is mended, and the file is as it was.
async fn is_mended(desk: &Desk, site: &Site, wrong: &[&str], dump: &str) -> anyhow::Result<()> {
    let before = fs::read(desk.path("sessions.store"))?;
    assert_eq!(check(desk, site, &[]).await?.1, wrong);
    let (report, problems, _) = check(desk, site, &["--repair", "--dry-run"]).await?;
    assert_eq!((&problems[..], &report["mended"]), (&wrong.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>()[..], &wrong.into()));
    assert!(fs::read(desk.path("sessions.store"))? == before, "a look changes nothing");
    let (report, problems, _) = check(desk, site, &["--repair"]).await?;
    assert_eq!((problems, &report["mended"]), (Vec::new(), &wrong.into()));
    // Nothing is left to be found, or to be mended again.
    let (report, problems, _) = check(desk, site, &["--repair"]).await?;
    assert_eq!((problems, report.get("mended")), (Vec::new(), None));
    assert_eq!(desk.dump(site).await?, dump);
    for id in 0..40 {
        let read = desk.run(site, &["message", "read", "s", "a", &id.to_string(), "--json"]).await?;
        assert!(read.ok()?.contains(&format!("\"message_id\":{id},")), "{}", read.text()?);
    }
    Ok(())
}

#[tokio::test]
async fn messages_are_found_by_their_ids_again() -> anyhow::Result<()> {
    let desk = Desk::new()?;
    let (site, dump) = seeded(&desk).await?;
    damage(&desk, |transaction| {
        transaction.open_table(MESSAGE_IDS)?.retain(|(_, id, _), ()| id % 4 != 1)?;
        Ok(())
    })?;
    is_mended(&desk, &site, &["agent \"a\" of session \"s\": 10 messages cannot be found by their ids"], &dump).await
}

#[tokio::test]
async fn the_order_of_messages_is_made_anew() -> anyhow::Result<()> {
    for row in [None, Some(&b"damaged"[..])] {
        let desk = Desk::new()?;
        let (site, dump) = seeded(&desk).await?;
        damage(&desk, |transaction| {
            let mut order = transaction.open_table(MESSAGE_ORDER)?;
            let key = order.first()?.map(|(key, _)| key.value()).ok_or_else(|| anyhow::anyhow!("no order"))?;
            match row {
                None => drop(order.remove(key)?),
                Some(row) => drop(order.insert(key, row)?),
            }
            Ok(())
        })?;
        is_mended(&desk, &site, &["agent \"a\" of session \"s\": the order of its messages is damaged"], &dump).await?;
    }
    Ok(())
}

#[tokio::test]
async fn numbers_that_are_in_use_are_not_given_again() -> anyhow::Result<()> {
    let desk = Desk::new()?;
    let (site, dump) = seeded(&desk).await?;
    damage(&desk, |transaction| {
        transaction.open_table(NUMBERS)?.insert("next", (0,))?;
        Ok(())
    })?;
    let text = "its number would be given to another one";
    is_mended(&desk, &site, &[&format!("session \"s\": {text}"), &format!("agent \"a\" of session \"s\": {text}")], &dump).await?;
    desk.run(&site, &["session", "create", "t"]).await?.ok()?;
    assert!(desk.dump(&site).await?.starts_with(&dump));
    Ok(())
}

#[tokio::test]
async fn messages_that_are_lost_are_named_and_stay_so() -> anyhow::Result<()> {
    let desk = Desk::new()?;
    let (site, _) = seeded(&desk).await?;
    damage(&desk, |transaction| {
        let mut messages = transaction.open_table(MESSAGES)?;
        let (agent, _) = messages.first()?.map(|(key, _)| key.value()).ok_or_else(|| anyhow::anyhow!("no messages"))?;
        for lost in [3, 4, 39] {
            messages.remove((agent, lost))?;
        }
        Ok(())
    })?;
    let before = fs::read(desk.path("sessions.store"))?;
    for options in [&[][..], &["--repair", "--dry-run"], &["--repair"]] {
        let (report, problems, _) = check(&desk, &site, options).await?;
        let expected = ["the messages from position 3 to 4 are missing", "it has 39 messages of 40"];
        assert_eq!(problems, expected.map(|text| format!("agent \"a\" of session \"s\": {text}")));
        assert_eq!(report.get("mended"), None);
    }
    assert!(fs::read(desk.path("sessions.store"))? == before, "nothing can be mended, and nothing is changed");
    Ok(())
}
