//! The component in other runtimes, run as their users would.

use session_repository::{EmbeddedStore, Error, Repository, StoreOptions};
use session_repository_tests::{Storage, mongodb_uri, program, storage};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tokio::process::Command;

/// What a script of the repository prints last.
async fn script(name: &str, arguments: &[&Path]) -> anyhow::Result<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts").join(name);
    let ran = Command::new(path).args(arguments).stderr(Stdio::inherit()).output().await?;
    anyhow::ensure!(ran.status.success(), "{name}: {}", ran.status);
    Ok(PathBuf::from(String::from_utf8(ran.stdout)?.trim()))
}

#[tokio::test]
async fn a_stock_wasmtime_runs_it() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let component = script("standalone.sh", &[folder.path(), &storage(Storage::Memory).await?]).await?;
    // Here its storage would be in several instances.
    let refused =
        Repository::builder(EmbeddedStore::in_memory(StoreOptions::default()).await?).component(std::fs::read(&component)?).build();
    assert!(matches!(refused, Err(Error::InvalidArgument(why)) if why.contains("it imports no storage")));
    let wasmtime = script("wasmtime-cli.sh", &[]).await?;
    for (invoked, answer) in [
        (
            r#"session:repository/sessions.create@0.1.0("s1", some("chat"), none)"#,
            r#"ok({session-id: "s1", session-type: "chat", created-at: "#,
        ),
        (r#"session:repository/sessions.read@0.1.0("s1")"#, "ok(none)"),
        (r#"session:repository/messages.append@0.1.0("s1", "a1", "{}", none, none)"#, "err(not-found(session))"),
        (r#"session:repository/sessions.read@0.1.0("")"#, "err(invalid-argument("),
    ] {
        let ran = Command::new(&wasmtime).args(["run", "--invoke", invoked]).arg(&component).output().await?;
        let printed = String::from_utf8(ran.stdout)?;
        assert!(ran.status.success() && printed.starts_with(answer), "{invoked}: {printed}{}", String::from_utf8_lossy(&ran.stderr));
    }
    Ok(())
}

/// Runs a script that tests something in another language, with the suite's MongoDB at hand.
async fn passes(name: &str, arguments: &[&Path]) -> anyhow::Result<()> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts").join(name);
    let ran = Command::new(path).args(arguments).env("MONGODB_URI", mongodb_uri()?).output().await?;
    let printed = [ran.stdout, ran.stderr].map(|output| String::from_utf8_lossy(&output).into_owned()).concat();
    anyhow::ensure!(ran.status.success(), "{name}: {} {printed}", ran.status);
    Ok(())
}

/// The synchronous flavour in PyPI's `wasmtime`: `host/examples/python-wasmtime`.
#[tokio::test]
async fn the_example_in_python_passes_its_tests_and_the_conformance_suite() -> anyhow::Result<()> {
    passes("python-wasmtime.sh", &[&program().await?]).await
}

/// The Python package over the host: `host/python`.
#[tokio::test]
async fn the_package_for_python_passes_its_tests_and_the_conformance_suite() -> anyhow::Result<()> {
    passes("python-package.sh", &[&program().await?]).await
}

/// Both flavours in Node and in a browser: `guest/node`, which runs the conformance suite by itself, and its storage on MongoDB.
#[tokio::test]
async fn the_package_for_node_passes_its_tests() -> anyhow::Result<()> {
    passes("node-package.sh", &[&program().await?]).await
}
