//! Where the sessions are: what the command line names, or a file of the user's own.

use crate::run::{Desk, Ran, Site, finish};
use anyhow::{Context, ensure};
use std::fs;
use std::process::Stdio;
use std::time::Instant;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin};

async fn bare(desk: &Desk, arguments: &[&str]) -> anyhow::Result<Ran> {
    finish(&mut desk.bare(arguments).await?, None).await
}

/// An `exec` that has answered its first request and waits for more.
async fn exec(desk: &Desk, site: &Site) -> anyhow::Result<(Child, ChildStdin)> {
    let mut exec = desk.command(site, &["exec"]).await?.stdin(Stdio::piped()).spawn()?;
    let (mut stdin, stdout) = (exec.stdin.take().context("no stdin")?, exec.stdout.take().context("no stdout")?);
    stdin.write_all(b"{\"id\": 1, \"call\": \"sessions.read\", \"args\": {\"session_id\": \"s\"}}\n").await?;
    let mut answer = String::new();
    BufReader::new(stdout).read_line(&mut answer).await?;
    ensure!(answer.starts_with("{\"id\":1,\"result\":"), "{answer}");
    Ok((exec, stdin))
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn with_no_store_named_sessions_are_in_a_file_of_the_user_which_is_said_once() -> anyhow::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let desk = Desk::new()?;
    let (folder, file) = (desk.path("home/data/session-repository"), desk.path("home/data/session-repository/sessions.store"));
    let said = format!("session-repo: no --store is named, so this works on file:{}\n", file.display());
    let dump = "{\"_id\":\"t\",\"created_at\":{\"$date\":\"2024-01-26T10:30:45Z\"}}\n";
    let request = r#"{"id": 1, "call": "sessions.read", "args": {"session_id": "s"}}"#;
    let ran = bare(&desk, &["check"]).await?;
    ensure!(ran.status == Some(1) && ran.stderr.starts_with(&said) && !desk.path("home").exists(), "{}", ran.stderr);
    for (arguments, input, expected) in [
        (&["session", "create", "s", "--json"][..], "", "{\"session_id\":\"s\","),
        (&["session", "read", "s"], "", "session_id: s\n"),
        (&["exec"], request, "{\"id\":1,\"result\":{\"session_id\":\"s\","),
        (&["show", "s"], "", ""),
        (&["import"], dump, "imported from stdin: 1 new"),
        (&["export"], "", "{\"_id\":\"s\","),
        (&["check"], "", "store     file:"),
    ] {
        let ran = finish(&mut desk.bare(arguments).await?, Some(input.into())).await?;
        ensure!(ran.ok()?.starts_with(expected), "{arguments:?}: {}", ran.text()?);
        let rest = ran.stderr.strip_prefix(&said).with_context(|| format!("{arguments:?}: {}", ran.stderr))?;
        assert_eq!(rest, if arguments == ["export"] { "exported 2 sessions to stdout: complete\n" } else { "" }, "{arguments:?}");
    }
    let mode = |path| fs::metadata(path).map(|file| file.permissions().mode() & 0o777);
    assert_eq!((mode(&folder)?, mode(&file)?), (0o700, 0o600));
    Ok(())
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn the_file_of_the_user_follows_the_conventions_of_the_platform() -> anyhow::Result<()> {
    let desk = Desk::new()?;
    // Relative folders are not to be followed.
    for folder in [None, Some(""), Some("relative")] {
        let mut command = desk.bare(&["session", "create", "s"]).await?;
        match folder {
            None => command.env_remove("XDG_DATA_HOME"),
            Some(folder) => command.env("XDG_DATA_HOME", folder),
        };
        let ran = finish(&mut command, None).await?;
        let file = desk.path("home/.local/share/session-repository/sessions.store");
        ensure!(ran.status == Some(0) && file.exists(), "{folder:?}: {}", ran.stderr);
        fs::remove_file(file)?;
    }
    assert!(!desk.path("relative").exists());
    // No folder can be made in a file.
    fs::write(desk.path("file"), "")?;
    let mut command = desk.bare(&["session", "create", "s"]).await?;
    let ran = finish(command.env("XDG_DATA_HOME", desk.path("file")), None).await?;
    ensure!(ran.status == Some(1) && ran.stderr.contains("unavailable: the folder of") && ran.stdout.is_empty(), "{}", ran.stderr);
    Ok(())
}

#[tokio::test]
async fn a_store_is_a_file_by_any_of_its_names_or_memory() -> anyhow::Result<()> {
    let desk = Desk::new()?;
    let absolute = desk.path("sessions.store").display().to_string();
    let names = ["file:sessions.store", "file:./sessions.store", &format!("file:{absolute}"), &format!("file://{absolute}")];
    bare(&desk, &["session", "create", "s", "--store", names[0]]).await?.ok()?;
    for name in names {
        let ran = bare(&desk, &["session", "read", "s", "--store", name]).await?;
        assert_eq!((ran.status, ran.stderr.as_str()), (Some(0), ""), "{name}");
        let from_environment = finish(desk.bare(&["session", "read", "s"]).await?.env("SESSION_REPO_STORE", name), None).await?;
        assert_eq!((from_environment.status, from_environment.stderr.as_str()), (Some(0), ""), "{name}");
    }
    // Nothing in a path is decoded.
    bare(&desk, &["session", "create", "s", "--store", "file:a%20b ?c#d"]).await?.ok()?;
    assert!(desk.path("a%20b ?c#d").exists());
    for _ in 0..2 {
        let ran = bare(&desk, &["session", "create", "s", "--store", "memory:"]).await?;
        assert_eq!((ran.status, ran.stderr.as_str()), (Some(0), ""), "memory is empty each time");
    }
    // The command line counts more than the environment.
    let mut both = desk.bare(&["session", "read", "s", "--store", "file:sessions.store"]).await?;
    assert_eq!(finish(both.env("SESSION_REPO_STORE", "memory:"), None).await?.status, Some(0));
    assert!(!desk.path("home").exists(), "a store was named each time");
    Ok(())
}

#[tokio::test]
async fn a_store_that_cannot_be_is_a_bad_command_line_and_not_repeated() -> anyhow::Result<()> {
    let desk = Desk::new()?;
    for url in [
        "",
        "s3cret",
        "file:",
        "file://",
        "file://s3cret/path",
        "file://s3cret",
        "memory",
        "memory:s3cret",
        "http://s3cret@host",
        "mongodb:s3cret",
        "mongo://alice:s3cret@host",
        "MONGODB://alice:s3cret@host",
        " mongodb://alice:s3cret@host",
        "/s3cret",
        "redis://:s3cret@host",
    ] {
        let by_option = bare(&desk, &["session", "read", "s", "--store", url]).await?;
        let by_environment = finish(desk.bare(&["exec"]).await?.env("SESSION_REPO_STORE", url), None).await?;
        for ran in [by_option, by_environment] {
            assert_eq!((ran.status, ran.text()?), (Some(2), ""), "{url}: {}", ran.stderr);
            ensure!(!ran.stderr.contains("s3cret") && ran.stderr.contains("--store"), "{url}: {}", ran.stderr);
        }
    }
    for options in [["--database", ""], ["--database", "a.b"], ["--collection", ""], ["--metadata-field", "$x"]] {
        let ran = bare(&desk, &[&["session", "read", "s", "--store", "file:sessions.store"], &options[..]].concat()).await?;
        assert_eq!(ran.status, Some(2), "{options:?}: {}", ran.stderr);
    }
    assert!(!desk.path("home").exists() && !desk.path("sessions.store").exists(), "nothing was made");
    Ok(())
}

#[tokio::test]
async fn a_file_that_cannot_be_a_store_is_exit_status_1() -> anyhow::Result<()> {
    let desk = Desk::new()?;
    fs::write(desk.path("diary"), "Dear diary,\n")?;
    for (url, said) in
        [("file:no/such/folder/store", "its folder does not exist"), ("file:.", "is a folder"), ("file:diary", "is not a store file")]
    {
        let ran = bare(&desk, &["session", "read", "s", "--store", url]).await?;
        ensure!(
            ran.status == Some(1) && ran.stderr.starts_with("session-repo: cannot open the store: ") && ran.stderr.contains(said),
            "{url}: {}",
            ran.stderr
        );
    }
    assert_eq!(fs::read_to_string(desk.path("diary"))?, "Dear diary,\n");
    Ok(())
}

#[tokio::test]
async fn databases_and_collections_keep_sessions_apart_in_one_file() -> anyhow::Result<()> {
    let desk = Desk::new()?;
    let places = [
        [].as_slice(),
        &["--database", "d"],
        &["--collection", "c"],
        &["--database", "d", "--collection", "c"],
        &["--database", "d", "--collection", "c.x"],
    ];
    for (index, place) in places.into_iter().enumerate() {
        let kind = index.to_string();
        bare(&desk, &[&["session", "create", "s", "--store", "file:store", "--type", &kind], place].concat()).await?.ok()?;
    }
    for (index, place) in places.into_iter().enumerate() {
        let ran = bare(&desk, &[&["session", "read", "s", "--store", "file:store"], place].concat()).await?;
        ensure!(ran.ok()?.contains(&format!("session_type: {index}\n")), "{place:?}: {}", ran.text()?);
        let dump = bare(&desk, &[&["export", "--store", "file:store"], place].concat()).await?;
        assert_eq!(dump.ok()?.lines().count(), 1);
    }
    Ok(())
}

#[tokio::test]
async fn commands_that_meet_on_a_file_wait_for_each_other() -> anyhow::Result<()> {
    let desk = Desk::new()?;
    let site = desk.file_site("sessions.store");
    let ids = ["a", "b"];
    let mut running = Vec::new();
    for id in ids {
        running.push(desk.command(&site, &["session", "create", id]).await?.spawn()?);
    }
    for child in running {
        let output = child.wait_with_output().await?;
        ensure!(output.status.success() && output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    assert_eq!(desk.dump(&site).await?.lines().count(), ids.len());
    // Also for one that lets go a little later.
    let (mut holder, stdin) = exec(&desk, &site).await?;
    let mut waiting = desk.command(&site, &["session", "read", "a"]).await?;
    let mut waiting = waiting.env("RUST_LOG", "session_repo=debug").stderr(Stdio::piped()).spawn()?;
    let mut log = BufReader::new(waiting.stderr.take().context("no stderr")?);
    let mut said = String::new();
    while !said.contains("waiting for the store") {
        ensure!(log.read_line(&mut said).await? > 0, "it does not wait: {said}");
    }
    drop(stdin);
    assert_eq!(waiting.wait_with_output().await?.status.code(), Some(0));
    assert_eq!(holder.wait().await?.code(), Some(0));
    Ok(())
}

#[tokio::test]
async fn a_file_that_is_held_for_long_is_unavailable_and_its_holder_named() -> anyhow::Result<()> {
    let desk = Desk::new()?;
    let site = desk.file_site("sessions.store");
    let (mut holder, stdin) = exec(&desk, &site).await?;
    let pid = holder.id().context("no process")?;
    for arguments in [&["session", "read", "s"][..], &["exec"], &["export"], &["import"]] {
        let begun = Instant::now();
        let ran = desk.run(&site, arguments).await?;
        assert_eq!((ran.status, ran.text()?), (Some(1), ""), "{arguments:?}");
        let held = format!(
            "session-repo: cannot open the store: unavailable: the store file {} is held by process {pid} (session-repo)\n",
            desk.argument("sessions.store")
        );
        assert_eq!(ran.stderr, held, "{arguments:?}");
        ensure!((2..20).contains(&begun.elapsed().as_secs()), "{arguments:?}: {:?}", begun.elapsed());
    }
    drop(stdin);
    assert_eq!(holder.wait().await?.code(), Some(0));
    assert_eq!(desk.run(&site, &["session", "create", "s"]).await?.status, Some(0));
    Ok(())
}
