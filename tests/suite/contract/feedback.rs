use super::{invalid, value};
use serde_json::json;
use session_repository::{Entity, Error};

contract! {
    async fn feedback_lists_oldest_first_with_its_time(repo) {
        repo.sessions().create("s", None).await?;
        repo.feedback().add("s", r#"{"rating": "up", "comment": "Great response!"}"#).await?;
        repo.feedback().add("s", r#"{"rating": "down", "category": "performance"}"#).await?;
        let entries = repo.feedback().list("s").await?;
        let bodies = entries.iter().map(|entry| value(&entry.body)).collect::<Result<Vec<_>, _>>()?;
        assert_eq!(bodies, [json!({"rating": "up", "comment": "Great response!"}), json!({"rating": "down", "category": "performance"})]);
        assert!(entries.is_sorted_by_key(|entry| entry.created_at));
        assert_eq!(repo.sessions().read("s").await?.map(|s| s.updated_at), entries.last().map(|entry| entry.created_at));
    }

    async fn a_time_that_feedback_brings_is_replaced(repo) {
        let session = repo.sessions().create("s", None).await?;
        repo.feedback().add("s", r#"{"created_at": "1999-01-01T00:00:00Z", "updated_at": "mine"}"#).await?;
        let entries = repo.feedback().list("s").await?;
        assert_eq!(entries.iter().map(|entry| value(&entry.body)).collect::<Result<Vec<_>, _>>()?, [json!({"updated_at": "mine"})]);
        assert!(entries.iter().all(|entry| entry.created_at >= session.created_at));
    }

    async fn feedback_on_an_unknown_session_is_refused_and_lists_as_empty(repo) {
        assert_eq!(repo.feedback().add("nobody", "{}").await, Err(Error::NotFound(Entity::Session)));
        assert_eq!(repo.feedback().list("nobody").await?, []);
    }

    async fn equal_feedback_is_kept_as_often_as_it_is_given(repo) {
        repo.sessions().create("s", None).await?;
        for _ in 0..3 {
            repo.feedback().add("s", r#"{"rating": "up"}"#).await?;
        }
        assert_eq!(repo.feedback().list("s").await?.len(), 3);
    }

    async fn feedback_is_an_object(repo) {
        repo.sessions().create("s", None).await?;
        for bad in ["[]", "1", "\"up\"", "null", "", "{", "{}{}"] {
            let message = invalid(repo.feedback().add("s", bad).await);
            assert!(message.starts_with("feedback: "), "{bad}: {message}");
        }
        assert_eq!(repo.feedback().list("s").await?, []);
    }
}
