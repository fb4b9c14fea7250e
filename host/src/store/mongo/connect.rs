//! Opening a store: where it is, whose client it uses, what it ensures.

use super::{MongoStore, index};
use crate::error::{Error, Result};
use mongodb::bson::doc;
use mongodb::options::{Acknowledgment, ClientOptions, CollectionOptions, WriteConcern};
use mongodb::{Client, Collection};
use std::time::Duration;

/// Where the sessions lie and what is indexed. Database and collection default to the names that the reference defaults to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MongoOptions {
    /// The database. Default: `database_name`.
    pub database: String,
    /// The collection. Default: `collection_name`.
    pub collection: String,
    /// Metadata fields to index, by the same paths as in a metadata update. Default: none.
    pub metadata_fields: Vec<String>,
}

impl Default for MongoOptions {
    fn default() -> Self {
        Self { database: String::from("database_name"), collection: String::from("collection_name"), metadata_fields: Vec::new() }
    }
}

impl MongoOptions {
    /// Checks what MongoDB would refuse later, or take for something else.
    ///
    /// # Errors
    ///
    /// `invalid-argument` that names the option.
    pub fn check(&self) -> Result<()> {
        let invalid = |message: String| Err(Error::InvalidArgument(message));
        let database = &self.database;
        if database.is_empty() || database.len() > 63 || database.contains(['/', '\\', '.', ' ', '"', '$', '\0']) {
            return invalid(format!("database: {database:?} is not a name that MongoDB allows"));
        }
        let collection = &self.collection;
        let odd_dots = collection.starts_with('.') || collection.ends_with('.') || collection.contains("..");
        if collection.is_empty() || collection.contains(['$', '\0']) || collection.starts_with("system.") || odd_dots {
            return invalid(format!("collection: {collection:?} is not a name that MongoDB allows"));
        }
        for field in &self.metadata_fields {
            if field.contains('\0') || field.split('.').any(|segment| segment.is_empty() || segment.starts_with('$')) {
                return invalid(format!("metadata field: {field:?} is not a path of non-empty segments that do not start with `$`"));
            }
        }
        Ok(())
    }
}

impl MongoStore {
    /// Connects with a client of the store's own, which [`close`](crate::Store::close) shuts down, and ensures the indexes.
    ///
    /// All options of the connection string are honoured: pool sizes, TLS, read and write concern, retries, compressors, timeouts.
    ///
    /// # Errors
    ///
    /// `invalid-argument` for a bad connection string or bad options, `unavailable` if no server answers within the connection string's
    /// `serverSelectionTimeoutMS` (30 seconds if it names none), `access-denied` if it refuses the credentials. No message repeats
    /// credentials.
    pub async fn connect(uri: &str, options: MongoOptions) -> Result<Self> {
        options.check()?;
        let mut client_options = ClientOptions::parse(uri).await.map_err(|error| {
            // The driver's text can repeat parts of the string, and those can be credentials.
            let why = if uri.contains('@') { String::from("user and password must be percent-encoded") } else { error.to_string() };
            Error::InvalidArgument(format!("the connection string cannot be used: {why}"))
        })?;
        client_options.app_name.get_or_insert_with(|| String::from("session-repository"));
        let hosts: Vec<String> = client_options.hosts.iter().map(ToString::to_string).collect();
        let patience = client_options.server_selection_timeout.unwrap_or(Duration::from_secs(30));
        let client = Client::with_options(client_options).map_err(|error| {
            let why = if uri.contains('@') { String::new() } else { format!(": {error}") };
            Error::InvalidArgument(format!("the connection string's options do not fit together{why}"))
        })?;
        let admin = client.database("admin");
        let mut ping = admin.run_command(doc! { "ping": 1 });
        if let Some(criteria) = client.selection_criteria() {
            ping = ping.selection_criteria(criteria.clone());
        }
        if let Err(error) = ping.await {
            let error = match super::Failure::of(error).into_error() {
                Error::Unavailable(_) => {
                    Error::Unavailable(format!("no MongoDB server answered at {} within {patience:?}", hosts.join(", ")))
                }
                other => other,
            };
            client.shutdown().await;
            return Err(error);
        }
        let store = Self::open(&client, options).await;
        Ok(Self { owned: Some(client), ..store })
    }

    /// Works with a client of the caller's, which [`close`](crate::Store::close) leaves alone, and ensures the indexes.
    ///
    /// # Errors
    ///
    /// `invalid-argument` for bad options. A server that cannot be reached shows with the first call.
    pub async fn with_client(client: &Client, options: MongoOptions) -> Result<Self> {
        options.check()?;
        Ok(Self::open(client, options).await)
    }

    async fn open(client: &Client, options: MongoOptions) -> Self {
        let MongoOptions { database, collection, metadata_fields } = options;
        let database = client.database(&database);
        let mut collection: Collection<_> = database.collection(&collection);
        if collection.write_concern().is_none() {
            let majority = WriteConcern::builder().w(Acknowledgment::Majority).build();
            let with_majority = CollectionOptions::builder().write_concern(majority).build();
            collection = database.collection_with_options(collection.name(), with_majority);
        }
        index::ensure(&collection, &metadata_fields).await;
        Self { collection, owned: None }
    }
}
