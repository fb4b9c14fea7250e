//! `session-repo check`: what state the store is in.

use crate::failure::failed;
use crate::output;
use crate::place::Place;
use crate::terminal::one_line;
use anyhow::{Context, bail};
use session_repository::{Landmark, Report};

/// Looks at the store and says what is there and what is wrong; mends it, where `repair` is there, unless it is a dry run. Fails if anything
/// is wrong in the end.
pub(crate) async fn run(place: &Place, repair: Option<bool>, json: bool) -> anyhow::Result<()> {
    let report = match repair {
        Some(dry_run) => place.repair(dry_run).await,
        None => place.inspect().await,
    };
    let report = report.map_err(|error| failed(&error)).context("cannot open the store")?;
    if json {
        output::print_exact(&serde_json::to_string(&report)?)?;
    } else {
        output::print(&text(place, &report, repair == Some(true)))?;
    }
    match report.problems.len() {
        0 => Ok(()),
        1 => bail!("1 thing is wrong"),
        wrong => bail!("{wrong} things are wrong"),
    }
}

fn text(place: &Place, report: &Report, dry_run: bool) -> String {
    let mut lines = vec![("store", place.name()), ("server", report.server.clone()), ("topology", report.topology.clone())];
    for index in &report.indexes {
        let state = if index.present { "present" } else { "missing" };
        lines.push(("index", format!("{} {state}", index.field)));
    }
    let count = |count: Option<u64>| count.map_or_else(|| String::from("not counted, there are too many"), |count| count.to_string());
    let landmark = |landmark: &Option<Landmark>| match landmark {
        Some(Landmark { session_id, created_at, .. }) => format!("{session_id} created {created_at}"),
        None => String::from("none"),
    };
    lines.push(("sessions", report.sessions.to_string()));
    lines.push(("agents", count(report.agents)));
    lines.push(("messages", count(report.messages)));
    lines.push(("oldest", landmark(&report.oldest)));
    lines.push(("newest", landmark(&report.newest)));
    lines.extend(report.problems.iter().map(|problem| ("wrong", problem.clone())));
    let mended = if dry_run { "mendable" } else { "mended" };
    lines.extend(report.mended.iter().map(|problem| (mended, problem.clone())));
    if report.problems.is_empty() {
        lines.push(("verdict", String::from("all is well")));
    }
    lines.iter().map(|(what, value)| format!("{what:<10}{}", one_line(value))).collect::<Vec<_>>().join("\n")
}
