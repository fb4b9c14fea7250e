//! Lines that are no session documents: each is named and counted, and the others are stored.

use super::line;
use crate::run::{Desk, Site};
use session_repository_tests::Database;

/// Lines and what is said of each. Where they have an id, it is `bad`.
fn bad_lines() -> Vec<(Vec<u8>, &'static str)> {
    let of_message = |rest: &str| format!(r#"{{"_id":"bad","agents":{{"a":{{"messages":[{{"message_id":1}},{rest}]}}}}}}"#);
    let text: Vec<(String, &str)> = vec![
        ("nonsense".into(), "expected ident"),
        ("{".into(), "EOF"),
        ("{}".into(), "the first field must be `_id`"),
        ("5".into(), "expected a session document"),
        ("null".into(), "expected a session document"),
        (r#""text""#.into(), "expected a session document"),
        (r#"[{"_id":"bad"}]"#.into(), "expected a session document"),
        (r#"{"session_id":"bad","_id":"bad"}"#.into(), "the first field must be `_id`"),
        (r#"{"_id":5}"#.into(), "`_id` must be a string"),
        (r#"{"_id":null}"#.into(), "`_id` must be a string"),
        (r#"{"_id":{"$oid":"65b38c25a1b2c3d4e5f60718"}}"#.into(), "`_id` must be a string"),
        (r#"{"_id":"bad","_id":"bad"}"#.into(), "occurs twice"),
        (r#"{"_id":"bad","metadata":{},"metadata":{}}"#.into(), "occurs twice"),
        (r#"{"_id":"bad","metadata":{"k":1,"k":1}}"#.into(), "occurs twice"),
        (r#"{"_id":"bad","agents":{"a":{},"a":{}}}"#.into(), "occurs twice"),
        (r#"{"_id":"bad","agents":{"a":{"messages":[],"messages":[]}}}"#.into(), "occurs twice"),
        (of_message(r#"{"k":1,"k":2}"#), "occurs twice"),
        (r#"{"_id":"bad","metadata":[]}"#.into(), "`metadata` must be an object"),
        (r#"{"_id":"bad","metadata":{"$date":"2024-01-26T10:30:45Z"}}"#.into(), "`metadata` must be an object"),
        (r#"{"_id":"bad","feedbacks":{}}"#.into(), "`feedbacks` to be a list of objects"),
        (r#"{"_id":"bad","feedbacks":[{},"up"]}"#.into(), "`feedbacks` must be a list of objects"),
        (r#"{"_id":"bad","agents":[]}"#.into(), "`agents` to be an object of agents"),
        (r#"{"_id":"bad","agents":"a"}"#.into(), "`agents` to be an object of agents"),
        (r#"{"_id":"bad","agents":{"a":{},"b":[]}}"#.into(), "an agent to be an object"),
        (r#"{"_id":"bad","agents":{"a":null}}"#.into(), "an agent to be an object"),
        (r#"{"_id":"bad","agents":{"a":{"agent_data":"x"}}}"#.into(), "`agent_data` must be an object"),
        (r#"{"_id":"bad","agents":{"a":{"messages":{}}}}"#.into(), "`messages` to be a list of objects"),
        (of_message("5"), "`messages` must be a list of objects"),
        (of_message("[]"), "`messages` must be a list of objects"),
        (of_message(r#"{"$numberLong":"5"}"#), "`messages` must be a list of objects"),
        (of_message(r#"{"k\u0000":1}"#), "NUL"),
        (r#"{"_id":"bad","agents":{"a\u0000":{}}}"#.into(), "NUL"),
        (of_message(r#"{"k":"\ud800"}"#), "hex escape"),
        (of_message(r#"{"k":"\ud800\u0041"}"#), "surrogate"),
        (of_message("{\"k\":\"a\tb\"}"), "control character"),
        (of_message(r#"{"k":01}"#), "invalid number"),
        (of_message(r#"{"k":18446744073709551615}"#), "does not fit in 64 bits"),
        (of_message(r#"{"k":1e999}"#), "number out of range"),
        (of_message(r#"{"k":NaN}"#), "expected value"),
        (of_message(r#"{"k":1,}"#), "trailing comma"),
        (of_message(&format!("{{\"k\":{}{}}}", "[".repeat(500), "]".repeat(500))), "nested deeper than 256 levels"),
        (format!("{} 5", line("bad", "x")), "trailing characters"),
        (format!("{}{}", line("bad", "x"), line("bad", "x")), "trailing characters"),
        (format!("{},", line("bad", "x")), "trailing characters"),
        (line("bad", "x").trim_end_matches('}').into(), "EOF"),
    ];
    let mut lines: Vec<_> = text.into_iter().map(|(line, said)| (line.into_bytes(), said)).collect();
    lines.push((b"\xff".to_vec(), "expected value"));
    lines.push((b"{\"_id\":\"bad\",\"session_type\":\"\xff\"}".to_vec(), "invalid unicode"));
    lines.push((b"{\"_id\":\"\xc3\"}".to_vec(), "invalid unicode"));
    lines.push((b"\xef\xbb\xbf{\"_id\":\"bad\"}".to_vec(), "expected value"));
    lines
}

#[tokio::test]
async fn each_bad_line_is_named_and_counted_and_the_others_are_stored() -> anyhow::Result<()> {
    let (desk, database) = (Desk::new()?, Database::fresh().await?);
    // As many as are told of in full.
    for (round, bad) in bad_lines().chunks(20).enumerate() {
        let (first, last) = (line(&format!("{round} first"), "x"), line(&format!("{round} last"), "x"));
        let mut input = format!("{first}\n").into_bytes();
        for (line, _) in bad {
            input.extend_from_slice(line);
            input.push(b'\n');
        }
        input.extend_from_slice(last.as_bytes());
        for site in [desk.file_site("sessions.store"), Site::mongo(&database)?] {
            let ran = desk.feed(&site, &["import"], input.clone()).await?;
            assert_eq!((ran.status, ran.text()?), (Some(1), ""));
            let said: Vec<_> = ran.stderr.lines().collect();
            assert_eq!(said.len(), bad.len() + 1, "{}", ran.stderr);
            for ((number, (line, expected)), said) in (2..).zip(bad).zip(&said) {
                let named = said.starts_with(&format!("session-repo: line {number}: ")) && said.contains(expected);
                assert!(named && !said.contains("line 1 column"), "{}: {said}", String::from_utf8_lossy(line));
            }
            let counts = format!("imported from stdin: 2 new, 0 there already, 0 different, {} refused", bad.len());
            assert!(said[bad.len()].contains(&counts), "{}", ran.stderr);
            let dump = desk.dump(&site).await?;
            assert!(dump.contains(&first) && dump.contains(&last) && dump.lines().count() == 2 * (round + 1), "{dump}");
            assert!(!dump.contains("bad"));
        }
    }
    for site in [desk.file_site("sessions.store"), Site::mongo(&database)?] {
        let check = desk.run(&site, &["check", "--json"]).await?;
        let report: serde_json::Value = serde_json::from_slice(&check.stdout)?;
        assert_eq!(report["sessions"], report["messages"], "each session that was stored has one message: {report}");
        // A later dump that has it right is stored, with nothing left of the wrong ones.
        assert_eq!(
            desk.feed(&site, &["import"], line("bad", "right")).await?.ok()?,
            "imported from stdin: 1 new, 0 there already: complete\n"
        );
        assert!(desk.dump(&site).await?.contains(&line("bad", "right")));
        assert_eq!(desk.run(&site, &["message", "list", "bad", "b"]).await?.status, Some(0));
    }
    database.drop().await
}

#[tokio::test]
async fn a_dump_that_is_one_json_array_is_refused() -> anyhow::Result<()> {
    let (desk, database) = (Desk::new()?, Database::fresh().await?);
    let (a, b) = (line("a", "x"), line("b", "x"));
    for site in [desk.file_site("sessions.store"), Site::mongo(&database)?] {
        for (dump, refused) in [(format!("[{a},{b}]\n"), 1), (format!("[\n{a},\n{a},\n]\n"), 4), (format!("[{a},\n{a}]\n"), 2)] {
            let ran = desk.feed(&site, &["import"], dump.clone()).await?;
            assert_eq!(ran.status, Some(1));
            assert!(
                ran.stderr.contains(&format!("imported from stdin: 0 new, 0 there already, 0 different, {refused} refused")),
                "{dump}{}",
                ran.stderr
            );
        }
        assert_eq!(desk.dump(&site).await?, "");
    }
    database.drop().await
}

#[tokio::test]
async fn blank_lines_and_both_kinds_of_line_ends_do_not_matter() -> anyhow::Result<()> {
    let desk = Desk::new()?;
    let (a, b) = (line("a", "x"), line("b", "x"));
    for (index, dump) in [
        format!("{a}\n{b}\n"),
        format!("{a}\n{b}"),
        format!("{a}\r\n{b}\r\n"),
        format!("\n\r\n \t\n{a}\n\n\n{b}\n\n \n"),
        format!(" {a} \n\t{b}\t"),
        format!("{}\n{}", a.replace(":", " :\t").replace(',', " , "), b.replace('{', "{ ")),
    ]
    .into_iter()
    .enumerate()
    {
        let site = desk.file_site(&format!("{index}"));
        assert_eq!(desk.feed(&site, &["import"], dump).await?.ok()?, "imported from stdin: 2 new, 0 there already: complete\n");
        assert_eq!(desk.dump(&site).await?, format!("{a}\n{b}\n"));
    }
    for nothing in ["", "\n", " \r\n\n"] {
        let ran = desk.feed(&desk.file_site("nothing"), &["import"], nothing).await?;
        assert_eq!(ran.ok()?, "imported from stdin: 0 new, 0 there already: complete\n");
    }
    Ok(())
}

#[tokio::test]
async fn of_many_bad_lines_the_first_are_told_and_all_are_counted() -> anyhow::Result<()> {
    let desk = Desk::new()?;
    let ran = desk.feed(&desk.file_site("sessions.store"), &["import"], format!("{}\n", "x\n".repeat(1_000))).await?;
    let said: Vec<_> = ran.stderr.lines().collect();
    assert_eq!((ran.status, said.len(), said[20]), (Some(1), 22, "session-repo: and 980 more"));
    assert!(said[21].ends_with("0 different, 1000 refused: not complete"), "{}", said[21]);
    Ok(())
}

#[tokio::test]
async fn what_cannot_be_read_is_named() -> anyhow::Result<()> {
    let desk = Desk::new()?;
    let site = desk.file_site("sessions.store");
    for name in ["absent.ndjson", "."] {
        let ran = desk.run(&site, &["import", &desk.argument(name)]).await?;
        assert!(ran.status == Some(1) && ran.stderr.contains(&desk.argument(name)) && ran.stdout.is_empty(), "{}", ran.stderr);
    }
    Ok(())
}

#[tokio::test]
async fn what_came_of_a_session_before_it_was_refused_leaves_its_room() -> anyhow::Result<()> {
    let desk = Desk::new()?;
    let site = desk.file_site("sessions.store");
    let messages: Vec<_> = (0..40).map(|id| format!(r#"{{"message_id":{id},"content":"{}"}}"#, "x".repeat(100_000))).collect();
    let refused = format!(r#"{{"_id":"bad","agents":{{"a":{{"messages":[{}]}}}},"metadata":5}}"#, messages.join(","));
    let mut sizes = Vec::new();
    for _ in 0..6 {
        assert_eq!(desk.feed(&site, &["import"], refused.clone()).await?.status, Some(1));
        sizes.push(std::fs::metadata(desk.path("sessions.store"))?.len());
    }
    assert!(sizes[5] < sizes[0] + refused.len() as u64, "{sizes:?}");
    assert_eq!(desk.dump(&site).await?, "");
    Ok(())
}
