//! Errors on their way from a store through the component to the caller.

use crate::held::Held;
use crate::readme::file;
use session_repository::{Entity, Error, Repository};

#[tokio::test]
async fn every_error_of_a_store_reaches_the_caller_as_it_is() -> anyhow::Result<()> {
    let text = || String::from("why");
    let errors = [
        Error::NotFound(Entity::Session),
        Error::AlreadyExists(Entity::Message),
        Error::Stale { current: 7 },
        Error::InvalidArgument(text()),
        Error::TooLarge { size: 9, limit: 8 },
        Error::AccessDenied(text()),
        Error::Timeout,
        Error::Unavailable(text()),
        Error::Corrupt(text()),
        Error::Internal(text()),
        Error::QuotaExceeded { retry_after_ms: 1_500 },
        Error::Unsupported(text()),
    ];
    let mut codes = std::collections::BTreeSet::new();
    for error in errors {
        let store = Held::new().await?;
        let repo = Repository::builder(store.clone()).build()?;
        store.fail(error.clone());
        assert_eq!(repo.sessions().read("s").await, Err(error.clone()));
        assert_eq!(repo.metadata().update("s", r#"{"k": 1}"#).await, Err(error.clone()));
        codes.insert(error.code());
        repo.close().await;
    }
    // Those that the WIT has, and no more.
    let wit = file("wit/types.wit")?;
    let cases = wit.split("variant error {").nth(1).and_then(|rest| rest.split("\n    }").next()).unwrap_or_default();
    let named = cases.lines().map(str::trim).filter(|line| !line.starts_with("///") && !line.is_empty());
    let named = named.map(|line| line.split(['(', ',']).next().unwrap_or_default());
    assert_eq!(named.collect::<std::collections::BTreeSet<_>>(), codes);
    Ok(())
}
