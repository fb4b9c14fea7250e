//! What the tests stand on: a real MongoDB, and repositories with a collection of their own.

mod mongod;

pub use mongod::Mongod;

use anyhow::Context;
use mongodb::bson::{Document, doc};
use mongodb::{Client, Collection};
use session_repository::{MongoOptions, MongoStore, Repository, StoreOptions};
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use tokio::sync::OnceCell;

/// The connection string of the server that all tests of this process share: `MONGODB_URI`, or a `mongod` of their own.
///
/// # Errors
///
/// Fails if there is no `mongod` to be had.
pub fn mongodb_uri() -> anyhow::Result<String> {
    static SERVER: Mutex<Option<Mongod>> = Mutex::new(None);
    if let Some(uri) = std::env::var("MONGODB_URI").ok().filter(|uri| !uri.is_empty()) {
        return Ok(uri);
    }
    let mut server = SERVER.lock().map_err(|_| anyhow::anyhow!("another test could not start mongod"))?;
    if server.is_none() {
        *server = Some(Mongod::start()?);
    }
    Ok(server.as_ref().context("no server")?.uri())
}

/// A database of one test, dropped with it.
#[derive(Debug)]
pub struct Database {
    /// A client beside the repository's, to seed and to look.
    pub client: Client,
    /// Its name.
    pub name: String,
}

/// The collection that tests use in their database.
pub const COLLECTION: &str = "sessions";

impl Database {
    /// A fresh database on the shared server.
    ///
    /// # Errors
    ///
    /// Fails if there is no server.
    pub async fn fresh() -> anyhow::Result<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("test-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let client = Client::with_uri_str(mongodb_uri()?).await?;
        client.database(&name).drop().await?;
        Ok(Self { client, name })
    }

    /// Options for a store on it.
    pub fn options(&self) -> StoreOptions {
        StoreOptions::default().database(&self.name).collection(COLLECTION)
    }

    /// Options for a store on it with a bound of bytes from which an agent's messages are archived; never, if none.
    pub fn archiving(&self, archive_after: Option<u64>) -> StoreOptions {
        self.options().mongo(MongoOptions::default().archive_after(archive_after))
    }

    /// A repository on it, with a client of its own.
    ///
    /// # Errors
    ///
    /// Fails if the server or the component does.
    pub async fn repository(&self) -> anyhow::Result<Repository> {
        let store = MongoStore::connect(&mongodb_uri()?, self.options()).await?;
        Ok(Repository::builder(store).build()?)
    }

    /// A repository on it that archives what an agent's messages have beyond so many bytes.
    ///
    /// # Errors
    ///
    /// Fails if the server or the component does.
    pub async fn archiving_repository(&self, archive_after: u64) -> anyhow::Result<Repository> {
        let store = MongoStore::connect(&mongodb_uri()?, self.archiving(Some(archive_after))).await?;
        Ok(Repository::builder(store).build()?)
    }

    /// The blocks of the archive.
    pub fn blocks(&self) -> Collection<Document> {
        self.client.database(&self.name).collection(&format!("{COLLECTION}.archive"))
    }

    /// The session documents.
    pub fn documents(&self) -> Collection<Document> {
        self.client.database(&self.name).collection(COLLECTION)
    }

    /// One session document.
    ///
    /// # Errors
    ///
    /// Fails if there is none.
    pub async fn document(&self, session_id: &str) -> anyhow::Result<Document> {
        self.documents().find_one(doc! { "_id": session_id }).await?.with_context(|| format!("no document {session_id}"))
    }

    /// Drops it.
    ///
    /// # Errors
    ///
    /// Fails if the server does.
    pub async fn drop(self) -> anyhow::Result<()> {
        Ok(self.client.database(&self.name).drop().await?)
    }
}

/// The `session-repo` program of this workspace, built like the tests.
///
/// # Errors
///
/// Fails if it cannot be built.
pub async fn program() -> anyhow::Result<PathBuf> {
    static PROGRAM: OnceCell<PathBuf> = OnceCell::const_new();
    PROGRAM.get_or_try_init(build_program).await.cloned()
}

/// An example of the library, built like the tests.
///
/// # Errors
///
/// Fails if it cannot be built.
pub async fn example(name: &str) -> anyhow::Result<PathBuf> {
    program().await?;
    Ok(target_folder()?.join("examples").join(name))
}

/// The plugin for tests, which `tests/plugins` is the source of.
///
/// # Errors
///
/// Fails if it cannot be built.
pub async fn test_plugins() -> anyhow::Result<PathBuf> {
    static PLUGINS: OnceCell<PathBuf> = OnceCell::const_new();
    PLUGINS.get_or_try_init(build_test_plugins).await.cloned()
}

async fn build_test_plugins() -> anyhow::Result<PathBuf> {
    build_wasm("session-repository-test-plugins", "").await
}

/// A storage component, built when a test needs it first.
#[derive(Debug, Clone, Copy)]
pub enum Storage {
    /// `storages/memory`.
    Memory,
    /// The same with a marker for a fault.
    Faulty,
    /// `storages/keyvalue`.
    KeyValue,
}

/// Where a storage component is.
///
/// # Errors
///
/// Fails if it cannot be built.
pub async fn storage(storage: Storage) -> anyhow::Result<PathBuf> {
    static BUILT: OnceCell<[PathBuf; 3]> = OnceCell::const_new();
    // One after the other: two are built under one name.
    let build = async || {
        let build = async |package, features, name| {
            let built = build_wasm(package, features).await?;
            let kept = built.with_file_name(name);
            std::fs::copy(built, &kept)?;
            Ok::<_, anyhow::Error>(kept)
        };
        Ok::<_, anyhow::Error>([
            build("session-repository-storage-memory", "", "storage-memory.wasm").await?,
            build("session-repository-storage-memory", "faults", "storage-faulty.wasm").await?,
            build("session-repository-storage-keyvalue", "", "storage-keyvalue.wasm").await?,
        ])
    };
    let [memory, faulty, keyvalue] = BUILT.get_or_try_init(build).await?;
    Ok(match storage {
        Storage::Memory => memory.clone(),
        Storage::Faulty => faulty.clone(),
        Storage::KeyValue => keyvalue.clone(),
    })
}

/// Builds a package of this workspace as a component.
async fn build_wasm(package: &str, features: &str) -> anyhow::Result<PathBuf> {
    const TARGET: &str = "wasm32-unknown-unknown";
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/wasm-target.sh");
    anyhow::ensure!(tokio::process::Command::new(script).status().await?.success(), "there is no standard library for {TARGET}");
    let mut cargo = cargo();
    cargo.args(["build", "--quiet", "--locked", "--package", package, "--lib", "--features", features]);
    cargo.args(["--profile", "component", "--target", TARGET]);
    anyhow::ensure!(cargo.status().await?.success(), "{package} cannot be built as a component");
    let folder = target_folder()?.parent().context("no target folder")?.to_owned();
    Ok(folder.join(TARGET).join("component").join(package.replace('-', "_")).with_extension("wasm"))
}

/// Where cargo puts the programs of this profile.
fn target_folder() -> anyhow::Result<PathBuf> {
    Ok(std::env::current_exe()?.parent().and_then(|deps| deps.parent()).context("no target folder")?.to_owned())
}

/// Cargo, in this workspace.
fn cargo() -> tokio::process::Command {
    let mut cargo = tokio::process::Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    // What cargo tells this test of its package would make dependencies that watch these names build again.
    for (name, _) in std::env::vars_os() {
        if ["CARGO_PKG_", "CARGO_MANIFEST_"].iter().any(|prefix| name.to_string_lossy().starts_with(prefix)) {
            cargo.env_remove(name);
        }
    }
    cargo
}

async fn build_program() -> anyhow::Result<PathBuf> {
    // The whole workspace, because its features are those of the tests: nothing is built twice.
    let mut cargo = cargo();
    cargo.args(["build", "--quiet", "--locked", "--workspace", "--bins", "--examples"]);
    if !cfg!(debug_assertions) {
        cargo.arg("--release");
    }
    anyhow::ensure!(cargo.status().await?.success(), "session-repo cannot be built");
    Ok(target_folder()?.join("session-repo"))
}
