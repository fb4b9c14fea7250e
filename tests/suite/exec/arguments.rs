//! Bad ids, in every call: a typed error that names the argument, and nothing is written.

use super::{lines, on_every_store, run};
use crate::samples::samples;
use serde_json::{Value, json};

/// Checks that every call refuses each of these values of an argument.
async fn are_refused(argument: &str, bad: &[Value]) -> anyhow::Result<()> {
    on_every_store(async |site| {
        let mut requests: Vec<_> = samples().into_iter().map(|sample| (sample.call, sample.args)).collect();
        let (made, sound) = (requests.len(), requests.clone());
        for (call, args) in &sound {
            for value in bad {
                let mut args = args.clone();
                // An agent and a message have their ids among their own fields.
                let holder = ["agent", "message"].into_iter().find(|holder| args[*holder].get(argument).is_some());
                let place = match holder {
                    Some(holder) => &mut args[holder],
                    None => &mut args,
                };
                if let Some(id) = place.get_mut(argument) {
                    *id = value.clone();
                    requests.push((*call, args));
                }
            }
        }
        requests.extend(sound.iter().filter(|(call, _)| *call == "sessions.read").cloned());
        let run = run(site, &["--concurrency", "1"], lines(&requests)).await?;
        let (last, refused) = run.responses[made..].split_last().ok_or_else(|| anyhow::anyhow!("no answers"))?;
        let takers = match argument {
            "session_id" => made,
            // Those on sessions, metadata and feedback take none.
            "agent_id" => made - 7,
            _ => 3,
        };
        assert!(refused.len() >= takers * bad.len(), "{} of {takers} calls refuse {argument}", refused.len() / bad.len());
        for (response, request) in refused.iter().zip(&requests[made..]) {
            let error = &response["error"];
            let names_it = error["message"].as_str().is_some_and(|message| message.starts_with(&format!("{argument}: ")));
            assert!(error["code"] == "invalid-argument" && names_it, "{request:?}: {response}");
        }
        let writes = crate::samples::samples_that(true).await?.len() - 1;
        assert_eq!(last["result"]["revision"], writes, "what was refused wrote nothing");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn session_ids_have_1_to_512_bytes_without_nul_in_every_call() -> anyhow::Result<()> {
    are_refused("session_id", &[json!(""), json!("a\0b"), json!("x".repeat(513)), json!("é".repeat(257))]).await
}

#[tokio::test]
async fn agent_ids_are_field_names_in_every_call() -> anyhow::Result<()> {
    let bad = ["", "a\0b", "a.b", ".", "$a", "$", &"x".repeat(257)].map(|id| json!(id));
    are_refused("agent_id", &bad).await
}

#[tokio::test]
async fn message_ids_are_not_negative_in_any_call() -> anyhow::Result<()> {
    are_refused("message_id", &[json!(-1), json!(i64::MIN)]).await
}
