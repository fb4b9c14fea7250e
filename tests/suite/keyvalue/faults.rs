//! A write that fails at any of its operations: what was acknowledged is there, and a retry succeeds.

use super::values::{Fault, Watched};
use super::{body, file, host, listed, with_agent};
use session_repository::{Error, Json, Repository};

/// Has a write fail at each of its operations, on a session of its own each time. Returns how many operations failed.
///
/// `write` is a write that may be repeated, and `after` what it makes of the messages.
async fn fails_anywhere(
    fault: Fault,
    prepared: usize,
    write: impl AsyncFn(&Repository, &str) -> session_repository::Result<()>,
    after: impl Fn(Vec<(i64, String)>) -> Vec<(i64, String)>,
) -> anyhow::Result<usize> {
    let folder = tempfile::tempdir()?;
    let values = Watched::new(file(folder.path()).await?, fault);
    for operations in 0.. {
        // A host of its own, so that each write takes a number for its blobs, which is an operation, too.
        let (repo, session) = (host(values.clone()).await?, format!("s{operations}"));
        with_agent(&repo, &session).await?;
        for n in 0..prepared {
            repo.messages().append(&*session, "a", body(&format!("m{n}"), 12_000), None).await?;
        }
        let before = listed(&repo, &session).await?;
        let expected = after(before.clone());
        repo.close().await;
        let repo = host(values.clone()).await?;
        values.fail_after(operations);
        let answer = write(&repo, &session).await;
        let has_failed = values.mend();
        let found = listed(&repo, &session).await?;
        match &answer {
            Ok(()) => assert_eq!(found, expected, "{fault:?} after {operations}"),
            Err(Error::Unavailable(_)) => assert!(found == before || found == expected, "{fault:?} after {operations}: {}", found.len()),
            Err(other) => panic!("{fault:?} after {operations}: {other:?}"),
        }
        write(&repo, &session).await?;
        assert_eq!(listed(&repo, &session).await?, expected, "{fault:?} after {operations}: the retry");
        repo.close().await;
        if answer.is_ok() && !has_failed {
            return Ok(operations);
        }
    }
    Ok(0)
}

#[tokio::test]
async fn an_append_that_fails_anywhere_leaves_the_session_whole() -> anyhow::Result<()> {
    for fault in [Fault::Refused, Fault::Lost] {
        // The third message of this size completes a block.
        let append =
            async |repo: &Repository, session: &str| repo.messages().append(session, "a", body("new", 12_000), Some("key")).await.map(drop);
        let with_new = |mut messages: Vec<(i64, String)>| {
            messages.push((2, body("new", 12_000)));
            messages
        };
        let failed = fails_anywhere(fault, 2, append, with_new).await?;
        // Reading the head, the number, the block, the head.
        assert_eq!(failed, 4, "{fault:?}");
    }
    Ok(())
}

#[tokio::test]
async fn an_update_that_fails_anywhere_leaves_the_session_whole() -> anyhow::Result<()> {
    for fault in [Fault::Refused, Fault::Lost] {
        let update = async |repo: &Repository, session: &str| repo.messages().update(session, "a", 1, body("new", 11)).await;
        let with_new = |mut messages: Vec<(i64, String)>| {
            messages[1].1 = body("new", 11);
            messages
        };
        let failed = fails_anywhere(fault, 4, update, with_new).await?;
        // Reading the head and the block, the number, the new block, the head, removing the old block.
        assert_eq!(failed, 6, "{fault:?}");
    }
    Ok(())
}

/// The old text goes with the write, or with the next one if the store refused to remove it.
#[tokio::test]
async fn a_replaced_text_is_in_no_value() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let values = Watched::new(file(folder.path()).await?, Fault::Refused);
    let repo = host(values.clone()).await?;
    with_agent(&repo, "s").await?;
    let has = async |text: &str| {
        let all = values.all().await?;
        anyhow::Ok(all.iter().any(|(_, value)| value.windows(text.len()).any(|bytes| bytes == text.as_bytes())))
    };
    for n in 0..7 {
        repo.messages().append("s", "a", body(&format!("secret-{n}-"), 9_000), None).await?;
    }
    assert!(has("secret-1-").await? && has("secret-6-").await?);
    // One of a block, one of the tail.
    for n in [1, 6] {
        repo.messages().update("s", "a", n, Json::from(r#"{"name":"redacted"}"#)).await?;
        assert!(!has(&format!("secret-{n}-")).await?, "{n}");
    }
    let mut operations = 0;
    // Until the first operation that fails is the removal, of which nobody is told.
    loop {
        values.fail_after(operations);
        let answer = repo.messages().update("s", "a", 2, Json::from(r#"{"name":"redacted"}"#)).await;
        assert!(values.mend());
        if answer.is_ok() {
            break;
        }
        operations += 1;
    }
    assert!(has("secret-2-").await?);
    repo.metadata().update("s", r#"{"any":"write"}"#).await?;
    assert!(!has("secret-2-").await?);
    repo.close().await;
    Ok(())
}
