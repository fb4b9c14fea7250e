//! `session-repo show`: a conversation as people read it.

mod follow;
mod forms;

use crate::cli::Cli;
use crate::run::{Desk, Site};
use anyhow::Context;
use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{Binary, Bson, DateTime, Document, doc, serialize_to_document};
use serde_json::{Value, json};
use session_repository_tests::Database;
use std::process::Stdio;
use tokio::io::{AsyncBufReadExt, BufReader};

/// 2024-01-26T10:30:45.123Z, and some seconds.
fn at(seconds: i64) -> DateTime {
    DateTime::from_millis(1_706_265_045_123 + 1_000 * seconds)
}

fn stored(id: i64, seconds: i64, body: Document) -> Document {
    let mut message = doc! { "message_id": id };
    message.extend(body);
    message.extend(doc! { "created_at": at(seconds), "updated_at": at(seconds) });
    message
}

fn agent(data: Document, messages: Vec<Document>) -> Document {
    doc! { "agent_data": data, "messages": messages, "created_at": at(0), "updated_at": at(0) }
}

fn session(agents: Document) -> Document {
    doc! {
        "_id": "user-123", "session_id": "user-123", "session_type": "chat", "created_at": at(0), "updated_at": at(90_000),
        "metadata": {}, "feedbacks": [], "agents": agents,
    }
}

async fn seed(document: Document) -> anyhow::Result<Database> {
    let database = Database::fresh().await?;
    database.documents().insert_one(document).await?;
    Ok(database)
}

/// What `show` prints of a session with one agent that has messages of these bodies, from its first message on.
async fn shown(bodies: &[Value]) -> anyhow::Result<String> {
    let messages = (0..).zip(bodies).map(|(id, body)| Ok(stored(id, id, serialize_to_document(body)?)));
    let database = seed(session(doc! { "a": agent(doc! {}, messages.collect::<anyhow::Result<_>>()?) })).await?;
    let text = Cli { database: &database }.ok(&["show", "user-123"]).await?;
    database.drop().await?;
    let (_, messages) = text.split_once("──\n").context("no day")?;
    Ok(messages.to_owned())
}

#[tokio::test]
async fn what_cannot_be_read_costs_itself() -> anyhow::Result<()> {
    let mut damaged = session(doc! {
        "a": { "agent_data": {}, "messages": "text", "created_at": at(0), "updated_at": at(0) },
        "b": agent(doc! {}, vec![stored(1, 5, doc! { "role": "user", "content": "Still here." })]),
    });
    damaged.insert("metadata", 5);
    damaged.insert("feedbacks", "text");
    let database = seed(damaged).await?;
    let ran = Desk::new()?.run(&Site::mongo(&database)?, &["show", "user-123"]).await?;
    let text = ran.ok()?;
    assert!(
        text.contains("Still here.") && text.contains("metadata\n  cannot be read: the stored metadata does not fit the schema\n"),
        "{text}"
    );
    let said: Vec<_> = ran.stderr.lines().collect();
    let why = |what: &str, field: &str| format!("session-repo: {what} cannot be read: the stored {field} does not fit the schema");
    assert_eq!(said, [why("the messages of agent \"a\"", "messages"), why("the feedback", "feedbacks")]);
    database.drop().await
}

#[tokio::test]
async fn a_conversation_reads_as_people_want_it() -> anyhow::Result<()> {
    let nested =
        |role: &str, content: Vec<Document>| doc! { "message": { "role": role, "content": content }, "redact_message": Bson::Null };
    let long = "Paris is the capital of France, a city of light, of long walks along the river and of weather that changes \
        by the hour, so here is what I found:\n\n  - 12 °C\n  - light rain";
    let png = Binary { subtype: BinarySubtype::Generic, bytes: vec![0; 1_234] };
    let assistant = vec![
        stored(0, 5, nested("user", vec![doc! { "text": "What is the weather in Paris?" }])),
        stored(
            1,
            8,
            nested(
                "assistant",
                vec![
                    doc! { "reasoningContent": { "reasoningText": { "text": "The user wants the weather,\nso I call the tool.", "signature": "x" } } },
                    doc! { "text": "Let me look." },
                    doc! { "toolUse": { "toolUseId": "t1", "name": "get_weather", "input": { "city": "Paris" } } },
                    doc! { "toolUse": { "toolUseId": "t2", "name": "get_map", "input": { "city": "Paris", "layers": ["streets", "rivers", "parks", "museums", "stations"] } } },
                ],
            ),
        ),
        stored(
            2,
            9,
            nested(
                "user",
                vec![
                    doc! { "toolResult": { "toolUseId": "t1", "status": "success", "content": [{ "text": "12 °C\nlight rain" }, { "json": { "wind": 3 } }] } },
                    doc! { "toolResult": { "toolUseId": "t2", "status": "error", "content": [{ "text": "no such layer" }] } },
                ],
            ),
        ),
        stored(3, 12, nested("assistant", vec![doc! { "text": long }, doc! { "image": { "format": "png", "source": { "bytes": png } } }])),
        stored(
            4,
            86_400,
            doc! {
                "message": { "role": "user", "content": [{ "text": "My password is hunter2." }] },
                "redact_message": { "role": "user", "content": [{ "text": "[removed]" }] },
                "copy": "hunter2",
            },
        ),
    ];
    let reviewer = vec![
        stored(0, 10, doc! { "role": "system", "content": "Reviewing." }),
        stored(1, 12, doc! { "role": "assistant", "content": "Fine." }),
    ];
    let prompt = "You are a helpful assistant.\nAnswer in one sentence unless somebody asks for more than that.";
    let mut document = session(doc! {
        "assistant-1": agent(doc! { "agent_id": "assistant-1", "model": "claude-3-sonnet", "system_prompt": prompt }, assistant),
        "reviewer": agent(doc! { "agent_id": "reviewer" }, reviewer),
    });
    document.insert("metadata", doc! { "priority": "high", "customer": { "tier": "gold" }, "note": "first line\nsecond line" });
    document.insert("feedbacks", vec![doc! { "rating": "up", "comment": "Great!", "created_at": at(86_460) }]);
    let database = seed(document).await?;
    let cli = Cli { database: &database };
    let text = cli.ok(&["show", "user-123"]).await?;
    assert_eq!(text, CONVERSATION);
    let plain = cli.command(&["show", "user-123"]).await?.env("NO_COLOR", "1").output().await?;
    assert_eq!(String::from_utf8(plain.stdout)?, CONVERSATION);
    database.drop().await
}

const CONVERSATION: &str = r#"user-123 (chat)
created 2024-01-26 10:30:45, last written 2024-01-27 11:30:45 UTC

metadata
  priority: high
  customer: {"tier":"gold"}
  note: first line
    second line

agents
  assistant-1  claude-3-sonnet
    You are a helpful assistant. Answer in one sentence unless somebody asks fo…
  reviewer

── 2024-01-26 ──────────────────────────────────────────────────────────────────

10:30:50  user  assistant-1  #0
  What is the weather in Paris?

10:30:53  assistant  assistant-1  #1
  · reasoning: The user wants the weather, so I call the tool.
  Let me look.
  ▸ get_weather {"city":"Paris"}
  ▸ get_map {"city":"Paris","layers":["streets","rivers","parks","museums","sta…

10:30:54  user  assistant-1  #2
  ◂ get_weather ok: 12 °C light rain {"wind":3}
  ◂ get_map error: no such layer

10:30:55  system  reviewer  #0
  Reviewing.

10:30:57  assistant  assistant-1  #3
  Paris is the capital of France, a city of light, of long walks along the river
  and of weather that changes by the hour, so here is what I found:

    - 12 °C
    - light rain
  [image png, 1.2 kB]

10:30:57  assistant  reviewer  #1
  Fine.

── 2024-01-27 ──────────────────────────────────────────────────────────────────

10:30:45  user  assistant-1  #4  redacted
  [removed]

10:31:45  feedback
  rating: up
  comment: Great!
"#;

#[tokio::test]
async fn text_keeps_its_paragraphs_and_wraps_at_the_width() -> anyhow::Result<()> {
    let text = shown(&[
        json!({"role": "user", "content": "\n\n  one\r\n\r\n\ttwo\n\n\n"}),
        json!({"role": "user", "content": "漢字".repeat(50)}),
        json!({"role": "user", "content": format!("{} --dry-run", "x".repeat(70))}),
        json!({"role": "user".repeat(30), "content": "  "}),
    ])
    .await?;
    let lines: Vec<_> = text.lines().filter(|line| !line.starts_with("10:30:")).collect();
    let (wide, rest) = ("漢字".repeat(19), "漢字".repeat(11));
    let (first, second) = (format!("  {wide}漢"), format!("  字{wide}"));
    let long = format!("  {}", "x".repeat(70));
    let expected = ["", "    one", "", "      two", "", &first, &second, &format!("  {rest}"), "", &long, "  --dry-run", ""];
    assert_eq!(lines, expected);
    assert!(text.ends_with(&format!("\n10:30:48  {}u…\n", "user".repeat(17))), "{text}");
    Ok(())
}

#[tokio::test]
async fn nothing_that_a_terminal_would_obey_gets_through() -> anyhow::Result<()> {
    let evil = "\u{1b}[31m\u{1b}]0;x\u{7}\u{9b}2J\r\u{8}\u{7f}\u{202e}\u{2066}\n10:30:59  user  a  #9";
    let block = |kind: &str, content: Bson| doc! { "message": { "role": evil, "content": [{ kind: content }] } };
    let messages = vec![
        stored(0, 0, block("text", evil.into())),
        stored(1, 1, block("toolUse", doc! { "toolUseId": evil, "name": evil, "input": { evil: evil } }.into())),
        stored(2, 2, block("toolResult", doc! { "toolUseId": evil, "status": evil, "content": [{ "text": evil }] }.into())),
        stored(3, 3, block("image", doc! { "format": evil, "source": { "s3Location": { "uri": evil } } }.into())),
        stored(4, 4, block("reasoningContent", doc! { "reasoningText": { "text": evil } }.into())),
        stored(5, 5, block(evil, evil.into())),
    ];
    let id = format!("s{evil}");
    let mut document = session(doc! { format!("a{evil}"): agent(doc! { "model": evil, "system_prompt": evil }, messages) });
    document.insert("_id", &id);
    document.insert("session_type", evil);
    document.insert("metadata", doc! { evil: evil, "nested": { evil: evil } });
    document.insert("feedbacks", vec![doc! { evil: evil, "created_at": at(9) }]);
    let database = seed(document).await?;
    let text = Cli { database: &database }.ok(&["show", &id]).await?;
    let obeyed =
        |c: char| (c.is_control() && c != '\n') || ('\u{202a}'..='\u{202e}').contains(&c) || ('\u{2066}'..='\u{2069}').contains(&c);
    assert!(!text.contains(obeyed), "{text}");
    let entries: Vec<_> = text.lines().filter(|line| line.starts_with("10:30:")).filter_map(|line| line.get(..8)).collect();
    let expected = ["10:30:45", "10:30:46", "10:30:47", "10:30:48", "10:30:49", "10:30:50", "10:30:54"];
    assert_eq!(entries, expected, "no text looks like a message: {text}");
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    let (status, message) = Cli { database: &database }.failed(&["show", "absent"]).await?;
    assert_eq!((status, message.as_str()), (Some(1), "session-repo: not-found: session `absent` does not exist"));
    database.drop().await
}

#[tokio::test]
async fn a_session_without_messages_says_so() -> anyhow::Result<()> {
    let database = Database::fresh().await?;
    let (repo, cli) = (database.repository().await?, Cli { database: &database });
    repo.sessions().create("s", None).await?;
    let text = cli.ok(&["show", "s"]).await?;
    let lines: Vec<_> = text.lines().collect();
    assert!(lines[1].starts_with("created 2") && lines[1].contains(", last written 2") && lines[1].ends_with(" UTC"), "{text}");
    assert_eq!((lines[0], &lines[2..]), ("s (default)", ["", "no messages yet"].as_slice()));
    repo.agents().create("s", "a", json!({"model": {"id": "m"}, "system_prompt": [{"text": "Be"}, {"text": "kind."}]})).await?;
    let text = cli.ok(&["show", "s"]).await?;
    assert_eq!(text.lines().skip(3).collect::<Vec<_>>(), ["agents", "  a  {\"id\":\"m\"}", "    Be kind.", "", "no messages yet"]);
    repo.close().await;
    database.drop().await
}

#[tokio::test]
async fn agents_that_other_programs_left_are_named_with_what_is_wrong() -> anyhow::Result<()> {
    let message = |id: i64| stored(id, id, doc! { "role": "user", "content": "Hi" });
    let document = session(doc! {
        "whole": agent(doc! {}, vec![message(0)]), "a.b": agent(doc! {}, vec![message(1)]), "bare": { "messages": [message(2)] }, "odd": 5,
    });
    let database = seed(document).await?;
    let text = Cli { database: &database }.ok(&["show", "user-123"]).await?;
    let lines: Vec<_> = text.lines().collect();
    assert_eq!((lines[3], lines[4], lines[5].starts_with("  a.b  cannot be read: agent_id: ")), ("agents", "  whole", true), "{text}");
    let wrong = ["  bare", "  odd  cannot be read: the stored agents.odd does not fit the schema"];
    assert_eq!(lines[6..8], wrong, "{text}");
    let messages: Vec<_> = lines.iter().filter(|line| line.contains('#')).collect();
    assert_eq!(messages, [&"10:30:45  user  whole  #0", &"10:30:47  user  bare  #2"]);
    database.drop().await
}

/// The agent and id of each message in a text.
fn printed(text: &str) -> Vec<(String, i64)> {
    let heads = text.lines().filter(|line| !line.starts_with(' '));
    let parts = heads.filter_map(|line| line.split_once('#').map(|(head, id)| (head.split_whitespace().last(), id)));
    parts.filter_map(|(agent, id)| Some((agent?.to_owned(), id.split_whitespace().next()?.parse().ok()?))).collect()
}

#[tokio::test]
async fn long_histories_of_several_agents_are_merged_by_time() -> anyhow::Result<()> {
    let message = |id: i64, seconds: i64| stored(id, seconds, doc! { "role": "user", "content": "x".repeat(1_000) });
    // Of `a` every second, of `b` every third, of `c` none: at the same times `a` comes first.
    let document = session(doc! {
        "a": agent(doc! {}, (0..260).map(|id| message(id, id)).collect()),
        "b": agent(doc! {}, (0..100).map(|id| message(id, 3 * id)).collect()),
        "c": agent(doc! {}, vec![]),
    });
    let database = seed(document).await?;
    let cli = Cli { database: &database };
    let mut expected: Vec<(i64, &str, i64)> = (0..260).map(|id| (id, "a", id)).chain((0..100).map(|id| (3 * id, "b", id))).collect();
    expected.sort_unstable();
    let expected: Vec<_> = expected.into_iter().map(|(_, agent, id)| (agent.to_owned(), id)).collect();
    assert_eq!(printed(&cli.ok(&["show", "user-123"]).await?), expected);
    // More than a pipe holds, and nobody who reads it.
    let mut child = cli.command(&["show", "user-123"]).await?.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let mut stdout = BufReader::new(child.stdout.take().context("no stdout")?);
    stdout.read_line(&mut String::new()).await?;
    drop(stdout);
    let output = child.wait_with_output().await?;
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    database.drop().await
}

#[tokio::test]
async fn messages_too_large_for_one_page_are_read_in_smaller_ones() -> anyhow::Result<()> {
    // Six times as large in JSON: together more than an answer may be.
    let large = "\u{1}".repeat(11 * 256 * 1024);
    let body = || doc! { "message": { "role": "user", "content": &large }, "redact_message": { "role": "user", "content": "[removed]" } };
    let database = seed(session(doc! { "a": agent(doc! {}, (0..4).map(|id| stored(id, id, body())).collect()) })).await?;
    let text = Cli { database: &database }.ok(&["show", "user-123"]).await?;
    assert_eq!(printed(&text), (0..4).map(|id| (String::from("a"), id)).collect::<Vec<_>>());
    database.drop().await
}
