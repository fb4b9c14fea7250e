//! The header of a store file: how it begins, and what that says.

/// The format that this version writes, and the newest that it reads. It reads all older ones.
pub(super) const FORMAT: u64 = 3;

/// How every store file begins. The number of the format and the end of a line follow.
const MAGIC: &str = "session-repository store\nformat ";

/// How a store file of a format begins.
pub(super) fn heading(format: u64) -> String {
    format!("{MAGIC}{format}\n")
}

/// Where the database begins: a page of its own for the header.
pub(super) const HEADER: u64 = 4096;

/// Where the header says whether the database behind it was ever complete.
pub(super) const STATE: u64 = 64;
pub(super) const READY: u8 = b'+';

/// What the header says of a file.
pub(super) enum Header {
    Ready(u64),
    Unfinished(u64),
    /// There was a complete database behind it, but it is cut off, or the header is not as it was written.
    Damaged,
    Newer(u64),
    Foreign,
}

impl Header {
    /// What the first bytes of a file of this length say.
    pub(super) fn parse(bytes: &[u8], length: u64) -> Self {
        // What a power failure can leave of a header that was being written. Nothing is behind it then: longer files that begin with zeros
        // are images of disks.
        let written = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        let begun = bytes.get(..written).unwrap_or_default();
        let is_part = |format: &u64| begun.len() < heading(*format).len() && heading(*format).as_bytes().starts_with(begun);
        if let Some(format) = (1..=FORMAT).find(is_part).filter(|_| length <= HEADER) {
            return Self::Unfinished(format);
        }
        let Some(rest) = bytes.strip_prefix(MAGIC.as_bytes()) else { return Self::Foreign };
        let digits = rest.split(|byte| *byte == b'\n').next().unwrap_or_default();
        match std::str::from_utf8(digits).ok().and_then(|digits| digits.parse::<u64>().ok()) {
            Some(format @ 1..=FORMAT) if bytes.get(STATE as usize) == Some(&READY) => {
                if length > HEADER {
                    Self::Ready(format)
                } else {
                    Self::Damaged
                }
            }
            Some(format @ 1..=FORMAT) if begun.len() == heading(format).len() => Self::Unfinished(format),
            Some(1..=FORMAT) => Self::Damaged,
            Some(format) if format > FORMAT => Self::Newer(format),
            _ => Self::Foreign,
        }
    }
}
