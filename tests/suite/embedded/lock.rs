//! One process at a time has a file open, and everybody else learns which.

use super::child::Exec;
use super::{PATIENCE, open, unavailable};
use anyhow::Context;
use serde_json::json;
use session_repository::{EmbeddedStore, Error, Result, Store};
use session_repository_tests::program;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::time::timeout;

fn create_session() -> String {
    format!("{}\n", json!({"id": 0, "call": "sessions.create", "args": {"session_id": "s"}}))
}

/// Opens a file as soon as whoever lets it go has done so.
pub(super) async fn open_when_free(file: &Path) -> anyhow::Result<EmbeddedStore> {
    let opening = async {
        loop {
            match open(file).await {
                Err(Error::Unavailable(_)) => tokio::task::yield_now().await,
                opened => return opened,
            }
        }
    };
    Ok(timeout(PATIENCE, opening).await??)
}

/// Checks what somebody learns who opens a file that `holder` has open.
#[track_caller]
fn names(refused: Result<EmbeddedStore>, file: &Path, holder: &str) {
    let message = unavailable(refused);
    assert!(message.contains(&file.display().to_string()), "{message}");
    // Other systems do not tell who it is.
    if cfg!(target_os = "linux") {
        assert!(message.contains(holder), "{message}");
    }
}

#[tokio::test]
async fn a_file_that_this_process_has_open_does_not_open_again_until_it_is_closed() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("store");
    let store = open(&file).await?;
    names(open(&file).await, &file, "this process itself");
    let clone = store.clone();
    drop(store);
    names(open(&file).await, &file, "this process itself");
    clone.close().await;
    let store = open(&file).await.context("the handle that closed the store is still there, but the file is free")?;
    unavailable(clone.find_session("s").await);
    drop(clone);
    names(open(&file).await, &file, "this process itself");
    drop(store);
    open_when_free(&file).await?.close().await;
    Ok(())
}

#[tokio::test]
async fn a_file_that_another_process_has_open_does_not_open_until_that_has_ended() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("store");
    for is_killed in [true, false] {
        let mut exec = Exec::start(&file, &create_session()).await?;
        // Whatever the answer, it has the file open.
        exec.answer().await?.context("no answer")?;
        names(open(&file).await, &file, &format!("process {} (session-repo)", exec.child.id().context("it has ended")?));
        if is_killed {
            exec.kill().await?;
        } else {
            exec.end().await?;
        }
        let store = open(&file).await.context("the holder has ended")?;
        assert!(store.find_session("s").await?.is_some());
        store.close().await;
    }
    Ok(())
}

#[tokio::test]
async fn the_program_says_who_has_its_file_open() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("store");
    let store = open(&file).await?;
    let mut exec = tokio::process::Command::new(program().await?);
    exec.args(["exec", "--store", &format!("file:{}", file.display())]).stdin(Stdio::null());
    let output = exec.output().await?;
    let stderr = String::from_utf8(output.stderr)?;
    assert_eq!((output.status.code(), output.stdout), (Some(1), Vec::new()), "{stderr}");
    assert!(stderr.contains("unavailable") && stderr.contains(&file.display().to_string()), "{stderr}");
    if cfg!(target_os = "linux") {
        assert!(stderr.contains(&format!("process {}", std::process::id())), "{stderr}");
    }
    store.close().await;
    Ok(())
}

/// A process that is being started has, for a moment, all files that its parent has open, and with them the locks.
#[tokio::test]
async fn a_closed_file_is_free_even_while_the_process_starts_others() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("store");
    let (program, ended) = (program().await?, Arc::new(AtomicBool::new(false)));
    let starters: Vec<_> = (0..2)
        .map(|_| {
            let (program, ended) = (program.clone(), Arc::clone(&ended));
            std::thread::spawn(move || {
                while !ended.load(Ordering::Relaxed) {
                    Command::new(&program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status()?;
                }
                Ok::<_, std::io::Error>(())
            })
        })
        .collect();
    let opened = async {
        for _ in 0..100 {
            open(&file).await?.close().await;
        }
        Ok::<_, Error>(())
    };
    let opened = opened.await;
    ended.store(true, Ordering::Relaxed);
    for starter in starters {
        starter.join().map_err(|_| anyhow::anyhow!("a thread failed"))??;
    }
    Ok(opened?)
}
