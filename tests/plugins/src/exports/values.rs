//! Values that no Rust code makes without `unsafe`.

use super::bindings::session::repository::sessions;
use core::hint::black_box;

pub(super) fn malformed() -> String {
    let bytes = black_box(vec![b's', 0xff, 0xfe, 0xc0]);
    // SAFETY: none. The text goes to the host as it is, and nothing here reads it as text.
    unsafe { String::from_utf8_unchecked(bytes) }
}

pub(super) fn beyond_memory() -> String {
    let mut text = Vec::from(b"text");
    let start = text.as_mut_ptr();
    core::mem::forget(text);
    // SAFETY: none. The host has to find that most of this text is outside the memory; the plugin ends before it is freed.
    unsafe { String::from_raw_parts(start, 0x7fff_0000, 0x7fff_0000) }
}

pub(super) async fn pass(text: String) {
    // Whatever it answers: the host ends the plugin.
    drop(sessions::read(text).await);
}
