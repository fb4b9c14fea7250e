//! The README's commands, run in its order, print what it says.

use anyhow::Context;
use session_repository_tests::{Database, mongodb_uri, program};
use std::path::Path;
use std::process::{Output, Stdio};
use tokio::process::Command;

/// A command of the README and the output that it shows, where `…` stands for anything.
struct Shown {
    command: String,
    output: String,
}

fn file(path: &str) -> anyhow::Result<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path);
    std::fs::read_to_string(&path).with_context(|| path.display().to_string())
}

/// The commands of all `console` blocks.
fn commands() -> anyhow::Result<Vec<Shown>> {
    let mut shown: Vec<Shown> = Vec::new();
    let mut inside = false;
    for line in file("README.md")?.lines() {
        match (line, line.strip_prefix("$ "), inside) {
            ("```console", _, _) => inside = true,
            ("```", _, _) => inside = false,
            (_, Some(command), true) => {
                let command = command.split("  #").next().unwrap_or_default().trim().to_owned();
                shown.push(Shown { command, output: String::new() });
            }
            (_, None, true) => {
                let last = shown.last_mut().context("output before a command")?;
                last.output.push_str(line);
                last.output.push('\n');
            }
            _ => {}
        }
    }
    Ok(shown)
}

/// Whether the text has all parts of the pattern between its `…`, in order, and nothing else outside of them.
fn matches(pattern: &str, text: &str) -> bool {
    let Some((first, others)) = pattern.split_once('…') else { return pattern == text };
    let (middle, last) = others.rsplit_once('…').unwrap_or(("", others));
    let Some(rest) = text.strip_prefix(first).and_then(|rest| rest.strip_suffix(last)) else { return false };
    let middle = middle.split('…').try_fold(rest, |rest, part| rest.split_once(part).map(|(_, rest)| rest));
    middle.is_some()
}

#[tokio::test]
async fn every_command_does_what_the_readme_says() -> anyhow::Result<()> {
    let database = Database::fresh().await?;
    let home = tempfile::tempdir()?;
    let programs = program().await?.parent().context("no folder")?.to_owned();
    let path = std::env::join_paths(std::iter::once(programs).chain(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())))?;
    let run = async |command: &str| -> anyhow::Result<Output> {
        // The README's server is the tests' own, where this test has a database of its own.
        let command = command.replace("mongodb://localhost:27017", &format!("'{}' --database {}", mongodb_uri()?, database.name));
        let mut shell = Command::new("sh");
        shell.args(["-c", &command]).current_dir(home.path()).env("PATH", &path).stdin(Stdio::null());
        shell.env("HOME", home.path()).env("XDG_DATA_HOME", home.path().join("data")).env_remove("SESSION_REPO_STORE");
        shell.env_remove("SESSION_REPO_ARCHIVE_AFTER");
        Ok(shell.output().await?)
    };
    let mut session_repo = 0;
    for Shown { command, output } in commands()? {
        if !command.contains("session-repo ") {
            continue;
        }
        session_repo += 1;
        let ran = run(&command).await?;
        let (stdout, stderr) = (String::from_utf8(ran.stdout)?, String::from_utf8(ran.stderr)?);
        assert!(ran.status.success(), "{command}: {} {stderr}", ran.status);
        let told: String = stderr.lines().filter(|line| !line.contains("no --store is named")).map(|line| format!("{line}\n")).collect();
        // What a command prints may be left out altogether.
        assert!(output.is_empty() || matches(&output, &format!("{told}{stdout}")), "{command} prints\n{told}{stdout}not\n{output}");
    }
    assert!(session_repo > 10, "the README has lost its commands");
    database.drop().await
}

#[test]
fn commands_that_build_are_run_with_the_tests() -> anyhow::Result<()> {
    let script = file("tests/scripts/test.sh")?;
    for Shown { command, .. } in commands()? {
        // This is what runs the script.
        if command.contains("session-repo ") || command == "make test" {
            continue;
        }
        assert!(script.contains(&command), "{command} is not in tests/scripts/test.sh");
    }
    Ok(())
}

#[test]
fn a_pattern_matches_what_it_shows() {
    for (pattern, text) in [("", ""), ("a", "a"), ("a…c", "abc"), ("…c", "c"), ("a…", "abc"), ("…", "x"), ("a…b…c\n", "a1b2c\n")]
    {
        assert!(matches(pattern, text), "{pattern} {text}");
    }
    for (pattern, text) in [("", "a"), ("a", ""), ("a…c", "abcd"), ("a…c", "ab"), ("b…", "ab"), ("a…b…c", "acb")] {
        assert!(!matches(pattern, text), "{pattern} {text}");
    }
}
