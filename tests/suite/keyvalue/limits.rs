//! What a call costs in a long history, and how large keys and values become.

use super::values::{Fault, Watched};
use super::{body, file, host, listed, with_agent};

#[tokio::test]
async fn a_page_of_a_long_history_costs_a_page() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let values = Watched::new(file(folder.path()).await?, Fault::Refused);
    let repo = host(values.clone()).await?;
    with_agent(&repo, "s").await?;
    for batch in 0..5 {
        let bodies = (0..1000).map(|n| body(&format!("{}", batch * 1000 + n), 400));
        repo.messages().append_many("s", "a", bodies.collect::<Vec<_>>(), None).await?;
    }
    values.gets();
    for offset in (0..5000).step_by(479) {
        let page = repo.messages().list("s", "a", Some(20), offset).await?;
        assert_eq!(page.iter().map(|message| message.message_id).collect::<Vec<_>>(), (offset..5000).take(20).collect::<Vec<_>>());
        // The head, and the blocks that the page is in.
        let gets = values.gets();
        assert!(gets <= 3, "{gets} values at {offset}");
        assert!(repo.messages().read("s", "a", offset).await?.is_some());
        let gets = values.gets();
        assert!(gets <= 2, "{gets} values for message {offset}");
    }
    for _ in 0..100 {
        repo.messages().append("s", "a", body("more", 400), None).await?;
    }
    let gets = values.gets();
    assert!(gets <= 105, "{gets} values for 100 appends");
    repo.close().await;
    Ok(())
}

#[tokio::test]
async fn keys_and_values_are_bounded_whatever_a_session_has() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let values = Watched::new(file(folder.path()).await?, Fault::Refused);
    let repo = host(values.clone()).await?;
    let session = format!("{}\n/#?", "é".repeat(254));
    with_agent(&repo, &session).await?;
    repo.messages().append(&*session, "a", body("large", 5 << 20), None).await?;
    repo.metadata().update(&*session, format!(r#"{{"large":"{}"}}"#, "m".repeat(3 << 20))).await?;
    for n in 0..40 {
        repo.agents().create(&*session, format!("agent-{n}"), format!(r#"{{"prompt":"{}"}}"#, "p".repeat(20_000))).await?;
        repo.feedback().add(&*session, format!(r#"{{"text":"{}"}}"#, "f".repeat(20_000))).await?;
    }
    let (longest_key, largest_value) = values.largest();
    // As `storages/keyvalue/README.md` has it.
    assert!(longest_key <= 160, "{longest_key}");
    assert!(largest_value <= 512 << 10, "{largest_value}");
    assert!(values.all().await?.iter().all(|(key, _)| key.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-".contains(&byte))));
    // All of it is still there.
    assert_eq!(listed(&repo, &session).await?, [(0, body("large", 5 << 20))]);
    assert_eq!(repo.metadata().get(&*session).await?.map(|metadata| metadata.to_string().len()), Some((3 << 20) + 12));
    assert_eq!(repo.feedback().list(&*session).await?.len(), 40);
    for n in 0..40 {
        assert!(repo.agents().read(&*session, format!("agent-{n}")).await?.is_some());
    }
    repo.close().await;
    Ok(())
}
