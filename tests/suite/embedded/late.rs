//! What a message that comes late costs, and where it goes, in histories that are longer than any part of their order.

use super::disk::Disk;
use super::random::Random;
use super::{a, at, message};
use session_repository::{
    Agent, AnyStore, Appended, EmbeddedStore, Message, NewMessages, Page, Session, Store, StoreOptions, Timestamp, Write,
};
use std::io::Cursor;

/// A page of the database, in bytes.
const PAGE: usize = 4096;

async fn open(disk: &Disk) -> session_repository::Result<EmbeddedStore> {
    EmbeddedStore::on_backend(disk.clone(), StoreOptions::default()).await
}

async fn with_agent(disk: &Disk) -> anyhow::Result<EmbeddedStore> {
    let (store, now) = (open(disk).await?, Timestamp(0));
    let (session_id, session_type) = (String::from("s"), String::from("default"));
    store.insert_session(Session::new(session_id, session_type, now)).await?;
    let agent = Agent::new("a", "{}", now);
    store.insert_agent("s", agent, Write::at(now)).await?;
    Ok(store)
}

/// Appends messages in order, a thousand at once, at the times 10, 20, 30, …
async fn append_in_order(store: &EmbeddedStore, count: i64) -> anyhow::Result<()> {
    for thousand in 1..=count / 1_000 {
        let new = NewMessages::new(vec!["{}".into(); 1_000]);
        store.append_messages(&a(), new, at(thousand * 10)).await?;
    }
    Ok(())
}

/// How much is written for a message.
async fn written(store: &EmbeddedStore, disk: &Disk, id: i64, time: i64) -> anyhow::Result<usize> {
    let before = disk.bytes_written();
    assert_eq!(store.append_message(&a(), message(id, time, "{}"), &[], at(time)).await?, Appended::New);
    Ok(disk.bytes_written() - before)
}

/// How much is read for a page by a store that has nothing in memory.
async fn read(disk: &Disk, offset: u64) -> anyhow::Result<usize> {
    let store = open(disk).await?;
    // The tables are found.
    store.find_message(&a(), 0, &[]).await?;
    let before = disk.bytes_read();
    let page = store.list_messages(&a(), Page::default().offset(offset).limit(10), &[]).await?;
    assert_eq!(page.len(), 10);
    let read = disk.bytes_read() - before;
    store.close().await;
    Ok(read)
}

#[tokio::test]
async fn a_message_that_comes_late_costs_a_few_pages_however_many_are_newer() -> anyhow::Result<()> {
    for count in [2_000, 40_000] {
        let disk = Disk::empty();
        let store = with_agent(&disk).await?;
        append_in_order(&store, count).await?;
        // Under ids that their positions do not tell, as those of the late ones.
        let in_time = written(&store, &disk, 2_000_000, count).await?;
        for (id, time) in [(1_000_000, 0), (1_000_001, 5), (1_000_002, count / 200), (1_000_003, count / 100)] {
            let late = written(&store, &disk, id, time).await?;
            assert!(late <= in_time + 16 * PAGE, "of {count}: {late} bytes for a late message, {in_time} for one in time");
        }
        store.close().await;
    }
    Ok(())
}

#[tokio::test]
async fn a_page_costs_a_page_however_many_messages_came_late() -> anyhow::Result<()> {
    let (ordered, late) = (Disk::empty(), Disk::empty());
    for disk in [&ordered, &late] {
        let store = with_agent(disk).await?;
        append_in_order(&store, 20_000).await?;
        store.close().await;
    }
    let (store, mut random) = (open(&late).await?, Random::seeded());
    for id in 1_000_000..1_002_000 {
        let time = i64::try_from(random.below(200))?;
        store.append_message(&a(), message(id, time, "{}"), &[], at(time)).await?;
    }
    store.close().await;
    for offset in [0, 7_000, 15_000, 19_990] {
        let (plain, read) = (read(&ordered, offset).await?, read(&late, offset).await?);
        // Ten messages that lie apart, and what leads to them.
        assert!(read <= plain + 32 * PAGE, "at {offset}: {read} bytes, where all are in order {plain}");
    }
    Ok(())
}

/// Checks a whole history, and pages of it.
async fn check(store: &EmbeddedStore, expected: &[Message], random: &mut Random) -> anyhow::Result<()> {
    let listed = store.list_messages(&a(), Page::default(), &[]).await?;
    assert!(listed == expected, "the whole list");
    for _ in 0..50 {
        let (offset, limit) = (random.below(expected.len() + 1), 1 + random.below(300));
        let page = Page::default().offset(offset as u64).limit(limit as u64);
        let listed = store.list_messages(&a(), page, &[]).await?;
        assert!(listed == expected[offset..expected.len().min(offset + limit)], "{limit} from {offset}");
    }
    Ok(())
}

/// How the times of messages come.
#[derive(Debug, Clone, Copy)]
enum Times {
    /// Any.
    Random,
    /// Each older than all before.
    Falling,
    /// Two hosts write in turn, and the clock of one is far behind.
    TwoHosts,
    /// A host that is behind writes many, then the others go on, and so on.
    Bursts,
}

impl Times {
    fn time(self, n: i64, random: &mut Random) -> i64 {
        match self {
            Self::Random => i64::try_from(random.below(5_000)).unwrap_or_default(),
            Self::Falling => 1_000_000 - n,
            Self::TwoHosts => n - (n % 2) * 1_000,
            Self::Bursts => n - (n / 300 % 2) * 5_000,
        }
    }
}

#[tokio::test]
async fn long_histories_are_listed_by_their_times_however_these_come() -> anyhow::Result<()> {
    let mut random = Random::seeded();
    for times in [Times::Random, Times::Falling, Times::TwoHosts, Times::Bursts] {
        println!("{times:?}");
        let disk = Disk::empty();
        let mut store = with_agent(&disk).await?;
        let mut expected = Vec::new();
        for part in 0..2_i64 {
            for n in part * 700..(part + 1) * 700 {
                let message = message(n, times.time(n, &mut random), "{}");
                assert_eq!(store.append_message(&a(), message.clone(), &[], Write::at(message.created_at)).await?, Appended::New);
                expected.push(message);
            }
            // Stable: equal times stay in the order of their appends.
            expected.sort_by_key(|message| message.created_at);
            check(&store, &expected, &mut random).await?;
            store.close().await;
            store = open(&disk).await?;
            check(&store, &expected, &mut random).await?;
        }
        store.close().await;
    }
    Ok(())
}

#[tokio::test]
async fn what_comes_late_after_an_import_in_no_order_goes_to_its_place() -> anyhow::Result<()> {
    let mut random = Random::seeded();
    let store = EmbeddedStore::in_memory(StoreOptions::default()).await?;
    // More than two levels of the order hold.
    let mut expected: Vec<Message> =
        (0..20_000).map(|id| Ok(message(id, i64::try_from(random.below(1_000_000))?, "{}"))).collect::<anyhow::Result<_>>()?;
    let date = |time: Timestamp| format!(r#"{{"$date":{{"$numberLong":"{}"}}}}"#, time.0);
    let dumped = expected.iter().map(|message| {
        let time = date(message.created_at);
        format!(r#"{{"message_id":{},"created_at":{time},"updated_at":{time}}}"#, message.message_id)
    });
    let (messages, zero) = (dumped.collect::<Vec<_>>().join(","), date(Timestamp(0)));
    let agents = format!(r#"{{"a":{{"agent_data":{{}},"created_at":{zero},"messages":[{messages}]}}}}"#);
    let dump = format!(r#"{{"_id":"s","created_at":{zero},"agents":{agents}}}"#);
    assert_eq!(AnyStore::Embedded(store.clone()).import(Cursor::new(dump)).await?.new, 1);
    expected.sort_by_key(|message| message.created_at);
    check(&store, &expected, &mut random).await?;
    for id in 20_000..24_000 {
        // Many beside each other, where parts of the order become too large, and now and then one in time or anywhere.
        let time = match random.below(10) {
            0 => 1_000_000 + id,
            1 => i64::try_from(random.below(1_000_000))?,
            _ => 500_000 + i64::try_from(random.below(2_000))?,
        };
        let message = message(id, time, "{}");
        store.append_message(&a(), message.clone(), &[], Write::at(message.created_at)).await?;
        expected.push(message);
    }
    expected.sort_by_key(|message| message.created_at);
    check(&store, &expected, &mut random).await?;
    store.close().await;
    Ok(())
}
