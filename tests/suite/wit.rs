//! The WIT package: each item says since which version it is there, and what was released stays as it is. `host/docs/wit-versions.md` has the
//! rules.

mod items;

use crate::readme::file;
use anyhow::Context;
use items::{Items, of_folder, of_text};
use semver::Version;
use std::path::{Path, PathBuf};

/// What a caller or a host of one version cannot do without: one more breaks those that have been built without it.
const NEEDED: [&str; 3] = ["storage.", "world repository: import ", "world storage-provider: export "];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Whether versions promise to fit together.
fn fit(a: &Version, b: &Version) -> bool {
    a.major == b.major && (a.major > 0 || a.minor == b.minor)
}

/// How a package breaks those who use an earlier version that it claims to fit.
fn broken(released: &(Version, Items), current: &(Version, Items)) -> Vec<String> {
    let (version, before) = released;
    let (_, now) = current;
    let mut broken = Vec::new();
    for (name, item) in before {
        match now.get(name) {
            None => broken.push(format!("{name} is gone since {version}")),
            Some(changed) if changed != item => broken.push(format!("{name} is not what it was in {version}")),
            Some(_) => {}
        }
    }
    for (name, item) in now.iter().filter(|(name, _)| !before.contains_key(*name)) {
        // The parser may tell an import or an export the gate of its interface.
        let has_own_gate = !name.contains(": ");
        if has_own_gate && item.since.as_ref().is_some_and(|since| since <= version) {
            broken.push(format!("{name} was not there in {version}"));
        }
        let is_type = item.is_use || ["record", "variant", "enum"].iter().any(|kind| item.definition.starts_with(kind));
        if NEEDED.iter().any(|needed| name.starts_with(needed)) && !is_type {
            broken.push(format!("{name} is asked of those who were built for {version}"));
        }
    }
    broken
}

/// The released versions, each with the folder that has its texts.
fn released() -> anyhow::Result<Vec<PathBuf>> {
    let folder = root().join("tests/fixtures/wit");
    if !folder.exists() {
        return Ok(Vec::new());
    }
    std::fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect()
}

#[test]
fn each_item_says_since_when_it_is_there() -> anyhow::Result<()> {
    let (version, items) = of_folder(&root().join("wit"))?;
    assert!(items.len() > 60, "{}", items.len());
    for (name, item) in items.iter().filter(|(_, item)| !item.is_use) {
        let since = item.since.as_ref().with_context(|| format!("{name} has no gate: put `@since(version = {version})` before it"))?;
        assert!(*since <= version, "{name} is there since {since}, later than this version");
    }
    Ok(())
}

#[test]
fn what_was_released_stays_as_it_is() -> anyhow::Result<()> {
    let current = of_folder(&root().join("wit"))?;
    for folder in released()? {
        let released = of_folder(&folder)?;
        assert_eq!(folder.file_name().and_then(|name| name.to_str()), Some(released.0.to_string().as_str()));
        if fit(&released.0, &current.0) {
            let broken = broken(&released, &current);
            assert!(broken.is_empty(), "{}", broken.join("\n"));
        }
    }
    Ok(())
}

#[test]
fn the_texts_of_a_release_are_kept() -> anyhow::Result<()> {
    let (version, _) = of_folder(&root().join("wit"))?;
    let is_release = file("CHANGELOG.md")?.lines().any(|line| {
        // With or without the brackets of a link.
        line.strip_prefix("## ")
            .is_some_and(|heading| heading.trim_start_matches('[').split([' ', ']']).next() == Some(env!("CARGO_PKG_VERSION")))
    });
    let is_kept = released()?.iter().any(|folder| folder.ends_with(version.to_string()));
    assert!(!is_release || is_kept, "this is a release: copy wit/ to tests/fixtures/wit/{version}/");
    Ok(())
}

const BEFORE: &str = "package session:repository@0.1.0;
@since(version = 0.1.0)
interface types {
    @since(version = 0.1.0)
    record size { size: u64, limit: u64 }
    @since(version = 0.1.0)
    variant error { gone, large(size) }
}
@since(version = 0.1.0)
interface sessions {
    use types.{error};
    @since(version = 0.1.0)
    read: async func(id: string) -> result<option<string>, error>;
}
@since(version = 0.1.0)
interface storage {
    use types.{error};
    @since(version = 0.1.0)
    find: async func(id: string) -> result<_, error>;
}
@since(version = 0.1.0)
world repository {
    @since(version = 0.1.0)
    import storage;
    @since(version = 0.1.0)
    export sessions;
}
";

/// A later version of it, with a text in the place of another one.
fn after(place: &str, change: &str) -> anyhow::Result<(Version, Items)> {
    anyhow::ensure!(BEFORE.matches(place).count() == 1, "{place} is not there once");
    of_text(&BEFORE.replace("repository@0.1.0;", "repository@0.1.1;").replace(place, change))
}

#[test]
fn changes_that_break_others_are_found() -> anyhow::Result<()> {
    let before = of_text(BEFORE)?;
    let new = "@since(version = 0.1.1)\n    more: async func();";
    for (place, change, expected) in [
        ("large(size)", "large(size), full", "types.error is not what it was in 0.1.0"),
        ("limit: u64", "limit: u32", "types.size is not what it was in 0.1.0"),
        ("read: async func(id: string)", "read: async func(id: string, at: u64)", "sessions.read is not what it was in 0.1.0"),
        ("read: async func", "read: func", "sessions.read is not what it was in 0.1.0"),
        ("result<option<string>, error>", "result<string, error>", "sessions.read is not what it was in 0.1.0"),
        ("    @since(version = 0.1.0)\n    read:", "    @since(version = 0.1.1)\n    read:", "sessions.read is not what it was in 0.1.0"),
        ("    @since(version = 0.1.0)\n    export sessions;", "", "world repository: export sessions is gone since 0.1.0"),
        ("    read:", "    more: async func();\n    @since(version = 0.1.0)\n    read:", "sessions.more was not there in 0.1.0"),
        (
            "    @since(version = 0.1.0)\n    find:",
            &format!("{new}\n    @since(version = 0.1.0)\n    find:"),
            "storage.more is asked of those who were built for 0.1.0",
        ),
    ] {
        assert_eq!(broken(&before, &after(place, change)?), [expected], "{change}");
    }
    Ok(())
}

#[test]
fn additions_that_break_nobody_are_not() -> anyhow::Result<()> {
    let before = of_text(BEFORE)?;
    let read = "    @since(version = 0.1.0)\n    read:";
    for (place, change) in [
        (read, format!("    @since(version = 0.1.1)\n    more: async func();\n{read}")),
        (
            "    @since(version = 0.1.0)\n    record size",
            String::from("    @since(version = 0.1.1)\n    type more = string;\n    @since(version = 0.1.0)\n    record size"),
        ),
        ("export sessions;", String::from("export sessions;\n    @since(version = 0.1.1)\n    export types;")),
        ("large(size)", String::from("/// With docs.\n    large(size)")),
    ] {
        assert_eq!(broken(&before, &after(place, &change)?), [""; 0], "{change}");
    }
    // The parser itself refuses what is newer than the package.
    assert!(of_text(&BEFORE.replacen("@since(version = 0.1.0)", "@since(version = 0.1.1)", 1)).is_err());
    Ok(())
}

#[test]
fn versions_fit_as_cargo_has_it() -> anyhow::Result<()> {
    let fits = |a: &str, b: &str| anyhow::Ok(fit(&a.parse()?, &b.parse()?));
    assert!(fits("0.1.0", "0.1.9")? && fits("1.2.0", "1.3.0")?);
    assert!(!fits("0.1.0", "0.2.0")? && !fits("0.1.0", "1.1.0")? && !fits("1.0.0", "2.0.0")?);
    Ok(())
}
