//! Looking at a store by its URL, and mending it.

use super::{AnyStore, StoreUrl};
use crate::error::Result;
use crate::store::StoreOptions;
#[cfg(feature = "embedded")]
use crate::store::embedded::EmbeddedStore;
#[cfg(feature = "mongodb")]
use crate::store::mongo::MongoStore;
use crate::store::report::{Repair, Report};

impl AnyStore {
    /// Looks at a store without changing anything: no index is made, and no file. All of a file is read and verified; what a crash left is
    /// repaired in memory first, as by [`EmbeddedStore::open_read_only`]. Of MongoDB, damage is looked for in collections of up to 100,000
    /// sessions and as many blocks of the archive; [`repair`](Self::repair) looks in any.
    ///
    /// # Errors
    ///
    /// Those of [`MongoStore::connect`] and [`EmbeddedStore::open_read_only`].
    pub async fn inspect(url: &StoreUrl, options: StoreOptions) -> Result<Report> {
        Self::examine(url, options, Repair::No).await
    }

    /// Looks at a store, whatever its size, and mends what can be mended: removes orphans, completes moves that nobody completes, makes
    /// indexes anew that can be derived. A dry run changes nothing and tells what would be mended. What another process writes meanwhile is
    /// left alone; an import that runs meanwhile can end as `unavailable` and is then repeated.
    ///
    /// # Errors
    ///
    /// Those of [`inspect`](Self::inspect), and for a file those of [`EmbeddedStore::open`].
    pub async fn repair(url: &StoreUrl, options: StoreOptions, dry_run: bool) -> Result<Report> {
        Self::examine(url, options, if dry_run { Repair::DryRun } else { Repair::Yes }).await
    }

    async fn examine(url: &StoreUrl, options: StoreOptions, repair: Repair) -> Result<Report> {
        match url {
            #[cfg(feature = "mongodb")]
            StoreUrl::Mongo(uri) => MongoStore::inspect(uri, options, repair).await,
            #[cfg(feature = "embedded")]
            StoreUrl::File(path) => EmbeddedStore::inspect(path, options, repair).await,
            #[cfg(feature = "embedded")]
            StoreUrl::Memory => EmbeddedStore::inspect_memory(),
        }
    }
}
