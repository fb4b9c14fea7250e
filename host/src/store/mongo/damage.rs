//! Damage in a collection and its archive: finding it, naming it, and mending what can be mended.
//!
//! Blocks are looked at first and documents after them. So what a document does not tell of then is dead, and what it tells of was there.

mod blocks;
mod documents;
mod finding;
mod mend;

pub(super) use finding::{Finding, Mend};

use super::store::MongoStore;
use crate::error::Result;

impl MongoStore {
    /// Looks at all blocks and all documents, and hands over what is wrong.
    pub(crate) async fn damage(&self, found: &mut impl FnMut(Finding)) -> Result<()> {
        let seen = self.damage_in_blocks(found).await?;
        self.damage_in_documents(&seen, found).await
    }
}
