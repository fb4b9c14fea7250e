//! What one command has compiled is there for the next one, and does no harm where it is not.

use crate::run::{Desk, Ran, finish};
use anyhow::Context;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};

/// The folder of compiled code in a cache folder.
fn compiled(cache: &Path) -> PathBuf {
    cache.join("session-repository/compiled")
}

/// The files of a folder, those of its folders included.
fn files(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() { found.extend(files(&path)?) } else { found.push(path) }
    }
    Ok(found)
}

/// The code that was compiled, without what is noted of its use.
fn code(cache: &Path) -> anyhow::Result<Vec<PathBuf>> {
    Ok(files(&compiled(cache))?.into_iter().filter(|file| file.extension().is_none()).collect())
}

/// Runs a command with a cache folder, and a log that tells whether the code was there.
async fn start(desk: &Desk, cache: &Path) -> anyhow::Result<Ran> {
    let mut command = desk.command(&desk.file_site("sessions.store"), &["session", "create", "s"]).await?;
    finish(command.env("XDG_CACHE_HOME", cache).env("RUST_LOG", "session_repository::component=debug"), None).await
}

/// Checks that a command did its work, the first one on the desk or a later one.
fn did_its_work(ran: &Ran) {
    let created = ran.text().is_ok_and(|text| text.contains("session_id: s"));
    assert!(created || ran.stderr.contains("already-exists"), "{ran:?}");
}

#[tokio::test]
async fn the_second_start_takes_what_the_first_one_compiled() -> anyhow::Result<()> {
    let desk = Desk::new()?;
    let cache = desk.path("cache");
    let first = start(&desk, &cache).await?;
    did_its_work(&first);
    assert!(first.stderr.contains("was_there=false"), "{first:?}");
    let [kept] = <[PathBuf; 1]>::try_from(code(&cache)?).map_err(|files| anyhow::anyhow!("{files:?}"))?;
    assert_eq!(fs::metadata(compiled(&cache))?.permissions().mode() & 0o777, 0o700);
    assert!(fs::metadata(kept)?.len() < 2 << 20);
    let second = start(&desk, &cache).await?;
    did_its_work(&second);
    assert!(second.stderr.contains("was_there=true"), "{second:?}");
    Ok(())
}

#[tokio::test]
async fn what_is_damaged_in_the_cache_is_compiled_again() -> anyhow::Result<()> {
    let desk = Desk::new()?;
    let cache = desk.path("cache");
    start(&desk, &cache).await?;
    for damage in [&b""[..], b"not compressed", &[0; 4096]] {
        for file in code(&cache)? {
            fs::write(file, damage)?;
        }
        let ran = start(&desk, &cache).await?;
        did_its_work(&ran);
        assert!(ran.stderr.contains("was_there=false"), "{ran:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_folder_that_others_may_write_to_is_left_alone() -> anyhow::Result<()> {
    let desk = Desk::new()?;
    let cache = desk.path("cache");
    start(&desk, &cache).await?;
    // Whoever can replace a folder above it can put code into it.
    for folder in [compiled(&cache), cache.join("session-repository"), cache.clone()] {
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o777))?;
        let ran = start(&desk, &cache).await?;
        did_its_work(&ran);
        assert!(ran.stderr.contains("others may write to the folder") && !ran.stderr.contains("was_there"), "{folder:?}: {ran:?}");
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o700))?;
    }
    let ran = start(&desk, &cache).await?;
    assert!(ran.stderr.contains("was_there=true"), "{ran:?}");
    Ok(())
}

#[tokio::test]
async fn no_cache_folder_does_no_harm() -> anyhow::Result<()> {
    let desk = Desk::new()?;
    let file = desk.path("file");
    fs::write(&file, "")?;
    // A file in its place, a path that is not absolute (which counts as none), and no home at all.
    for cache in [file.as_path(), Path::new("relative"), Path::new("/proc/none")] {
        let ran = start(&desk, cache).await?;
        did_its_work(&ran);
        assert!(!ran.stderr.contains("warning"), "{ran:?}");
    }
    let mut homeless = desk.command(&desk.file_site("sessions.store"), &["session", "read", "s"]).await?;
    let ran = finish(homeless.env_remove("HOME").env_remove("XDG_CACHE_HOME").env_remove("XDG_DATA_HOME"), None).await?;
    assert!(ran.ok()?.contains("session_id: s"), "{ran:?}");
    Ok(())
}

/// The size of all files of a folder.
fn size(folder: &Path) -> anyhow::Result<u64> {
    // Some are removed meanwhile.
    Ok(files(folder)?.iter().filter_map(|file| fs::metadata(file).ok()).map(|file| file.len()).sum())
}

#[tokio::test]
async fn the_cache_folder_does_not_grow_without_bound() -> anyhow::Result<()> {
    const MIB: u64 = 1 << 20;
    let desk = Desk::new()?;
    let cache = desk.path("cache");
    let of_others = compiled(&cache).join("modules/wasmtime-1.2.3");
    fs::create_dir_all(&of_others)?;
    fs::set_permissions(compiled(&cache), fs::Permissions::from_mode(0o700))?;
    for number in 0..64 {
        let file = of_others.join(format!("{number:043}"));
        fs::File::create(&file)?.set_len(5 * MIB)?;
    }
    let mut command = desk.command(&desk.file_site("sessions.store"), &["exec"]).await?;
    let mut exec = command.env("XDG_CACHE_HOME", &cache).stdin(Stdio::piped()).spawn()?;
    let (mut stdin, stdout) = (exec.stdin.take().context("no stdin")?, exec.stdout.take().context("no stdout")?);
    let mut answers = BufReader::new(stdout).lines();
    // It is cleaned behind the calls.
    let mut calls = 0;
    while size(&compiled(&cache))? > 32 * MIB {
        anyhow::ensure!(calls < 100_000, "still {} bytes", size(&compiled(&cache))?);
        calls += 1;
        stdin.write_all(b"{\"id\":1,\"call\":\"sessions.read\",\"args\":{\"session_id\":\"s\"}}\n").await?;
        answers.next_line().await?.context("no answer")?;
    }
    drop(stdin);
    assert!(exec.wait().await?.success());
    assert!(code(&cache)?.iter().any(|file| !file.starts_with(&of_others)), "what was used last is gone");
    Ok(())
}
