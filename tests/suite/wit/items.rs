//! What a WIT package declares: each item with its definition and with the version that it is there since.

use anyhow::{Context, bail};
use semver::Version;
use std::collections::BTreeMap;
use std::path::Path;
use wit_parser::{Function, FunctionKind, PackageId, Resolve, Stability, Type, TypeDef, TypeDefKind, TypeId, World, WorldItem, WorldKey};

/// Items by names like `sessions.create`, `interface sessions` and `world plugin: import sessions`.
pub(super) type Items = BTreeMap<String, Item>;

/// An item of a WIT package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Item {
    /// What it is, without its docs.
    pub(super) definition: String,
    /// The version in its gate.
    pub(super) since: Option<Version>,
    /// Whether it is a name of another interface's type, which has no gate.
    pub(super) is_use: bool,
}

/// The version and the items of the package in a folder.
pub(super) fn of_folder(folder: &Path) -> anyhow::Result<(Version, Items)> {
    let mut resolve = Resolve::new();
    let (package, _) = resolve.push_dir(folder).with_context(|| folder.display().to_string())?;
    of(&resolve, package)
}

/// The version and the items of a package in one text.
pub(super) fn of_text(text: &str) -> anyhow::Result<(Version, Items)> {
    let mut resolve = Resolve::new();
    let package = resolve.push_source("package.wit", text)?;
    of(&resolve, package)
}

fn of(resolve: &Resolve, package: PackageId) -> anyhow::Result<(Version, Items)> {
    let package = &resolve.packages[package];
    let mut items = Items::new();
    for (name, id) in &package.interfaces {
        let interface = &resolve.interfaces[*id];
        items.insert(format!("interface {name}"), item(String::from("interface"), &interface.stability));
        for (of_it, id) in &interface.types {
            let declared = &resolve.types[*id];
            let is_use = used(resolve, declared).is_some();
            items.insert(format!("{name}.{of_it}"), Item { is_use, ..item(definition(resolve, declared)?, &declared.stability) });
        }
        for (of_it, function) in &interface.functions {
            items.insert(format!("{name}.{of_it}"), item(signature(resolve, function)?, &function.stability));
        }
    }
    for (name, id) in &package.worlds {
        let world = &resolve.worlds[*id];
        items.insert(format!("world {name}"), item(String::from("world"), &world.stability));
        add_world(resolve, name, world, &mut items)?;
    }
    Ok((package.name.version.clone().context("the package has no version")?, items))
}

fn add_world(resolve: &Resolve, name: &str, world: &World, items: &mut Items) -> anyhow::Result<()> {
    for (direction, entries) in [("import", &world.imports), ("export", &world.exports)] {
        for (key, entry) in entries {
            let WorldKey::Interface(id) = key else { bail!("world {name}: only interfaces are compared") };
            let WorldItem::Interface { stability, .. } = entry else { bail!("world {name}: only interfaces are compared") };
            // Types that others need are imported without being named.
            if matches!(stability, Stability::Unknown) && direction == "import" && resolve.interfaces[*id].functions.is_empty() {
                continue;
            }
            items.insert(format!("world {name}: {direction} {}", interface(resolve, key)), item(String::from(direction), stability));
        }
    }
    Ok(())
}

/// The name of an interface, without the version where it is one of the package itself.
fn interface(resolve: &Resolve, key: &WorldKey) -> String {
    let name = resolve.name_world_key(key);
    name.strip_prefix("session:repository/").and_then(|name| name.split('@').next()).map_or(name.clone(), String::from)
}

fn item(definition: String, stability: &Stability) -> Item {
    let since = match stability {
        Stability::Stable { since, .. } => Some(since.clone()),
        Stability::Unknown | Stability::Unstable { .. } => None,
    };
    Item { definition, since, is_use: false }
}

/// The type of another interface that a `use` names.
fn used(resolve: &Resolve, declared: &TypeDef) -> Option<TypeId> {
    match declared.kind {
        TypeDefKind::Type(Type::Id(id)) if resolve.types[id].owner != declared.owner => Some(id),
        _ => None,
    }
}

fn signature(resolve: &Resolve, function: &Function) -> anyhow::Result<String> {
    let kind = match function.kind {
        FunctionKind::Freestanding => "func",
        FunctionKind::AsyncFreestanding => "async func",
        _ => bail!("{}: functions of resources are not compared", function.name),
    };
    let parameters = function
        .params
        .iter()
        .map(|parameter| Ok(format!("{}: {}", parameter.name, name(resolve, &parameter.ty)?)))
        .collect::<anyhow::Result<Vec<_>>>()?;
    let result = function.result.as_ref().map(|ty| name(resolve, ty)).transpose()?.unwrap_or_default();
    Ok(format!("{kind}({}) -> {result}", parameters.join(", ")))
}

/// What a declared type is.
fn definition(resolve: &Resolve, declared: &TypeDef) -> anyhow::Result<String> {
    let optional = |ty: &Option<Type>| ty.as_ref().map_or(Ok(String::from("_")), |ty| name(resolve, ty));
    let listed = |kind: &str, members: Vec<anyhow::Result<String>>| {
        Ok(format!("{kind} {{ {} }}", members.into_iter().collect::<anyhow::Result<Vec<_>>>()?.join(", ")))
    };
    match &declared.kind {
        TypeDefKind::Record(record) => {
            listed("record", record.fields.iter().map(|field| Ok(format!("{}: {}", field.name, name(resolve, &field.ty)?))).collect())
        }
        TypeDefKind::Variant(variant) => {
            listed("variant", variant.cases.iter().map(|case| Ok(format!("{}({})", case.name, optional(&case.ty)?))).collect())
        }
        TypeDefKind::Enum(cases) => listed("enum", cases.cases.iter().map(|case| Ok(case.name.clone())).collect()),
        TypeDefKind::Flags(flags) => listed("flags", flags.flags.iter().map(|flag| Ok(flag.name.clone())).collect()),
        TypeDefKind::Tuple(tuple) => listed("tuple", tuple.types.iter().map(|ty| name(resolve, ty)).collect()),
        TypeDefKind::Option(ty) => Ok(format!("option<{}>", name(resolve, ty)?)),
        TypeDefKind::List(ty) => Ok(format!("list<{}>", name(resolve, ty)?)),
        TypeDefKind::Result(result) => Ok(format!("result<{}, {}>", optional(&result.ok)?, optional(&result.err)?)),
        TypeDefKind::Type(ty) => name(resolve, ty),
        other => bail!("types of the kind {} are not compared", other.as_str()),
    }
}

/// How others name a type.
fn name(resolve: &Resolve, ty: &Type) -> anyhow::Result<String> {
    let Type::Id(id) = ty else { return Ok(format!("{ty:?}").to_lowercase()) };
    let declared = &resolve.types[*id];
    match &declared.name {
        Some(name) => Ok(name.clone()),
        None => definition(resolve, declared),
    }
}
