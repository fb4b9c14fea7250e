//! Opening a store: where it is, whose client it uses, what it ensures.

use super::{MongoStore, index};
use crate::error::{Error, Result};
use crate::store::StoreOptions;
use crate::store::read_only::ReadOnly;
use mongodb::bson::{RawDocumentBuf, doc};
use mongodb::error::ErrorKind;
use mongodb::options::{Acknowledgment, ClientOptions, CollectionOptions, WriteConcern};
use mongodb::{Client, Collection};
use std::time::Duration;

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
    pub async fn connect(uri: &str, options: StoreOptions) -> Result<Self> {
        let metadata_fields = options.metadata_fields.clone();
        let store = Self::connect_only(uri, options).await?;
        index::ensure(&store.collection, metadata_fields).await;
        Ok(store)
    }

    /// Connects for reading only, with a client of the store's own, and ensures nothing: neither an index nor the collection is made.
    ///
    /// # Errors
    ///
    /// Those of [`connect`](Self::connect).
    pub async fn connect_read_only(uri: &str, options: StoreOptions) -> Result<ReadOnly<Self>> {
        Ok(ReadOnly::new(Self::connect_only(uri, options).await?))
    }

    /// Connects and ensures nothing.
    pub(super) async fn connect_only(uri: &str, options: StoreOptions) -> Result<Self> {
        options.check()?;
        let mut client_options = ClientOptions::parse(uri).await.map_err(|error| unusable(uri, &error))?;
        check_acknowledged(client_options.write_concern.as_ref())?;
        client_options.app_name.get_or_insert_with(|| String::from("session-repository"));
        let hosts: Vec<String> = client_options.hosts.iter().map(ToString::to_string).collect();
        let patience = client_options.server_selection_timeout.unwrap_or(Duration::from_secs(30));
        let client = Client::with_options(client_options).map_err(|error| unusable(uri, &error))?;
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
            client.shutdown().immediate(true).await;
            return Err(error);
        }
        let collection = collection(&client, &options)?;
        Ok(Self::new(&client.database(&options.database), collection, &options, Some(client)))
    }

    /// Works with a client of the caller's, which [`close`](crate::Store::close) leaves alone, and ensures the indexes.
    ///
    /// # Errors
    ///
    /// `invalid-argument` for bad options, and for a client that does not want its writes acknowledged. A server that cannot be reached
    /// shows with the first call.
    pub async fn with_client(client: &Client, options: StoreOptions) -> Result<Self> {
        options.check()?;
        let collection = collection(client, &options)?;
        let store = Self::new(&client.database(&options.database), collection, &options, None);
        index::ensure(&store.collection, options.metadata_fields).await;
        Ok(store)
    }
}

/// The collection, whose writes a majority acknowledges unless the client wants it otherwise.
fn collection(client: &Client, options: &StoreOptions) -> Result<Collection<RawDocumentBuf>> {
    let database = client.database(&options.database);
    let collection = database.collection(&options.collection);
    // What else the connection string says of writes (a journal, a time limit) stays.
    let mut concern = collection.write_concern().cloned().unwrap_or_default();
    check_acknowledged(Some(&concern))?;
    if concern.w.is_some() {
        return Ok(collection);
    }
    concern.w = Some(Acknowledgment::Majority);
    let options = CollectionOptions::builder().write_concern(concern).build();
    Ok(database.collection_with_options(collection.name(), options))
}

fn check_acknowledged(concern: Option<&WriteConcern>) -> Result<()> {
    match concern.and_then(|concern| concern.w.as_ref()) {
        Some(Acknowledgment::Nodes(0)) => {
            Err(Error::InvalidArgument(String::from("the option `w` is 0, but here every write is acknowledged")))
        }
        _ => Ok(()),
    }
}

/// Why a connection string cannot be used. The driver's own text can repeat any part of it, credentials included, so it only helps to
/// find the phrase.
fn unusable(uri: &str, error: &mongodb::error::Error) -> Error {
    if let ErrorKind::DnsResolve { .. } = error.kind.as_ref() {
        return Error::Unavailable(String::from("the DNS records of the connection string's host cannot be read"));
    }
    let text = error.to_string().to_lowercase();
    let words: Vec<_> = text.split(|c: char| !c.is_ascii_alphanumeric()).collect();
    let options = uri.split_once('?').map_or("", |(_, options)| options).split('&').filter_map(|option| option.split('=').next());
    let named: Vec<_> = options.filter(|name| KNOWN_OPTIONS.contains(&name.to_lowercase().as_str())).collect();
    let option = named.into_iter().find(|name| words.contains(&name.to_lowercase().as_str()));
    let why = match option {
        Some(option) => format!("its option `{option}` has a value that does not fit"),
        None if text.contains("option") => String::from("it names an option that does not exist, or options that exclude each other"),
        None if text.contains("port") || text.contains("address") || text.contains("host") => {
            String::from("it names no valid HOST or HOST:PORT; special characters of user and password must be percent-encoded")
        }
        None => String::from("it must be mongodb://[USER:PASSWORD@]HOST[:PORT][/DATABASE][?OPTIONS], special characters percent-encoded"),
    };
    Error::InvalidArgument(format!("the connection string cannot be used: {why}"))
}

/// The options that an error may name. Nothing else of a connection string is repeated.
const KNOWN_OPTIONS: [&str; 34] = [
    "appname",
    "authmechanism",
    "authmechanismproperties",
    "authsource",
    "compressors",
    "connecttimeoutms",
    "directconnection",
    "heartbeatfrequencyms",
    "journal",
    "loadbalanced",
    "localthresholdms",
    "maxconnecting",
    "maxidletimems",
    "maxpoolsize",
    "maxstalenessseconds",
    "minpoolsize",
    "readconcernlevel",
    "readpreference",
    "readpreferencetags",
    "replicaset",
    "retryreads",
    "retrywrites",
    "serverselectiontimeoutms",
    "sockettimeoutms",
    "srvmaxhosts",
    "srvservicename",
    "ssl",
    "tls",
    "tlscafile",
    "tlscertificatekeyfile",
    "tlsinsecure",
    "w",
    "wtimeoutms",
    "zlibcompressionlevel",
];
