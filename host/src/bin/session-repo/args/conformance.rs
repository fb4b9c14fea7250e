//! The command line of `conformance`.

use crate::conformance::Level;
use crate::subcommands::Output;
use clap::Args;
use std::path::PathBuf;

pub(super) const EXAMPLES: &str = "\
Examples:
  session-repo conformance
  session-repo conformance --component my-repository.wasm
  session-repo conformance --storage my-storage.wasm --level core
  session-repo conformance --exec 'python my_repository.py' --junit report.xml
  session-repo conformance --list

With nothing named, the component of this program is tested on a store in memory, with --store on another one. Cases leave their sessions
behind, so name a store, a database or a collection that is there for tests. A program that --exec starts speaks the protocol of
`session-repo exec` on its stdin and stdout; it is started once, for all cases.
Exit status: 0 if every case passed, 1 if one failed or nothing could be tested, 2 bad command line.";

#[derive(Debug, Args)]
pub(crate) struct ConformanceArgs {
    /// Test a component of the world `repository`, in either flavour.
    #[arg(long, value_name = "FILE", group = "subject")]
    pub(crate) component: Option<PathBuf>,
    /// Test a storage component, below the component of this program.
    #[arg(long, value_name = "FILE", group = "subject")]
    pub(crate) storage: Option<PathBuf>,
    /// Test a program that speaks the `exec` protocol: a command as the shell reads it.
    #[arg(long, value_name = "COMMAND", group = "subject")]
    pub(crate) exec: Option<String>,
    /// The highest level whose cases are run, with all below it.
    #[arg(long, value_enum, default_value = "appends")]
    pub(crate) level: Level,
    /// Run the cases only whose names have this in them; may be repeated.
    #[arg(long, value_name = "TEXT")]
    pub(crate) only: Vec<String>,
    /// List the cases and what they cover, and run none.
    #[arg(long)]
    pub(crate) list: bool,
    /// Also write a report in JUnit XML.
    #[arg(long, value_name = "FILE")]
    pub(crate) junit: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) output: Output,
}
