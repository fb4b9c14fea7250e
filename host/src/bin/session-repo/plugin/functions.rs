//! The functions that a plugin exports.

use super::text;
use wasmtime::component::types::{ComponentFunc, ComponentItem};
use wasmtime::component::{Component, ComponentExportIndex};

/// An exported function.
pub(super) struct Function {
    /// The interface that it belongs to; none if the plugin exports it by itself.
    pub(super) interface: Option<String>,
    pub(super) name: String,
    pub(super) index: ComponentExportIndex,
    pub(super) ty: ComponentFunc,
}

impl Function {
    /// The name that tells it from all others: NAME, or INTERFACE#NAME.
    pub(super) fn full_name(&self) -> String {
        match &self.interface {
            Some(interface) => format!("{interface}#{}", self.name),
            None => self.name.clone(),
        }
    }

    /// Its type, as WIT has it.
    pub(super) fn shown(&self) -> String {
        text::function(&self.ty)
    }
}

/// All of them, in the order of the exports.
pub(super) fn functions(component: &Component) -> Vec<Function> {
    let (ty, engine) = (component.component_type(), component.engine());
    let mut functions = Vec::new();
    for (export, item) in ty.exports(engine) {
        let Some(outer) = component.get_export_index(None, export) else { continue };
        match item.ty {
            ComponentItem::ComponentFunc(ty) => functions.push(Function { interface: None, name: export.to_owned(), index: outer, ty }),
            ComponentItem::ComponentInstance(instance) => functions.extend(instance.exports(engine).filter_map(|(name, item)| {
                let ComponentItem::ComponentFunc(ty) = item.ty else { return None };
                let index = component.get_export_index(Some(&outer), name)?;
                Some(Function { interface: Some(export.to_owned()), name: name.to_owned(), index, ty })
            })),
            _ => {}
        }
    }
    functions
}
