//! Imports a session into a file, and in the middle of that writes what the file has no room for. Prints what became of both.
//!
//! A program of its own, because the limit on the size of files that stands for a full disk is its process's.

use anyhow::Context;
use serde_json::json;
use session_repository::{Agent, AgentRef, AnyStore, EmbeddedStore, Message, Page, Session, Store, StoreOptions, Timestamp, Write};
use std::io::{BufReader, Cursor, Read};
use std::sync::mpsc;

/// The text of a dump as it comes, piece by piece, and where it is said that all of a piece was read.
struct Pieces {
    piece: Cursor<Vec<u8>>,
    pieces: mpsc::Receiver<Vec<u8>>,
    read: tokio::sync::mpsc::UnboundedSender<()>,
}

impl Read for Pieces {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        loop {
            match self.piece.read(out)? {
                0 => {
                    // Nobody may be listening any more.
                    self.read.send(()).ok();
                    let Ok(piece) = self.pieces.recv() else { return Ok(0) };
                    self.piece = Cursor::new(piece);
                }
                read => return Ok(read),
            }
        }
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let (file, count) = (arguments.next().context("no file")?, arguments.next().context("no count")?.parse::<i64>()?);
    let too_large = arguments.next().context("no size")?.parse()?;
    let store = EmbeddedStore::open(file, StoreOptions::default()).await?;
    let now = Timestamp(0);
    let session = Session::new(String::from("t"), String::new(), now);
    store.insert_session(session).await?;
    let agent = Agent::new("a", "{}", now);
    let (t, write) = (AgentRef::new("t", "a"), Write::at(now));
    store.insert_agent("t", agent, write).await?;

    let created = r#""created_at":{"$date":"2024-01-26T10:00:00Z"}"#;
    let text = "x".repeat(1000);
    let messages: Vec<_> = (0..count).map(|id| format!(r#"{{"message_id":{id},{created},"text":"{text}"}}"#)).collect();
    let begin = format!(r#"{{"_id":"s",{created},"agents":{{"a":{{"agent_data":{{}},{created},"messages":[{}"#, messages.join(","));
    let (pieces, coming) = mpsc::channel();
    let (read, mut is_read) = tokio::sync::mpsc::unbounded_channel();
    let input = BufReader::new(Pieces { piece: Cursor::default(), pieces: coming, read });
    let importing = tokio::spawn({
        let store = AnyStore::Embedded(store.clone());
        async move { store.import(input).await }
    });
    pieces.send(begin.into_bytes())?;
    // Once before the piece and once after it.
    for _ in 0..2 {
        is_read.recv().await.context("the import has ended")?;
    }
    let body = format!(r#"{{"text":"{}"}}"#, "x".repeat(too_large));
    let refused = store.append_message(&t, Message::new(0, body, now), &[], write).await;
    // Answers once the file is open again.
    let after = Message::new(1, "{}", now);
    let after = store.append_message(&t, after, &[], write).await;
    pieces.send(b"]}}}\n".to_vec())?;
    drop(pieces);
    let imported = importing.await?;
    let stored = store.list_messages(&AgentRef::new("s", "a"), Page::default(), &[]).await?.len();
    let outcome = json!({
        "refused": refused.err().map(|error| error.code()),
        "after": after.err().map(|error| error.code()),
        "imported": imported.map(|imported| imported.new).map_err(|error| error.code()),
        "there": store.find_session("s").await?.is_some(),
        "messages": stored,
    });
    println!("{outcome}");
    store.close().await;
    Ok(())
}
