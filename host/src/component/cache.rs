//! What one process has compiled, for the next one: Wasmtime's own cache, in a folder of the user's own.

use std::fs::DirBuilder;
use std::io;
use std::path::Path;
use wasmtime::{Cache, CacheConfig};

/// How many bytes of compiled components a folder holds. One takes less than 2 MiB, and there is one for each version of the program and each
/// kind of processor.
pub(super) const BYTES: u64 = 32 << 20;

/// How many files a folder holds.
const FILES: u64 = 32;

/// The cache in a folder, which is made if it is not there; none if it cannot be used, which costs the time to compile and nothing else. Beyond
/// so many bytes, or too many files, what was used longest ago is removed; Wasmtime looks when something is added, at most once an hour.
pub(crate) fn open(folder: &Path, bytes: u64) -> Option<Cache> {
    let open = || -> wasmtime::Result<Cache> {
        make(folder)?;
        // Without links, so that nobody can make it another folder later.
        let folder = folder.canonicalize()?;
        require_own(&folder)?;
        let mut config = CacheConfig::new();
        config.with_directory(&folder);
        config.with_files_total_size_soft_limit(bytes).with_file_count_soft_limit(FILES);
        Cache::new(config)
    };
    open().inspect_err(|error| tracing::debug!(%error, folder = %folder.display(), "compiled code is not cached")).ok()
}

fn make(folder: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

/// Compiled code is run as it is found, so nobody else may be able to put it there, or another folder in the place of one above it. With
/// `sudo` a folder can be that of another user.
#[cfg(unix)]
fn require_own(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::MetadataExt;
    const OTHERS_WRITE: u32 = 0o022;
    const STICKY: u32 = 0o1000;
    const ROOT: u32 = 0;
    let user = rustix::process::geteuid().as_raw();
    for above in folder.ancestors() {
        let is_last = above == folder;
        let metadata = std::fs::metadata(above)?;
        if metadata.uid() != user && (is_last || metadata.uid() != ROOT) {
            return Err(io::Error::other("the folder, or one above it, belongs to another user"));
        }
        // In a folder such as `/tmp` nobody can replace what belongs to others.
        let is_kept = !is_last && metadata.mode() & STICKY != 0;
        if metadata.mode() & OTHERS_WRITE != 0 && !is_kept {
            return Err(io::Error::other("others may write to the folder, or to one above it"));
        }
    }
    Ok(())
}

/// The folder of a user's cache is the user's own.
#[cfg(not(unix))]
fn require_own(_: &Path) -> io::Result<()> {
    Ok(())
}
