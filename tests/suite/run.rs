//! Running the program on any store, with a home folder that is the test's own.

use anyhow::Context;
use session_repository::{AnyStore, StoreOptions, StoreUrl};
use session_repository_tests::{COLLECTION, Database, mongodb_uri, program};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

/// A store that commands are run on.
#[derive(Debug, Clone)]
pub(crate) struct Site {
    pub(crate) url: String,
    pub(crate) database: String,
}

impl Site {
    pub(crate) fn file(path: &Path) -> Self {
        Self { url: format!("file:{}", path.display()), database: String::from("chat_db") }
    }

    pub(crate) fn memory() -> Self {
        Self { url: String::from("memory:"), database: String::from("chat_db") }
    }

    pub(crate) fn mongo(database: &Database) -> anyhow::Result<Self> {
        Ok(Self { url: mongodb_uri()?, database: database.name.clone() })
    }

    pub(crate) fn options(&self) -> StoreOptions {
        StoreOptions::default().database(&self.database).collection(COLLECTION)
    }

    /// The store, through the library.
    pub(crate) async fn open(&self) -> anyhow::Result<AnyStore> {
        Ok(AnyStore::open(&self.url.parse::<StoreUrl>()?, self.options()).await?)
    }
}

/// What became of a command.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) status: Option<i32>,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

impl Ran {
    pub(crate) fn text(&self) -> anyhow::Result<&str> {
        Ok(std::str::from_utf8(&self.stdout)?)
    }

    /// What it printed, if it succeeded.
    pub(crate) fn ok(&self) -> anyhow::Result<&str> {
        anyhow::ensure!(self.status == Some(0), "exit status {:?}: {}", self.status, self.stderr);
        self.text()
    }
}

/// A folder for files, in which also the home folder of the commands lies.
#[derive(Debug)]
pub(crate) struct Desk(TempDir);

impl Desk {
    pub(crate) fn new() -> anyhow::Result<Self> {
        Ok(Self(tempfile::tempdir()?))
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// The path of a file as an argument.
    pub(crate) fn argument(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    pub(crate) fn file_site(&self, name: &str) -> Site {
        Site::file(&self.path(name))
    }

    /// The program, without a store.
    pub(crate) async fn bare(&self, arguments: &[&str]) -> anyhow::Result<Command> {
        let mut command = Command::new(program().await?);
        command.args(arguments).env_remove("RUST_LOG").current_dir(self.0.path());
        command.env_remove("SESSION_REPO_STORE").env_remove("SESSION_REPO_ARCHIVE_AFTER");
        command.env("HOME", self.path("home")).env("XDG_DATA_HOME", self.path("home/data"));
        // One for all, or each test would compile the component.
        command.env("XDG_CACHE_HOME", Path::new(env!("CARGO_TARGET_TMPDIR")).join("cache"));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        Ok(command)
    }

    pub(crate) async fn command(&self, site: &Site, arguments: &[&str]) -> anyhow::Result<Command> {
        let mut command = self.bare(arguments).await?;
        command.env("SESSION_REPO_STORE", &site.url).args(["--database", &site.database, "--collection", COLLECTION]);
        Ok(command)
    }

    pub(crate) async fn run(&self, site: &Site, arguments: &[&str]) -> anyhow::Result<Ran> {
        finish(&mut self.command(site, arguments).await?, None).await
    }

    pub(crate) async fn feed(&self, site: &Site, arguments: &[&str], input: impl Into<Vec<u8>>) -> anyhow::Result<Ran> {
        finish(&mut self.command(site, arguments).await?, Some(input.into())).await
    }

    /// The dump of a store.
    pub(crate) async fn dump(&self, site: &Site) -> anyhow::Result<String> {
        Ok(self.run(site, &["export"]).await?.ok()?.to_owned())
    }
}

/// Runs a command to its end.
pub(crate) async fn finish(command: &mut Command, input: Option<Vec<u8>>) -> anyhow::Result<Ran> {
    if input.is_some() {
        command.stdin(Stdio::piped());
    }
    let mut child = command.spawn()?;
    let stdin = child.stdin.take();
    let write = tokio::spawn(async move {
        if let (Some(mut stdin), Some(input)) = (stdin, input) {
            // Fails where the program ends without reading all.
            stdin.write_all(&input).await.ok();
        }
    });
    let output = child.wait_with_output().await?;
    write.await?;
    let stderr = String::from_utf8(output.stderr).context("stderr")?;
    Ok(Ran { status: output.status.code(), stdout: output.stdout, stderr })
}
