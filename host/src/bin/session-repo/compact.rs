//! `session-repo compact`: a store file without the space and the text of what is gone.

use crate::failure::failed;
use crate::output;
use crate::place::Place;
use crate::terminal::one_line;
use anyhow::Context;
use bytesize::ByteSize;
use session_repository::Compacted;

pub(crate) async fn run(place: &Place, json: bool) -> anyhow::Result<()> {
    let bar = output::progress("{spinner} {pos} of {len} rows {wide_bar} {eta}");
    let compacted = place.compact(&bar).await;
    bar.finish_and_clear();
    let compacted = compacted.map_err(|error| failed(&error)).context("cannot compact the store")?;
    if json {
        return output::print_exact(&serde_json::to_string(&compacted)?);
    }
    let Compacted { bytes_before, bytes_after, .. } = compacted;
    output::print(&format!("compacted {}: {} before, {} after", one_line(&place.medium()), ByteSize(bytes_before), ByteSize(bytes_after)))
}
