//! `session-repo compact`: the file is rewritten, and nothing else changes.

use crate::embedded::random::Random;
use crate::run::{Desk, Ran, Site, finish};
use anyhow::{Context, ensure};
use serde_json::{Value, json};
use session_repository::{Agent, AgentRef, AppendKey, Feedback, Json, Message, NewMessages, Replacement, Session, Store, Timestamp, Write};
use session_repository_tests::{Database, program};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

/// The name of the new file until it is complete.
const NEW: &str = "sessions.store.session-repo-compacting";

fn holds(file: &Path, text: &str) -> anyhow::Result<bool> {
    let bytes = fs::read(file).with_context(|| file.display().to_string())?;
    Ok(String::from_utf8_lossy(&bytes).contains(text))
}

fn body(text: &str) -> Json {
    json!({"text": text.repeat(5_000)}).to_string().into()
}

fn replacement(fields: Json) -> Replacement {
    Replacement::new(fields)
}

/// Texts that were stored and are not there any more, each many times.
const OLD: [&str; 5] = ["old message. ", "old agent. ", "old metadata. ", "old unset metadata. ", "old appended. "];

/// Stores all of [`OLD`], and replaces or removes it.
async fn store_and_redact(store: &dyn Store) -> anyhow::Result<()> {
    let now = Timestamp(1);
    let (a, write, replace) = (AgentRef::new("s", "a"), Write::at(now), Write::at(Timestamp(9)));
    let session = Session::new(String::from("s"), String::from("chat"), now);
    store.insert_session(session).await?;
    store.insert_agent("s", Agent::new("a", body(OLD[1]), now), write).await?;
    for id in 0..40 {
        let created_at = Timestamp(100 - id);
        let message = Message::new(id, body(OLD[0]), created_at);
        store.append_message(&a, message, &[], Write::at(created_at)).await?;
    }
    let key = AppendKey::new("k", "0");
    store.append_messages(&a, NewMessages::new(vec![body(OLD[4]); 20]).key(key), write).await?;
    // What is free at the end of the file is cut off when it is closed; this one stays.
    let last = Message::new(99, body("live. "), Timestamp(200));
    store.append_message(&a, last, &[], Write::at(Timestamp(200))).await?;
    for id in 0..60 {
        store.replace_message(&a, id, replacement(json!({"text": format!("redacted {id}")}).to_string().into()), replace).await?;
    }
    store.replace_agent(&a, replacement(Json::from(r#"{"model":"new"}"#)), replace).await?;
    store.set_metadata("s", vec![(String::from("m"), body(OLD[2])), (String::from("u"), body(OLD[3]))], write).await?;
    store.set_metadata("s", vec![(String::from("m"), Json::from("1"))], write).await?;
    store.unset_metadata("s", vec![String::from("u")], write).await?;
    Ok(store.append_feedback("s", Feedback::new("{}", now), write).await?)
}

async fn compact(desk: &Desk, site: &Site) -> anyhow::Result<Ran> {
    desk.run(site, &["compact"]).await
}

#[tokio::test]
async fn nothing_is_in_a_compacted_file_that_is_not_stored_any_more() -> anyhow::Result<()> {
    let desk = Desk::new()?;
    let (site, file) = (desk.file_site("sessions.store"), desk.path("sessions.store"));
    let store = site.open().await?.into_store();
    store_and_redact(&*store).await?;
    store.close().await;
    for text in OLD {
        assert!(holds(&file, text)?, "{text}: it is gone already, so this test shows nothing");
    }
    let (dump, before) = (desk.dump(&site).await?, fs::metadata(&file)?.len());
    let ran = desk.run(&site, &["compact", "--json"]).await?;
    let after = fs::metadata(&file)?.len();
    assert_eq!(serde_json::from_str::<Value>(ran.ok()?)?, json!({"bytes_before": before, "bytes_after": after}));
    assert!(after < before, "{before} {after}");
    for text in OLD {
        assert!(!holds(&file, text)?, "{text}");
    }
    assert!(holds(&file, "redacted 59")?);
    assert_eq!(desk.dump(&site).await?, dump);
    // What it remembers is there, too.
    let append = ["message", "append", "s", "a", "{}", "--idempotency-key", "k", "--json"];
    let known = desk.run(&site, &append).await?;
    ensure!(known.status == Some(1) && known.stderr.contains("the idempotency key stands for other content"), "{}", known.stderr);
    assert_eq!(desk.run(&site, &append[..5]).await?.ok()?, "message_id: 100\n");
    desk.run(&site, &["check"]).await?.ok()?;
    // Once more, in words.
    let ran = compact(&desk, &site).await?;
    let said = format!("compacted {}: ", site.url);
    ensure!(ran.ok()?.starts_with(&said) && ran.text()?.ends_with(" after\n") && ran.stderr.is_empty(), "{} {}", ran.text()?, ran.stderr);
    assert_eq!(fs::read_dir(desk.path("."))?.count(), 1, "no other file is left");
    Ok(())
}

/// A dump of one session with so many messages of a kilobyte each.
fn large(session: &str, messages: usize) -> String {
    let created = r#""created_at":{"$date":"2024-01-26T10:00:00Z"}"#;
    let text = "x".repeat(1_000);
    let messages: Vec<_> = (0..messages).map(|id| format!(r#"{{"message_id":{id},{created},"text":"{session} {id} {text}"}}"#)).collect();
    let messages = messages.join(",");
    format!("{{\"_id\":\"{session}\",{created},\"agents\":{{\"a\":{{\"agent_data\":{{}},{created},\"messages\":[{messages}]}}}}}}\n")
}

#[tokio::test]
async fn all_collections_stay_and_an_import_that_was_killed_goes() -> anyhow::Result<()> {
    let desk = Desk::new()?;
    let (site, file) = (desk.file_site("sessions.store"), desk.path("sessions.store"));
    let other = Site { database: String::from("other"), ..site.clone() };
    desk.feed(&site, &["import"], large("one", 50)).await?.ok()?;
    desk.feed(&other, &["import"], large("two", 50)).await?.ok()?;
    let dumps = [desk.dump(&site).await?, desk.dump(&other).await?];
    let mut import = desk.command(&site, &["import"]).await?.stdin(Stdio::piped()).spawn()?;
    let mut stdin = import.stdin.take().context("no stdin")?;
    let dump = large("cut", 3_000);
    stdin.write_all(&dump.as_bytes()[..2_500_000]).await?;
    while !holds(&file, "cut 0 x")? {
        ensure!(import.try_wait()?.is_none(), "the import has ended");
        tokio::task::yield_now().await;
    }
    import.kill().await?;
    compact(&desk, &site).await?.ok()?;
    assert!(!holds(&file, "cut 0 x")?);
    assert_eq!([desk.dump(&site).await?, desk.dump(&other).await?], dumps);
    desk.feed(&site, &["import"], dump).await?.ok()?;
    Ok(())
}

#[tokio::test]
async fn a_compaction_that_is_killed_leaves_one_whole_file_and_nothing_that_stays() -> anyhow::Result<()> {
    let desk = Desk::new()?;
    let (site, file, new) = (desk.file_site("sessions.store"), desk.path("sessions.store"), desk.path(NEW));
    desk.feed(&site, &["import"], large("s", 3_000)).await?.ok()?;
    let (dump, mut random, mut left_over) = (desk.dump(&site).await?, Random::seeded(), 0);
    for round in 0..12 {
        let before = fs::read(&file)?;
        let mut running = desk.command(&site, &["compact"]).await?.spawn()?;
        while !new.exists() && running.try_wait()?.is_none() {
            tokio::task::yield_now().await;
        }
        // Some way into it, or to its end.
        for _ in 0..random.below(3_000) {
            tokio::task::yield_now().await;
        }
        running.kill().await?;
        let is_replaced = fs::read(&file)? != before;
        // For readers, who leave what is left over.
        let is_left_over = new.exists();
        assert_eq!(desk.dump(&site).await?, dump, "round {round}, replaced: {is_replaced}");
        assert_eq!(new.exists(), is_left_over);
        left_over += usize::from(is_left_over);
        if random.once_in(2) {
            compact(&desk, &site).await?.ok()?;
        } else {
            desk.run(&site, &["metadata", "set", "s", "{}"]).await?.ok()?;
        }
        assert!(!new.exists(), "round {round}");
        assert_eq!(desk.dump(&site).await?, dump, "round {round}");
    }
    assert!(left_over > 0, "no kill came before the end");
    Ok(())
}

#[tokio::test]
async fn a_file_of_somebody_else_that_is_in_the_way_stays() -> anyhow::Result<()> {
    let desk = Desk::new()?;
    let (site, file, new) = (desk.file_site("sessions.store"), desk.path("sessions.store"), desk.path(NEW));
    desk.feed(&site, &["import"], large("s", 10)).await?.ok()?;
    let whole = fs::read(&file)?;
    let mut begun = whole[..5_000].to_vec();
    begun[64] = 0;
    for left_over in [&whole[..], &whole[..5_000], &begun, &begun[..4096], &begun[..10], b""] {
        fs::write(&new, left_over)?;
        desk.run(&site, &["metadata", "set", "s", "{}"]).await?.ok()?;
        assert!(!new.exists(), "{} bytes", left_over.len());
    }
    let before = fs::read(&file)?;
    fs::write(&new, "a diary\n")?;
    desk.run(&site, &["session", "read", "s"]).await?.ok()?;
    let ran = compact(&desk, &site).await?;
    let said = format!("session-repo: cannot compact the store: invalid-argument: {} is in the way", desk.argument(NEW));
    assert!(ran.status == Some(1) && ran.stderr.starts_with(&said), "{}", ran.stderr);
    assert_eq!((fs::read_to_string(&new)?, fs::read(&file)? == before), (String::from("a diary\n"), true));
    Ok(())
}

#[cfg(unix)]
#[tokio::test]
async fn the_new_file_is_where_and_whose_the_old_one_was() -> anyhow::Result<()> {
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
    let desk = Desk::new()?;
    let file = desk.path("sessions.store");
    let (site, link) = (desk.file_site("sessions.store"), desk.file_site("link"));
    symlink("sessions.store", desk.path("link"))?;
    desk.feed(&site, &["import"], large("s", 10)).await?.ok()?;
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640))?;
    // Only root can give a file away.
    let owner = if std::os::unix::fs::chown(&file, Some(1234), Some(5678)).is_ok() { Some((1234, 5678)) } else { None };
    let before = fs::metadata(&file)?;
    compact(&desk, &link).await?.ok()?;
    let after = fs::metadata(&file)?;
    assert!(desk.path("link").symlink_metadata()?.is_symlink());
    assert_ne!(after.ino(), before.ino());
    assert_eq!((after.mode(), after.uid(), after.gid()), (before.mode(), before.uid(), before.gid()));
    assert!(owner.is_none_or(|owner| owner == (after.uid(), after.gid())));
    // By another name the old content would stay.
    fs::hard_link(&file, desk.path("name"))?;
    let ran = compact(&desk, &site).await?;
    assert!(ran.status == Some(1) && ran.stderr.contains("invalid-argument: ") && ran.stderr.contains("a second name"), "{}", ran.stderr);
    assert_eq!(fs::metadata(&file)?.ino(), after.ino());
    Ok(())
}

#[tokio::test]
async fn what_cannot_be_compacted_is_left_as_it_is() -> anyhow::Result<()> {
    let (desk, database) = (Desk::new()?, Database::fresh().await?);
    let (site, file) = (desk.file_site("sessions.store"), desk.path("sessions.store"));
    let refused = async |site: &Site, said: &str| -> anyhow::Result<()> {
        let ran = compact(&desk, site).await?;
        let said = format!("session-repo: cannot compact the store: {said}");
        ensure!(ran.status == Some(1) && ran.stdout.is_empty() && ran.stderr.starts_with(&said), "{said}: {}", ran.stderr);
        Ok(())
    };
    refused(&Site::mongo(&database)?, "invalid-argument: only a file is compacted here; in MongoDB").await?;
    refused(&Site::memory(), "invalid-argument: only a file is compacted").await?;
    refused(&site, &format!("invalid-argument: there is no store file {} yet", file.display())).await?;
    assert_eq!(fs::read_dir(desk.path("."))?.count(), 0, "nothing is made");
    // For one who names no store, too.
    let ran = finish(&mut desk.bare(&["compact"]).await?, None).await?;
    assert!(ran.status == Some(1) && ran.stderr.contains("there is no store file") && !desk.path("home").exists(), "{}", ran.stderr);

    desk.feed(&site, &["import"], large("s", 100)).await?.ok()?;
    let whole = fs::read(&file)?;
    let reader = session_repository::AnyStore::open_read_only(&site.url.parse()?, site.options()).await?;
    let place = file.display();
    let by = if cfg!(target_os = "linux") { format!("being read by process {}", std::process::id()) } else { String::from("held by") };
    refused(&site, &format!("unavailable: the store file {place} is {by}")).await?;
    reader.into_store().close().await;
    let writer = site.open().await?.into_store();
    refused(&site, &format!("unavailable: the store file {place} is held by")).await?;
    writer.close().await;
    let mut damaged = whole.clone();
    damaged[4096 + 4096..].iter_mut().skip(1_000).step_by(3_000).for_each(|byte| *byte ^= 0x55);
    let mut newer = whole.clone();
    newer[32..34].copy_from_slice(b"9\n");
    for (bytes, said) in [
        (damaged, String::from("corrupt: the store file is damaged")),
        (whole[..whole.len() / 2].to_vec(), String::from("corrupt: the store file is damaged")),
        (newer, format!("invalid-argument: the store file {place} has format 9")),
        (b"a diary\n".to_vec(), format!("invalid-argument: {place} is not a store file")),
    ] {
        fs::write(&file, &bytes)?;
        refused(&site, &said).await?;
        assert!(fs::read(&file)? == bytes, "{said}");
        assert_eq!(fs::read_dir(desk.path("."))?.count(), 1, "{said}");
    }
    database.drop().await
}

#[cfg(unix)]
#[tokio::test]
async fn a_compaction_for_which_there_is_no_room_leaves_the_file_as_it_is() -> anyhow::Result<()> {
    let desk = Desk::new()?;
    let (site, file) = (desk.file_site("sessions.store"), desk.path("sessions.store"));
    desk.feed(&site, &["import"], large("s", 3_000)).await?.ok()?;
    let before = fs::read(&file)?;
    // A limit on the size of files stands for the full disk. Its signal is ignored, as a full disk sends none.
    let mut command = Command::new("sh");
    command.args(["-c", r#"trap '' XFSZ; ulimit -f "$0"; exec "$@""#, "2048"]).arg(program().await?);
    let output = command.args(["compact", "--store", &site.url]).output().await?;
    let stderr = String::from_utf8(output.stderr)?;
    assert!(output.status.code() == Some(1) && stderr.starts_with("session-repo: cannot compact the store: unavailable: "), "{stderr}");
    assert!(fs::read(&file)? == before);
    assert_eq!(fs::read_dir(desk.path("."))?.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<PathBuf>>>()?, [file]);
    compact(&desk, &site).await?.ok()?;
    Ok(())
}
