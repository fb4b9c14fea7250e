//! Byte order marks, which some programs put before text.

use crate::run::{Desk, Site};
use std::fs;

const MARK: &str = "\u{feff}";

/// Text in UTF-16, with its mark.
fn utf_16(text: &str, is_little: bool) -> Vec<u8> {
    let units = std::iter::once(0xfeff).chain(text.encode_utf16());
    units.flat_map(|unit: u16| if is_little { unit.to_le_bytes() } else { unit.to_be_bytes() }).collect()
}

#[tokio::test]
async fn a_mark_at_the_beginning_of_an_input_is_skipped() -> anyhow::Result<()> {
    let desk = Desk::new()?;
    let site = desk.file_site("sessions.store");
    let line = |id: u32| format!("{{\"id\": {id}, \"call\": \"sessions.create\", \"args\": {{\"session_id\": \"s{id}\"}}}}\n");
    let ran = desk.feed(&site, &["exec", "--concurrency", "1"], format!("{MARK}{}{MARK}{}{}", line(1), line(2), line(3))).await?;
    let answers: Vec<_> = ran.ok()?.lines().collect();
    assert!(
        answers.len() == 3 && answers[0].starts_with("{\"id\":1,\"result\":{") && answers[2].starts_with("{\"id\":3,\"result\":{"),
        "{answers:?}"
    );
    assert!(answers[1].starts_with("{\"id\":null,\"error\":{\"code\":\"invalid-argument\""), "only at the very beginning: {}", answers[1]);
    // A mark alone is a blank line.
    assert_eq!(desk.feed(&site, &["exec"], format!("{MARK}\n")).await?.ok()?, "");
    fs::write(desk.path("body.json"), format!("{MARK}{{\"from\": \"a file\"}}"))?;
    desk.run(&site, &["metadata", "set", "s1", "@body.json"]).await?.ok()?;
    desk.feed(&site, &["metadata", "set", "s1", "-"], format!("{MARK}{{\"stdin\": true}}")).await?.ok()?;
    desk.run(&site, &["metadata", "set", "s1", &format!("{MARK}{{\"argument\": true}}")]).await?.ok()?;
    let expected = "{\"from\":\"a file\",\"stdin\":true,\"argument\":true}\n";
    assert_eq!(desk.run(&site, &["metadata", "get", "s1", "--json"]).await?.ok()?, expected);
    let dump = "{\"_id\":\"t\",\"created_at\":{\"$date\":\"2024-01-26T10:30:45Z\"}}\n";
    desk.feed(&site, &["import"], format!("{MARK}{dump}")).await?.ok()?;
    assert_eq!(desk.run(&site, &["session", "read", "t"]).await?.status, Some(0));
    Ok(())
}

#[tokio::test]
async fn text_that_is_utf_16_is_refused_by_its_name() -> anyhow::Result<()> {
    let desk = Desk::new()?;
    let refused = "this is UTF-16 text; it must be UTF-8";
    for site in [desk.file_site("sessions.store"), Site::memory()] {
        for is_little in [true, false] {
            let body = utf_16("{\"k\": 1}", is_little);
            fs::write(desk.path("body.json"), &body)?;
            let ran = desk.run(&site, &["metadata", "set", "s", "@body.json"]).await?;
            assert_eq!((ran.status, ran.stderr), (Some(1), format!("session-repo: cannot read the argument: body.json: {refused}\n")));
            let ran = desk.feed(&site, &["metadata", "set", "s", "-"], body).await?;
            assert_eq!((ran.status, ran.stderr), (Some(1), format!("session-repo: cannot read the argument: stdin: {refused}\n")));
            let dump = utf_16("{\"_id\":\"t\"}\n{\"_id\":\"u\"}\n", is_little);
            let ran = desk.feed(&site, &["import"], dump.clone()).await?;
            let stopped = "session-repo: the import of stdin stopped; do it again to go on: invalid-argument:";
            assert_eq!((ran.status, ran.stderr, ran.stdout), (Some(1), format!("{stopped} {refused}\n"), vec![]));
            let ran = desk.feed(&site, &["exec", "--concurrency", "1"], dump).await?;
            let first = ran.ok()?.lines().next().unwrap_or_default();
            assert_eq!(first, format!("{{\"id\":null,\"error\":{{\"code\":\"invalid-argument\",\"message\":\"{refused}\"}}}}"));
        }
    }
    let ran = desk.feed(&Site::memory(), &["metadata", "set", "s", "-"], vec![b'"', 0xff, b'"']).await?;
    assert!(ran.status == Some(1) && ran.stderr.contains("stdin: this is no UTF-8 text"), "{}", ran.stderr);
    Ok(())
}
