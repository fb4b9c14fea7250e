//! Compiling a plugin, which is the first thing that its bytes can do harm in.

use std::io;
use std::thread;
use wasmparser::{ComponentType, ComponentTypeDeclaration, InstanceTypeDeclaration, Parser, Payload};
use wasmtime::component::Component;
use wasmtime::{Engine, bail, format_err};

/// How deep types and components may be nested in each other: a reader of components calls itself for each level.
const DEEPEST: usize = 100;

/// How large one section of types may be, in bytes. Toolchains write one of some hundred bytes for each import.
const LARGEST: usize = 128 << 10;

/// Stack to read a byte of such a section, whatever it is: a level takes three bytes and, in a debug build, some 7 KB of stack.
const STACK: usize = 4 << 10;

/// Stack for all else: that of a program's first thread, in bytes.
const LEAST_STACK: usize = 8 << 20;

/// Compiles the bytes of a plugin. In place of [`Component::new`], which untrusted bytes can have overflow the stack of the process or panic.
///
/// It takes as long and as much memory as the code wants. Compile what nobody has looked at on a thread that may block, and bound its size.
///
/// # Errors
///
/// Fails if the bytes are no component, if its types or parts are nested more than a hundred levels deep, if one of its sections of types has more
/// than 128 KiB, and if the compiler panics on it (in a program that unwinds).
pub fn compile(engine: &Engine, bytes: &[u8]) -> wasmtime::Result<Component> {
    let stack = LEAST_STACK + STACK * largest_section(bytes)?;
    thread::scope(|scope| {
        let compile = || check(bytes).and_then(|()| Component::new(engine, bytes));
        let compiling = thread::Builder::new().name(String::from("plugin-compiler")).stack_size(stack).spawn_scoped(scope, compile)?;
        compiling.join().map_err(|_| io::Error::other("the compiler panicked"))?
    })
}

/// The size of the largest section of types, in bytes. None of them is read.
fn largest_section(bytes: &[u8]) -> wasmtime::Result<usize> {
    let mut largest = 0;
    for payload in Parser::new(0).parse_all(bytes) {
        if let Payload::ComponentTypeSection(types) = payload? {
            largest = largest.max(types.range().len());
        }
    }
    if largest > LARGEST {
        bail!("a section of types has more than {} KiB", LARGEST >> 10);
    }
    Ok(largest)
}

fn check(bytes: &[u8]) -> wasmtime::Result<()> {
    let mut depth = 0_usize;
    for payload in Parser::new(0).parse_all(bytes) {
        match payload? {
            Payload::Version { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentTypeSection(types) => {
                for ty in types {
                    if levels(&ty?) > DEEPEST {
                        return Err(too_deep());
                    }
                }
            }
            _ => {}
        }
        if depth > DEEPEST {
            return Err(too_deep());
        }
    }
    Ok(())
}

fn too_deep() -> wasmtime::Error {
    format_err!("types or components are nested more than {DEEPEST} levels deep")
}

/// How many types stand in each other.
fn levels(ty: &ComponentType<'_>) -> usize {
    let inner = match ty {
        ComponentType::Component(declarations) => declarations
            .iter()
            .map(|declaration| match declaration {
                ComponentTypeDeclaration::Type(ty) => levels(ty),
                _ => 0,
            })
            .max(),
        ComponentType::Instance(declarations) => declarations
            .iter()
            .map(|declaration| match declaration {
                InstanceTypeDeclaration::Type(ty) => levels(ty),
                _ => 0,
            })
            .max(),
        _ => None,
    };
    1 + inner.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A number as binaries have it.
    fn leb(mut number: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        while number >= 0x80 {
            bytes.push((number & 0x7f) as u8 | 0x80);
            number >>= 7;
        }
        bytes.push(number as u8);
        bytes
    }

    /// A component that has so many types and nothing else.
    fn component(count: usize, types: Vec<u8>) -> Vec<u8> {
        let section = [leb(count), types].concat();
        [b"\0asm\x0d\0\x01\0\x07".to_vec(), leb(section.len()), section].concat()
    }

    /// A component with types of instances in each other.
    fn nested(levels: usize) -> Vec<u8> {
        // An instance type with one declaration, a type; the innermost has none.
        component(1, [[0x42, 1, 1].repeat(levels - 1), vec![0x42, 0]].concat())
    }

    /// Types of instances that have each other by their numbers: each has the one before in it, which Wasmtime's reader panics on where
    /// there are too many.
    fn chained(levels: usize) -> Vec<u8> {
        // A type of an instance that exports nothing; then each time one that exports an instance of the one before: an alias of the type
        // outside, and an export of an instance of it.
        let link = |level| [vec![0x42, 2, 2, 3, 2, 1], leb(level), vec![4, 0, 1, b'a', 5, 0]].concat();
        component(levels, [vec![0x42, 0], (0..levels - 1).flat_map(link).collect()].concat())
    }

    #[test]
    fn a_panic_of_the_compiler_is_an_error() -> wasmtime::Result<()> {
        let engine = Engine::default();
        compile(&engine, &chained(20))?;
        for levels in [128, 129, 1_000] {
            let refused = compile(&engine, &chained(levels)).err().map(|error| error.to_string());
            assert_eq!(refused.as_deref(), Some("the compiler panicked"), "{levels}");
        }
        // The engine is as it was.
        compile(&engine, &chained(20))?;
        Ok(())
    }

    #[test]
    fn types_may_be_nested_so_deep_and_no_deeper() -> wasmtime::Result<()> {
        let engine = Engine::default();
        compile(&engine, &nested(1))?;
        compile(&engine, &nested(DEEPEST))?;
        for levels in [DEEPEST + 1, 3_000, LARGEST / 3 - 2, 1_000_000] {
            let refused = compile(&engine, &nested(levels)).err().map(|error| error.to_string()).unwrap_or_default();
            assert!(refused.contains("nested more than 100") || levels == 1_000_000 && refused.contains("128 KiB"), "{levels}: {refused}");
        }
        Ok(())
    }
}
