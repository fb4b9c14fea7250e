//! Stores that are open for reading only.

use super::disk::{Disk, Fate};
use super::{a, at, message, open, unavailable};
use crate::samples::samples_that;
use session_repository::{
    Agent, AnyStore, EmbeddedStore, Error, Feedback, Json, Page, Repository, Result, Session, StorageBackend, Store, StoreOptions,
    StoreUrl, Timestamp,
};
use std::fmt::Debug;
use std::io::{Cursor, ErrorKind};
use std::path::Path;
use std::sync::Arc;

async fn open_read_only(path: impl AsRef<Path>) -> Result<EmbeddedStore> {
    EmbeddedStore::open_read_only(path, StoreOptions::default()).await
}

fn session() -> Session {
    let (session_id, session_type) = (String::from("s"), String::from("default"));
    Session::new(session_id, session_type, Timestamp(1))
}

fn agent() -> Agent {
    Agent::new("a", "{}", Timestamp(1))
}

/// Stores a session with everything in it.
async fn fill(store: &EmbeddedStore) -> Result<()> {
    store.insert_session(session()).await?;
    store.insert_agent("s", agent(), at(1)).await?;
    for id in [5, 2, 9] {
        store.append_message(&a(), message(id, id, r#"{"content":"Hello!"}"#), &[], at(id)).await?;
    }
    store.set_metadata("s", vec![(String::from("a"), Json::from("1"))], at(10)).await?;
    store.append_feedback("s", Feedback::new("{}", Timestamp(11)), at(11)).await
}

/// Checks that everything is there.
async fn check(store: &EmbeddedStore) -> Result<()> {
    assert_eq!(store.find_session("s").await?.map(|session| session.revision), Some(6));
    assert_eq!(store.agent_ids("s").await?, Some(vec![String::from("a")]));
    assert!(store.find_agent(&a()).await?.is_some());
    let listed = store.list_messages(&a(), Page::default(), &[]).await?;
    assert_eq!(listed.iter().map(|message| message.message_id).collect::<Vec<_>>(), [2, 5, 9]);
    assert_eq!(store.find_message(&a(), 9, &[]).await?.as_ref(), listed.last());
    assert_eq!(store.get_metadata("s").await?, Some(Json::from(r#"{"a":1}"#)));
    assert_eq!(store.list_feedback("s", usize::MAX).await?.len(), 1);
    Ok(())
}

#[track_caller]
pub(crate) fn denied<T: Debug>(result: Result<T>) {
    assert!(matches!(&result, Err(Error::AccessDenied(why)) if why.contains("open for reading only")), "{result:?}");
}

/// Tries every write.
pub(crate) async fn writes_are_denied(store: Arc<dyn Store>) -> anyhow::Result<()> {
    let repo = Repository::builder_on(store).build()?;
    for sample in samples_that(true).await? {
        denied((sample.make)(&repo, "s").await);
    }
    Ok(())
}

/// A disk that fails at the first write, and what is on it.
fn read_only_disk(image: Vec<u8>) -> Disk {
    let disk = Disk::of(image);
    disk.doom(0, Fate::Failure(ErrorKind::ReadOnlyFilesystem));
    disk
}

#[tokio::test]
async fn storage_is_not_written_resized_or_synchronised() -> anyhow::Result<()> {
    let disk = Disk::empty();
    let store = EmbeddedStore::on_backend(disk.clone(), StoreOptions::default()).await?;
    fill(&store).await?;
    // As a crash leaves it, and as it is closed.
    let crashed = disk.cached();
    store.close().await;
    for (name, image) in [("crashed", crashed), ("closed", disk.cached())] {
        let disk = read_only_disk(image.clone());
        let store = EmbeddedStore::on_backend_read_only(disk.clone(), StoreOptions::default()).await?;
        check(&store).await?;
        writes_are_denied(Arc::new(store.clone())).await?;
        let refused = AnyStore::Embedded(store.clone()).import(Cursor::new(r#"{"_id":"t"}"#)).await;
        denied(refused);
        check(&store).await?;
        // Another collection has nothing in it, and is not made.
        let options = StoreOptions::default().collection("other");
        let other = EmbeddedStore::on_backend_read_only(disk.clone(), options).await?;
        assert_eq!(other.find_session("s").await?, None);
        other.close().await;
        store.close().await;
        unavailable(store.find_session("s").await);
        unavailable(store.insert_session(session()).await);
        assert!(!disk.has_failed(), "{name}: it was written to");
        assert!(disk.cached() == image, "{name}: it has changed");
    }
    // With nothing in it, too.
    let disk = read_only_disk(Vec::new());
    let store = EmbeddedStore::on_backend_read_only(disk.clone(), StoreOptions::default()).await?;
    assert_eq!((store.find_session("s").await?, store.list_messages(&a(), Page::default(), &[]).await?), (None, Vec::new()));
    store.close().await;
    assert!(!disk.has_failed() && disk.len()? == 0);
    Ok(())
}

#[tokio::test]
async fn readers_share_a_file_and_a_writer_has_it_alone() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("store");
    let writer = open(&file).await?;
    fill(&writer).await?;
    let refused = unavailable(open_read_only(&file).await);
    assert!(!cfg!(target_os = "linux") || refused.ends_with("is held by this process itself"), "{refused}");
    writer.close().await;
    let readers = [open_read_only(&file).await?, open_read_only(&file).await?];
    for reader in &readers {
        check(reader).await?;
        let refused = unavailable(open(&file).await);
        assert!(!cfg!(target_os = "linux") || refused.ends_with("is being read by this process itself"), "{refused}");
        reader.close().await;
    }
    // Both handles are still there, but the file is free.
    open(&file).await?.close().await;
    Ok(())
}

#[tokio::test]
async fn a_file_that_is_not_there_is_not_made() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    for (file, why) in [("store", "yet: nothing was ever stored there"), ("folder/store", "its folder does not exist")] {
        let file = folder.path().join(file);
        let refused = open_read_only(&file).await;
        let named = format!("there is no store file {}", file.display());
        assert!(matches!(&refused, Err(Error::InvalidArgument(text)) if text.starts_with(&named) && text.ends_with(why)), "{refused:?}");
    }
    assert_eq!(std::fs::read_dir(folder.path())?.count(), 0);
    let memory = AnyStore::open_read_only(&StoreUrl::Memory, StoreOptions::default()).await?.into_store();
    assert_eq!(memory.find_session("s").await?, None);
    writes_are_denied(memory).await?;
    Ok(())
}

#[tokio::test]
async fn a_file_whose_making_was_cut_off_is_empty_and_left_as_it_is() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("store");
    let mut header = b"session-repository store\nformat 1\n".to_vec();
    header.resize(4096, 0);
    for bytes in [&[][..], &header[..10], &header, &[&header, &[0; 100][..]].concat()] {
        std::fs::write(&file, bytes)?;
        let store = open_read_only(&file).await?;
        assert_eq!(store.find_session("s").await?, None);
        store.close().await;
        assert!(std::fs::read(&file)? == bytes);
    }
    Ok(())
}

#[cfg(unix)]
#[tokio::test]
async fn what_is_no_file_is_refused_at_once() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let pipe = folder.path().join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status()?.success());
    for path in [pipe.as_path(), Path::new("/dev/null")] {
        for refused in [open_read_only(path).await, open(path).await] {
            assert!(matches!(&refused, Err(Error::InvalidArgument(why)) if why.contains("is not a store file")), "{path:?}: {refused:?}");
        }
    }
    let refused = open_read_only(folder.path()).await;
    assert!(matches!(&refused, Err(Error::InvalidArgument(why)) if why.contains("is a folder")), "{refused:?}");
    Ok(())
}
