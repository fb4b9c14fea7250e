//! Files that are not what they should be.

use super::open;
use anyhow::Context;
use session_repository::{EmbeddedStore, Error, Result, Session, Store, StoreOptions, Timestamp};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// The part of a store file before the database.
const HEADER: usize = 4096;

/// The bytes of a store file with a session in it.
async fn store_file(folder: &TempDir) -> anyhow::Result<Vec<u8>> {
    let file = folder.path().join("template");
    let store = open(&file).await?;
    let (now, session_id, session_type) = (Timestamp(0), String::from("s"), String::from("default"));
    store.insert_session(Session::new(session_id, session_type, now)).await?;
    store.close().await;
    let bytes = std::fs::read(&file)?;
    std::fs::remove_file(file)?;
    Ok(bytes)
}

/// What comes of opening a file with these bytes; and is the file as it was?
async fn opened(folder: &TempDir, name: &str, bytes: &[u8]) -> anyhow::Result<Result<PathBuf>> {
    let file = folder.path().join(name.replace(' ', "-"));
    std::fs::write(&file, bytes)?;
    match open(&file).await {
        Ok(store) => {
            store.close().await;
            Ok(Ok(file))
        }
        Err(error) => {
            assert!(std::fs::read(&file)? == bytes, "{name}: the file was refused, but changed");
            // Nobody holds what was refused.
            let again = open(&file).await.err().with_context(|| format!("{name}: it was refused, but now it opens"))?;
            assert_eq!(again, error, "{name}");
            Ok(Err(error))
        }
    }
}

#[tokio::test]
async fn files_of_others_are_refused_and_left_as_they_are() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let redb = folder.path().join("redb");
    drop(redb::Database::create(&redb)?);
    let store = store_file(&folder).await?;
    let text = b"session-repository stores its sessions in files.\n".to_vec();
    let mut jpeg = vec![0xff, 0xd8, 0xff, 0xe0, 0, 16, b'J', b'F', b'I', b'F', 0];
    jpeg.resize(10_000, 0x55);
    let mut sqlite = b"SQLite format 3\0\x10\0\x01\x01\0\x40\x20\x20".to_vec();
    sqlite.resize(8192, 0);
    // The image of an optical disc begins with 32 KiB of zeros, that of an empty hard disk with more.
    let mut disc = vec![0; 32 * 1024];
    disc.extend_from_slice(b"\x01CD001\x01");
    disc.resize(40 * 1024, 0);
    let mut shifted = store.clone();
    shifted.insert(0, b'\n');
    for (name, bytes) in [
        ("text", text),
        ("one byte", b"{".to_vec()),
        ("jpeg", jpeg),
        ("sqlite", sqlite),
        ("disc", disc),
        ("zeros", vec![0; HEADER + 1]),
        ("redb", std::fs::read(redb)?),
        ("shifted", shifted),
        ("database without its header", store[HEADER..].to_vec()),
        ("magic and text", b"session-repository store\nformat unknown\n".to_vec()),
        ("magic and format 0", b"session-repository store\nformat 0\n".to_vec()),
        ("magic and no format", b"session-repository store\nformat \nand more".to_vec()),
    ] {
        match opened(&folder, name, &bytes).await? {
            Err(Error::InvalidArgument(message)) => {
                assert!(message.contains("is not a store file") && message.contains(&*name.replace(' ', "-")), "{name}: {message}");
            }
            other => panic!("{name}: {other:?}"),
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_file_of_a_newer_version_is_refused_and_left_as_it_is() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let store = store_file(&folder).await?;
    let mut whole = store.clone();
    let digit = whole.iter().position(|byte| *byte == b'3').context("no format")?;
    whole[digit] = b'4';
    for (format, bytes) in [
        ("format 4", whole),
        ("format 4", b"session-repository store\nformat 4\n".to_vec()),
        ("format 10", b"session-repository store\nformat 10\nwhatever follows".to_vec()),
        ("format 18446744073709551615", b"session-repository store\nformat 18446744073709551615\n".to_vec()),
    ] {
        match opened(&folder, "newer", &bytes).await? {
            Err(Error::InvalidArgument(message)) => {
                assert!(message.contains(&format!("{format},")) && message.contains("newer version"), "{message}");
            }
            other => panic!("{format}: {other:?}"),
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_damaged_file_is_refused_and_left_as_it_is() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let store = store_file(&folder).await?;
    let with_header = |database: &[u8]| [&store[..HEADER], database].concat();
    let mut broken = store.clone();
    // All but the first page of the database, which says where everything is.
    broken[HEADER + 4096..].fill(0xa5);
    let mut one_byte_longer = store.clone();
    one_byte_longer.push(0);
    for (name, bytes) in [
        ("nothing behind the header", with_header(&[])),
        ("a byte behind the header", with_header(b"r")),
        ("text behind the header", with_header(&b"What is this? ".repeat(1000))),
        ("zeros behind the header", with_header(&vec![0; store.len() - HEADER])),
        ("truncated by half", store[..HEADER + (store.len() - HEADER) / 2].to_vec()),
        ("truncated to a page", store[..HEADER + 4096].to_vec()),
        ("truncated by a page", store[..store.len() - 4096].to_vec()),
        ("truncated by a byte", store[..store.len() - 1].to_vec()),
        ("broken", broken),
    ] {
        match opened(&folder, name, &bytes).await? {
            Err(Error::Corrupt(message)) => assert!(message.contains("damaged"), "{name}: {message}"),
            other => panic!("{name}: {other:?}"),
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_file_whose_making_was_cut_off_opens_as_a_new_one() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let store = store_file(&folder).await?;
    let mut header = store[..HEADER].to_vec();
    header[64] = 0;
    let text = header.iter().position(|byte| *byte == 0).context("no end")?;
    let mut cases: Vec<Vec<u8>> = Vec::new();
    for length in (0..=text).chain([text + 1, 64, 65, 512, HEADER - 1, HEADER]) {
        cases.push(header[..length].to_vec());
        // The file has its length, but only the first bytes got there.
        let mut torn = header[..length].to_vec();
        torn.resize(HEADER, 0);
        cases.push(torn);
    }
    for database in [&[0; 100][..], b"anything"] {
        cases.push([&header, database].concat());
    }
    for bytes in cases {
        let file = opened(&folder, "unfinished", &bytes).await?.with_context(|| String::from_utf8_lossy(&bytes).into_owned())?;
        let store = open(&file).await?;
        assert_eq!(store.find_session("s").await?, None);
        store.close().await;
    }
    // What is a database already is never begun anew.
    let complete = [&header, &store[HEADER..]].concat();
    let file = opened(&folder, "complete", &complete).await?.context("it does not open")?;
    let store = open(&file).await?;
    assert!(store.find_session("s").await?.is_some());
    store.close().await;
    Ok(())
}

async fn refused(file: &Path) -> anyhow::Result<Error> {
    open(file).await.err().context("it opens")
}

#[tokio::test]
async fn paths_that_cannot_be_a_store_are_refused() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let Error::InvalidArgument(message) = refused(folder.path()).await? else { panic!("a folder") };
    assert!(message.contains("is a folder"), "{message}");
    let missing = folder.path().join("missing").join("store");
    let Error::InvalidArgument(message) = refused(&missing).await? else { panic!("in no folder") };
    assert!(message.contains("folder does not exist") && message.contains(&missing.display().to_string()), "{message}");
    let below_a_file = folder.path().join("file").join("store");
    std::fs::write(folder.path().join("file"), "")?;
    let error = refused(&below_a_file).await?;
    assert!(matches!(&error, Error::InvalidArgument(message) if message.contains("folder")), "below a file: {error:?}");
    let options = StoreOptions::default().collection("$");
    let unwanted = folder.path().join("unwanted");
    assert!(matches!(EmbeddedStore::open(&unwanted, options).await, Err(Error::InvalidArgument(_))));
    assert!(!unwanted.exists(), "bad options make no file");
    Ok(())
}

#[cfg(unix)]
#[tokio::test]
async fn a_new_file_is_its_owners_alone() -> anyhow::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("store");
    open(&file).await?.close().await;
    assert_eq!(std::fs::metadata(&file)?.permissions().mode() & 0o777, 0o600);
    // What the owner allows afterwards stays.
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o660))?;
    open(&file).await?.close().await;
    assert_eq!(std::fs::metadata(&file)?.permissions().mode() & 0o777, 0o660);
    Ok(())
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_file_that_may_not_be_written_is_access_denied() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let mut file = folder.path().join("store");
    open(&file).await?.close().await;
    let mut permissions = std::fs::metadata(&file)?.permissions();
    permissions.set_readonly(true);
    std::fs::set_permissions(&file, permissions)?;
    if std::fs::OpenOptions::new().write(true).open(&file).is_ok() {
        // This is root, who may write to nearly everything; not to this.
        file = PathBuf::from("/sys/kernel/uevent_seqnum");
    }
    let error = refused(&file).await?;
    assert!(matches!(&error, Error::AccessDenied(message) if message.contains(&file.display().to_string())), "{error:?}");
    Ok(())
}
