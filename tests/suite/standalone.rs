//! The repository and a storage in one component, run by other runtimes as their users would.

use session_repository_tests::{Storage, storage};
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

/// A host in Python, without async functions: `host/examples/python-wasmtime`.
#[tokio::test]
async fn the_example_in_python_passes_the_conformance_suite() -> anyhow::Result<()> {
    let program = session_repository_tests::program().await?;
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/python-wasmtime.sh");
    let ran = Command::new(path).arg(program).output().await?;
    let printed = String::from_utf8_lossy(&ran.stdout);
    assert!(ran.status.success() && printed.contains(" cases passed"), "{printed}{}", String::from_utf8_lossy(&ran.stderr));
    Ok(())
}
