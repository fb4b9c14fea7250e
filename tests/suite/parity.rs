//! Each function that the WIT exports has its place in every layer, and no layer has one more.

use crate::readme::file;
use crate::run::{Desk, finish};
use crate::samples::samples;
use anyhow::Context;
use std::collections::{BTreeMap, BTreeSet};

/// The exported functions, as `interface.function`.
pub(crate) fn exported() -> anyhow::Result<BTreeSet<String>> {
    let world = file("wit/world.wit")?;
    let repository = world.split("world ").find(|world| world.starts_with("repository ")).context("no world")?.to_owned();
    let mut functions = BTreeSet::new();
    for interface in repository.lines().filter_map(|line| line.trim().strip_prefix("export ")?.strip_suffix(';')) {
        let declared = file(&format!("wit/{interface}.wit"))?;
        let names =
            declared.lines().filter_map(|line| line.split_once(": async func").map(|(name, _)| name.trim().trim_start_matches('%')));
        functions.extend(names.map(|name| format!("{interface}.{name}")));
    }
    assert!(functions.len() >= 16, "{functions:?}");
    Ok(functions)
}

async fn help(command: &[&str]) -> anyhow::Result<String> {
    let ran = finish(&mut Desk::new()?.bare(&[command, &["--help"]].concat()).await?, None).await?;
    Ok(ran.ok().with_context(|| command.join(" "))?.to_owned())
}

/// The calls that the help of `exec` names, and whether each is a write.
pub(crate) async fn calls() -> anyhow::Result<BTreeMap<String, bool>> {
    let help = help(&["exec"]).await?;
    let table = help.split("\nCalls:\n").nth(1).and_then(|rest| rest.split("\n\n").next()).context("no table of calls")?;
    let mut calls: Vec<(String, bool)> = Vec::new();
    for line in table.lines() {
        if let Some(name) = line.split_whitespace().next().filter(|word| word.contains('.')) {
            calls.push((name.to_owned(), false));
        }
        if let Some((_, is_write)) = calls.last_mut() {
            *is_write |= line.contains(" *  -> ");
        }
    }
    Ok(calls.into_iter().collect())
}

/// The names of the calls that write, or of those that read.
pub(crate) async fn names(writes: bool) -> anyhow::Result<BTreeSet<String>> {
    Ok(calls().await?.into_iter().filter(|(_, is_write)| *is_write == writes).map(|(name, _)| name).collect())
}

#[tokio::test]
async fn every_exported_function_is_a_call_of_exec_and_a_subcommand() -> anyhow::Result<()> {
    let calls: BTreeSet<_> = calls().await?.into_keys().collect();
    assert_eq!(calls, exported()?);
    let samples = samples();
    assert_eq!(samples.iter().map(|sample| sample.call.to_owned()).collect::<BTreeSet<_>>(), calls, "samples");
    let all = help(&[]).await?;
    for sample in samples {
        let [group, name, ..] = *sample.line else { panic!("{}: no subcommand", sample.call) };
        assert!(help(&[group, name]).await?.contains("Example"), "{group} {name}");
        // What the group says of itself names all that it can do.
        let about = all.lines().find(|line| line.split_whitespace().next() == Some(group)).with_context(|| group.to_owned())?;
        assert!(about.to_lowercase().contains(name), "{about}");
    }
    Ok(())
}

#[test]
fn every_exported_function_is_called_by_the_repository_and_by_the_model_and_stands_in_the_docs() -> anyhow::Result<()> {
    let (api, model, page) = (file("host/src/api/calls.rs")?, file("tests/suite/contract/model/operation.rs")?, file("host/docs/exec.md")?);
    for function in exported()? {
        let (interface, name) = function.split_once('.').context("no interface")?;
        let method = name.replace('-', "_");
        assert!(api.contains(&format!(" {interface}.func_{method}(")), "{function} has no method of `Repository`");
        assert!(model.contains(&format!("{interface}.{method}(")), "{function} is not in the model");
        let listed = page.split('`').filter_map(|code| code.strip_prefix(&format!("{interface}.")));
        assert!(listed.flat_map(|names| names.split('|')).any(|listed| listed == name), "{function} is not in host/docs/exec.md");
    }
    Ok(())
}
