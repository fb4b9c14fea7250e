//! The options of a connection string that have an effect here, and the values that they take.

use std::fs::File;

/// What values an option takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Takes {
    /// `true` or `false`.
    Flag,
    /// A whole number in a range, of what the text says.
    Number(i64, i64, &'static str),
    /// A whole number of seconds, or -1 for no limit.
    Staleness,
    /// One of these words, in any case.
    Word(&'static [&'static str]),
    /// `majority`, a number of servers, or the name of a write concern.
    Acknowledgment,
    /// `KEY:VALUE`, several separated by commas. May be empty, and may be repeated.
    Tags,
    /// `KEY:VALUE`, several separated by commas.
    Properties,
    /// Names, separated by commas. Those that are not known have no effect.
    Compressors,
    /// The path of a file that can be read.
    Path,
    /// Text of 1 to so many bytes.
    Text(usize),
    /// Anything: the option is refused for this reason, because a connection without it would not be what was asked for.
    Refused(&'static str),
}

pub(super) struct KnownOption {
    pub(super) name: &'static str,
    pub(super) takes: Takes,
}

const fn option(name: &'static str, takes: Takes) -> KnownOption {
    KnownOption { name, takes }
}

const MILLISECONDS: &str = "a number of milliseconds";
const fn milliseconds(least: i64) -> Takes {
    // MongoDB's own bound of time limits.
    Takes::Number(least, i32::MAX as i64, MILLISECONDS)
}

const fn count(least: i64) -> Takes {
    Takes::Number(least, i32::MAX as i64, "a number")
}

const NO_PROXY: Takes = Takes::Refused("is not supported: without the feature `socks5-proxy` servers are connected to directly");

/// A part of what names a proxy, if the driver is built for one.
const fn proxy(takes: Takes) -> Takes {
    if cfg!(feature = "socks5-proxy") { takes } else { NO_PROXY }
}

pub(super) const SOCKET_TIMEOUT: &str = "socketTimeoutMS";
pub(super) const TIMEOUT: &str = "timeoutMS";
pub(super) const COMPRESSORS: [&str; 3] = ["snappy", "zlib", "zstd"];

/// Ways to authenticate, as far as the driver is built for them.
const MECHANISMS: &[&str] = &[
    "SCRAM-SHA-1",
    "SCRAM-SHA-256",
    "MONGODB-X509",
    "MONGODB-OIDC",
    "PLAIN",
    #[cfg(feature = "aws-auth")]
    "MONGODB-AWS",
    #[cfg(feature = "gssapi-auth")]
    "GSSAPI",
];

/// Options of the MongoDB specifications under their documented names, and those that are refused. Every other option has no effect.
#[rustfmt::skip]
const OPTIONS: [KnownOption; 45] = [
    option("appName", Takes::Text(128)),
    option("authMechanism", Takes::Word(MECHANISMS)),
    option("authMechanismProperties", Takes::Properties),
    option("authSource", Takes::Text(usize::MAX)),
    option("compressors", Takes::Compressors),
    option("connectTimeoutMS", milliseconds(0)),
    option("directConnection", Takes::Flag),
    option("enableOverloadRetargeting", Takes::Flag),
    option("heartbeatFrequencyMS", milliseconds(500)),
    option("journal", Takes::Flag),
    option("loadBalanced", Takes::Flag),
    option("localThresholdMS", milliseconds(0)),
    option("maxAdaptiveRetries", count(0)),
    option("maxConnecting", count(1)),
    option("maxIdleTimeMS", milliseconds(0)),
    option("maxPoolSize", count(0)),
    option("maxStalenessSeconds", Takes::Staleness),
    option("minPoolSize", count(0)),
    option("proxyHost", proxy(Takes::Text(255))),
    option("proxyPassword", proxy(Takes::Text(255))),
    option("proxyPort", proxy(Takes::Number(1, 65535, "a port"))),
    option("proxyUsername", proxy(Takes::Text(255))),
    option("readConcernLevel", Takes::Word(&["local", "available", "majority", "linearizable", "snapshot"])),
    option("readPreference", Takes::Word(&["primary", "primaryPreferred", "secondary", "secondaryPreferred", "nearest"])),
    option("readPreferenceTags", Takes::Tags),
    option("replicaSet", Takes::Text(usize::MAX)),
    option("retryReads", Takes::Flag),
    option("retryWrites", Takes::Flag),
    option("serverMonitoringMode", Takes::Word(&["auto", "poll", "stream"])),
    option("serverSelectionTimeoutMS", milliseconds(1)),
    option(SOCKET_TIMEOUT, milliseconds(0)),
    option("srvMaxHosts", count(0)),
    option("srvServiceName", Takes::Text(usize::MAX)),
    option("ssl", Takes::Flag),
    option(TIMEOUT, milliseconds(0)),
    option("tls", Takes::Flag),
    option("tlsAllowInvalidCertificates", Takes::Flag),
    option("tlsCAFile", Takes::Path),
    option("tlsCertificateKeyFile", Takes::Path),
    option("tlsCertificateKeyFilePassword", Takes::Refused("is not supported: the key file must not be encrypted")),
    option("tlsCRLFile", Takes::Refused("is not supported: revoked certificates would be accepted")),
    option("tlsInsecure", Takes::Flag),
    option("w", Takes::Acknowledgment),
    option("wTimeoutMS", milliseconds(0)),
    option("zlibCompressionLevel", Takes::Number(-1, 9, "a number")),
];

/// Former names that drivers still take.
const ALIASES: [(&str, &str); 2] = [("j", "journal"), ("wtimeout", "wTimeoutMS")];

/// The option of a name, in any case.
pub(super) fn find(name: &str) -> Option<&'static KnownOption> {
    let alias = ALIASES.iter().find(|(former, _)| former.eq_ignore_ascii_case(name));
    let name = alias.map_or(name, |(_, name)| name);
    OPTIONS.iter().find(|known| known.name.eq_ignore_ascii_case(name))
}

impl Takes {
    /// The value as the driver takes it, or what the option takes instead.
    pub(super) fn read(self, value: &str) -> Result<String, String> {
        match self {
            Self::Flag => match value.to_ascii_lowercase().as_str() {
                "true" | "1" | "yes" | "y" | "t" => Ok(String::from("true")),
                "false" | "0" | "-1" | "no" | "n" | "f" => Ok(String::from("false")),
                _ => Err(String::from("takes true or false")),
            },
            Self::Number(least, most, what) => match value.parse::<i64>() {
                Ok(number) if (least..=most).contains(&number) => Ok(number.to_string()),
                _ => Err(format!("takes {what} from {least} to {most}")),
            },
            Self::Staleness => match value.parse::<i32>() {
                Ok(-1 | 90..) => Ok(value.to_owned()),
                _ => Err(String::from("takes a number of seconds from 90, or -1")),
            },
            Self::Word(words) => match words.iter().find(|word| word.eq_ignore_ascii_case(value)) {
                Some(word) => Ok((*word).to_owned()),
                None => Err(format!("takes {}", either(words))),
            },
            Self::Acknowledgment => match value.parse::<i64>() {
                Ok(0..=50) => Ok(value.to_owned()),
                Err(_) if !value.is_empty() && !value.contains('\0') => Ok(value.to_owned()),
                _ => Err(String::from("takes majority, a number of servers up to 50, or the name of a write concern")),
            },
            Self::Tags if value.is_empty() || value.split(',').all(is_pair) => Ok(value.to_owned()),
            Self::Properties if value.split(',').all(is_pair) => Ok(value.to_owned()),
            Self::Tags | Self::Properties => Err(String::from("takes KEY:VALUE, several separated by commas")),
            Self::Compressors => Ok(value.split(',').filter_map(|name| compressor(name)).collect::<Vec<_>>().join(",")),
            Self::Path => match File::open(value) {
                Ok(_) => Ok(value.to_owned()),
                Err(_) => Err(String::from("names a file that cannot be read")),
            },
            Self::Text(most) if (1..=most).contains(&value.len()) && !value.contains('\0') => Ok(value.to_owned()),
            Self::Text(usize::MAX) => Err(String::from("must not be empty")),
            Self::Text(most) => Err(format!("takes text of 1 to {most} bytes")),
            Self::Refused(why) => Err(why.to_owned()),
        }
    }

    /// Whether an empty value means that the option is not set.
    pub(super) fn may_be_blank(self) -> bool {
        matches!(self, Self::Flag | Self::Number(..) | Self::Staleness)
    }
}

/// A compressor that the driver has, by its name in any case.
pub(super) fn compressor(name: &str) -> Option<&'static str> {
    COMPRESSORS.into_iter().find(|known| known.eq_ignore_ascii_case(name.trim()))
}

fn is_pair(text: &str) -> bool {
    text.split_once(':').is_some_and(|(key, _)| !key.is_empty())
}

/// `a, b or c`.
fn either(words: &[&str]) -> String {
    match words.split_last() {
        Some((last, [])) => (*last).to_owned(),
        Some((last, others)) => format!("{} or {last}", others.join(", ")),
        None => String::new(),
    }
}
