//! Configuration has the effect that it names, or is an error, or is named in one warning.

use crate::logged::Logged;
use crate::run::{Desk, Ran, Site, finish};
use anyhow::Context;
use mongodb::bson::{Document, doc};
use mongodb::options::ClientOptions;
use mongodb::{Client, Namespace};
use session_repository::{AnyStore, Error, MongoStore, Store, StoreOptions, StoreUrl};
use session_repository_tests::{Database, Mongod, mongodb_uri};
use std::net::TcpListener;
use tokio::io::{AsyncBufReadExt, BufReader};
use tracing::Level;

/// Runs a command on a connection string, without options of its own.
async fn on(desk: &Desk, uri: &str, arguments: &[&str]) -> anyhow::Result<Ran> {
    finish(desk.bare(arguments).await?.env("SESSION_REPO_STORE", uri), None).await
}

/// Where a server has sessions: the collections with a document of an id, by their names.
async fn places(client: &Client, id: &str) -> anyhow::Result<Vec<String>> {
    let mut places = Vec::new();
    for database in client.list_database_names().await? {
        for collection in client.database(&database).list_collection_names().await? {
            let namespace = Namespace { db: database.clone(), coll: collection };
            let documents = client.database(&namespace.db).collection::<Document>(&namespace.coll);
            if documents.find_one(doc! { "_id": id }).await?.is_some() {
                places.push(namespace.to_string());
            }
        }
    }
    Ok(places)
}

#[tokio::test]
async fn sessions_are_in_the_database_that_an_option_names_or_else_the_connection_string() -> anyhow::Result<()> {
    let (desk, server) = (Desk::new()?, Mongod::start()?);
    let client = Client::with_uri_str(server.uri()).await?;
    let idle = |what: &str| format!("session-repo: warning: what has no effect in the connection string: {what}\n");
    let of_server = |name: &str| idle(&format!("the database `{name}` (it is the server's own)"));
    for (index, (string, options, expected, warning)) in [
        ("", &[][..], "database_name.collection_name", String::new()),
        ("mydb", &[], "mydb.collection_name", String::new()),
        ("mydb?w=1", &["--collection", "c"], "mydb.c", String::new()),
        ("my%2Ddb", &[], "my-db.collection_name", String::new()),
        ("mydb", &["--database", "other"], "other.collection_name", String::new()),
        ("", &["--database", "other"], "other.collection_name", String::new()),
        ("admin", &[], "database_name.collection_name", of_server("admin")),
        ("config", &[], "database_name.collection_name", of_server("config")),
        ("local", &[], "database_name.collection_name", of_server("local")),
        ("mydb.sessions", &[], "mydb.collection_name", idle("the collection (it is an option of the store)")),
    ]
    .into_iter()
    .enumerate()
    {
        let uri = format!("{}{string}", server.uri());
        let id = format!("s-{index}");
        let ran = on(&desk, &uri, &[&["session", "create", id.as_str()], options].concat()).await?;
        assert_eq!((ran.status, ran.stderr.as_str()), (Some(0), warning.as_str()), "{string}");
        assert_eq!(places(&client, &id).await?, [expected], "{string} {options:?}");
        let dump = on(&desk, &uri, &[&["export"], options].concat()).await?;
        assert!(dump.ok()?.contains(&format!("\"_id\":\"{id}\"")), "{string} {options:?}");
        let report = on(&desk, &uri, &[&["check"], options].concat()).await?;
        assert!(report.text()?.contains(&format!("MongoDB, collection {expected}\n")), "{string}: {}", report.text()?);
    }
    Ok(())
}

#[tokio::test]
async fn the_library_takes_the_database_of_the_connection_string_as_well() -> anyhow::Result<()> {
    let server = Mongod::start()?;
    let uri = format!("{}mydb", server.uri());
    let client = Client::with_uri_str(&uri).await?;
    client.database("mydb").collection::<Document>("collection_name").insert_one(doc! { "_id": "s" }).await?;
    let url: StoreUrl = uri.parse()?;
    let other = StoreOptions::default().database("other");
    for (options, count) in [(StoreOptions::default(), 1), (other, 0)] {
        let stores = [
            AnyStore::open(&url, options.clone()).await?,
            AnyStore::open_read_only(&url, options.clone()).await?,
            AnyStore::Mongo(MongoStore::connect(&uri, options.clone()).await?),
            AnyStore::ReadOnlyMongo(MongoStore::connect_read_only(&uri, options.clone()).await?),
            AnyStore::Mongo(MongoStore::with_client(&client, options.clone()).await?),
        ];
        for store in stores {
            assert_eq!(store.count_sessions().await?, count, "{store:?} {options:?}");
            store.into_store().close().await;
        }
        assert_eq!(url.database(&options), if count == 1 { "mydb" } else { "other" });
    }
    let url = |url: &str| -> anyhow::Result<_> { Ok(url.parse::<StoreUrl>()?.database(&StoreOptions::default())) };
    assert_eq!(
        (url("mongodb://h")?, url("mongodb://a:b@h/admin")?, url("file:x")?),
        ("database_name".into(), "database_name".into(), "database_name".into())
    );
    Ok(())
}

/// Options that other programs may have in their connection strings, in spellings that other drivers take.
const TAKEN: [&str; 20] = [
    "?",
    "?&&w=1&",
    "?W=majority&JOURNAL=true&wTimeoutms=1000",
    "?w=1;journal=true",
    "?j=1&wtimeout=1000",
    "?ssl=false&TLS=False",
    "?w=1&w=1",
    "?maxPoolSize=0&minPoolSize=1&maxConnecting=2",
    "?retryWrites=no&retryReads=1",
    "?appName=a%26b%3D%F0%9F%98%80",
    "?readPreference=PRIMARYPREFERRED&readPreferenceTags=dc:ny,rack:1&readPreferenceTags=&maxStalenessSeconds=-1",
    "?readPreference=primary&readPreferenceTags=&maxStalenessSeconds=-1",
    "?readConcernLevel=Majority",
    "?compressors=zlib,Snappy&zlibCompressionLevel=3",
    "?socketTimeoutMS=60000",
    "?timeoutMS=60000&socketTimeoutMS=0",
    "?connectTimeoutMS=0&maxIdleTimeMS=0&localThresholdMS=0",
    "?directConnection=true",
    "?serverMonitoringMode=POLL&heartbeatFrequencyMS=500",
    "?loadBalanced=false&directConnection=FALSE",
];

/// Options that have no effect here, and how the warning names them.
const IDLE: [(&str, &str); 11] = [
    ("?tz_aware=true", "`tz_aware`"),
    (
        "?uuidRepresentation=standard&waitQueueTimeoutMS=10&waitQueueMultiple=5&gssapiServiceName=m&unicode_decode_error_handler=strict",
        "`uuidRepresentation`, `waitQueueTimeoutMS`, `waitQueueMultiple`, `gssapiServiceName`, `unicode_decode_error_handler`",
    ),
    ("?useNewUrlParser=true&w=1&serverSelectionTimeout=5", "`useNewUrlParser`, `serverSelectionTimeout`"),
    ("?tlsAllowInvalidHostnames=true", "`tlsAllowInvalidHostnames`"),
    ("?retryWrites=&maxPoolSize", "`retryWrites` (it is empty), `maxPoolSize` (it is empty)"),
    ("?authSource=admin", "`authSource` (there is no user)"),
    ("?authMechanismProperties=A:b", "`authMechanismProperties` (there is no `authMechanism`)"),
    ("?zlibCompressionLevel=3", "`zlibCompressionLevel` (zlib is none of the compressors)"),
    ("?compressors=lz4,zlib", "compressor `lz4`"),
    ("?s3cret%1b=1", "one whose name is not shown"),
    ("?s3cret=1&appName=@account@", "one whose name is not shown"),
];

#[tokio::test]
async fn what_other_drivers_take_opens_and_what_has_no_effect_is_named_once() -> anyhow::Result<()> {
    let (desk, server) = (Desk::new()?, Mongod::start()?);
    let exported = "exported 0 sessions to stdout: complete\n";
    for options in TAKEN {
        MongoStore::connect(&format!("{}{options}", server.uri()), StoreOptions::default()).await?.close().await;
        // Between the host and its options there need not be a slash.
        let uri = format!("{}{options}", server.uri().trim_end_matches('/'));
        let ran = on(&desk, &uri, &["export"]).await?;
        assert_eq!((ran.status, ran.stderr.as_str()), (Some(0), exported), "{uri}");
    }
    for (options, named) in IDLE {
        let ran = on(&desk, &format!("{}{options}", server.uri()), &["export"]).await?;
        let warning = format!("session-repo: warning: what has no effect in the connection string: {named}\n");
        assert_eq!((ran.status, ran.stderr), (Some(0), warning + exported), "{options}");
    }
    Ok(())
}

/// Options with values that do not fit, and what the error says of them.
const REFUSED: [(&str, &str); 44] = [
    (
        "ServerSelectionTimeoutMS=100&serverSelectionTimeoutMS=0",
        "`serverSelectionTimeoutMS` takes a number of milliseconds from 1 to 2147483647",
    ),
    ("localThresholdMS=-5", "`localThresholdMS` takes a number of milliseconds from 0"),
    ("socketTimeoutMS=-1", "`socketTimeoutMS` takes a number of milliseconds from 0"),
    ("timeoutMS=s3cret", "`timeoutMS` takes a number of milliseconds from 0"),
    ("connectTimeoutMS=1.5", "`connectTimeoutMS` takes a number"),
    ("heartbeatFrequencyMS=499", "`heartbeatFrequencyMS` takes a number of milliseconds from 500"),
    ("maxPoolSize=-1", "`maxPoolSize` takes a number from 0"),
    ("maxConnecting=0", "`maxConnecting` takes a number from 1"),
    ("journal=s3cret", "`journal` takes true or false"),
    ("tls=maybe", "`tls` takes true or false"),
    ("readConcernLevel=s3cret", "`readConcernLevel` takes local, available, majority, linearizable or snapshot"),
    ("readConcernLevel=", "`readConcernLevel` takes local"),
    ("readPreference=s3cret", "`readPreference` takes primary, primaryPreferred, secondary, secondaryPreferred or nearest"),
    (
        "readPreference=secondary&readConcernLevel=linearizable",
        "`readConcernLevel` can be linearizable only with the `readPreference` primary",
    ),
    ("readPreferenceTags=dc:ny", "`readPreferenceTags` needs a `readPreference` other than primary"),
    ("readPreference=nearest&readPreferenceTags=s3cret", "`readPreferenceTags` takes KEY:VALUE"),
    ("maxStalenessSeconds=100", "`maxStalenessSeconds` needs a `readPreference` other than primary"),
    ("readPreference=nearest&maxStalenessSeconds=1", "`maxStalenessSeconds` takes a number of seconds from 90, or -1"),
    (
        "readPreference=nearest&maxStalenessSeconds=90&heartbeatFrequencyMS=100000",
        "`maxStalenessSeconds` must be 10 seconds more than `heartbeatFrequencyMS`",
    ),
    ("w=-1", "`w` takes majority, a number of servers up to 50, or the name of a write concern"),
    ("w=", "`w` takes majority"),
    ("w=0", "`w` is 0"),
    ("w=1&W=majority", "`w` stands there twice, with different values"),
    ("wTimeoutMS=s3cret", "`wTimeoutMS` takes a number of milliseconds"),
    ("wtimeout=1&wtimeoutms=2", "`wTimeoutMS` stands there twice"),
    ("ssl=true&tls=false", "`tls` does not go together with the rest of it"),
    ("authMechanism=s3cret", "`authMechanism` takes SCRAM-SHA-1, SCRAM-SHA-256, MONGODB-X509, MONGODB-OIDC or PLAIN"),
    ("authMechanism=SCRAM-SHA-1", "user, password and `authMechanism` do not go together"),
    ("authMechanismProperties=s3cret", "`authMechanismProperties` takes KEY:VALUE"),
    ("authSource=", "`authSource` must not be empty"),
    ("replicaSet=", "`replicaSet` must not be empty"),
    ("appName=", "`appName` takes text of 1 to 128 bytes"),
    ("zlibCompressionLevel=10", "`zlibCompressionLevel` takes a number from -1 to 9"),
    ("tlsCAFile=/no/s3cret", "`tlsCAFile` names a file that cannot be read"),
    ("tlsCertificateKeyFile=/no/s3cret", "`tlsCertificateKeyFile` names a file that cannot be read"),
    ("tlsCAFile=/dev/null&tls=false", "`tls` does not go together"),
    ("tlsCertificateKeyFilePassword=s3cret", "`tlsCertificateKeyFilePassword` is not supported"),
    ("tlsCRLFile=s3cret", "`tlsCRLFile` is not supported"),
    ("proxyHost=s3cret", "`proxyHost` is not supported"),
    ("directConnection=true&loadBalanced=true", "does not go together"),
    ("srvServiceName=s3cret", "`srvServiceName` does not go together"),
    ("srvMaxHosts=1", "`srvMaxHosts` does not go together"),
    ("appName=%ff", "`appName` must be percent-encoded UTF-8"),
    ("tlsCertificateKeyFile=/dev/null", "its TLS options"),
];

#[tokio::test]
async fn a_value_that_does_not_fit_is_refused_with_the_option_and_what_it_takes_and_nothing_else() -> anyhow::Result<()> {
    let desk = Desk::new()?;
    // Nobody listens there: what is refused is refused before anybody is asked.
    let closed = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let mut others = Vec::new();
    for (options, expected) in REFUSED {
        for user in ["", "s3cret:s3cret@"] {
            // A user takes part in what goes together.
            if options.starts_with("authMechanism=SCRAM") && !user.is_empty() {
                continue;
            }
            let uri = format!("mongodb://{user}{closed}/?serverSelectionTimeoutMS=100&{options}");
            match MongoStore::connect(&uri, StoreOptions::default()).await {
                Err(Error::InvalidArgument(message)) if message.contains(expected) && !message.contains("s3cret") => {}
                other => others.push((options, other.err())),
            }
        }
    }
    assert!(others.is_empty(), "{others:#?}");
    let two = format!("mongodb://{closed},{closed}/?directConnection=true");
    let refused = on(&desk, &two, &["session", "create", "s"]).await?;
    let said = "session-repo: cannot open the store: invalid-argument: the connection string cannot be used: its option `directConnection` \
                does not go together with the rest of it\n";
    assert_eq!((refused.status, refused.stderr.as_str()), (Some(1), said));
    Ok(())
}

#[tokio::test]
async fn a_read_concern_that_the_server_does_not_have_is_refused_at_once() -> anyhow::Result<()> {
    let server = Mongod::start()?;
    for level in ["local", "available", "majority", "snapshot"] {
        let uri = format!("{}?readConcernLevel={level}", server.uri());
        let opened = MongoStore::connect(&uri, StoreOptions::default()).await;
        let read_only = MongoStore::connect_read_only(&uri, StoreOptions::default()).await;
        // A standalone server keeps no snapshots.
        if level == "snapshot" {
            let refused = |error: Option<Error>| matches!(error, Some(Error::InvalidArgument(why)) if why.contains("`readConcernLevel`"));
            assert!(refused(opened.err()) && refused(read_only.err()));
        } else {
            let opened = opened?;
            assert_eq!((opened.find_session("s").await?, read_only?.find_session("s").await?), (None, None), "{level}");
            opened.close().await;
        }
    }
    Ok(())
}

#[cfg(unix)]
#[tokio::test]
async fn a_unix_socket_is_a_host() -> anyhow::Result<()> {
    let desk = Desk::new()?;
    let socket = desk.argument("mongodb-27017.sock");
    let uri = format!("mongodb://{}/?serverSelectionTimeoutMS=200", socket.replace('/', "%2F"));
    let ran = on(&desk, &uri, &["session", "read", "s"]).await?;
    assert!(ran.status == Some(1) && ran.stderr.contains(&format!("no MongoDB server answered at {socket} within")), "{}", ran.stderr);
    Ok(())
}

/// Has the next commands of a name wait before they are carried out.
async fn block(client: &Client, command: &str, millis: i32) -> anyhow::Result<()> {
    let data =
        doc! { "failCommands": [command], "namespace": "database_name.collection_name", "blockConnection": true, "blockTimeMS": millis };
    client.database("admin").run_command(doc! { "configureFailPoint": "failCommand", "mode": { "times": 1 }, "data": data }).await?;
    Ok(())
}

#[tokio::test]
async fn the_timeouts_of_a_connection_string_bound_how_long_a_caller_waits() -> anyhow::Result<()> {
    let (desk, server) = (Desk::new()?, Mongod::start_with(&["--setParameter", "enableTestCommands=1"])?);
    let client = Client::with_uri_str(server.uri()).await?;
    on(&desk, &server.uri(), &["session", "create", "s"]).await?.ok()?;
    for (options, is_bound) in [
        ("", false),
        ("?socketTimeoutMS=0", false),
        ("?socketTimeoutMS=100", true),
        ("?timeoutMS=100", true),
        ("?timeoutMS=60000&socketTimeoutMS=100", true),
        ("?sockettimeoutms=60000&TIMEOUTMS=100", true),
    ] {
        block(&client, "find", 1500).await?;
        let ran = on(&desk, &format!("{}{options}", server.uri()), &["session", "read", "s"]).await?;
        let expected = if is_bound { (Some(1), "session-repo: timeout: no answer came in time\n") } else { (Some(0), "") };
        assert_eq!((ran.status, ran.stderr.as_str()), expected, "{options}");
    }
    // A write that goes on after its caller was told is carried out, also if the program ends.
    block(&client, "insert", 1500).await?;
    let ran = on(&desk, &format!("{}?socketTimeoutMS=100", server.uri()), &["session", "create", "late"]).await?;
    assert_eq!((ran.status, ran.stderr.as_str()), (Some(1), "session-repo: timeout: no answer came in time\n"));
    assert_eq!(places(&client, "late").await?, ["database_name.collection_name"]);
    Ok(())
}

#[tokio::test]
async fn a_command_says_that_it_waited_too_long_at_once_and_ends_though_the_server_is_silent() -> anyhow::Result<()> {
    let (desk, server) = (Desk::new()?, Mongod::start_with(&["--setParameter", "enableTestCommands=1"])?);
    let client = Client::with_uri_str(server.uri()).await?;
    block(&client, "find", 600_000).await?;
    let mut command = desk.bare(&["session", "read", "s"]).await?;
    let mut running = command.env("SESSION_REPO_STORE", format!("{}?socketTimeoutMS=100", server.uri())).spawn()?;
    let mut said = String::new();
    BufReader::new(running.stderr.take().context("no stderr")?).read_line(&mut said).await?;
    assert_eq!((said.as_str(), running.try_wait()?), ("session-repo: timeout: no answer came in time\n", None));
    assert_eq!(running.wait().await?.code(), Some(1));
    Ok(())
}

#[tokio::test]
async fn a_store_that_does_not_keep_to_timeouts_warns_of_that() -> anyhow::Result<()> {
    let server = Mongod::start()?;
    let logged = Logged::count(Level::WARN, "`socketTimeoutMS` and `timeoutMS`");
    for (options, warnings) in [("", 0), ("?socketTimeoutMS=0", 0), ("?socketTimeoutMS=5000", 1), ("?timeoutMS=5000", 1)] {
        let uri = format!("{}{options}", server.uri());
        MongoStore::connect(&uri, StoreOptions::default()).await?.close().await;
        assert_eq!(logged.take(), warnings, "{options}");
        MongoStore::connect_read_only(&uri, StoreOptions::default()).await?.close().await;
        assert_eq!(logged.take(), warnings, "{options}");
        AnyStore::open(&uri.parse()?, StoreOptions::default()).await?.into_store().close().await;
        assert_eq!(logged.take(), 0, "{options}: its URL has limits");
    }
    Ok(())
}

#[tokio::test]
async fn connecting_takes_no_longer_than_the_shorter_of_its_timeouts() -> anyhow::Result<()> {
    let closed = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    for (options, waited) in [
        ("timeoutMS=150", "150ms"),
        ("timeoutMS=150&serverSelectionTimeoutMS=60000", "150ms"),
        ("timeoutMS=60000&serverSelectionTimeoutMS=150", "150ms"),
        ("timeoutMS=0&serverSelectionTimeoutMS=150", "150ms"),
    ] {
        let refused = MongoStore::connect(&format!("mongodb://{closed}/?{options}"), StoreOptions::default()).await;
        assert_eq!(refused.err(), Some(Error::Unavailable(format!("no MongoDB server answered at {closed} within {waited}"))), "{options}");
    }
    Ok(())
}

#[tokio::test]
async fn a_flag_without_effect_on_a_store_is_named_and_a_variable_is_not() -> anyhow::Result<()> {
    let (desk, database) = (Desk::new()?, Database::fresh().await?);
    let file = desk.file_site("sessions.store");
    desk.run(&file, &["session", "create", "s"]).await?.ok()?;
    let warning =
        |flag: &str, at: &str| format!("session-repo: warning: {flag} has no effect: it is for MongoDB, and the sessions are in {at}\n");
    for (site, medium) in [(&file, file.url.as_str()), (&Site::memory(), "memory:")] {
        for (options, expected) in [
            (&["--archive-after", "1KiB"][..], warning("--archive-after", medium)),
            (&["--archive-after", "1MiB"], warning("--archive-after", medium)),
            (&["--metadata-field", "a", "--metadata-field", "b"], warning("--metadata-field", medium)),
            (
                &["--archive-after", "never", "--metadata-field", "a"],
                warning("--metadata-field", medium) + &warning("--archive-after", medium),
            ),
        ] {
            for command in [[options, &["check"]].concat(), [&["check"], options].concat()] {
                let ran = desk.run(site, &command).await?;
                assert_eq!((ran.status, ran.stderr), (Some(0), expected.clone()), "{command:?} on {medium}");
            }
        }
        let mut with_variable = desk.command(site, &["check"]).await?;
        let ran = finish(with_variable.env("SESSION_REPO_ARCHIVE_AFTER", "1KiB"), None).await?;
        assert_eq!((ran.status, ran.stderr.as_str()), (Some(0), ""));
    }
    let mongo = Site::mongo(&database)?;
    let options = ["--archive-after", "1KiB", "--metadata-field", "a"];
    let ran = desk.run(&mongo, &[&["session", "create", "s"], &options[..]].concat()).await?;
    assert_eq!((ran.status, ran.stderr.as_str()), (Some(0), ""));
    // Nor with a command.
    let idle = |flag: &str, why: &str| format!("session-repo: warning: {flag} has no effect: {why}\n");
    let reading = "it is for commands that write";
    for command in [&["session", "read", "s"][..], &["show", "s"], &["export"]] {
        let ran = desk.run(&mongo, &[command, &options].concat()).await?;
        assert_eq!(
            ran.stderr.trim_end_matches("exported 1 session to stdout: complete\n"),
            idle("--metadata-field", reading) + &idle("--archive-after", reading)
        );
    }
    database.drop().await
}

#[tokio::test]
async fn a_database_that_cannot_be_is_refused_with_a_borrowed_client_too() -> anyhow::Result<()> {
    let options = ClientOptions::parse(mongodb_uri()?).await?;
    let client = Client::with_options(options)?;
    let store = MongoStore::with_client(&client, StoreOptions::default().database("a.b")).await;
    assert!(matches!(store, Err(Error::InvalidArgument(_))));
    Ok(())
}
