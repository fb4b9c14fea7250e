//! One of every kind of value, and those at the edges of each kind.

use anyhow::Context;
use mongodb::bson::oid::ObjectId;
use mongodb::bson::raw::CString;
use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{Binary, Bson, DateTime, Decimal128, Document, JavaScriptCodeWithScope, RawDocumentBuf, Regex, Timestamp, doc};

/// Values that have a type of their own.
pub(super) fn values() -> anyhow::Result<Vec<Bson>> {
    let mut values = vec![
        Bson::Null,
        Bson::Undefined,
        Bson::MinKey,
        Bson::MaxKey,
        Bson::Boolean(true),
        Bson::Boolean(false),
        Bson::ObjectId(object_id()),
        db_pointer()?,
        Bson::Symbol(String::from("symbol \" \\ \u{1}")),
        Bson::Symbol(String::new()),
    ];
    let text =
        ["", " ", "a\0b", "\u{feff}\u{2028}\u{7f}\u{1b}[31m", "😀 e\u{301}", "\"\\/\u{8}\u{c}\n\r\t", "$oid", "2024-01-26T10:30:45Z", "5"];
    values.extend(text.map(|text| Bson::String(text.to_owned())));
    values.extend([0, 1, -1, i32::MIN, i32::MAX].map(Bson::Int32));
    let wide = [0, 1, -1, i64::from(i32::MIN), i64::from(i32::MAX), i64::from(i32::MIN) - 1, i64::from(i32::MAX) + 1];
    values.extend(wide.map(Bson::Int64));
    values.extend([9_007_199_254_740_993, i64::MIN, i64::MAX].map(Bson::Int64));
    values.extend([0.0, -0.0, 1.0, -1.0, 0.1, 1e15, 1e16, 1e22, 1e23, 5e-324, f64::MIN_POSITIVE, f64::MAX, f64::MIN].map(Bson::Double));
    values.extend([2_147_483_648.0, 9.223_372_036_854_776e18, 1.8e19, f64::NAN, f64::INFINITY, f64::NEG_INFINITY].map(Bson::Double));
    for number in [
        "0",
        "-0",
        "1.50",
        "0.001",
        "-1E+3",
        "1E-6176",
        "9.999999999999999999999999999999999E+6144",
        "0E+6111",
        "Infinity",
        "-Infinity",
        "NaN",
    ] {
        values.push(Bson::Decimal128(number.parse::<Decimal128>()?));
    }
    // Before 1970, at the ends of the years that text has, beyond them, and the ends of all time.
    let dates = [0, -1, 1, 999, -62_135_596_800_000, -62_167_219_200_000, -62_167_219_200_001, 253_402_300_799_999, 253_402_300_800_000];
    values.extend(dates.map(|date| Bson::DateTime(DateTime::from_millis(date))));
    values.extend([i64::MIN, i64::MAX, 8_640_000_000_000_001, 1_706_265_045_120].map(|date| Bson::DateTime(DateTime::from_millis(date))));
    let subtypes = [
        BinarySubtype::Generic,
        BinarySubtype::Function,
        BinarySubtype::BinaryOld,
        BinarySubtype::UuidOld,
        BinarySubtype::Uuid,
        BinarySubtype::Md5,
        BinarySubtype::Encrypted,
        BinarySubtype::Column,
        BinarySubtype::Sensitive,
        BinarySubtype::Vector,
        BinarySubtype::Reserved(0x0a),
        BinarySubtype::UserDefined(0x80),
        BinarySubtype::UserDefined(0xff),
    ];
    values.extend(subtypes.map(|subtype| Bson::Binary(Binary { subtype, bytes: (0..16).collect() })));
    values.extend([BinarySubtype::Generic, BinarySubtype::BinaryOld].map(|subtype| Bson::Binary(Binary { subtype, bytes: Vec::new() })));
    for (time, increment) in [(0, 1), (1, 0), (u32::MAX, u32::MAX), (1_706_265_045, 7)] {
        values.push(Bson::Timestamp(Timestamp { time, increment }));
    }
    for (pattern, options) in [("", ""), ("^a/\"b\\.c$", "imsx"), ("é", "u"), ("a", "l")] {
        values.push(Bson::RegularExpression(Regex { pattern: CString::try_from(pattern)?, options: CString::try_from(options)? }));
    }
    values.extend(["", "function () { return \"\\n\"; }"].map(|code| Bson::JavaScriptCode(code.to_owned())));
    let scopes = [
        doc! {},
        doc! { "wide": 5_i64, "far": i64::MAX, "whole": 1.0, "date": DateTime::from_millis(-1), "never": DateTime::from_millis(i64::MAX) },
        doc! { "deep": { "list": [5_i64, { "bytes": Binary { subtype: BinarySubtype::Uuid, bytes: vec![7; 16] } }] } },
        doc! { "literal": { "$numberLong": "5" }, "list": [{ "$date": 5 }], "code": Bson::JavaScriptCode(String::from("x")) },
        doc! { "$oid": "x" },
    ];
    values.extend(scopes.map(|scope| Bson::JavaScriptCodeWithScope(JavaScriptCodeWithScope { code: String::from("x"), scope })));
    Ok(values)
}

/// Documents that look like types, wholly or nearly, and documents that look like the sign for that.
pub(super) fn impostors() -> Vec<Document> {
    let mut impostors = vec![
        doc! { "$oid": "x" },
        doc! { "$oid": "65b38c25a1b2c3d4e5f60718" },
        doc! { "$oid": object_id() },
        doc! { "$date": 5, "more": 1 },
        doc! { "$date": "2024-01-26T10:30:45Z" },
        doc! { "$date": "2024-01-26T10:30:45.123456Z" },
        doc! { "$date": { "$numberLong": "5" } },
        doc! { "$date": 5_i64 },
        doc! { "$date": DateTime::from_millis(5) },
        doc! { "more": 1, "$date": 5 },
        doc! { "$numberLong": "5" },
        doc! { "$numberLong": 5 },
        doc! { "$numberInt": "5" },
        doc! { "$numberDouble": "NaN" },
        doc! { "$numberDecimal": "1.5" },
        doc! { "$binary": { "base64": "AAAA", "subType": "00" } },
        doc! { "$binary": "AAAA", "$type": "00" },
        doc! { "$uuid": "c8edabc3-f738-4ca3-b68d-ab92a91478a3" },
        doc! { "$regularExpression": { "pattern": "a", "options": "i" } },
        doc! { "$regex": "a", "$options": "i" },
        doc! { "$regex": { "$regularExpression": { "pattern": "a", "options": "" } } },
        doc! { "$timestamp": { "t": 1, "i": 2 } },
        doc! { "$code": "x" },
        doc! { "$code": "x", "$scope": {} },
        doc! { "$code": "x", "$scope": { "n": 5_i64, "$oid": "x" } },
        doc! { "$scope": { "n": 5_i64 }, "$code": 5_i64 },
        doc! { "$scope": { "n": 5_i64 } },
        doc! { "$symbol": "x" },
        doc! { "$undefined": true },
        doc! { "$minKey": 1 },
        doc! { "$maxKey": 1 },
        doc! { "$dbPointer": { "$ref": "c", "$id": object_id() } },
        doc! { "$ref": "c", "$id": object_id() },
        doc! { "$ref": "c", "$id": 5_i64, "$db": "d" },
        doc! { "$literalDocument": { "$oid": "x" } },
        doc! { "$literalDocument": { "$literalDocument": { "$literalDocument": 5_i64 } } },
        doc! { "$literalDocument": "text" },
        doc! { "$literalDocument": { "a": 1 }, "more": 1 },
        doc! { "more": 1, "$literalDocument": { "a": 1 } },
        doc! { "$unknown": 1, "$set": { "a.b": 1 }, "$": 1, "$$": 1 },
        doc! { "__bytes_encoded__": true, "data": "AAAA" },
        doc! { "$serde_json::private::RawValue": "1", "$serde_json::private::Number": "1" },
        doc! { "": { "": { "": 1 } }, ".": 1, "a.b": { "c.d": 1 }, " ": 1, "\u{1}": 1, "ключ \"\\": 1 },
    ];
    let nested = doc! { "a": [[impostors[0].clone()], { "$numberLong": { "$numberLong": "5" } }], "$oid": { "$date": { "$oid": 5_i64 } } };
    impostors.push(nested);
    impostors
}

/// Everything, under a name each, in lists, and in one another.
pub(super) fn all() -> anyhow::Result<Document> {
    let mut values = values()?;
    values.extend(impostors().into_iter().map(Bson::Document));
    values.push(Bson::Array(Vec::new()));
    values.push(Bson::Array(vec![Bson::Array(vec![]), Bson::Document(doc! {}), Bson::Array(vec![Bson::Array(vec![Bson::Int64(1)])])]));
    let list = Bson::Array(values.clone());
    let mut all: Document = values.into_iter().enumerate().map(|(index, value)| (format!("v{index}"), value)).collect();
    all.insert("list", Bson::Array(vec![list.clone(), Bson::Document(doc! { "list": list })]));
    Ok(all)
}

fn object_id() -> ObjectId {
    ObjectId::from_bytes([0x65, 0xb3, 0x8c, 0x25, 0xa1, 0xb2, 0xc3, 0xd4, 0xe5, 0xf6, 0x07, 0x18])
}

/// The library makes none, so it is read from its bytes.
fn db_pointer() -> anyhow::Result<Bson> {
    let mut bytes = vec![0, 0, 0, 0, 0x0c, b'p', 0, 8, 0, 0, 0];
    bytes.extend_from_slice(b"db.coll\0");
    bytes.extend_from_slice(&object_id().bytes());
    bytes.push(0);
    bytes[0] = u8::try_from(bytes.len())?;
    Document::try_from(RawDocumentBuf::from_bytes(bytes)?.as_ref())?.remove("p").context("no pointer")
}
