//! What `conformance` says, and how it ends.

use super::{failed, report};
use crate::run::{Desk, finish};

/// A program in the shell that answers each request in one way.
fn answers(answer: &str) -> String {
    format!(r#"n=1; while read -r line; do printf '{answer}\n' $n; n=$((n + 1)); done"#)
}

#[tokio::test]
async fn a_case_that_fails_is_told_with_what_it_is_about_and_the_status_is_1() -> anyhow::Result<()> {
    let desk = Desk::new()?;
    // Whatever is asked, there is nothing.
    let exec = answers(r#"{"id":%d,"result":null}"#);
    let only = ["--only", "an-unknown-session-reads", "--only", "a-new-session-is-returned"];
    let junit = desk.argument("report.xml");
    let command = [&["conformance", "--exec", &exec, "--junit", &junit], &only[..]].concat();
    let ran = finish(&mut desk.bare(&command).await?, None).await?;
    assert_eq!(ran.status, Some(1), "{}", ran.stderr);
    let text = ran.text()?;
    for said in ["FAILED a-new-session-is-returned", "sessions.create", "got null", "1 failed"] {
        assert!(text.contains(said), "{said}: {text}");
    }
    assert!(ran.stderr.contains("a case failed"), "{}", ran.stderr);
    let xml = std::fs::read_to_string(&junit)?;
    assert!(xml.contains("failures=\"1\"") && xml.contains("<failure message=\"") && !xml.contains("\"core.sessions\" name=\"\""), "{xml}");
    let ran = finish(&mut desk.bare(&[&command[..], &["--json"]].concat()).await?, None).await?;
    let report = report(&ran)?;
    assert_eq!((ran.status, failed(&report).len(), report["failed"].as_u64()), (Some(1), 1, Some(1)), "{report:#}");
    Ok(())
}

#[tokio::test]
async fn a_program_that_ends_or_talks_nonsense_fails_its_cases() -> anyhow::Result<()> {
    let desk = Desk::new()?;
    for (exec, why) in [
        (String::from("exit 3"), "the program"),
        (String::from("no-such-program-anywhere 2>&1 >/dev/null"), "the program"),
        (answers("hello %d"), "no JSON"),
        (answers(r#"{"id":"%d","result":null}"#), "no id"),
        (answers(r#"{"id":%d}"#), "neither a result nor an error"),
        (answers(r#"{"id":%d,"result":null,"error":{}}"#), "neither a result nor an error"),
        (answers(r#"{"id":%d,"result":null,"more":1}"#), "neither a result nor an error"),
        (String::from(r#"read -r line; printf '{"id":1000,"result":null}\n'; cat >/dev/null"#), "not asked"),
        (String::from("head -c 140000000 /dev/zero | tr '\\0' x; echo; cat >/dev/null"), "on one line"),
    ] {
        let command = ["conformance", "--exec", &exec, "--only", "an-unknown-session-reads"];
        let ran = finish(&mut desk.bare(&command).await?, None).await?;
        assert_eq!(ran.status, Some(1), "{exec}: {}", ran.stderr);
        assert!(ran.text()?.contains(why), "{exec}: {}", ran.text()?);
    }
    Ok(())
}

/// All its answers are right.
#[tokio::test]
async fn a_program_that_ends_with_a_failure_fails_the_run() -> anyhow::Result<()> {
    let (desk, program) = (Desk::new()?, session_repository_tests::program().await?);
    let exec = format!("'{}' exec --store memory:; exit 3", program.display());
    let ran = finish(&mut desk.bare(&["conformance", "--exec", &exec, "--only", "an-unknown-session-reads"]).await?, None).await?;
    assert_eq!(ran.status, Some(1), "{}", ran.stderr);
    assert!(ran.text()?.contains("cases passed") && ran.stderr.contains("exit status: 3"), "{}", ran.stderr);
    Ok(())
}

#[tokio::test]
async fn what_cannot_be_tested_is_named() -> anyhow::Result<()> {
    let desk = Desk::new()?;
    std::fs::write(desk.path("text.wasm"), "text")?;
    let (text, missing) = (desk.argument("text.wasm"), desk.argument("missing.wasm"));
    for (command, status, why) in [
        (&["--only", "no-case-is-called-this"][..], 2, "no case of this level"),
        (&["--component", &text, "--exec", "cat"], 2, "cannot be used with"),
        (&["--level", "all"], 2, "possible values"),
        (&["--store", "memory:", "--exec", "cat"], 2, "--store has no effect"),
        (&["--store", "memory:", "--storage", &text], 2, "--store has no effect"),
        (&["--component", &text], 1, "component"),
        (&["--component", &missing], 1, "missing.wasm"),
        (&["--storage", &text], 1, "is no WebAssembly file"),
        (&["--storage", &missing], 1, "missing.wasm"),
    ] {
        let ran = finish(&mut desk.bare(&[&["conformance"], command].concat()).await?, None).await?;
        assert_eq!(ran.status, Some(status), "{command:?}: {}", ran.stderr);
        assert!(ran.stderr.contains(why), "{command:?}: {}", ran.stderr);
    }
    // A component, but no storage.
    std::fs::write(desk.path("repository.wasm"), session_repository::COMPONENT)?;
    let ran = finish(&mut desk.bare(&["conformance", "--storage", &desk.argument("repository.wasm")]).await?, None).await?;
    assert!(ran.status == Some(1) && ran.stderr.contains("storage: "), "{}", ran.stderr);
    Ok(())
}

#[tokio::test]
async fn levels_and_names_choose_cases() -> anyhow::Result<()> {
    let desk = Desk::new()?;
    let count = async |arguments: &[&str]| -> anyhow::Result<usize> {
        let list = report(&finish(&mut desk.bare(&[&["conformance", "--list", "--json"], arguments].concat()).await?, None).await?)?;
        Ok(list["cases"].as_array().map_or(0, Vec::len))
    };
    let (all, core) = (count(&[]).await?, count(&["--level", "core"]).await?);
    assert!(0 < core && core < all, "{core} of {all}");
    assert_eq!(count(&["--level", "appends"]).await?, all);
    let (created, read) = (count(&["--only", "create"]).await?, count(&["--only", "reads"]).await?);
    assert!(created > 1 && read > 1 && count(&["--only", "create", "--only", "reads"]).await? > created.max(read));
    let text = finish(&mut desk.bare(&["conformance", "--list"]).await?, None).await?;
    assert!(text.ok()?.contains("messages.create: already-exists(message)"), "{}", text.text()?);
    Ok(())
}
