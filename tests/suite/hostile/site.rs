//! A store that several tenants share: one with the plugin, a neighbour that goes on with its work, and others whose sessions lie there.

use super::host::Plugin;
use crate::samples::samples;
use anyhow::{Context, ensure};
use session_repository::{EmbeddedStore, Limits, Quotas, Repository, Result, Scope, Store, StoreOptions};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::task::yield_now;

pub(super) struct Site {
    store: Arc<dyn Store>,
    /// A repository that everything is allowed to.
    pub(super) all: Repository,
    neighbour: Repository,
}

/// Sessions of others.
const OTHERS: [&str; 3] = ["tenant-2/s", "s", "tenant-1"];

/// A number that no other session of this process has.
fn next() -> u64 {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    COUNT.fetch_add(1, Ordering::Relaxed)
}

impl Site {
    /// A site in memory.
    pub(super) async fn new() -> anyhow::Result<Self> {
        Self::on(EmbeddedStore::in_memory(StoreOptions::default()).await?).await
    }

    /// A site on a store.
    pub(super) async fn on(store: impl Store) -> anyhow::Result<Self> {
        let store: Arc<dyn Store> = Arc::new(store);
        let all = Repository::builder_on(Arc::clone(&store)).instances(1).build()?;
        for session in OTHERS {
            for sample in samples() {
                (sample.make)(&all, session).await?;
            }
        }
        let neighbour = Repository::builder_on(Arc::clone(&store)).instances(1).scope(Scope::hidden_prefix("neighbour/")).build()?;
        Ok(Self { store, all, neighbour })
    }

    /// The repository of the tenant that has the plugin, with a session `s` and an agent `a`.
    pub(super) async fn tenant(&self, quotas: Quotas) -> anyhow::Result<Repository> {
        self.tenant_on(Arc::clone(&self.store), Limits::default(), quotas).await
    }

    /// The same on another way to the store and with other limits.
    pub(super) async fn tenant_on(&self, store: Arc<dyn Store>, limits: Limits, quotas: Quotas) -> anyhow::Result<Repository> {
        let scope = Scope::hidden_prefix("tenant-1/");
        let plain = Repository::builder_on(Arc::clone(&store)).instances(1).scope(scope.clone()).build()?;
        if plain.sessions().read("s").await?.is_none() {
            plain.sessions().create("s", None).await?;
            plain.agents().create("s", "a", "{}").await?;
        }
        Ok(Repository::builder_on(store).instances(1).limits(limits).scope(scope.quotas(quotas)).build()?)
    }

    /// The same with other limits, for a session `s` that is there.
    pub(super) fn tenant_with(&self, limits: Limits, quotas: Quotas) -> Result<Repository> {
        let scope = Scope::hidden_prefix("tenant-1/").quotas(quotas);
        Repository::builder_on(Arc::clone(&self.store)).instances(1).limits(limits).scope(scope).build()
    }

    /// A repository under a scope.
    pub(super) fn scoped(&self, scope: Scope) -> Result<Repository> {
        Repository::builder_on(Arc::clone(&self.store)).instances(1).scope(scope).build()
    }

    /// Waits for something that a plugin does. Meanwhile the neighbour goes on, and every call of it succeeds.
    pub(super) async fn beside<R>(&self, misbehaving: impl Future<Output = R>) -> anyhow::Result<R> {
        let mut misbehaving = pin!(misbehaving);
        loop {
            // Whole rounds, so that no call of the neighbour is dropped.
            let round = self.neighbour_round();
            let mut round = pin!(round);
            tokio::select! {
                biased;
                done = &mut misbehaving => {
                    round.await?;
                    return Ok(done);
                }
                ended = &mut round => ended.context("the neighbour")?,
            }
            yield_now().await;
        }
    }

    /// What the neighbour does: creates, appends and lists.
    async fn neighbour_round(&self) -> Result<()> {
        let session = next().to_string();
        let repo = &self.neighbour;
        repo.sessions().create(session.as_str(), None).await?;
        repo.agents().create(session.as_str(), "a", "{}").await?;
        for id in 0..4 {
            let appended = repo.messages().append(session.as_str(), "a", r#"{"role": "user"}"#, None).await?;
            let listed = repo.messages().list(session.as_str(), "a", None, 0).await?;
            if (appended, listed.len()) != (id, id as usize + 1) {
                return Err(session_repository::Error::Internal(format!("the neighbour has {} messages", listed.len())));
            }
        }
        Ok(())
    }

    /// Calls an export of a fresh plugin, beside the neighbour. Whatever became of that: nothing of others has changed, and another plugin
    /// of the same tenant works.
    pub(super) async fn misbehave<R>(
        &self,
        tenant: &Repository,
        plugin: &mut Plugin,
        call: impl AsyncFnOnce(&mut Plugin) -> R,
    ) -> anyhow::Result<R> {
        let before = self.others().await?;
        let answer = self.beside(call(plugin)).await?;
        ensure!(self.others().await? == before, "sessions of others have changed");
        self.works(tenant).await?;
        Ok(answer)
    }

    /// All that can be read of others.
    pub(super) async fn others(&self) -> anyhow::Result<Vec<String>> {
        let mut answers = Vec::new();
        for id in OTHERS {
            answers.push(format!("{:?}", self.all.sessions().read(id).await?));
            answers.push(format!("{:?}", self.all.agents().read(id, "a").await?));
            answers.push(format!("{:?}", self.all.messages().list(id, "a", None, 0).await?));
            answers.push(format!("{:?}", self.all.metadata().get(id).await?));
            answers.push(format!("{:?}", self.all.feedback().list(id).await?));
        }
        Ok(answers)
    }

    /// A fresh instance of the plugin does all that a plugin can.
    pub(super) async fn works(&self, tenant: &Repository) -> anyhow::Result<()> {
        let mut fresh = Plugin::start(tenant).await?;
        let lines: Vec<String> =
            fresh.call("everything", (format!("fresh-{}", next()),)).await.map_err(|trap| anyhow::anyhow!("{trap:?}"))?;
        ensure!(lines.len() == samples().len() && lines.iter().all(|line| line.ends_with(" ok")), "{lines:?}");
        Ok(())
    }
}
