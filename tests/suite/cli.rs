//! The subcommands, run as people run them.

mod append;
mod archive;

use crate::samples::samples;
use serde_json::{Value, json};
use session_repository_tests::{COLLECTION, Database, Mongod, mongodb_uri, program};
use std::collections::BTreeSet;
use std::process::{Output, Stdio};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

/// The program on a database.
pub(crate) struct Cli<'a> {
    pub(crate) database: &'a Database,
}

impl Cli<'_> {
    pub(crate) async fn command(&self, arguments: &[&str]) -> anyhow::Result<Command> {
        let mut command = Command::new(program().await?);
        command.args(arguments).args(["--database", &self.database.name, "--collection", COLLECTION]);
        command.env("SESSION_REPO_STORE", mongodb_uri()?).env_remove("SESSION_REPO_ARCHIVE_AFTER").stdin(Stdio::null());
        Ok(command)
    }

    async fn output(&self, arguments: &[&str]) -> anyhow::Result<Output> {
        Ok(self.command(arguments).await?.output().await?)
    }

    /// What a command that succeeds prints.
    pub(crate) async fn ok(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let output = self.output(arguments).await?;
        let stderr = String::from_utf8(output.stderr)?;
        anyhow::ensure!(output.status.success() && stderr.is_empty(), "{arguments:?}: {} {stderr}", output.status);
        Ok(String::from_utf8(output.stdout)?)
    }

    async fn json(&self, arguments: &[&str]) -> anyhow::Result<Value> {
        Ok(serde_json::from_str(&self.ok(&[arguments, &["--json"]].concat()).await?)?)
    }

    /// The exit status of a command that fails, and what it says.
    pub(crate) async fn failed(&self, arguments: &[&str]) -> anyhow::Result<(Option<i32>, String)> {
        let output = self.output(arguments).await?;
        anyhow::ensure!(output.stdout.is_empty(), "{arguments:?}: prints on stdout");
        Ok((output.status.code(), String::from_utf8(output.stderr)?.trim().to_owned()))
    }
}

#[tokio::test]
async fn every_operation_has_a_subcommand() -> anyhow::Result<()> {
    let database = Database::fresh().await?;
    let cli = Cli { database: &database };
    assert_eq!(cli.json(&["session", "create", "s", "--type", "chat"]).await?["session_type"], "chat");
    assert_eq!(cli.json(&["session", "read", "s"]).await?["session_id"], "s");
    cli.ok(&["agent", "create", "s", "a", r#"{"model": "m"}"#]).await?;
    cli.ok(&["agent", "create", "s", "plain"]).await?;
    assert_eq!(cli.json(&["agent", "update", "s", "plain", "{}"]).await?, json!(null), "nothing to tell");
    cli.ok(&["agent", "update", "s", "a", r#"{"state": {"n": 1}}"#]).await?;
    let agent = cli.json(&["agent", "read", "s", "a"]).await?;
    assert_eq!((&agent["model"], &agent["state"]), (&json!("m"), &json!({"n": 1})));
    for id in ["1", "2", "3"] {
        cli.ok(&["message", "create", "s", "a", id, &json!({"role": "user", "content": format!("Hello {id}!")}).to_string()]).await?;
    }
    cli.ok(&["message", "update", "s", "a", "2", r#"{"role": "user", "content": "[removed]"}"#]).await?;
    assert_eq!(cli.json(&["message", "read", "s", "a", "2"]).await?["content"], "[removed]");
    let page = cli.json(&["message", "list", "s", "a", "--limit", "1", "--offset", "2"]).await?;
    assert_eq!(page[0]["content"], "Hello 3!");
    cli.ok(&["metadata", "set", "s", r#"{"priority": "high", "a.b": 1}"#]).await?;
    cli.ok(&["metadata", "delete", "s", "a.b", "absent"]).await?;
    assert_eq!(cli.json(&["metadata", "get", "s"]).await?, json!({"priority": "high", "a": {}}));
    cli.ok(&["feedback", "add", "s", r#"{"rating": "up"}"#]).await?;
    assert_eq!(cli.json(&["feedback", "list", "s"]).await?[0]["rating"], "up");
    database.drop().await
}

#[tokio::test]
async fn people_get_text() -> anyhow::Result<()> {
    let database = Database::fresh().await?;
    let cli = Cli { database: &database };
    let created = cli.ok(&["session", "create", "s"]).await?;
    assert!(created.starts_with("session_id: s\nsession_type: default\ncreated_at: 2"), "{created}");
    assert!(created.ends_with("\nrevision: 0\n") && cli.ok(&["session", "read", "s"]).await? == created, "{created}");
    cli.ok(&["agent", "create", "s", "a"]).await?;
    cli.ok(&["message", "create", "s", "a", "1", r#"{"role": "user", "content": "Hi\u001b[31m!"}"#]).await?;
    cli.ok(&["message", "create", "s", "a", "2", r#"{"message": {"role": "assistant", "content": [{"text": "Hello"}]}}"#]).await?;
    let listed = cli.ok(&["message", "list", "s", "a"]).await?;
    let rows: Vec<_> = listed.lines().map(|line| line.split_whitespace().collect::<Vec<_>>()).collect();
    assert_eq!(rows[0], ["ID", "CREATED", "ROLE", "CONTENT"]);
    assert_eq!((rows[1][2], rows[1][3]), ("user", "Hi\u{fffd}[31m!"), "nothing that a terminal would obey");
    assert_eq!((rows[2][2], rows[2][3]), ("assistant", "[{\"text\":\"Hello\"}]"));
    cli.ok(&["metadata", "set", "s", r#"{"\u001b[31mkey": {"$serde_json::private::RawValue": "[1"}, "z": "text"}"#]).await?;
    assert_eq!(cli.ok(&["metadata", "get", "s"]).await?, "\u{fffd}[31mkey: {\"$serde_json::private::RawValue\":\"[1\"}\nz: text\n");
    cli.ok(&["feedback", "add", "s", r#"{"rating": "up", "\u001b]0;x": 1}"#]).await?;
    assert!(!cli.ok(&["feedback", "list", "s"]).await?.contains('\u{1b}'));
    database.drop().await
}

#[tokio::test]
async fn json_comes_from_an_argument_a_file_or_stdin() -> anyhow::Result<()> {
    let database = Database::fresh().await?;
    let cli = Cli { database: &database };
    cli.ok(&["session", "create", "s"]).await?;
    let file = std::env::temp_dir().join(format!("{}.json", database.name));
    std::fs::write(&file, r#"{"from": "a file"}"#)?;
    cli.ok(&["metadata", "set", "s", &format!("@{}", file.display())]).await?;
    std::fs::remove_file(&file)?;
    assert_eq!(cli.json(&["metadata", "get", "s"]).await?, json!({"from": "a file"}));
    let mut child = cli.command(&["metadata", "set", "s", "-"]).await?.stdin(Stdio::piped()).spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(br#"{"from": "stdin"}"#).await?;
    }
    assert!(child.wait().await?.success());
    assert_eq!(cli.json(&["metadata", "get", "s"]).await?, json!({"from": "stdin"}));
    let (status, message) = cli.failed(&["metadata", "set", "s", "@/nowhere.json"]).await?;
    assert!(status == Some(1) && message.contains("/nowhere.json"), "{message}");
    database.drop().await
}

#[tokio::test]
async fn failures_say_their_code_and_exit_with_1() -> anyhow::Result<()> {
    let database = Database::fresh().await?;
    let cli = Cli { database: &database };
    for (arguments, expected) in [
        (vec!["session", "read", "s"], "session-repo: not-found: session `s` does not exist"),
        (vec!["session", "read", "s", "--json"], "session-repo: not-found: session `s` does not exist"),
        (vec!["agent", "read", "s", "a"], "session-repo: not-found: agent `a` of session `s` does not exist"),
        (vec!["message", "read", "s", "a", "1"], "session-repo: not-found: message 1 of agent `a` of session `s` does not exist"),
        (vec!["metadata", "get", "s"], "session-repo: not-found: session `s` does not exist"),
        (vec!["message", "read", "s", "a", "-1"], "session-repo: invalid-argument: message_id: must not be negative, is -1"),
        (vec!["message", "list", "s", "a", "--limit", "-1"], "session-repo: invalid-argument: limit: must not be negative, is -1"),
        (vec!["feedback", "add", "s", "[1]"], "session-repo: invalid-argument: feedback: must be a JSON object"),
    ] {
        assert_eq!(cli.failed(&arguments).await?, (Some(1), expected.to_owned()), "{arguments:?}");
    }
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full")?;
    let status = cli.command(&["session", "create", "s"]).await?.stdout(full).stderr(Stdio::null()).status().await?;
    assert_eq!(status.code(), Some(1), "what cannot be printed is a failure");
    database.drop().await
}

#[tokio::test]
async fn every_help_text_shows_an_example() -> anyhow::Result<()> {
    let help = async |arguments: &[&str]| -> anyhow::Result<String> {
        let mut command = Command::new(program().await?);
        let output = command.args(arguments).arg("--help").env("SESSION_REPO_STORE", "mongodb://alice:s3cret@h").output().await?;
        anyhow::ensure!(output.status.success(), "{arguments:?}");
        Ok(String::from_utf8(output.stdout)?)
    };
    let mut commands: BTreeSet<[&str; 2]> = ["status", "run", "undo"].map(|command| ["archive", command]).into();
    commands.extend(samples().iter().filter_map(|sample| sample.line.first_chunk::<2>()));
    for [group, command] in commands {
        let text = help(&[group, command]).await?;
        assert!(text.contains("Example") && text.contains(&format!("session-repo {group} {command} ")), "{text}");
        assert!(!text.contains("s3cret"), "{text}");
    }
    for command in ["exec", "show", "export", "import", "check", "compact", "completions"] {
        let text = help(&[command]).await?;
        assert!(text.contains("Example") && text.contains(&format!("session-repo {command}")), "{text}");
    }
    let text = help(&[]).await?;
    assert!(text.contains("Examples"));
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let archive = text.split_once("--archive-after").map(|(_, help)| help).unwrap_or_default();
    for part in ["In MongoDB:", "never", "16 MiB", "SESSION_REPO_ARCHIVE_AFTER", "[default: 1MiB]"] {
        assert!(archive.contains(part), "{part}: {text}");
    }
    Ok(())
}

#[tokio::test]
async fn logs_go_to_stderr_and_hold_no_password() -> anyhow::Result<()> {
    let database = Database::fresh().await?;
    // A server without access control knows no user, so the second one is refused.
    let server = Mongod::start()?;
    let uri = server.uri();
    let with_password = uri.replacen("mongodb://", "mongodb://alice:s3cret@", 1);
    for (uri, created) in [(uri, true), (with_password, false)] {
        let mut command = Cli { database: &database }.command(&["session", "create", "s", "--json"]).await?;
        let output = command.env("SESSION_REPO_STORE", uri).env("RUST_LOG", "trace").output().await?;
        let stderr = String::from_utf8(output.stderr)?;
        assert!(!stderr.contains("s3cret"), "{stderr}");
        assert_eq!((output.status.success(), output.stdout.is_empty()), (created, !created), "{stderr}");
    }
    database.drop().await
}
