use session_repository::{Entity, Error};

contract! {
    async fn a_new_session_is_returned_and_read_back(repo) {
        let created = repo.sessions().create("s", Some("chat")).await?;
        assert_eq!((created.session_id.as_str(), created.session_type.as_str()), ("s", "chat"));
        assert_eq!(created.created_at, created.updated_at);
        assert_eq!(repo.sessions().read("s").await?, Some(created));
    }

    async fn the_type_of_a_session_is_default_unless_given(repo) {
        assert_eq!(repo.sessions().create("s", None).await?.session_type, "default");
    }

    async fn a_session_is_stamped_with_the_time_of_the_call(repo) {
        let now = || std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map(|d| i64::try_from(d.as_millis()).unwrap_or(0));
        let before = now()?;
        let created = repo.sessions().create("s", None).await?.created_at.0;
        assert!((before..=now()?).contains(&created), "{created} is not between {before} and now");
    }

    async fn an_existing_session_is_not_created_again(repo) {
        let created = repo.sessions().create("s", Some("first")).await?;
        repo.metadata().update("s", r#"{"k": 1}"#).await?;
        assert_eq!(repo.sessions().create("s", Some("second")).await, Err(Error::AlreadyExists(Entity::Session)));
        assert_eq!(repo.sessions().read("s").await?.map(|s| s.session_type), Some(created.session_type));
        assert_eq!(repo.metadata().get("s").await?.map(|m| m.to_string()), Some(String::from(r#"{"k":1}"#)));
    }

    async fn an_unknown_session_reads_as_none(repo) {
        assert_eq!(repo.sessions().read("nobody").await?, None);
    }

    async fn of_concurrent_creates_of_a_session_exactly_one_succeeds(repo) {
        let creates = (0..16).map(|_| { let repo = repo.clone(); tokio::spawn(async move { repo.sessions().create("s", None).await }) });
        let mut created = 0;
        for create in creates.collect::<Vec<_>>() {
            match create.await? {
                Ok(_) => created += 1,
                Err(error) => assert_eq!(error, Error::AlreadyExists(Entity::Session)),
            }
        }
        assert_eq!(created, 1);
    }

    async fn a_new_session_has_no_agents_metadata_or_feedback(repo) {
        repo.sessions().create("s", None).await?;
        assert_eq!(repo.metadata().get("s").await?.map(|m| m.to_string()), Some(String::from("{}")));
        assert_eq!(repo.feedback().list("s").await?, []);
        assert_eq!(repo.agents().read("s", "a").await?, None);
    }
}
