//! Plugins on the command line: run under a scope, looked into, begun as a newcomer would.

use crate::run::{Desk, Ran, Site, finish};
use crate::samples::{samples, samples_that};
use anyhow::{Context, bail, ensure};
use serde_json::Value;
use session_repository_tests::{example, program, test_plugins};
use std::path::Path;
use tokio::process::Command;

/// A desk with a store file, and the plugin for tests.
struct Bench {
    desk: Desk,
    site: Site,
    plugin: String,
}

impl Bench {
    async fn new() -> anyhow::Result<Self> {
        let desk = Desk::new()?;
        let site = desk.file_site("sessions.store");
        Ok(Self { desk, site, plugin: test_plugins().await?.display().to_string() })
    }

    /// Runs a function of the plugin.
    async fn run(&self, call: &str, more: &[&str]) -> anyhow::Result<Ran> {
        self.desk.run(&self.site, &[&["plugin", "run", &self.plugin, "--invoke", call], more].concat()).await
    }

    /// What `everything` says that each call ended in.
    async fn everything(&self, session: &str, more: &[&str]) -> anyhow::Result<Vec<(String, String)>> {
        let ran = self.run(&format!("everything({})", Value::from(session)), more).await?;
        // Of texts without special characters, the forms of WAVE and JSON are the same.
        let text = ran.ok()?.replace("\\'", "'");
        let lines: Vec<String> = serde_json::from_str(&text).with_context(|| text.clone())?;
        lines.iter().map(|line| line.split_once(' ').map(|(call, end)| (call.to_owned(), end.to_owned())).context("a line")).collect()
    }
}

/// The bytes of a component that imports instances without anything in them, of short names.
fn component(imports: &[&str]) -> Vec<u8> {
    let mut component = b"\0asm\x0d\0\x01\0".to_vec();
    // One type: an instance without exports.
    component.extend([7, 3, 1, 0x42, 0]);
    let mut section = vec![imports.len() as u8];
    for name in imports {
        section.extend([0, name.len() as u8]);
        section.extend(name.bytes());
        section.extend([5, 0]);
    }
    component.extend([10, section.len() as u8]);
    component.extend(section);
    component
}

const DENIED: &str = "Error::AccessDenied(\"the caller's scope does not allow this\")";

#[tokio::test]
async fn a_plugin_makes_every_call_within_its_scope_and_none_outside() -> anyhow::Result<()> {
    let bench = Bench::new().await?;
    let inside = bench.everything("chat-1", &["--scope", "session:chat-2", "--scope", "session:chat-1"]).await?;
    let calls: Vec<_> = samples().iter().map(|sample| sample.call.to_owned()).collect();
    assert_eq!(inside.iter().map(|(call, _)| call.clone()).collect::<Vec<_>>(), calls, "the plugin for tests makes every call");
    assert!(inside.iter().all(|(_, end)| end == "ok"), "{inside:?}");
    let before = bench.desk.dump(&bench.site).await?;
    for scope in ["session:chat-2", "prefix:chat-1", "prefix:chat-2"] {
        let outside = bench.everything("chat-1", &["--scope", scope]).await?;
        assert!(outside.iter().all(|(_, end)| end == DENIED), "{scope}: {outside:?}");
    }
    assert_eq!(bench.desk.dump(&bench.site).await?, before);
    Ok(())
}

#[tokio::test]
async fn a_plugin_for_reading_writes_nothing() -> anyhow::Result<()> {
    let bench = Bench::new().await?;
    bench.everything("chat-1", &["--scope", "prefix:chat-"]).await?;
    let before = bench.desk.dump(&bench.site).await?;
    let ends = bench.everything("chat-1", &["--scope", "prefix:chat-", "--read-only"]).await?;
    let reads = samples_that(false).await?;
    for (call, end) in ends {
        let is_read = reads.iter().any(|sample| sample.call == call);
        assert_eq!(end, if is_read { "ok" } else { DENIED }, "{call}");
    }
    assert_eq!(bench.desk.dump(&bench.site).await?, before);
    Ok(())
}

#[tokio::test]
async fn a_plugin_sees_plain_ids_where_they_are_mapped() -> anyhow::Result<()> {
    let bench = Bench::new().await?;
    let ends = bench.everything("s", &["--scope", "prefix:tenant-7/", "--map-ids"]).await?;
    assert!(ends.iter().all(|(_, end)| end == "ok"), "{ends:?}");
    let stored = bench.desk.run(&bench.site, &["session", "read", "tenant-7/s"]).await?;
    assert!(stored.ok()?.starts_with("session_id: tenant-7/s\n"));
    assert_eq!(bench.desk.run(&bench.site, &["session", "read", "s"]).await?.status, Some(1));
    Ok(())
}

#[tokio::test]
async fn quotas_hold_for_a_plugin() -> anyhow::Result<()> {
    let bench = Bench::new().await?;
    let scope = ["--scope", "session:s"];
    let ends = bench.everything("s", &[&scope[..], &["--calls-per-second", "1"]].concat()).await?;
    let is_refused = |(_, end): &&(String, String)| end.starts_with("Error::QuotaExceeded(");
    assert!(ends.iter().any(|(_, end)| end == "ok") && ends.iter().filter(is_refused).count() > 1, "{ends:?}");
    let ran = bench.run("everything(\"t\")", &scope).await?;
    let denied = format!("session-repo: of the plugin's calls, {} were denied, 0 beyond a quota and 0 too large\n", samples().len());
    assert_eq!((ran.status, ran.stderr), (Some(0), denied));
    let ends = bench.everything("s", &[&scope[..], &["--bytes-per-call", "1"]].concat()).await?;
    // An empty object is two bytes; sessions and reads bring no body, and without an agent there is nothing to read.
    let brings = samples_that(true).await?.into_iter().map(|sample| sample.call);
    let brings: Vec<_> = brings.filter(|call| !["sessions.create", "metadata.delete"].contains(call)).collect();
    for (call, end) in ends {
        let is_refused = end.starts_with("Error::TooLarge(");
        assert!(is_refused || !brings.contains(&call.as_str()), "{call}: {end}");
    }
    Ok(())
}

#[tokio::test]
async fn a_plugin_that_does_not_end_well_is_exit_status_1() -> anyhow::Result<()> {
    let bench = Bench::new().await?;
    for (call, more, why) in [
        ("trap()", &[][..], "session-repo: the plugin trapped: "),
        ("recurse()", &[], "session-repo: the plugin trapped: "),
        ("return-malformed()", &[], "session-repo: the plugin trapped: "),
        ("spin()", &["--timeout", "300ms"], "session-repo: the plugin ran for 300ms and was stopped\n"),
    ] {
        let ran = bench.run(call, &[&["--scope", "session:s"], more].concat()).await?;
        assert_eq!((ran.status, ran.text()?), (Some(1), ""), "{call}: {}", ran.stderr);
        assert!(ran.stderr.starts_with(why) && ran.stderr.lines().count() == 1, "{call}: {}", ran.stderr);
    }
    let ran = bench.run("allocate()", &["--scope", "session:s"]).await?;
    let lines: Vec<_> = ran.stderr.lines().collect();
    let [refused, trapped] = lines.as_slice() else { bail!("{}", ran.stderr) };
    assert_eq!((ran.status, *refused), (Some(1), "session-repo: the plugin wanted more than the 512 MiB of memory that it may have"));
    assert!(trapped.starts_with("session-repo: the plugin trapped: "), "{trapped}");
    // The store is as it was before, and free.
    assert_eq!(bench.desk.dump(&bench.site).await?, "");
    Ok(())
}

#[tokio::test]
async fn what_does_not_fit_the_plugin_is_a_bad_command_line() -> anyhow::Result<()> {
    let bench = Bench::new().await?;
    let scope = ["--scope", "session:s"];
    for (call, more, why) in [
        ("everything(\"s\")", &[][..], "--scope is missing"),
        ("everything(\"s\")", &["--scope", "s"], "must be session:ID or prefix:P"),
        ("everything(\"s\")", &["--scope", "prefix:"], "an id or a prefix must follow the colon"),
        ("everything(\"s\")", &["--scope", "session:s", "--map-ids"], "--map-ids needs one --scope prefix:P"),
        ("everything(\"s\")", &["--scope", "session:s", "--scope", "prefix:p"], "cannot be combined with another --scope"),
        ("everything(\"s\")", &["--scope", "session:s", "--timeout", "soon"], "--timeout"),
        ("nothing()", &scope, "exports no function nothing; it exports "),
        ("everything(\"s\")", &["--scope", "session:s", "--timeout", "0s"], "must be more than nothing"),
        ("everything(\"s\")", &["--scope", "session:s", "--calls-per-second", "0"], "0 is not in 1.."),
        ("everything", &scope, "--invoke: no call such as name(\"text\", 1): "),
        ("everything(\"s\"", &scope, "; the plugin exports everything, "),
        ("nothing()", &scope, "\nUsage: session-repo plugin run [OPTIONS] "),
        ("everything(1)", &scope, "the function is async func(string) -> list<string>"),
        ("everything(\"s\", \"t\")", &scope, "the function is async func(string) -> list<string>"),
        ("everything()", &scope, "the function is async func(string) -> list<string>"),
    ] {
        let ran = bench.run(call, more).await?;
        assert_eq!((ran.status, ran.text()?), (Some(2), ""), "{call} {more:?}: {}", ran.stderr);
        assert!(ran.stderr.contains(why), "{call} {more:?}: {}", ran.stderr);
    }
    assert!(!bench.desk.path("sessions.store").exists(), "nothing was opened");
    // Of several functions of a name, one is named with its interface.
    std::fs::write(bench.desk.path("repository.wasm"), session_repository::COMPONENT)?;
    let run = async |call: &str| {
        bench.desk.run(&bench.site, &["plugin", "run", "repository.wasm", "--scope", "session:s", "--invoke", call]).await
    };
    let several = run("read(\"s\")").await?;
    let why = "exports several functions read; name one of session:repository/sessions@0.1.0#read, ";
    assert!(several.status == Some(2) && several.stderr.contains(why), "{}", several.stderr);
    let linked = run("session:repository/sessions@0.1.0#read(\"s\")").await?;
    // It is found; nobody gives a plugin the storage.
    let why = "the plugin cannot be linked: ";
    assert!(linked.status == Some(1) && linked.stderr.contains(why), "{}", linked.stderr);
    for lacking in ["session:repository/storage@0.1.0 is not granted by anything", "wasi:clocks/wall-clock@0.2.0 needs --wasi cli"] {
        assert!(linked.stderr.contains(lacking), "{}", linked.stderr);
    }
    Ok(())
}

#[tokio::test]
async fn what_is_no_component_is_named_for_what_it_is() -> anyhow::Result<()> {
    let bench = Bench::new().await?;
    std::fs::write(bench.desk.path("module.wasm"), b"\0asm\x01\0\0\0")?;
    std::fs::write(bench.desk.path("text.wasm"), "Hello!")?;
    std::fs::write(bench.desk.path("cut.wasm"), &session_repository::COMPONENT[..100_000])?;
    std::fs::write(bench.desk.path("component.wasm"), component(&[]))?;
    for (file, status, why) in [
        ("module.wasm", 1, "is a core module, not a component"),
        ("text.wasm", 1, "text.wasm: is no WebAssembly file"),
        ("cut.wasm", 1, "cannot be compiled"),
        ("absent.wasm", 1, "No such file"),
        (".", 1, ".: is no file"),
        ("component.wasm", 2, "the plugin exports no function"),
    ] {
        let ran = bench.desk.run(&bench.site, &["plugin", "run", file, "--scope", "session:s", "--invoke", "f()"]).await?;
        assert_eq!(ran.status, Some(status), "{file}: {}", ran.stderr);
        assert!(ran.stderr.contains(why), "{file}: {}", ran.stderr);
    }
    Ok(())
}

#[tokio::test]
async fn inspect_tells_what_a_scope_grants() -> anyhow::Result<()> {
    let bench = Bench::new().await?;
    let forged = "url=<https://a\nexports  b: func()>";
    std::fs::write(bench.desk.path("other.wasm"), component(&["wasi:cli/stdout@0.2.0", "a:b/c", "wasi:http/types@0.2.0", forged]))?;
    let inspect = async |plugin: &str, more: &[&str]| -> anyhow::Result<String> {
        let mut command = bench.desk.bare(&[&["plugin", "inspect", plugin], more].concat()).await?;
        let ran = finish(&mut command, None).await?;
        ensure!(ran.stderr.is_empty(), "{}", ran.stderr);
        Ok(ran.ok()?.to_owned())
    };
    let sessions = "session:repository/sessions@0.1.0: granted";
    assert!(inspect(&bench.plugin, &[]).await?.contains(&format!("{sessions} under a scope\n")));
    assert!(inspect(&bench.plugin, &["--scope", "session:s"]).await?.contains(&format!("{sessions} for reading and writing\n")));
    let quotas = ["--map-ids", "--calls-per-second", "5", "--bytes-per-call", "64KiB"];
    let text = inspect(&bench.plugin, &[&["--scope", "prefix:p", "--read-only"], &quotas[..]].concat()).await?;
    let scope = "scope    sessions that begin with p and go on after it, without the prefix in the ids that the plugin sees, for reading, \
                 5 calls a second, 64.0 KiB a call\n";
    assert!(text.contains(scope), "{text}");
    assert!(
        text.contains(&format!("{sessions} for reading\n")) && text.contains("everything: async func(string) -> list<string>\n"),
        "{text}"
    );
    let text = inspect("other.wasm", &[]).await?;
    assert!(text.contains("wasi:cli/stdout@0.2.0: needs --wasi cli\n") && text.contains("a:b/c: not granted by anything"), "{text}");
    assert!(text.contains("wasi:http/types@0.2.0: not granted by anything") && !text.contains("\nexports"), "{text}");
    Ok(())
}

/// A number as binaries have it.
fn leb(mut number: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
    bytes
}

#[tokio::test]
async fn inspect_shows_what_a_plugin_says_of_itself() -> anyhow::Result<()> {
    let bench = Bench::new().await?;
    let inspect = async |plugin: &str| -> anyhow::Result<String> {
        Ok(finish(&mut bench.desk.bare(&["plugin", "inspect", plugin]).await?, None).await?.ok()?.to_owned())
    };
    std::fs::write(bench.desk.path("repository.wasm"), session_repository::COMPONENT)?;
    let text = inspect("repository.wasm").await?;
    let version = concat!("         version: ", env!("CARGO_PKG_VERSION"), "\n");
    assert!(text.contains("\nmetadata name: session:repository\n") && text.contains(version), "{text}");
    assert!(text.contains("\n         processed-by: wit-bindgen-rust "), "{text}");
    // However much it says, and with whatever signs.
    let mut chatty = component(&[]);
    for (name, said) in
        [("description", "\u{1b}[2J\u{202e}".repeat(1_000_000)), ("homepage", String::from("a\nexports  b")), ("x", String::from("y"))]
    {
        chatty.push(0);
        chatty.extend(leb(1 + name.len() + said.len()));
        chatty.push(name.len() as u8);
        chatty.extend(name.bytes().chain(said.bytes()));
    }
    std::fs::write(bench.desk.path("chatty.wasm"), chatty)?;
    let text = inspect("chatty.wasm").await?;
    let shown = format!("metadata description: {}…", "\u{fffd}[2J\u{fffd}".repeat(40));
    assert_eq!(text.lines().skip(1).collect::<Vec<_>>(), [shown.as_str(), "         homepage: a\u{fffd}exports  b"]);
    Ok(())
}

/// Follows the README of a new project: its commands, one after the other, in its folder.
async fn follow_readme(desk: &Desk, project: &str, before: &str) -> anyhow::Result<String> {
    let folder = desk.path(project);
    let readme = std::fs::read_to_string(folder.join("README.md"))?;
    let commands: Vec<_> = readme.lines().filter_map(|line| line.strip_prefix("    ")).collect();
    ensure!(commands.len() >= 6, "{readme}");
    let script = format!("set -eu\n{before}\n{}\n", commands.join("\n"));
    let bin = program().await?.parent().map(Path::to_owned).context("no folder")?;
    let path = format!("{}:{}", bin.display(), std::env::var("PATH")?);
    let mut shell = Command::new("sh");
    shell.args(["-c", &script]).current_dir(folder).env("PATH", path).env("SESSION_REPO_STORE", desk.file_site("sessions.store").url);
    shell.env_remove("CARGO_TARGET_DIR").env_remove("RUSTFLAGS").env_remove("RUST_LOG");
    shell.env("XDG_CACHE_HOME", Path::new(env!("CARGO_TARGET_TMPDIR")).join("cache"));
    let output = shell.output().await?;
    ensure!(output.status.success(), "{script}\n{}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?)
}

#[tokio::test]
async fn a_new_rust_plugin_builds_and_runs_by_its_readme() -> anyhow::Result<()> {
    // The standard library for the target comes as on any machine of this project.
    test_plugins().await?;
    let desk = Desk::new()?;
    finish(&mut desk.bare(&["plugin", "new", "rust", "chat-summary"]).await?, None).await?.ok()?;
    let again = finish(&mut desk.bare(&["plugin", "new", "rust", "chat-summary"]).await?, None).await?;
    assert_eq!((again.status, again.stderr.as_str()), (Some(1), "session-repo: chat-summary exists already\n"));
    let printed = follow_readme(&desk, "chat-summary", "rustup() { :; }").await?;
    assert!(printed.contains("ok(\"1 messages\")\n"), "{printed}");
    assert!(printed.contains("summary: {\"last\":[\"user: Hello!\"],\"messages\":1}\n"), "{printed}");
    // The host of the docs runs it for several tenants.
    let plugin = desk.path("chat-summary/target/wasm32-unknown-unknown/release/chat_summary.wasm");
    let hosted = Command::new(example("plugin-host").await?).arg(plugin).output().await?;
    let printed = String::from_utf8(hosted.stdout)?;
    ensure!(hosted.status.success(), "{printed}{}", String::from_utf8_lossy(&hosted.stderr));
    for line in ["acme: 1 messages, in ", "globex: 1 messages, in ", "acme: reloaded, Ok(\"1 messages\")\n"] {
        assert!(printed.contains(line), "{printed}");
    }
    assert!(printed.contains("initech: the plugin failed: ") || printed.contains("initech: 1 messages"), "{printed}");
    Ok(())
}

#[tokio::test]
async fn a_new_python_plugin_builds_and_runs_by_its_readme() -> anyhow::Result<()> {
    let desk = Desk::new()?;
    finish(&mut desk.bare(&["plugin", "new", "python", "chat-summary"]).await?, None).await?.ok()?;
    // What is installed goes into a folder of the test's own.
    let place = "export PIP_TARGET=\"$PWD/../python\"; export PYTHONPATH=$PIP_TARGET PATH=\"$PIP_TARGET/bin:$PATH\"";
    let printed = follow_readme(&desk, "chat-summary", place).await?;
    assert!(printed.contains("ok(\"1 messages\")\n"), "{printed}");
    assert!(printed.contains("summary: {\"messages\":1,\"last\":[\"user: Hello!\"]}\n"), "{printed}");
    Ok(())
}

#[tokio::test]
async fn a_plugin_has_a_name_of_words() -> anyhow::Result<()> {
    let desk = Desk::new()?;
    for name in ["", "Chat", "chat_summary", "-chat", "chat-", "chat--s", "1chat", "../chat", "chat/s", "chat summary", "list", "world"] {
        let ran = finish(&mut desk.bare(&["plugin", "new", "rust", "--", name]).await?, None).await?;
        assert_eq!(ran.status, Some(2), "{name:?}: {}", ran.stderr);
    }
    Ok(())
}
