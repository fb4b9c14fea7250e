//! Who has a locked file open, as far as the system tells.

use std::fs::File;

/// A phrase for people: which processes have the file locked, and whether for writing.
pub(super) fn of(file: &File) -> String {
    let locks = locks(file);
    let (verb, mut processes): (_, Vec<_>) = match locks.iter().find(|lock| lock.is_exclusive) {
        Some(writer) => ("held by", vec![writer.process]),
        None => ("being read by", locks.iter().map(|lock| lock.process).collect()),
    };
    processes.sort_unstable();
    processes.dedup();
    match processes.as_slice() {
        [] => String::from("held by another process"),
        [process] => format!("{verb} {}", name(*process)),
        [process, _] => format!("{verb} {} and another one", name(*process)),
        [process, others @ ..] => format!("{verb} {} and {} others", name(*process), others.len()),
    }
}

/// A lock on a whole file.
struct Lock {
    process: u32,
    is_exclusive: bool,
}

fn name(process: u32) -> String {
    if process == std::process::id() {
        return String::from("this process itself");
    }
    match std::fs::read_to_string(format!("/proc/{process}/comm")) {
        Ok(name) => format!("process {process} ({})", name.trim()),
        Err(_) => format!("process {process}"),
    }
}

/// Reads the kernel's table of locks: `1: FLOCK  ADVISORY  WRITE 4242 fe:00:1001 0 EOF`, of which the sixth word is device and inode. Some
/// file systems show another device there; then nobody is named rather than somebody else.
#[cfg(target_os = "linux")]
fn locks(file: &File) -> Vec<Lock> {
    use std::os::unix::fs::MetadataExt;
    let (Ok(metadata), Ok(locks)) = (file.metadata(), std::fs::read_to_string("/proc/locks")) else { return Vec::new() };
    let (device, inode) = (metadata.dev(), metadata.ino());
    // As `makedev` packs them.
    let major = ((device >> 8) & 0xfff) | ((device >> 32) & !0xfff);
    let minor = (device & 0xff) | ((device >> 12) & !0xff);
    let place = format!("{major:02x}:{minor:02x}:{inode}");
    let of_file = locks.lines().filter_map(|line| {
        let mut words = line.split_whitespace().skip(1);
        let (kind, access, pid, at) = (words.next()?, words.nth(1)?, words.next()?, words.next()?);
        let process = if kind == "FLOCK" && at == place { pid.parse().ok()? } else { return None };
        Some(Lock { process, is_exclusive: access == "WRITE" })
    });
    // A process that cannot be seen from here has no number.
    of_file.filter(|lock| lock.process != 0).collect()
}

#[cfg(not(target_os = "linux"))]
fn locks(_: &File) -> Vec<Lock> {
    Vec::new()
}
