//! The archive of long histories: whatever dies on the way and whoever else is at work, nothing is lost, twice or out of order.

mod exactly_once;
mod history;
mod kill;
mod movers;
mod program;
mod proxy;
mod random;

use std::time::Duration;

/// After this long a test that waits for something that does not come fails. Nothing is measured by it.
const PATIENCE: Duration = Duration::from_secs(120);
