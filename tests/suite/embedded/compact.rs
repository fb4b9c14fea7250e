//! Compaction beside writers and readers.

use super::{at, message, open};
use session_repository::{Agent, AgentRef, EmbeddedStore, Error, Page, Result, Session, Store, StoreOptions, Timestamp, Write};
use session_repository_tests::program;
use std::fs::File;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::process::Command;

const COMPACTIONS: usize = 30;

async fn with_agents(file: &Path) -> Result<()> {
    let (store, now) = (open(file).await?, Timestamp(0));
    let (session_id, session_type) = (String::from("s"), String::from("default"));
    store.insert_session(Session::new(session_id, session_type, now)).await?;
    for agent_id in ["0", "1"] {
        let agent = Agent::new(agent_id, "{}", now);
        store.insert_agent("s", agent, Write::at(now)).await?;
    }
    store.close().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn what_is_acknowledged_around_a_compaction_is_in_the_new_file() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("store");
    with_agents(&file).await?;
    let ended = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (0..2)
        .map(|writer| {
            let (file, ended) = (file.clone(), Arc::clone(&ended));
            tokio::spawn(async move {
                let mut written = 0;
                while !ended.load(Ordering::Relaxed) {
                    match open(&file).await {
                        Ok(store) => {
                            let agent = AgentRef::new("s", writer.to_string());
                            store.append_message(&agent, message(written, written, "{}"), &[], at(written)).await?;
                            written += 1;
                            store.close().await;
                        }
                        // Somebody else has it.
                        Err(Error::Unavailable(_)) => {}
                        Err(error) => return Err(error),
                    }
                }
                Ok((writer, written))
            })
        })
        .collect();
    let reader = {
        let (file, ended) = (file.clone(), Arc::clone(&ended));
        tokio::spawn(async move {
            let mut seen = 0;
            while !ended.load(Ordering::Relaxed) {
                match EmbeddedStore::open_read_only(&file, StoreOptions::default()).await {
                    Ok(store) => {
                        let listed = store.list_messages(&AgentRef::new("s", "0"), Page::default(), &[]).await?.len();
                        assert!(listed >= seen, "there were {seen} messages, and now there are {listed}");
                        seen = listed;
                        store.close().await;
                    }
                    Err(Error::Unavailable(_)) => {}
                    Err(error) => return Err(error),
                }
            }
            Ok(())
        })
    };
    let mut compacted = 0;
    while compacted < COMPACTIONS {
        match EmbeddedStore::compact(&file, |_, _| {}).await {
            Ok(_) => compacted += 1,
            Err(Error::Unavailable(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    ended.store(true, Ordering::Relaxed);
    reader.await??;
    let mut expected = Vec::new();
    for writer in writers {
        expected.push(writer.await??);
    }
    let store = open(&file).await?;
    for (writer, written) in expected {
        let listed = store.list_messages(&AgentRef::new("s", writer.to_string()), Page::default(), &[]).await?;
        assert!(listed.iter().map(|message| message.message_id).eq(0..written), "writer {writer}: {} of {written}", listed.len());
    }
    store.close().await;
    Ok(())
}

#[tokio::test]
async fn progress_goes_up_to_the_end() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("store");
    let (store, now) = (open(&file).await?, Timestamp(0));
    for session_id in 0..100 {
        let (session_id, session_type) = (session_id.to_string(), String::from("default"));
        store.insert_session(Session::new(session_id, session_type, now)).await?;
    }
    store.close().await;
    let (sender, told) = std::sync::mpsc::channel();
    let compacted = EmbeddedStore::compact(&file, move |copied, total| sender.send((copied, total)).unwrap_or_default()).await?;
    let told: Vec<_> = told.into_iter().collect();
    let (last, total) = told.last().copied().ok_or_else(|| anyhow::anyhow!("nothing is told"))?;
    assert!(last == total && total >= 100 && told.iter().copied().eq((1..=total).map(|copied| (copied, total))), "{told:?}");
    assert_eq!(compacted.bytes_after, std::fs::metadata(&file)?.len());
    Ok(())
}

/// A stand-in for `flock` that says when it is called first, and goes on when the lock on a gate is free.
#[cfg(target_os = "linux")]
const FLOCK: &str = r#"
#include <fcntl.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>
int flock(int fd, int operation) {
    static int passed = 0;
    if (!passed++) {
        int gate = open(getenv("GATE"), O_RDWR);
        if (write(gate, "!", 1) == 1) syscall(SYS_flock, gate, 2);
        close(gate);
    }
    return (int) syscall(SYS_flock, fd, operation);
}
"#;

/// A program may have opened the old file just before the new one takes its place, and lock it just after.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_program_that_has_opened_the_old_file_writes_to_the_new_one() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let [file, gate, source, library] = ["store", "gate", "flock.c", "flock.so"].map(|name| folder.path().join(name));
    with_agents(&file).await?;
    std::fs::write(&source, FLOCK)?;
    let compiled = Command::new("cc").args(["-shared", "-fPIC", "-o"]).args([&library, &source]).status().await?;
    assert!(compiled.success());
    for arguments in [&["metadata", "set", "s", r#"{"written": true}"#][..], &["metadata", "get", "s"]] {
        let gate_file = File::create(&gate)?;
        gate_file.lock()?;
        let mut command = Command::new(program().await?);
        command.args(arguments).args(["--store", &format!("file:{}", file.display())]);
        command.env("LD_PRELOAD", &library).env("GATE", &gate).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let child = command.spawn()?;
        while gate.metadata()?.len() == 0 {
            tokio::task::yield_now().await;
        }
        EmbeddedStore::compact(&file, |_, _| {}).await?;
        let store = open(&file).await?;
        store.set_metadata("s", vec![(String::from("before"), "1".into())], at(1)).await?;
        store.close().await;
        gate_file.unlock()?;
        let output = child.wait_with_output().await?;
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert!(arguments[1] == "set" || String::from_utf8(output.stdout)?.contains("before: 1"), "it reads the old file");
    }
    let store = EmbeddedStore::open_read_only(&file, StoreOptions::default()).await?;
    assert_eq!(store.get_metadata("s").await?, Some(r#"{"before":1,"written":true}"#.into()));
    store.close().await;
    Ok(())
}
