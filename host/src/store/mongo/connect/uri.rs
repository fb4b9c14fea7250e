//! Connection strings: from what any driver takes to what this one takes.
//!
//! Options are read as the connection string and URI options specifications of the MongoDB drivers say. An option that has no effect here
//! is left out and named in a warning. A value that does not fit is refused, where the specifications would ignore it: a store with weaker
//! guarantees than it was asked for is worse than none.

use super::option::{self, Takes};
use crate::error::{Error, Result};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use std::time::Duration;

/// What is escaped in the value of an option. The rest keeps it readable for the tests of it.
const ESCAPED: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b',').remove(b':').remove(b'/');

/// Databases of the server's own. Credentials may be in them; sessions are not.
const OF_THE_SERVER: [&str; 3] = ["admin", "config", "local"];

/// A connection string, read. It may hold a password, so there is no debug form of it.
#[derive(Default)]
pub(super) struct ConnectionString {
    /// What the driver is given.
    pub(super) driver: String,
    /// The database that it names.
    pub(super) database: Option<String>,
    /// `socketTimeoutMS`.
    pub(super) socket_timeout: Option<Duration>,
    /// `timeoutMS`.
    pub(super) timeout: Option<Duration>,
    /// What of it has no effect, for a warning.
    pub(super) idle: Vec<String>,
}

/// The options in the order in which they stand, by their documented names, with values as the driver takes them.
type Options = Vec<(&'static str, String)>;

impl ConnectionString {
    /// # Errors
    ///
    /// `invalid-argument` that names the option and the values that it takes, and repeats nothing else. What is not about one option is
    /// left to the driver.
    pub(super) fn read(uri: &str) -> Result<Self> {
        let (place, query) = uri.split_once('?').unwrap_or((uri, ""));
        let Some((scheme, place)) = place.split_once("://") else { return Ok(Self { driver: uri.to_owned(), ..Self::default() }) };
        let (user, hosts) = place.rsplit_once('@').map_or((None, place), |(user, hosts)| (Some(user), hosts));
        let (hosts, namespace) = hosts.split_once('/').unwrap_or((hosts, ""));
        let mut read = Self::default();
        let options = read.options(query)?;
        // Some drivers take DATABASE.COLLECTION.
        let (database, collection) = namespace.split_once('.').map_or((namespace, None), |(database, rest)| (database, Some(rest)));
        if collection.is_some() {
            read.idle.push(String::from("the collection (it is an option of the store)"));
        }
        read.database = Some(percent_decode_str(database).decode_utf8_lossy().into_owned()).filter(|database| !database.is_empty());
        read.look_for_idle(&options, user.is_some());
        let user = user.map(|user| format!("{user}@")).unwrap_or_default();
        let query: Vec<_> = options.iter().map(|(name, value)| format!("{name}={}", utf8_percent_encode(value, &ESCAPED))).collect();
        read.driver = format!("{scheme}://{user}{hosts}/{database}?{}", query.join("&"));
        if query.is_empty() {
            read.driver.pop();
        }
        Ok(read)
    }

    /// The shorter of the two timeouts.
    pub(super) fn call_deadline(&self) -> Option<Duration> {
        self.socket_timeout.into_iter().chain(self.timeout).min()
    }

    /// The database that sessions are in, if it names one for them.
    pub(super) fn sessions_database(&self) -> Option<&str> {
        self.database.as_deref().filter(|database| is_for_sessions(database))
    }

    fn options(&mut self, query: &str) -> Result<Options> {
        let separator = if query.contains('&') { '&' } else { ';' };
        let mut options = Options::new();
        for pair in query.split(separator).filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let Some(known) = option::find(name) else {
                // With an @ in it, this may be a password that was not percent-encoded.
                let is_plain = !query.contains('@');
                self.idle.push(if is_plain { shown(name) } else { shown("") });
                continue;
            };
            let Ok(value) = percent_decode_str(value).decode_utf8() else { return Err(unfit(known.name, "must be percent-encoded UTF-8")) };
            if value.is_empty() && known.takes.may_be_blank() {
                self.idle.push(format!("`{}` (it is empty)", known.name));
                continue;
            }
            let value = known.takes.read(&value).map_err(|why| unfit(known.name, &why)).inspect(|_| {
                if known.takes == Takes::Compressors {
                    self.idle.extend(
                        value
                            .split(',')
                            .filter(|name| option::compressor(name).is_none())
                            .map(|name| format!("compressor {}", shown(name))),
                    );
                }
            })?;
            match options.iter().find(|(name, _)| *name == known.name && known.takes != Takes::Tags) {
                Some((_, same)) if *same == value => {}
                Some(_) => return Err(unfit(known.name, "stands there twice, with different values")),
                None => options.push((known.name, value)),
            }
        }
        self.take_over(&mut options);
        fit_together(&options)?;
        Ok(options)
    }

    /// Takes out what is not for the driver.
    fn take_over(&mut self, options: &mut Options) {
        let mut timeout = |wanted| {
            let at = options.iter().position(|(name, _)| *name == wanted)?;
            let (_, value) = options.remove(at);
            value.parse().ok().filter(|millis| *millis > 0).map(Duration::from_millis)
        };
        (self.socket_timeout, self.timeout) = (timeout(option::SOCKET_TIMEOUT), timeout(option::TIMEOUT));
        for (_, value) in options.iter_mut().filter(|(name, value)| *name == "maxPoolSize" && value == "0") {
            *value = u32::MAX.to_string();
        }
        // What says that there is no such thing, for which the driver has no word.
        let is_primary = !options.iter().any(|(name, value)| *name == "readPreference" && value != "primary");
        options.retain(|(name, value)| match *name {
            "compressors" => !value.is_empty(),
            "readPreferenceTags" => !(is_primary && value.is_empty()),
            _ => true,
        });
    }

    /// Finds options that say something about what is not there.
    fn look_for_idle(&mut self, options: &Options, has_user: bool) {
        let value = |wanted| options.iter().find(|(name, _)| *name == wanted).map(|(_, value)| value.as_str());
        let has_mechanism = value("authMechanism").is_some();
        if value("authSource").is_some() && !has_user && !has_mechanism {
            self.idle.push(String::from("`authSource` (there is no user)"));
        }
        if value("authMechanismProperties").is_some() && !has_mechanism {
            self.idle.push(String::from("`authMechanismProperties` (there is no `authMechanism`)"));
        }
        if value("zlibCompressionLevel").is_some() && !value("compressors").is_some_and(|names| names.contains("zlib")) {
            self.idle.push(String::from("`zlibCompressionLevel` (zlib is none of the compressors)"));
        }
        let names_auth_database = has_user && value("authSource").is_none();
        if let Some(database) = self.database.as_deref().filter(|database| !is_for_sessions(database) && !names_auth_database) {
            self.idle.push(format!("the database `{database}` (it is the server's own)"));
        }
    }
}

/// Whether sessions may be in a database.
pub(super) fn is_for_sessions(database: &str) -> bool {
    !OF_THE_SERVER.contains(&database)
}

/// Refuses options that contradict each other where the driver would not say which.
fn fit_together(options: &Options) -> Result<()> {
    let value = |wanted| options.iter().find(|(name, _)| *name == wanted).map(|(_, value)| value.as_str());
    let preference = value("readPreference").unwrap_or("primary");
    for name in ["maxStalenessSeconds", "readPreferenceTags"] {
        if preference == "primary" && value(name).is_some_and(|value| value != "-1" && !value.is_empty()) {
            return Err(unfit(name, "needs a `readPreference` other than primary"));
        }
    }
    let number = |name| value(name).and_then(|value| value.parse::<i64>().ok());
    let heartbeat = number("heartbeatFrequencyMS").unwrap_or(10_000);
    if number("maxStalenessSeconds").is_some_and(|seconds| seconds >= 0 && seconds * 1000 < heartbeat + 10_000) {
        return Err(unfit("maxStalenessSeconds", "must be 10 seconds more than `heartbeatFrequencyMS`"));
    }
    if value("readConcernLevel") == Some("linearizable") && preference != "primary" {
        return Err(unfit("readConcernLevel", "can be linearizable only with the `readPreference` primary"));
    }
    Ok(())
}

/// The name of an option that is not known. What does not look like one is not repeated: it may be a part of something else.
fn shown(name: &str) -> String {
    let is_name = (1..=40).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if is_name { format!("`{name}`") } else { String::from("one whose name is not shown") }
}

/// An option whose value does not fit.
fn unfit(name: &str, why: &str) -> Error {
    Error::InvalidArgument(format!("the connection string cannot be used: its option `{name}` {why}"))
}
