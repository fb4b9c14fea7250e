//! What is found in files and in memory.

use super::check;
use crate::run::{Desk, Site};
use anyhow::Context;
use serde_json::{Value, json};
use std::fs;
use std::process::Stdio;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};

/// A store file with something in it.
async fn used(desk: &Desk) -> anyhow::Result<Site> {
    let site = desk.file_site("sessions.store");
    let text = "x".repeat(3_000);
    let session = |id: &str, time: &str, messages: usize| {
        let created = format!(r#""created_at":{{"$date":"2024-01-26T{time}Z"}}"#);
        let messages: Vec<_> = (0..messages).map(|id| format!(r#"{{"message_id":{id},"content":"{text}",{created}}}"#)).collect();
        let agent = |messages: &str| format!(r#"{{"agent_data":{{}},{created},"messages":[{messages}]}}"#);
        format!("{{\"_id\":\"{id}\",{created},\"agents\":{{\"a\":{},\"b\":{}}}}}\n", agent(&messages.join(",")), agent(""))
    };
    let dump = [session("a", "11:00:00", 40), session("b", "10:00:00", 40), session("c", "12:00:00.5", 40)].concat();
    desk.feed(&site, &["import"], format!("{dump}{{\"_id\":\"d\",\"created_at\":{{\"$date\":\"2024-01-26T11:30:00Z\"}}}}\n"))
        .await?
        .ok()?;
    Ok(site)
}

#[tokio::test]
async fn a_file_is_counted() -> anyhow::Result<()> {
    let desk = Desk::new()?;
    let site = used(&desk).await?;
    let before = desk.dump(&site).await?;
    let (report, problems, _) = check(&desk, &site, &[]).await?;
    assert_eq!((&report["sessions"], &report["agents"], &report["messages"]), (&json!(4), &json!(6), &json!(120)));
    assert_eq!(report["oldest"], json!({"session_id": "b", "created_at": "2024-01-26T10:00:00.000Z"}));
    assert_eq!(report["newest"], json!({"session_id": "c", "created_at": "2024-01-26T12:00:00.500Z"}));
    assert_eq!((&report["indexes"], problems), (&json!([]), vec![]));
    let size = fs::metadata(desk.path("sessions.store"))?.len();
    assert_eq!(report["server"], format!("a file of format 3, {size} bytes"));
    assert_eq!(report["topology"], "embedded: one writer at a time, or any number of readers");
    assert_eq!(desk.dump(&site).await?, before);
    // Each collection of a file is a store of its own.
    let other = Site { database: String::from("other"), ..site };
    let (report, ..) = check(&desk, &other, &[]).await?;
    assert_eq!((&report["sessions"], &report["messages"], &report["oldest"]), (&json!(0), &json!(0), &Value::Null));
    Ok(())
}

#[tokio::test]
async fn what_cannot_be_read_is_named() -> anyhow::Result<()> {
    let desk = Desk::new()?;
    let site = desk.file_site("sessions.store");
    let date = r#"{"$date":"2024-01-26T10:00:00Z"}"#;
    let dump = format!(
        r#"{{"_id":"s","created_at":{date},"feedbacks":[{{"up":1}}],"agents":{{"a":{{"agent_data":{{}},"created_at":{date},"messages":[{{"message_id":1,"created_at":{date}}},{{"no":1}}]}},"b":{{"messages":[]}}}}}}
{{"_id":"t"}}
"#
    );
    desk.feed(&site, &["import"], dump).await?.ok()?;
    let (_, problems, status) = check(&desk, &site, &[]).await?;
    let expected = [
        "session \"s\": an entry of its feedback has no created_at, and is listed last",
        "agent \"a\" of session \"s\": 1 messages have no valid id, or cannot be read",
        "agent \"b\" of session \"s\": it has no agent_data",
        "session \"t\": it has no created_at",
    ];
    assert_eq!(problems, expected);
    // None of it can be mended, and a repair changes nothing.
    let before = fs::read(desk.path("sessions.store"))?;
    let (report, again, _) = check(&desk, &site, &["--repair"]).await?;
    assert_eq!((&again, report.get("mended")), (&problems, None));
    assert_eq!(fs::read(desk.path("sessions.store"))?, before);
    assert_eq!(status, Some(1));
    Ok(())
}

#[tokio::test]
async fn a_file_whose_header_is_damaged_is_not_begun_anew() -> anyhow::Result<()> {
    let desk = Desk::new()?;
    let site = used(&desk).await?;
    let whole = fs::read(desk.path("sessions.store"))?;
    for at in [0, 20, 30, 33, 34, 64, 65, 4095] {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        fs::write(desk.path("sessions.store"), &bytes)?;
        for command in ["check", "export"] {
            let ran = desk.run(&site, &[command]).await?;
            // Bits that nothing is written in are not looked at while the file is known to be complete.
            let is_read = ran.status == Some(0) && at >= 34 && at != 64;
            assert!(is_read || ran.status == Some(1) && fs::read(desk.path("sessions.store"))? == bytes, "{at} {command}: {}", ran.stderr);
        }
    }
    // That the database is complete was not noted yet, and it is.
    let mut bytes = whole;
    bytes[64] = 0;
    fs::write(desk.path("sessions.store"), &bytes)?;
    assert_eq!(check(&desk, &site, &[]).await?.0["sessions"], 4);
    Ok(())
}

#[tokio::test]
async fn a_file_that_is_not_there_is_not_made() -> anyhow::Result<()> {
    let desk = Desk::new()?;
    let ran = desk.run(&desk.file_site("sessions.store"), &["check"]).await?;
    assert_eq!((ran.status, ran.text()?), (Some(1), ""));
    let path = desk.argument("sessions.store");
    assert!(ran.stderr.contains(&format!("there is no store file {path} yet")), "{}", ran.stderr);
    assert!(!desk.path("sessions.store").exists());
    Ok(())
}

#[tokio::test]
async fn memory_is_empty_and_well() -> anyhow::Result<()> {
    let (report, ..) = check(&Desk::new()?, &Site::memory(), &[]).await?;
    assert_eq!((&report["server"], &report["topology"]), (&json!("memory"), &json!("embedded: gone with the process")));
    assert_eq!((&report["sessions"], &report["agents"], &report["messages"]), (&json!(0), &json!(0), &json!(0)));
    Ok(())
}

#[tokio::test]
async fn what_is_no_store_file_is_left_as_it_is() -> anyhow::Result<()> {
    let desk = Desk::new()?;
    fs::write(desk.path("sessions.store"), "a diary\n")?;
    let ran = desk.run(&desk.file_site("sessions.store"), &["check"]).await?;
    assert_eq!((ran.status, ran.text()?), (Some(1), ""));
    assert!(ran.stderr.contains("is not a store file"), "{}", ran.stderr);
    assert_eq!(fs::read_to_string(desk.path("sessions.store"))?, "a diary\n");
    Ok(())
}

/// Wherever a file that was in order is damaged, it is said in words: never are there counts of something else, or a stack trace.
#[tokio::test]
async fn damage_is_found_and_named_wherever_it_is() -> anyhow::Result<()> {
    let desk = Desk::new()?;
    used(&desk).await?;
    let whole = fs::read(desk.path("sessions.store"))?;
    let (report, ..) = check(&desk, &desk.file_site("sessions.store"), &[]).await?;
    let counts = |report: &Value| ["sessions", "agents", "messages", "oldest", "newest"].map(|name| report[name].clone());
    let (mut found, mut tried) = (0, 0);
    // Of each page that is in use some bytes in the middle.
    let pages: Vec<usize> =
        (4096..whole.len()).step_by(4096).filter(|page| whole[*page..].iter().take(4096).any(|byte| *byte != 0)).collect();
    for page in pages.iter().step_by(pages.len() / 24 + 1) {
        let mut damaged = whole.clone();
        let end = damaged.len().min(page + 4096);
        let used = damaged[*page..end].iter().rposition(|byte| *byte != 0).unwrap_or_default();
        for byte in damaged[*page..end].iter_mut().skip(used / 2).take(8) {
            *byte ^= 0x55;
        }
        fs::write(desk.path("damaged.store"), &damaged)?;
        let ran = desk.run(&desk.file_site("damaged.store"), &["check", "--json"]).await?;
        let said = &ran.stderr;
        assert!(!said.contains("panicked") && !said.contains("RUST_BACKTRACE"), "page {page}: {said}");
        tried += 1;
        match ran.status {
            // A page that nothing leads to.
            Some(0) => assert_eq!(counts(&serde_json::from_slice(&ran.stdout)?), counts(&report), "page {page}"),
            Some(1) => found += 1,
            other => panic!("page {page}: {other:?} {said}"),
        }
        if ran.stdout.is_empty() {
            assert!(said.starts_with("session-repo: cannot open the store: corrupt: "), "page {page}: {said}");
        }
    }
    assert!(found * 2 > tried, "of {tried} damages {found} were found");
    for length in [5_000, whole.len() / 2, whole.len() - 4096] {
        fs::write(desk.path("damaged.store"), &whole[..length])?;
        let ran = desk.run(&desk.file_site("damaged.store"), &["check"]).await?;
        assert!(
            ran.status == Some(1) && ran.stderr.starts_with("session-repo: cannot open the store: corrupt: "),
            "{length} bytes: {}",
            ran.stderr
        );
    }
    Ok(())
}

#[tokio::test]
async fn a_file_that_another_process_holds_is_unavailable() -> anyhow::Result<()> {
    let desk = Desk::new()?;
    let site = used(&desk).await?;
    let mut holder = desk.command(&site, &["exec"]).await?.stdin(Stdio::piped()).spawn()?;
    let (mut stdin, stdout) = (holder.stdin.take().context("no stdin")?, holder.stdout.take().context("no stdout")?);
    stdin.write_all(b"{\"id\": 1, \"call\": \"sessions.read\", \"args\": {\"session_id\": \"a\"}}\n").await?;
    let mut answer = String::new();
    BufReader::new(stdout).read_line(&mut answer).await?;
    assert!(answer.starts_with("{\"id\":1,"), "{answer}");
    let ran = desk.run(&site, &["check"]).await?;
    assert_eq!((ran.status, ran.text()?), (Some(1), ""));
    let pid = holder.id().context("no process")?;
    assert!(
        ran.stderr.contains("unavailable: ") && ran.stderr.contains(&format!("held by process {pid} (session-repo)")),
        "{}",
        ran.stderr
    );
    drop(stdin);
    assert_eq!(holder.wait().await?.code(), Some(0));
    assert_eq!(check(&desk, &site, &[]).await?.2, Some(0));
    Ok(())
}
