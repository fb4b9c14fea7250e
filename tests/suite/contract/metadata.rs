use super::{invalid, next_millisecond, value};
use serde_json::{Value, json};
use session_repository::{Entity, Error, Repository};

async fn stored(repo: &Repository) -> anyhow::Result<Option<Value>> {
    repo.metadata().get("s").await?.map(|metadata| value(&metadata)).transpose()
}

contract! {
    async fn an_update_sets_fields_and_leaves_the_others(repo) {
        repo.sessions().create("s", None).await?;
        repo.metadata().update("s", r#"{"user_name": "Alice", "priority": "high"}"#).await?;
        repo.metadata().update("s", r#"{"priority": "low", "status": null}"#).await?;
        assert_eq!(stored(repo).await?, Some(json!({"user_name": "Alice", "priority": "low", "status": null})));
    }

    async fn a_key_with_dots_is_a_path(repo) {
        repo.sessions().create("s", None).await?;
        repo.metadata().update("s", r#"{"a.b": 1, "a.c.d": 2}"#).await?;
        repo.metadata().update("s", r#"{"a.b": 3}"#).await?;
        assert_eq!(stored(repo).await?, Some(json!({"a": {"b": 3, "c": {"d": 2}}})));
    }

    async fn a_plain_key_replaces_its_whole_value(repo) {
        repo.sessions().create("s", None).await?;
        repo.metadata().update("s", r#"{"a": {"b": 1, "c": 2}}"#).await?;
        repo.metadata().update("s", r#"{"a": {"d": 3}}"#).await?;
        assert_eq!(stored(repo).await?, Some(json!({"a": {"d": 3}})));
    }

    async fn a_number_in_a_path_is_a_position_in_an_array(repo) {
        repo.sessions().create("s", None).await?;
        repo.metadata().update("s", r#"{"list": [1, 2], "map": {}}"#).await?;
        repo.metadata().update("s", r#"{"list.1": 9, "map.0": "zero"}"#).await?;
        assert_eq!(stored(repo).await?, Some(json!({"list": [1, 9], "map": {"0": "zero"}})));
        repo.metadata().update("s", r#"{"list.03": "padded", "deep.0.a": 1}"#).await?;
        repo.metadata().delete("s", ["list.0", "list.9", "list.x", "map.0"]).await?;
        assert_eq!(stored(repo).await?, Some(json!({"list": [null, 9, null, "padded"], "map": {}, "deep": {"0": {"a": 1}}})));
    }

    async fn nulls_before_positions_far_away_count(repo) {
        repo.sessions().create("s", None).await?;
        let lists: serde_json::Map<_, _> = (0..5).map(|n| (format!("l{n}"), json!([]))).collect();
        repo.metadata().update("s", json!(lists)).await?;
        let far: serde_json::Map<_, _> = (0..5).map(|n| (format!("l{n}.1500000"), json!(1))).collect();
        let refused = repo.metadata().update("s", json!(far)).await;
        assert!(matches!(refused, Err(Error::TooLarge { .. })), "{refused:?}");
        assert_eq!(stored(repo).await?, Some(json!(lists)));
    }

    async fn two_spellings_of_one_array_item_are_refused(repo) {
        // A MongoDB server that gets both in one command ends itself.
        repo.sessions().create("s", None).await?;
        repo.metadata().update("s", r#"{"l": [1, 2]}"#).await?;
        for both in [r#"{"l.1": 10, "l.01": 9}"#, r#"{"l.0": 1, "l.00": 2}"#, r#"{"l.1": 10, "l.01.x": 9}"#] {
            assert!(invalid(repo.metadata().update("s", both).await).contains("overlap"), "{both}");
        }
        for both in [["l.0", "l.00"], ["l.1", "l.01.x"]] {
            assert!(invalid(repo.metadata().delete("s", both).await).contains("one array item"), "{both:?}");
        }
        assert_eq!(stored(repo).await?, Some(json!({"l": [1, 2]})));
    }

    async fn bad_paths_are_refused_and_change_nothing(repo) {
        repo.sessions().create("s", None).await?;
        repo.metadata().update("s", r#"{"scalar": 1, "list": []}"#).await?;
        let before = (stored(repo).await?, repo.sessions().read("s").await?);
        for bad in [
            r#"{"": 1}"#, r#"{"a.": 1}"#, r#"{".a": 1}"#, r#"{"a..b": 1}"#, r#"{"$a": 1}"#, r#"{"a.$b": 1}"#, r#"{"a.$[].b": 1}"#,
            r#"{"a\u0000b": 1}"#, r#"{"a": 1, "a.b": 2}"#, r#"{"a.b.c": 1, "x": 2, "a.b": 3}"#, r#"{"ok": 1, "scalar.x": 2}"#,
            r#"{"list.name": 1}"#,
        ] {
            let message = invalid(repo.metadata().update("s", bad).await);
            assert!(message.starts_with("metadata"), "{bad}: {message}");
        }
        assert_eq!((stored(repo).await?, repo.sessions().read("s").await?), before);
    }

    async fn paths_that_only_look_alike_do_not_overlap(repo) {
        repo.sessions().create("s", None).await?;
        repo.metadata().update("s", r#"{"a": 1, "ab": 2, "a-b.c": 3, "b.a": 4, "b.ab": 5}"#).await?;
        assert_eq!(stored(repo).await?, Some(json!({"a": 1, "ab": 2, "a-b": {"c": 3}, "b": {"a": 4, "ab": 5}})));
    }

    async fn an_empty_object_changes_nothing(repo) {
        let before = repo.sessions().create("s", None).await?;
        repo.metadata().update("s", "{}").await?;
        repo.metadata().delete("s", [""; 0]).await?;
        assert_eq!(repo.sessions().read("s").await?, Some(before));
        assert_eq!(repo.metadata().update("nobody", "{}").await, Err(Error::NotFound(Entity::Session)));
        assert_eq!(repo.metadata().delete("nobody", [""; 0]).await, Err(Error::NotFound(Entity::Session)));
    }

    async fn metadata_of_an_unknown_session_is_refused(repo) {
        assert_eq!(repo.metadata().update("nobody", r#"{"a": 1}"#).await, Err(Error::NotFound(Entity::Session)));
        assert_eq!(repo.metadata().delete("nobody", ["a"]).await, Err(Error::NotFound(Entity::Session)));
        assert_eq!(repo.metadata().get("nobody").await?, None);
        assert_eq!(repo.sessions().read("nobody").await?, None);
    }

    async fn deletes_remove_what_is_there(repo) {
        repo.sessions().create("s", None).await?;
        repo.metadata().update("s", r#"{"a": {"b": 1, "c": 2}, "d": 3, "e": 4}"#).await?;
        repo.metadata().delete("s", ["a.b", "d", "absent", "absent.too", "d"]).await?;
        assert_eq!(stored(repo).await?, Some(json!({"a": {"c": 2}, "e": 4})));
        repo.metadata().delete("s", ["a.c", "a"]).await?;
        assert_eq!(stored(repo).await?, Some(json!({"e": 4})));
    }

    async fn bad_keys_to_delete_are_refused(repo) {
        repo.sessions().create("s", None).await?;
        repo.metadata().update("s", r#"{"a": 1}"#).await?;
        for bad in ["", ".", "a.", "$a", "a.$b", "a\0"] {
            let message = invalid(repo.metadata().delete("s", ["a", bad]).await);
            assert!(message.starts_with("keys[1]"), "{bad:?}: {message}");
        }
        assert_eq!(stored(repo).await?, Some(json!({"a": 1})));
    }

    async fn every_write_advances_the_session(repo) {
        let created = repo.sessions().create("s", None).await?;
        let mut last = created.updated_at;
        for write in 0..7 {
            next_millisecond().await;
            match write {
                0 => repo.metadata().update("s", r#"{"a": 1}"#).await?,
                1 => repo.metadata().delete("s", ["absent"]).await?,
                2 => repo.feedback().add("s", "{}").await?,
                3 => repo.agents().create("s", "a", "{}").await?,
                4 => repo.agents().update("s", "a", "{}").await?,
                5 => repo.messages().create("s", "a", 1, "{}").await?,
                _ => repo.messages().update("s", "a", 1, "{}").await?,
            }
            let session = repo.sessions().read("s").await?.unwrap_or_else(|| created.clone());
            assert!(session.updated_at > last && session.created_at == created.created_at, "write {write}");
            last = session.updated_at;
        }
    }
}
