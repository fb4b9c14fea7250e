//! Values that are malformed or huge: the host lifts none of them.

use super::host::{HANDED_OVER, Plugin};
use super::site::Site;
use session_repository::Quotas;

/// A quota that is below what may be handed over.
const BYTES: usize = 1 << 20;

fn quotas() -> Quotas {
    Quotas::default().bytes_per_call(BYTES)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn malformed_text_ends_the_plugin() -> anyhow::Result<()> {
    let site = Site::new().await?;
    let tenant = site.tenant(quotas()).await?;
    for (export, why) in [
        ("return-malformed", "invalid utf-8"),
        ("return-beyond-memory", "out of bounds"),
        ("pass-malformed", "invalid utf-8"),
        ("pass-beyond-memory", "out of bounds"),
    ] {
        let mut plugin = Plugin::start(&tenant).await?;
        let ended = if export.starts_with("return") {
            site.misbehave(&tenant, &mut plugin, async |plugin| plugin.call::<_, String>(export, ()).await.map(drop)).await?
        } else {
            site.misbehave(&tenant, &mut plugin, async |plugin| plugin.run(export, ()).await).await?
        };
        let error = ended.err().map(|error| format!("{error:?}")).unwrap_or_default();
        assert!(error.contains(why), "{export}: {error:?}");
    }
    site.all.close().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn huge_values_end_the_plugin_before_they_are_lifted() -> anyhow::Result<()> {
    const FUEL: &str = "fuel allocated for hostcalls has been exhausted";
    let site = Site::new().await?;
    let tenant = site.tenant(quotas()).await?;
    let more = u32::try_from(HANDED_OVER + (1 << 20))?;
    let mut errors = Vec::new();
    let mut plugin = Plugin::start(&tenant).await?;
    let many = site.misbehave(&tenant, &mut plugin, async |plugin| plugin.call::<_, Vec<String>>("return-many", (more / 8,)).await);
    errors.extend(many.await?.err());
    let mut plugin = Plugin::start(&tenant).await?;
    let large = site.misbehave(&tenant, &mut plugin, async |plugin| plugin.call::<_, String>("return-large", (more,)).await);
    errors.extend(large.await?.err());
    for (messages, bytes) in [(1, more), (more / 16, 8)] {
        let mut plugin = Plugin::start(&tenant).await?;
        let arguments = (String::from("s"), messages, bytes);
        let passed = site.misbehave(&tenant, &mut plugin, async |plugin| plugin.call::<_, String>("pass", arguments).await);
        errors.extend(passed.await?.err());
    }
    assert_eq!(errors.len(), 4);
    for error in errors {
        assert!(format!("{error:?}").contains(FUEL), "{error:?}");
    }
    site.all.close().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_values_are_refused_and_the_plugin_goes_on() -> anyhow::Result<()> {
    let site = Site::new().await?;
    let tenant = site.tenant(quotas()).await?;
    let mut plugin = Plugin::start(&tenant).await?;
    for (messages, bytes, expected) in [
        (1_u32, u32::try_from(BYTES + 1)?, "too-large"),
        (2, u32::try_from(BYTES / 2 + 1)?, "too-large"),
        (1_001, 8, "invalid-argument"),
        (0, 8, "invalid-argument"),
        (1, u32::try_from(BYTES)?, "ok"),
    ] {
        let arguments = (String::from("s"), messages, bytes);
        let outcome = site.misbehave(&tenant, &mut plugin, async |plugin| plugin.call::<_, String>("pass", arguments).await).await?;
        assert_eq!(outcome.map_err(|trap| anyhow::anyhow!("{trap:?}"))?, expected, "{messages} of {bytes} bytes");
    }
    assert_eq!(tenant.audit().too_large, 2);
    assert_eq!(tenant.messages().list("s", "a", None, 0).await?.len(), 1);
    site.all.close().await;
    Ok(())
}
