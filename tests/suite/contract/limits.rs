//! What depends on limits of the store.

use super::{body, value, with_agent};
use serde_json::json;
use session_repository::Error;

/// How many appends with a key an agent remembers.
const REMEMBERED: i64 = 256;

contract! {
    async fn nulls_before_positions_far_away_count(repo) {
        repo.sessions().create("s", None).await?;
        let lists: serde_json::Map<_, _> = (0..5).map(|n| (format!("l{n}"), json!([]))).collect();
        repo.metadata().update("s", json!(lists)).await?;
        let far: serde_json::Map<_, _> = (0..5).map(|n| (format!("l{n}.1500000"), json!(1))).collect();
        let refused = repo.metadata().update("s", json!(far)).await;
        assert!(matches!(refused, Err(Error::TooLarge { .. })), "{refused:?}");
        let stored = repo.metadata().get("s").await?.map(|metadata| value(&metadata)).transpose()?;
        assert_eq!(stored, Some(json!(lists)));
    }

    async fn a_large_message_fits(repo) {
        with_agent(repo).await?;
        let large = json!({"content": "x".repeat(5 * 1024 * 1024)});
        repo.messages().create("s", "a", 1, large.clone()).await?;
        assert_eq!(body(repo, 1).await?, large);
    }

    async fn a_key_that_many_others_came_after_is_forgotten(repo) {
        with_agent(repo).await?;
        let append = async |key: i64| repo.messages().append("s", "a", json!({"k": key}), Some(&key.to_string())).await;
        for key in 0..2 * REMEMBERED {
            assert_eq!(append(key).await?, key);
        }
        assert_eq!(append(REMEMBERED).await?, REMEMBERED);
        assert_eq!(append(0).await?, 2 * REMEMBERED, "it is new again");
    }
}
