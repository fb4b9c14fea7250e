//! The commands of the README and of the pages behind it, run in their order, print what they say.

use anyhow::Context;
use session_repository_tests::{Database, mongodb_uri, program};
use std::path::Path;
use std::process::{Output, Stdio};
use tokio::process::Command;

/// The pages whose commands stand on each other.
const PAGES: [&str; 5] = ["README.md", "host/docs/exec.md", "host/docs/operations.md", "host/docs/plugins.md", "host/docs/conformance.md"];

/// A command of a page and the output that it shows, where `…` stands for anything.
struct Shown {
    command: String,
    output: String,
}

/// A file of the repository.
pub(crate) fn file(path: &str) -> anyhow::Result<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path);
    std::fs::read_to_string(&path).with_context(|| path.display().to_string())
}

/// The commands of all `console` blocks.
fn commands() -> anyhow::Result<Vec<Shown>> {
    let mut shown: Vec<Shown> = Vec::new();
    let mut inside = false;
    let pages = PAGES.iter().map(|page| file(page)).collect::<anyhow::Result<String>>()?;
    for line in pages.lines() {
        match (line, line.strip_prefix("$ "), inside) {
            ("```console", _, _) => inside = true,
            ("```", _, _) => inside = false,
            (_, Some(command), true) => {
                let command = command.split("  #").next().unwrap_or_default().trim().to_owned();
                shown.push(Shown { command, output: String::new() });
            }
            (_, None, true) => {
                let last = shown.last_mut().context("output before a command")?;
                last.output.push_str(line);
                last.output.push('\n');
            }
            _ => {}
        }
    }
    Ok(shown)
}

/// Whether the text has all parts of the pattern between its `…`, in order, and nothing else outside of them.
fn matches(pattern: &str, text: &str) -> bool {
    let Some((first, others)) = pattern.split_once('…') else { return pattern == text };
    let (middle, last) = others.rsplit_once('…').unwrap_or(("", others));
    let Some(rest) = text.strip_prefix(first).and_then(|rest| rest.strip_suffix(last)) else { return false };
    let middle = middle.split('…').try_fold(rest, |rest, part| rest.split_once(part).map(|(_, rest)| rest));
    middle.is_some()
}

#[tokio::test]
async fn every_command_does_what_the_pages_say() -> anyhow::Result<()> {
    let database = Database::fresh().await?;
    let home = tempfile::tempdir()?;
    let programs = program().await?.parent().context("no folder")?.to_owned();
    let path = std::env::join_paths(std::iter::once(programs).chain(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())))?;
    let run = async |command: &str| -> anyhow::Result<Output> {
        // The pages' server is the tests' own, where this test has a database of its own.
        let command = command.replace("mongodb://localhost:27017", &format!("'{}' --database {}", mongodb_uri()?, database.name));
        let mut shell = Command::new("sh");
        shell.args(["-c", &command]).current_dir(home.path()).env("PATH", &path).stdin(Stdio::null());
        shell.env("HOME", home.path()).env("XDG_DATA_HOME", home.path().join("data")).env_remove("SESSION_REPO_STORE");
        shell.env_remove("SESSION_REPO_ARCHIVE_AFTER");
        Ok(shell.output().await?)
    };
    let mut session_repo = 0;
    for Shown { command, output } in commands()? {
        if !command.contains("session-repo ") {
            continue;
        }
        session_repo += 1;
        let ran = run(&command).await?;
        let (stdout, stderr) = (String::from_utf8(ran.stdout)?, String::from_utf8(ran.stderr)?);
        assert!(ran.status.success(), "{command}: {} {stderr}", ran.status);
        let told: String = stderr.lines().filter(|line| !line.contains("no --store is named")).map(|line| format!("{line}\n")).collect();
        // What a command prints may be left out altogether.
        assert!(output.is_empty() || matches(&output, &format!("{told}{stdout}")), "{command} prints\n{told}{stdout}not\n{output}");
    }
    assert!(session_repo > 10, "the pages have lost their commands");
    database.drop().await
}

#[test]
fn commands_that_build_are_run_with_the_tests() -> anyhow::Result<()> {
    let script = file("tests/scripts/test.sh")?;
    for Shown { command, .. } in commands()? {
        // This is what runs the script.
        if command.contains("session-repo ") || command == "make test" {
            continue;
        }
        assert!(script.contains(&command), "{command} is not in tests/scripts/test.sh");
    }
    Ok(())
}

/// All pages.
fn pages() -> impl Iterator<Item = String> {
    let docs = ["architecture", "archive", "conformance", "exec", "file-format", "operations", "plugins", "runtimes", "wit-versions"];
    let docs = docs.map(|name| format!("host/docs/{name}.md"));
    let storages = ["keyvalue", "memory", "rules"].map(|name| format!("storages/{name}/README.md"));
    ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md", "host/README.md", "host/python/README.md", "host/python/CHANGEOVER.md"]
        .into_iter()
        .map(str::to_owned)
        .chain(docs)
        .chain(storages)
}

/// Files that a page names by their paths in the repository are there.
#[test]
fn every_file_that_a_page_names_is_there() -> anyhow::Result<()> {
    let mut named = 0;
    for page in pages() {
        let text = file(&page)?;
        let is_source =
            |name: &&str| ["guest/", "host/", "storages/", "tests/"].iter().any(|root| name.starts_with(root)) && name.ends_with(".rs");
        for name in text.split('`').filter(is_source).filter(|name| !name.contains("INTERFACE")) {
            file(name).context(page.clone())?;
            named += 1;
        }
    }
    assert!(named > 30, "only {named} files are named");
    Ok(())
}

/// Links between the pages, and from them to files, lead somewhere.
#[test]
fn every_link_leads_somewhere() -> anyhow::Result<()> {
    for page in pages() {
        let text = file(&page)?;
        let inline = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        let defined = text.lines().filter_map(|line| Some(line.strip_prefix('[')?.split_once("]: ")?.1));
        for link in inline.chain(defined).filter(|link| !link.contains("://")) {
            let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = if path.is_empty() {
                page.clone()
            } else {
                Path::new(&page).parent().unwrap_or(Path::new("")).join(path).display().to_string()
            };
            let there = file(&target).with_context(|| format!("{page}: {link}"))?;
            let name =
                |heading: &str| heading.trim_start_matches('#').trim().to_lowercase().replace(' ', "-").replace(['`', ',', '\''], "");
            let has_anchor = anchor.is_empty() || there.lines().any(|line| line.starts_with('#') && name(line) == anchor);
            assert!(has_anchor, "{page}: {link}");
        }
    }
    Ok(())
}

/// Whoever embeds the library needs the Wasmtime that it uses.
#[test]
fn the_pages_name_the_versions_that_the_library_has() -> anyhow::Result<()> {
    let (manifest, page) = (file("host/Cargo.toml")?, file("host/docs/plugins.md")?);
    let major = manifest.split("wasmtime = { version = \">=").nth(1).and_then(|rest| rest.split('.').next()).context("no Wasmtime")?;
    assert!(page.contains(&format!("wasmtime = {{ version = \"{major}\"")), "Wasmtime {major}");
    let (minor, _) = env!("CARGO_PKG_VERSION").rsplit_once('.').context("no version")?;
    assert!(page.contains(&format!("session-repository = {{ version = \"{minor}\"")), "version {minor}");
    Ok(())
}

#[test]
fn a_pattern_matches_what_it_shows() {
    for (pattern, text) in [("", ""), ("a", "a"), ("a…c", "abc"), ("…c", "c"), ("a…", "abc"), ("…", "x"), ("a…b…c\n", "a1b2c\n")]
    {
        assert!(matches(pattern, text), "{pattern} {text}");
    }
    for (pattern, text) in [("", "a"), ("a", ""), ("a…c", "abcd"), ("a…c", "ab"), ("b…", "ab"), ("a…b…c", "acb")] {
        assert!(!matches(pattern, text), "{pattern} {text}");
    }
}
