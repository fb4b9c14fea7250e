//! The names of tools by the ids of their calls, so that a result can say whose it is.

use std::collections::VecDeque;

/// How many calls are remembered. A result comes soon after its call.
const REMEMBERED: usize = 1_000;

/// The latest calls of an agent.
#[derive(Debug, Default)]
pub(crate) struct Calls(VecDeque<(String, String)>);

impl Calls {
    /// Remembers the tool that a call is for.
    pub(crate) fn remember(&mut self, id: &str, tool: &str) {
        if self.0.len() == REMEMBERED {
            self.0.pop_front();
        }
        self.0.push_back((id.to_owned(), tool.to_owned()));
    }

    /// The tool that a call was for.
    pub(crate) fn tool(&self, id: &str) -> Option<&str> {
        self.0.iter().rev().find(|(call, _)| call == id).map(|(_, tool)| tool.as_str())
    }
}
