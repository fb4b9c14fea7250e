//! What one process has compiled, for the next one: Wasmtime's own cache, in a folder of the user's own.

use std::fs::{DirBuilder, Metadata};
use std::io;
use std::path::Path;
use wasmtime::{Cache, CacheConfig};

/// How much the folder may hold, in bytes and files, before what was used longest ago is removed. One compiled component takes less than
/// 2 MiB, and there is one for each version of the program and each kind of processor.
const BYTES: u64 = 32 << 20;
const FILES: u64 = 32;

/// The cache in a folder, which is made if it is not there; none if it cannot be used, which costs the time to compile and nothing else.
pub(super) fn open(folder: &Path) -> Option<Cache> {
    let open = || -> wasmtime::Result<Cache> {
        make(folder)?;
        require_own(&std::fs::metadata(folder)?)?;
        let mut config = CacheConfig::new();
        config.with_directory(std::path::absolute(folder)?);
        config.with_files_total_size_soft_limit(BYTES).with_file_count_soft_limit(FILES);
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

/// Compiled code is run as it is found, so nobody else may have put it there: with `sudo` the folder can be that of another user.
#[cfg(unix)]
fn require_own(folder: &Metadata) -> io::Result<()> {
    use std::os::unix::fs::MetadataExt;
    const OTHERS_WRITE: u32 = 0o022;
    if folder.uid() != rustix::process::geteuid().as_raw() {
        return Err(io::Error::other("the folder belongs to another user"));
    }
    if folder.mode() & OTHERS_WRITE != 0 {
        return Err(io::Error::other("others may write to the folder"));
    }
    Ok(())
}

/// The folder of a user's cache is the user's own.
#[cfg(not(unix))]
fn require_own(_: &Metadata) -> io::Result<()> {
    Ok(())
}
