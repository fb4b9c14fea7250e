//! Where in a store the sessions lie.

use crate::error::{Error, Result};

/// Where in a store the sessions lie and what is indexed. Database and collection default to the names that the reference defaults to.
/// Every store keeps the sessions of different collections apart.
///
/// ```
/// # use session_repository::StoreOptions;
/// let options = StoreOptions::default().collection("chats").metadata_fields(["priority", "status"]);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoreOptions {
    /// The database. Without one: in MongoDB the one that the connection string names, else `database_name`. Default: `None`.
    pub database: Option<String>,
    /// The collection. Default: `collection_name`.
    pub collection: String,
    /// Metadata fields to index, by the same paths as in a metadata update. No call searches by them yet, so only MongoDB, which others
    /// query as well, has such indexes. Default: none.
    pub metadata_fields: Vec<String>,
    /// What concerns MongoDB alone.
    pub mongo: MongoOptions,
}

/// Options that only sessions in MongoDB have.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct MongoOptions {
    /// How much of an agent's messages, in bytes, stays in the session's document before the oldest move to the archive; 1 KiB to 8 MiB, or
    /// never if none. Default: 1 MiB.
    pub archive_after: Option<u64>,
}

impl MongoOptions {
    /// The same options with another [`archive_after`](field@Self::archive_after).
    #[must_use]
    pub fn archive_after(self, archive_after: Option<u64>) -> Self {
        Self { archive_after, ..self }
    }
}

impl Default for MongoOptions {
    fn default() -> Self {
        Self { archive_after: Some(1024 * 1024) }
    }
}

/// The bounds of `archive_after`, in bytes.
const ARCHIVE_AFTER: std::ops::RangeInclusive<u64> = 1024..=8 * 1024 * 1024;

impl Default for StoreOptions {
    fn default() -> Self {
        Self { database: None, collection: String::from("collection_name"), metadata_fields: Vec::new(), mongo: MongoOptions::default() }
    }
}

impl StoreOptions {
    /// The same options with a [`database`](field@Self::database).
    #[must_use]
    pub fn database(self, database: impl Into<String>) -> Self {
        Self { database: Some(database.into()), ..self }
    }

    /// The same options with another [`collection`](field@Self::collection).
    #[must_use]
    pub fn collection(self, collection: impl Into<String>) -> Self {
        Self { collection: collection.into(), ..self }
    }

    /// The same options with other [`metadata_fields`](field@Self::metadata_fields).
    #[must_use]
    pub fn metadata_fields(self, paths: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self { metadata_fields: paths.into_iter().map(Into::into).collect(), ..self }
    }

    /// The same options with other options for [`mongo`](field@Self::mongo).
    #[must_use]
    pub fn mongo(self, mongo: MongoOptions) -> Self {
        Self { mongo, ..self }
    }

    /// The database that is named, or the one that the reference defaults to.
    pub(crate) fn database_name(&self) -> &str {
        self.database.as_deref().unwrap_or("database_name")
    }

    /// Checks what MongoDB would refuse later, or take for something else.
    ///
    /// # Errors
    ///
    /// `invalid-argument` that names the option.
    pub fn check(&self) -> Result<()> {
        // The values are not repeated: a connection string that landed in the wrong place may hold a password.
        let invalid = |message: &str| Err(Error::InvalidArgument(message.to_owned()));
        let database = self.database_name();
        if database.is_empty() || database.len() > 63 || database.contains(['/', '\\', '.', ' ', '"', '$', '\0']) {
            return invalid("database: must be 1 to 63 bytes without / \\ . \" $, space and NUL");
        }
        let collection = &self.collection;
        let odd_dots = collection.starts_with('.') || collection.ends_with('.') || collection.contains("..");
        let beside = if self.mongo.archive_after.is_some() { ".archive".len() } else { 0 };
        let namespace = database.len() + 1 + collection.len() + beside;
        if collection.is_empty() || collection.contains(['$', '\0']) || collection.starts_with("system.") || odd_dots || namespace > 255 {
            return invalid(
                "collection: must be a name without $ and NUL, not of the system, of at most 255 bytes with the database and `.archive`",
            );
        }
        if self.mongo.archive_after.is_some_and(|bytes| !ARCHIVE_AFTER.contains(&bytes)) {
            return invalid("archive after: must be 1KiB to 8MiB, or never");
        }
        for field in &self.metadata_fields {
            if field.contains('\0') || field.split('.').any(|segment| segment.is_empty() || segment.starts_with('$')) {
                return invalid("metadata field: must be a path of non-empty segments that do not start with `$`");
            }
        }
        Ok(())
    }
}
