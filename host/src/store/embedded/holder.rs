//! Who holds a locked file, as far as the system tells.

use std::fs::File;

/// A phrase for people: the process that has the file locked.
pub(super) fn of(file: &File) -> String {
    match process(file) {
        Some(pid) if pid == std::process::id() => String::from("this process itself"),
        Some(pid) => match std::fs::read_to_string(format!("/proc/{pid}/comm")) {
            Ok(name) => format!("process {pid} ({})", name.trim()),
            Err(_) => format!("process {pid}"),
        },
        None => String::from("another process"),
    }
}

/// Reads the kernel's table of locks: `1: FLOCK  ADVISORY  WRITE 4242 fe:00:1001 0 EOF`, the sixth word ending in the inode.
#[cfg(target_os = "linux")]
fn process(file: &File) -> Option<u32> {
    use std::os::unix::fs::MetadataExt;
    let inode = file.metadata().ok()?.ino().to_string();
    let locks = std::fs::read_to_string("/proc/locks").ok()?;
    locks.lines().find_map(|line| {
        let mut words = line.split_whitespace().skip(1);
        let (kind, pid, place) = (words.next()?, words.nth(2)?, words.next()?);
        (kind == "FLOCK" && place.rsplit(':').next() == Some(&inode)).then(|| pid.parse().ok()).flatten()
    })
}

#[cfg(not(target_os = "linux"))]
fn process(_: &File) -> Option<u32> {
    None
}
