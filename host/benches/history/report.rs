//! The tables, and the same as JSON.

use super::{CALLS, Cell, KINDS, Kind, MESSAGE_BYTES, Row, Settings, commands};
use serde_json::{Map, Value, json};
use session_repository::Timestamp;
use std::path::Path;
use std::time::{Duration, SystemTime};

/// What the longest row may cost, as a multiple of another.
pub(super) struct Target {
    /// The other row, and what it is called.
    pub(super) base: i64,
    pub(super) name: String,
    pub(super) factor: f64,
    /// For updates in the first half of the history.
    pub(super) factor_update_old: f64,
}

pub(super) struct Table {
    pub(super) store: &'static str,
    pub(super) archive_after: Option<u64>,
    pub(super) rows: Vec<i64>,
    pub(super) whole_list: Option<(i64, Result<Duration, String>)>,
    target: Option<Target>,
    filled: Vec<Row>,
    calls: usize,
    seeding: Duration,
    measuring: Duration,
}

/// A ratio, the most that it should be, and whether it is no more.
type Verdict = (f64, f64, bool);

pub(super) struct Report {
    pub(super) mongod: Option<String>,
    date: Option<String>,
    rounds: usize,
    tables: Vec<Value>,
}

pub(super) fn median(figures: &[f64]) -> f64 {
    let mut figures = figures.to_vec();
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
}

#[allow(clippy::cast_precision_loss, reason = "small counts")]
fn mean(figures: &[f64]) -> f64 {
    figures.iter().sum::<f64>() / figures.len() as f64
}

fn rounded(figure: f64, to: f64) -> f64 {
    (figure * to).round() / to
}

impl Row {
    fn median(&self, kind: usize) -> Option<f64> {
        self.cells.get(kind).filter(|cell| !cell.micros.is_empty()).map(|cell| median(&cell.micros))
    }
}

impl Table {
    pub(super) fn new(store: &'static str, archive_after: Option<u64>, rows: Vec<i64>) -> Self {
        Self {
            store,
            archive_after,
            rows,
            whole_list: None,
            target: None,
            filled: Vec::new(),
            calls: 0,
            seeding: Duration::ZERO,
            measuring: Duration::ZERO,
        }
    }

    pub(super) fn target(self, target: Target) -> Self {
        Self { target: Some(target), ..self }
    }

    pub(super) fn seeded(&mut self, took: Duration) {
        self.seeding = took;
    }

    pub(super) fn measured(&mut self, took: Duration) {
        self.measuring = took;
    }

    pub(super) fn fill(&mut self, rows: Vec<Row>, calls: usize) {
        self.filled = rows;
        self.calls = calls;
    }

    /// How many times the cost in another row a row's calls of a kind have.
    fn ratio(&self, row: &Row, base: i64, kind: usize) -> Option<f64> {
        let base = self.filled.iter().find(|row| row.messages == base)?;
        Some(row.median(kind)? / base.median(kind)?)
    }

    fn first(&self) -> i64 {
        self.rows.first().copied().unwrap_or_default()
    }

    /// For each kind of call in the longest row: the ratio, its target, and whether it is kept.
    fn verdicts(&self) -> Option<(&Target, &Row, Vec<Verdict>)> {
        let target = self.target.as_ref()?;
        let last = self.filled.last().filter(|row| row.messages > target.base)?;
        let verdict = |(at, (kind, _)): (usize, (Kind, _))| {
            let ratio = self.ratio(last, target.base, at)?;
            let most = if kind == Kind::UpdateOld { target.factor_update_old } else { target.factor };
            Some((ratio, most, ratio <= most))
        };
        Some((target, last, KINDS.into_iter().enumerate().map(verdict).collect::<Option<_>>()?))
    }

    fn print(&self, rounds: usize) {
        println!("{}: microseconds of a call, and how many times those of the first row", self.store);
        println!(
            "  medians of {} calls, {rounds} rounds of {CALLS}; seeded in {:.1} s, measured in {:.1} s",
            self.calls,
            self.seeding.as_secs_f64(),
            self.measuring.as_secs_f64()
        );
        let titles: String = KINDS.iter().map(|(_, title)| format!("{title:>15}")).collect();
        println!("  {:<24}{titles}", "messages");
        for row in &self.filled {
            let cell = |at| match (row.median(at), self.ratio(row, self.first(), at)) {
                (Some(median), Some(ratio)) => format!("{median:>9.0} {ratio:>5.2}"),
                _ => format!("{:>15}", "-"),
            };
            let cells: String = (0..KINDS.len()).map(cell).collect();
            println!("  {:<24}{cells}", row.messages);
        }
        if let Some((target, last, verdicts)) = self.verdicts() {
            println!("  {} to {}", last.messages, target.name);
            let cells = verdicts.iter().map(|(ratio, _, kept)| format!("{ratio:>10.2} {:>4}", if *kept { "ok" } else { "over" }));
            println!("  {:<24}{}", "", cells.collect::<String>());
            let cells = verdicts.iter().map(|(_, most, _)| format!("{:>10.2}     ", most));
            println!("  {:<24}{}", "  target: at most", cells.collect::<String>());
        }
        let appends = self.filled.iter().filter_map(|row| row.cells.first().map(|cell| (row.messages, cell)));
        let appends = appends.filter(|(_, cell)| !cell.micros.is_empty());
        let means: Vec<String> = appends.map(|(messages, cell)| format!("{:.0} at {messages}", mean(&cell.micros))).collect();
        println!("  mean of an append, what moves to the archive included: {}", means.join(", "));
        match &self.whole_list {
            Some((messages, Ok(took))) => {
                println!("  list of all {messages} messages at once: {:.0} ms", took.as_secs_f64() * 1e3);
            }
            Some((messages, Err(why))) => println!("  list of all {messages} messages at once: {why}"),
            None => {}
        }
        for row in &self.filled {
            if let Some(why) = &row.refused {
                println!("  {}: {why}", row.messages);
            }
            for ((_, title), cell) in KINDS.iter().zip(&row.cells).filter(|(_, cell)| !cell.sent.is_empty()) {
                println!("  {:>8} {title:<12} {}", row.messages, commands::summary(&cell.sent, cell.micros.len()));
            }
        }
        println!();
    }

    fn json(&self) -> Value {
        let cell = |row: &Row, (at, cell): (usize, &Cell)| {
            let ratio = |base| self.ratio(row, base, at).map(|ratio| rounded(ratio, 1000.0));
            let mut sorted = cell.micros.clone();
            sorted.sort_by(f64::total_cmp);
            let quantile = |percent| sorted.get(sorted.len() * percent / 100).map(|micros| rounded(*micros, 10.0));
            json!({
                "calls": sorted.len(),
                "median_us": rounded(median(&sorted), 10.0),
                "mean_us": rounded(mean(&sorted), 10.0),
                "p25_us": quantile(25),
                "p95_us": quantile(95),
                "ratio_to_first_row": ratio(self.first()),
                "ratio_to_base_row": self.target.as_ref().and_then(|target| ratio(target.base)),
            })
        };
        let row = |row: &Row| {
            let cells = KINDS.iter().map(|(_, title)| title.replace(' ', "_")).zip(row.cells.iter().enumerate());
            let cells = cells.filter(|(_, (_, cell))| !cell.micros.is_empty());
            json!({
                "messages": row.messages,
                "sessions": row.sessions.len(),
                "refused": row.refused,
                "calls": cells.map(|(title, at)| (title, cell(row, at))).collect::<Map<_, _>>(),
            })
        };
        let target = self.target.as_ref().map(|target| {
            let kept = self.verdicts().map(|(_, _, verdicts)| {
                let kept = verdicts.iter().zip(KINDS).map(|((_, _, kept), (_, title))| (title.replace(' ', "_"), Value::from(*kept)));
                kept.collect::<Map<_, _>>()
            });
            json!({ "base_row": target.base, "at_most": target.factor, "update_old_at_most": target.factor_update_old, "kept": kept })
        });
        let whole_list = self.whole_list.as_ref().map(|(messages, list)| match list {
            Ok(took) => json!({ "messages": messages, "ms": rounded(took.as_secs_f64() * 1e3, 10.0) }),
            Err(why) => json!({ "messages": messages, "error": why }),
        });
        json!({
            "store": self.store,
            "archive_after": self.archive_after,
            "seeding_s": rounded(self.seeding.as_secs_f64(), 10.0),
            "measuring_s": rounded(self.measuring.as_secs_f64(), 10.0),
            "target": target,
            "rows": self.filled.iter().map(row).collect::<Vec<_>>(),
            "list_without_limit": whole_list,
        })
    }
}

impl Report {
    pub(super) fn new(settings: &Settings) -> Self {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let date = Timestamp(i64::try_from(now.as_millis()).unwrap_or(i64::MAX)).to_rfc3339();
        Self { mongod: None, date, rounds: settings.rounds, tables: Vec::new() }
    }

    /// Prints a table, and keeps it for the file.
    pub(super) fn add(&mut self, table: Table) {
        table.print(self.rounds);
        self.tables.push(table.json());
    }

    pub(super) fn write(self, path: &Path, took: Duration) -> anyhow::Result<()> {
        let report = json!({
            "date": self.date,
            "versions": { "session-repository": env!("CARGO_PKG_VERSION"), "mongod": self.mongod },
            "debug_build": cfg!(debug_assertions),
            "message_bytes": MESSAGE_BYTES,
            "rounds": self.rounds,
            "calls_at_once": CALLS,
            "took_s": rounded(took.as_secs_f64(), 10.0),
            "tables": self.tables,
        });
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder)?;
        }
        std::fs::write(path, serde_json::to_string_pretty(&report)? + "\n")?;
        println!("took {:.0} s; as JSON in {}", took.as_secs_f64(), path.canonicalize()?.display());
        Ok(())
    }
}
