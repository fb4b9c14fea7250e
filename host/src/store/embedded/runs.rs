//! A sequence of positions that grows anywhere, for the order of an agent's messages.
//!
//! A run is a part of the sequence in which positions count up by one. The runs of an agent are the leaves of a tree, whose branches count
//! the messages below them. So a place is found, and a run inserted, in a few nodes, however long the sequence is. Each node is a row.
//! Nothing is ever taken out.

use super::fault::Result;
use super::numbers::AgentNo;
use super::rows::damaged;
use super::tables::Bytes;
use redb::ReadableTable;
use std::collections::BTreeMap;
use std::ops::Range;

/// The rows of nodes, by agent and number of the node.
pub(super) trait Nodes: ReadableTable<(AgentNo, u64), Bytes> {}
impl<T: ReadableTable<(AgentNo, u64), Bytes>> Nodes for T {}

/// The number of the node from which all others are found.
const ROOT: u64 = 0;

/// The entries of a node at most: two kilobytes.
const FULL: usize = 128;

/// Of a leaf a run, of a branch a node below it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    /// The position of the run's first message, or the number of the node.
    pub(super) at: u64,
    /// How many messages are in the run, or below the node.
    pub(super) messages: u64,
}

#[derive(Debug, Clone)]
struct Node {
    /// How many levels of nodes are below it.
    level: u64,
    entries: Vec<Entry>,
}

/// Where a place is in a node.
struct Found {
    /// The entry; behind the last one at the end.
    index: usize,
    /// How many messages of the entry are before the place.
    within: u64,
}

impl Node {
    fn read(nodes: &impl Nodes, agent: AgentNo, number: u64) -> Result<Option<Self>> {
        let Some(row) = nodes.get((agent, number))? else { return Ok(None) };
        let (numbers, rest) = row.value().as_chunks::<8>();
        let mut numbers = numbers.iter().map(|bytes| u64::from_le_bytes(*bytes));
        let level = numbers.next().filter(|_| rest.is_empty()).ok_or_else(damaged)?;
        let (mut entries, mut all) = (Vec::with_capacity(FULL), 0_u64);
        while let Some(at) = numbers.next() {
            let messages = numbers.next().ok_or_else(damaged)?;
            // Nothing that is computed from these overflows.
            at.checked_add(messages).ok_or_else(damaged)?;
            all = all.checked_add(messages).ok_or_else(damaged)?;
            entries.push(Entry { at, messages });
        }
        Ok(Some(Self { level, entries }))
    }

    fn bytes(&self) -> Vec<u8> {
        let entries = self.entries.iter().flat_map(|entry| [entry.at, entry.messages]);
        std::iter::once(self.level).chain(entries).flat_map(u64::to_le_bytes).collect()
    }

    /// The node that an entry names, if it is one that can be below this one.
    fn child(&self, named: Option<Self>) -> Result<Self> {
        named.filter(|child| Some(child.level) == self.level.checked_sub(1)).ok_or_else(damaged)
    }

    fn messages(&self) -> u64 {
        self.entries.iter().map(|entry| entry.messages).sum()
    }

    fn find(&self, place: u64) -> Found {
        let mut within = place;
        for (index, entry) in self.entries.iter().enumerate() {
            if within < entry.messages {
                return Found { index, within };
            }
            within -= entry.messages;
        }
        Found { index: self.entries.len(), within: 0 }
    }

    /// Adds the positions at some places to `out`.
    fn collect(&self, nodes: &impl Nodes, agent: AgentNo, places: Range<u64>, out: &mut Vec<u64>) -> Result<()> {
        let mut begin = 0;
        for entry in &self.entries {
            let end = begin + entry.messages;
            let wanted = places.start.max(begin)..places.end.min(end);
            if wanted.start < wanted.end {
                let wanted = wanted.start - begin..wanted.end - begin;
                if self.level > 0 {
                    self.child(Self::read(nodes, agent, entry.at)?)?.collect(nodes, agent, wanted, out)?;
                } else {
                    out.extend(entry.at + wanted.start..entry.at + wanted.end);
                }
            }
            begin = end;
        }
        Ok(())
    }

    /// Puts a run into a leaf, at a place.
    fn insert_run(&mut self, place: u64, run: Entry) {
        let Found { index, within } = self.find(place);
        let before = index.checked_sub(1).and_then(|before| self.entries.get_mut(before)).filter(|_| within == 0);
        if let Some(before) = before
            && before.at + before.messages == run.at
        {
            before.messages += run.messages;
            return;
        }
        match self.entries.get_mut(index) {
            Some(entry) if within > 0 => {
                let behind = Entry { at: entry.at + within, messages: entry.messages - within };
                entry.messages = within;
                self.entries.splice(index + 1..index + 1, [run, behind]);
            }
            _ => self.entries.insert(index, run),
        }
    }
}

/// The positions at some places, in their order; none if each is its own place.
pub(super) fn page(nodes: &impl Nodes, agent: AgentNo, places: Range<u64>) -> Result<Option<Vec<u64>>> {
    let Some(root) = Node::read(nodes, agent, ROOT)? else { return Ok(None) };
    let covered = root.messages();
    if places.start >= covered {
        return Ok(None);
    }
    let mut positions = Vec::new();
    root.collect(nodes, agent, places.start..places.end.min(covered), &mut positions)?;
    positions.extend(covered..places.end.max(covered));
    Ok(Some(positions))
}

/// The tree of an agent as a write leaves it. Nothing is stored: the nodes that the write changes are in memory.
pub(super) struct Tree<'n, N> {
    nodes: &'n N,
    agent: AgentNo,
    changed: BTreeMap<u64, Node>,
}

impl<'n, N: Nodes> Tree<'n, N> {
    pub(super) fn of(nodes: &'n N, agent: AgentNo) -> Self {
        Self { nodes, agent, changed: BTreeMap::new() }
    }

    /// The rows of the changed nodes.
    pub(super) fn into_rows(self) -> Vec<(AgentNo, u64, Vec<u8>)> {
        self.changed.into_iter().map(|(number, node)| (self.agent, number, node.bytes())).collect()
    }

    fn read(&self, number: u64) -> Result<Option<Node>> {
        match self.changed.get(&number) {
            Some(node) => Ok(Some(node.clone())),
            None => Node::read(self.nodes, self.agent, number),
        }
    }

    /// How many places it has; each place behind them is its own position.
    pub(super) fn covered(&self) -> Result<u64> {
        Ok(self.read(ROOT)?.map_or(0, |root| root.messages()))
    }

    /// Puts a run into it, at a place within the tree or at its end. The tree may be empty.
    pub(super) fn insert_run(&mut self, place: u64, run: Entry) -> Result<()> {
        let mut root = self.read(ROOT)?.unwrap_or(Node { level: 0, entries: Vec::new() });
        if let Some(right) = self.insert_below(&mut root, place, run)? {
            // The root keeps its number, so what is left in it moves to a node below.
            let left = Entry { messages: root.messages(), at: self.add(root.clone())? };
            root = Node { level: root.level + 1, entries: vec![left, right] };
        }
        self.changed.insert(ROOT, root);
        Ok(())
    }

    /// Puts a run below a node. A node that is too large is split; its right half is added and returned. The node itself is not changed yet.
    fn insert_below(&mut self, node: &mut Node, place: u64, run: Entry) -> Result<Option<Entry>> {
        if node.level == 0 {
            node.insert_run(place, run);
        } else {
            // Between two children a run belongs to the end of the first, where it may go on from another one.
            let Found { index, within } = node.find(place);
            let (index, within) = match index.checked_sub(1).and_then(|before| node.entries.get(before)) {
                Some(before) if within == 0 => (index - 1, before.messages),
                _ => (index, within),
            };
            let entry = node.entries.get(index).copied().ok_or_else(damaged)?;
            let mut child = node.child(self.read(entry.at)?)?;
            let right = self.insert_below(&mut child, within, run)?;
            if let Some(entry) = node.entries.get_mut(index) {
                entry.messages = child.messages();
            }
            self.changed.insert(entry.at, child);
            if let Some(right) = right {
                node.entries.insert(index + 1, right);
            }
        }
        if node.entries.len() <= FULL {
            return Ok(None);
        }
        let right = Node { level: node.level, entries: node.entries.split_off(FULL / 2) };
        Ok(Some(Entry { messages: right.messages(), at: self.add(right)? }))
    }

    /// Makes it of runs in their order. It must be empty.
    pub(super) fn build(&mut self, runs: Vec<Entry>) -> Result<()> {
        let mut level = Node { level: 0, entries: runs };
        while level.entries.len() > FULL {
            let mut above = Vec::new();
            // With room for what comes later.
            for entries in level.entries.chunks(FULL * 3 / 4) {
                let node = Node { level: level.level, entries: entries.to_vec() };
                above.push(Entry { messages: node.messages(), at: self.add(node)? });
            }
            level = Node { level: level.level + 1, entries: above };
        }
        self.changed.insert(ROOT, level);
        Ok(())
    }

    /// Adds a node under a number that no other has.
    fn add(&mut self, node: Node) -> Result<u64> {
        let stored = self.nodes.range((self.agent, 0)..(self.agent.next(), 0))?.next_back().transpose()?.map(|(key, _)| key.value().1);
        let changed = self.changed.last_key_value().map(|(number, _)| *number);
        let number = stored.max(changed).unwrap_or(ROOT) + 1;
        self.changed.insert(number, node);
        Ok(number)
    }
}
