//! The suite: what the repository promises, stated through its public interfaces, on the real component and a real MongoDB.

#![allow(clippy::indexing_slicing, clippy::panic, reason = "a test that meets what it does not expect is to fail")]

mod answers;
mod archive;
mod check;
mod cli;
mod compact;
mod completions;
mod component;
mod concern;
mod configuration;
mod conformance;
mod contract;
mod damage;
mod driver;
mod embedded;
mod errors;
mod exec;
mod flavours;
mod foreign;
mod held;
mod hostile;
mod json;
mod logged;
mod marks;
mod mongo;
mod notices;
mod overdue;
mod parity;
mod place;
mod plugin;
mod reading;
mod readme;
mod revisions;
mod run;
mod runtimes;
mod samples;
mod schema;
mod scope;
mod seeded;
mod sharing;
mod show;
mod start;
mod structure;
mod terminal;
mod transfer;
