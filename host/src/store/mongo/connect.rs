//! Opening a store: where it is, whose client it uses, what it ensures.

mod option;
mod uri;

use super::error::failed;
use super::index;
use super::store::MongoStore;
use crate::error::{Error, Result};
use crate::store::StoreOptions;
use crate::store::read_only::ReadOnly;
use mongodb::bson::{RawDocumentBuf, doc};
use mongodb::error::ErrorKind;
use mongodb::options::{Acknowledgment, ClientOptions, CollectionOptions, DriverInfo, WriteConcern};
use mongodb::{Client, Collection};
use std::time::Duration;
use uri::ConnectionString;

impl MongoStore {
    /// Connects with a client of the store's own, which [`close`](crate::Store::close) shuts down, and ensures the indexes.
    ///
    /// The connection string may come from a program with another driver. Its options of the MongoDB specifications are honoured: pool sizes,
    /// TLS, read and write concern, retries, compressors, timeouts. Options that have no effect here are named in a warning. A value that
    /// does not fit is an error, as are encrypted key files and revocation lists, and proxies without the feature `socks5-proxy`. The sessions are in the database that the options
    /// name; if they name none, in the connection string's; if that names none, in `database_name`. The server's own databases (`admin`,
    /// `config`, `local`) hold credentials only.
    ///
    /// A call must not be dropped midway, so `socketTimeoutMS` and `timeoutMS` do not end it. They bound how long a caller of a repository
    /// waits if it has the limits of [`StoreUrl::limits`](crate::StoreUrl::limits); a store that is opened here warns of that. `timeoutMS`
    /// also bounds how long connecting takes.
    ///
    /// # Errors
    ///
    /// `invalid-argument` for a bad connection string or bad options, `unavailable` if no server answers within the connection string's
    /// `serverSelectionTimeoutMS` (30 seconds if it names none), `access-denied` if it refuses the credentials. No message repeats
    /// credentials.
    pub async fn connect(uri: &str, options: StoreOptions) -> Result<Self> {
        warn_of_timeouts(uri);
        Self::open(uri, options).await
    }

    /// Connects for reading only, with a client of the store's own, and ensures nothing: neither an index nor the collection is made.
    ///
    /// # Errors
    ///
    /// Those of [`connect`](Self::connect).
    pub async fn connect_read_only(uri: &str, options: StoreOptions) -> Result<ReadOnly<Self>> {
        warn_of_timeouts(uri);
        Self::open_read_only(uri, options).await
    }

    /// Connects as [`connect`](Self::connect) does, for those who know of the connection string's timeouts.
    pub(crate) async fn open(uri: &str, options: StoreOptions) -> Result<Self> {
        let metadata_fields = options.metadata_fields.clone();
        let store = Self::connect_only(uri, options).await?;
        index::ensure(&store.collection, metadata_fields).await;
        Ok(store)
    }

    /// Connects as [`connect_read_only`](Self::connect_read_only) does, for those who know of the connection string's timeouts.
    pub(crate) async fn open_read_only(uri: &str, options: StoreOptions) -> Result<ReadOnly<Self>> {
        Ok(ReadOnly::new(Self::connect_only(uri, options).await?))
    }

    /// The shorter one of `socketTimeoutMS` and `timeoutMS`, if there is one.
    pub(crate) fn call_deadline_of(uri: &str) -> Option<Duration> {
        ConnectionString::read(uri).ok()?.call_deadline()
    }

    /// The database that a connection string names for sessions.
    pub(crate) fn database_of(uri: &str) -> Option<String> {
        ConnectionString::read(uri).ok()?.sessions_database().map(str::to_owned)
    }

    /// Connects and ensures nothing.
    pub(crate) async fn connect_only(uri: &str, options: StoreOptions) -> Result<Self> {
        options.check()?;
        let read = ConnectionString::read(uri)?;
        let mut client_options = ClientOptions::parse(&read.driver).await.map_err(|error| unusable(uri, &error))?;
        check_acknowledged(client_options.write_concern.as_ref())?;
        client_options.app_name.get_or_insert_with(|| String::from("session-repository"));
        client_options.driver_info = Some(library());
        let hosts: Vec<String> = client_options.hosts.iter().map(ToString::to_string).collect();
        let patience = client_options.server_selection_timeout.unwrap_or(Duration::from_secs(30));
        let patience = read.timeout.map_or(patience, |timeout| timeout.min(patience));
        client_options.server_selection_timeout = Some(patience);
        let client = Client::with_options(client_options).map_err(|error| unusable(uri, &error))?;
        let (options, collection) = collection(&client, options)?;
        if !read.idle.is_empty() {
            tracing::warn!("what has no effect in the connection string: {}", read.idle.join(", "));
        }
        let admin = client.database("admin");
        let mut ping = admin.run_command(doc! { "ping": 1 });
        if let Some(criteria) = client.selection_criteria() {
            ping = ping.selection_criteria(criteria.clone());
        }
        if let Err(error) = ping.await {
            let error = match failed(error) {
                Error::Unavailable(_) => {
                    Error::Unavailable(format!("no MongoDB server answered at {} within {patience:?}", hosts.join(", ")))
                }
                other => other,
            };
            client.shutdown().immediate(true).await;
            return Err(error);
        }
        if let Err(error) = check_read_concern(&client, &collection).await {
            client.shutdown().immediate(true).await;
            return Err(error);
        }
        Ok(Self::new(&client.database(options.database_name()), collection, &options, Some(client)))
    }

    /// The same server, another place for sessions: for tenants that have a database or a collection of their own. The new store uses this
    /// one's connections; [`close`](crate::Store::close) of it leaves them open, and that of this store ends them for both.
    ///
    /// # Errors
    ///
    /// Those of [`with_client`](Self::with_client).
    pub async fn with_options(&self, options: StoreOptions) -> Result<Self> {
        Self::with_client(self.collection.client(), options).await
    }

    /// Works with a client of the caller's, which [`close`](crate::Store::close) leaves alone, and ensures the indexes. If the options name
    /// no database, sessions are in the client's default one, else in `database_name`.
    ///
    /// # Errors
    ///
    /// `invalid-argument` for bad options, and for a client that does not want its writes acknowledged. A server that cannot be reached
    /// shows with the first call.
    pub async fn with_client(client: &Client, options: StoreOptions) -> Result<Self> {
        let (options, collection) = collection(client, options)?;
        if let Err(error) = client.append_metadata(library()) {
            tracing::debug!(%error, "the server is not told which library uses the client");
        }
        let store = Self::new(&client.database(options.database_name()), collection, &options, None);
        index::ensure(&store.collection, options.metadata_fields).await;
        Ok(store)
    }
}

/// What the server's log and its list of connections say of who connects.
fn library() -> DriverInfo {
    DriverInfo::builder().name(env!("CARGO_PKG_NAME")).version(String::from(env!("CARGO_PKG_VERSION"))).build()
}

/// The collection, whose writes a majority acknowledges unless the client wants it otherwise, and the options with its database.
fn collection(client: &Client, mut options: StoreOptions) -> Result<(StoreOptions, Collection<RawDocumentBuf>)> {
    if options.database.is_none() {
        options.database = client.default_database().map(|named| named.name().to_owned()).filter(|name| uri::is_for_sessions(name));
    }
    options.check()?;
    let database = client.database(options.database_name());
    let collection = database.collection(&options.collection);
    // What else the connection string says of writes (a journal, a time limit) stays.
    let mut concern = collection.write_concern().cloned().unwrap_or_default();
    check_acknowledged(Some(&concern))?;
    if concern.w.is_some() {
        return Ok((options, collection));
    }
    concern.w = Some(Acknowledgment::Majority);
    let with_concern = CollectionOptions::builder().write_concern(concern).build();
    let collection = database.collection_with_options(collection.name(), with_concern);
    Ok((options, collection))
}

/// Refuses a level of reads that the server does not have: each read would fail.
async fn check_read_concern(client: &Client, collection: &Collection<RawDocumentBuf>) -> Result<()> {
    if client.read_concern().is_none() {
        return Ok(());
    }
    match collection.find_one(doc! { "_id": "" }).await.map_err(failed) {
        Err(Error::Internal(_)) => {
            let why = "the server does not have the `readConcernLevel` of the connection string; some levels need a replica set";
            Err(Error::InvalidArgument(String::from(why)))
        }
        // What else is wrong, each call tells.
        _ => Ok(()),
    }
}

/// Tells that a store does not keep to the timeouts of its connection string by itself.
fn warn_of_timeouts(uri: &str) {
    if MongoStore::call_deadline_of(uri).is_some() {
        tracing::warn!(
            "`socketTimeoutMS` and `timeoutMS` of the connection string bound a repository with the limits of `StoreUrl::limits` only"
        );
    }
}

fn check_acknowledged(concern: Option<&WriteConcern>) -> Result<()> {
    match concern.and_then(|concern| concern.w.as_ref()) {
        Some(Acknowledgment::Nodes(0)) => {
            Err(Error::InvalidArgument(String::from("the option `w` is 0, but here every write is acknowledged")))
        }
        _ => Ok(()),
    }
}

/// Why a connection string cannot be used whose options have values that fit. The driver's own text can repeat any part of it, credentials
/// included, so it only helps to find the phrase.
fn unusable(uri: &str, error: &mongodb::error::Error) -> Error {
    if let ErrorKind::DnsResolve { .. } = error.kind.as_ref() {
        return Error::Unavailable(String::from("the DNS records of the connection string's host cannot be read"));
    }
    let text = error.to_string().to_lowercase();
    let words: Vec<_> = text.split(|c: char| !c.is_ascii_alphanumeric()).collect();
    let options = uri.split_once('?').map_or("", |(_, options)| options).split(['&', ';']);
    let named = options.filter_map(|option| option::find(option.split('=').next()?));
    let option = named.map(|known| known.name).find(|name| words.contains(&name.to_lowercase().as_str()));
    let why = match option {
        Some(option) => format!("its option `{option}` does not go together with the rest of it"),
        None if text.contains("certificate") || text.contains("tls") || text.contains("pem") => {
            String::from("its TLS options name a file that does not hold what it should, or exclude each other")
        }
        None if text.contains("option") => String::from("it names options that exclude each other"),
        None if text.contains("mechanism") || text.contains("authentication") => {
            String::from("its user, password and `authMechanism` do not go together")
        }
        None if text.contains("port") || text.contains("address") || text.contains("host") => {
            String::from("it names no valid HOST or HOST:PORT; special characters of user and password must be percent-encoded")
        }
        None => String::from("it must be mongodb://[USER:PASSWORD@]HOST[:PORT][/DATABASE][?OPTIONS], special characters percent-encoded"),
    };
    Error::InvalidArgument(format!("the connection string cannot be used: {why}"))
}
