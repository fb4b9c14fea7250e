//! The files of a crate, and which depends on which.

use super::code::Code;
use anyhow::Context;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::{Path, PathBuf};

/// The names that lead from the root of a crate to a module.
pub(super) type Module = Vec<String>;

/// The files of a crate by their modules.
pub(super) struct Files(BTreeMap<Module, (PathBuf, Code)>);

impl Files {
    /// Reads a crate from its root, a file in a folder.
    pub(super) fn read(folder: &Path, root: &str) -> anyhow::Result<Self> {
        let (mut files, mut unread) = (BTreeMap::new(), vec![(Module::new(), PathBuf::from(root))]);
        while let Some((module, path)) = unread.pop() {
            let text = std::fs::read_to_string(folder.join(&path)).with_context(|| path.display().to_string())?;
            let code = Code::read(&text);
            let below = if module.is_empty() { path.with_file_name("") } else { path.with_extension("") };
            let child = |name: &String| (child(&module, name), below.join(name).with_extension("rs"));
            unread.extend(code.modules.iter().map(child));
            files.insert(module, (path, code));
        }
        Ok(Self(files))
    }

    pub(super) fn modules(&self) -> impl Iterator<Item = &Module> {
        self.0.keys()
    }

    /// The name of a module's file.
    pub(super) fn name(&self, module: &[String]) -> String {
        self.0.get(module).map(|(path, _)| path.display().to_string()).unwrap_or_default()
    }

    /// The file that defines what a path in a file leads to. None for what other crates define, and for a module as such.
    fn definer(&self, from: &[String], path: &[String]) -> Option<Module> {
        let (first, mut rest) = path.split_first()?;
        let (_, code) = self.0.get(from)?;
        let mut module = match first.as_str() {
            "crate" => Module::new(),
            "self" => from.to_vec(),
            "super" => from.split_last()?.1.to_vec(),
            name if code.modules.contains(first) => child(from, name),
            name if code.inline.contains(name) => return Some(from.to_vec()),
            name => {
                let binding = code.bindings.iter().find(|binding| binding.name == name && binding.path[0] != name)?;
                return self.definer(from, &[&binding.path, rest].concat());
            }
        };
        while let Some((name, after)) = rest.split_first() {
            let (_, code) = self.0.get(&module)?;
            if name == "super" {
                module.pop();
            } else if code.modules.contains(name) {
                module.push(name.clone());
            } else {
                return match code.bindings.iter().find(|binding| binding.is_exported && binding.name == *name) {
                    Some(binding) => self.definer(&module, &[&binding.path, after].concat()),
                    None => Some(module),
                };
            }
            rest = after;
        }
        None
    }

    /// Each file with those that it depends on.
    pub(super) fn dependencies(&self) -> BTreeMap<&Module, BTreeSet<Module>> {
        let of_file = |module: &Module, code: &Code| {
            let used = code.bindings.iter().filter(|binding| !binding.is_exported || code.names.contains(&binding.name));
            let paths = used.map(|binding| &binding.path).chain(&code.paths);
            paths.filter_map(|path| self.definer(module, path)).filter(|definer| definer != module).collect()
        };
        self.0.iter().map(|(module, (_, code))| (module, of_file(module, code))).collect()
    }

    /// The shortest cycle through each file that is in one. Each cycle is there once.
    pub(super) fn cycles(&self) -> Vec<String> {
        let (dependencies, mut seen) = (self.dependencies(), BTreeSet::new());
        let cycles = self.0.keys().filter_map(|module| cycle(&dependencies, module));
        let new = cycles.filter(|cycle| seen.insert(cycle.iter().copied().collect::<BTreeSet<_>>()));
        new.map(|cycle| cycle.iter().map(|module| self.name(module)).collect::<Vec<_>>().join(" -> ")).collect()
    }
}

fn child(module: &[String], name: &str) -> Module {
    [module, &[String::from(name)]].concat()
}

/// The shortest way from a file back to itself.
fn cycle<'m>(dependencies: &'m BTreeMap<&Module, BTreeSet<Module>>, start: &'m Module) -> Option<Vec<&'m Module>> {
    let (mut ways, mut reached) = (VecDeque::from([vec![start]]), BTreeSet::new());
    while let Some(way) = ways.pop_front() {
        for next in way.last().and_then(|last| dependencies.get(*last)).into_iter().flatten() {
            let longer = [&way[..], &[next]].concat();
            if next == start {
                return Some(longer);
            }
            if reached.insert(next) {
                ways.push_back(longer);
            }
        }
    }
    None
}
