//! The suite: what the repository promises, stated through its public interfaces, on the real component and a real MongoDB.

mod cli;
mod component;
mod contract;
mod driver;
mod exec;
mod json;
mod mongo;
mod schema;
mod seeded;
mod sharing;
