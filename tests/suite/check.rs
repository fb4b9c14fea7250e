//! `session-repo check`: what state a store is in, and what is wrong with it.

mod embedded;
pub(crate) mod mongo;
mod repair;

use crate::run::{Desk, Ran, Site};
use serde_json::Value;

/// The report of a check, what it says is wrong, and its exit status.
pub(crate) async fn check(desk: &Desk, site: &Site, options: &[&str]) -> anyhow::Result<(Value, Vec<String>, Option<i32>)> {
    let ran = desk.run(site, &[&["check", "--json"], options].concat()).await?;
    let report: Value = serde_json::from_slice(&ran.stdout).map_err(|error| anyhow::anyhow!("{error}: {}", ran.stderr))?;
    let problems: Vec<_> =
        report["problems"].as_array().into_iter().flatten().map(|problem| problem.as_str().unwrap_or_default().to_owned()).collect();
    let verdict = match problems.len() {
        0 => String::new(),
        1 => String::from("session-repo: 1 thing is wrong\n"),
        wrong => format!("session-repo: {wrong} things are wrong\n"),
    };
    assert_eq!((ran.status, ran.stderr), (Some(i32::from(!problems.is_empty())), verdict));
    let names: Vec<_> = report.as_object().into_iter().flatten().map(|(name, _)| name.as_str()).collect();
    let always = ["server", "topology", "indexes", "sessions", "agents", "messages", "oldest", "newest", "problems"];
    let mended = report.get("mended").map(|_| "mended");
    assert_eq!(names, always.into_iter().chain(mended).collect::<Vec<_>>());
    // What is mended is not found again.
    if mended.is_none() || options.contains(&"--dry-run") {
        assert_text_agrees(&desk.run(site, &[&["check"], options].concat()).await?, &report)?;
    }
    Ok((report, problems, ran.status))
}

/// What people read has the same in it.
fn assert_text_agrees(ran: &Ran, report: &Value) -> anyhow::Result<()> {
    let lines: Vec<(&str, &str)> = ran.text()?.lines().map(|line| line.split_at_checked(10).unwrap_or((line, ""))).collect();
    let of = |what: &str| lines.iter().filter(|(name, _)| name.trim_end() == what).map(|(_, value)| *value).collect::<Vec<_>>();
    let text = |value: &Value| value.as_str().map_or(value.to_string(), str::to_owned);
    for what in ["topology", "sessions", "agents", "messages"] {
        assert_eq!(of(what), [text(&report[what])], "{what}");
    }
    // A file that is opened may get smaller or larger by it.
    let kind = |server: &str| server.split(',').next().unwrap_or_default().to_owned();
    assert_eq!(of("server").into_iter().map(kind).collect::<Vec<_>>(), [kind(&text(&report["server"]))]);
    for what in ["oldest", "newest"] {
        let landmark = &report[what];
        let expected = match landmark {
            Value::Null => String::from("none"),
            landmark => format!("{} created {}", text(&landmark["session_id"]), text(&landmark["created_at"])),
        };
        assert_eq!(of(what), [expected], "{what}");
    }
    let indexes = report["indexes"].as_array().into_iter().flatten();
    let indexes: Vec<_> = indexes
        .map(|index| format!("{} {}", text(&index["field"]), if index["present"] == true { "present" } else { "missing" }))
        .collect();
    assert_eq!(of("index"), indexes);
    let problems: Vec<_> = report["problems"].as_array().into_iter().flatten().map(text).collect();
    assert_eq!(of("wrong"), problems);
    assert_eq!(of("mendable"), report["mended"].as_array().into_iter().flatten().map(text).collect::<Vec<_>>());
    assert_eq!(of("verdict"), if problems.is_empty() { vec!["all is well"] } else { vec![] });
    Ok(())
}
