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

/// Reads the kernel's table of locks: `1: FLOCK  ADVISORY  WRITE 4242 fe:00:1001 0 EOF`, of which the sixth word is device and inode. Some
/// file systems show another device there; then nobody is named rather than somebody else.
#[cfg(target_os = "linux")]
fn process(file: &File) -> Option<u32> {
    use std::os::unix::fs::MetadataExt;
    let metadata = file.metadata().ok()?;
    let (device, inode) = (metadata.dev(), metadata.ino());
    // As `makedev` packs them.
    let major = ((device >> 8) & 0xfff) | ((device >> 32) & !0xfff);
    let minor = (device & 0xff) | ((device >> 12) & !0xff);
    let place = format!("{major:02x}:{minor:02x}:{inode}");
    let locks = std::fs::read_to_string("/proc/locks").ok()?;
    let holder = locks.lines().find_map(|line| {
        let mut words = line.split_whitespace().skip(1);
        let (kind, pid, at) = (words.next()?, words.nth(2)?, words.next()?);
        (kind == "FLOCK" && at == place).then(|| pid.parse().ok()).flatten()
    });
    // A process that cannot be seen from here has no number.
    holder.filter(|pid| *pid != 0)
}

#[cfg(not(target_os = "linux"))]
fn process(_: &File) -> Option<u32> {
    None
}
