//! Rows as they change, for those who look: every commit is told, whichever door its edits came through.

use std::collections::BTreeMap;

use crate::settle::is_equal;
use crate::tables::Placed;
use crate::{Row, Timestamp};

/// What an edit did to a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowChange {
    /// What was done.
    pub action: Action,
    /// The row after it; of a deleted one, the last state.
    pub row: Row,
}

/// What can be done to a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// It is new.
    Create,
    /// It differs from before, perhaps in its time alone.
    Update,
    /// It is gone.
    Delete,
}

/// Is told of rows that change. Both functions run on the writer's thread: they must not hold the [`crate::Store`], nor
/// wait.
pub trait Watch: Send + Sync {
    /// Whether anybody looks at present; rows are gathered only then.
    fn is_on(&self) -> bool;

    /// Takes what a commit changed, once it is durable and published and before its writers hear of it. The changes of
    /// an edit stand in order of insertion of their rows. `None` if there are more than [`ROWS_MAX`], or they were not
    /// gathered because it has been on only since the commit was begun: who looks has to look anew.
    fn changed(&self, changes: Option<&[RowChange]>);
}

/// The rows that an edit changes, before and after, by their place: it stays the same when a row moves to another owner
/// or zone.
pub(crate) struct Watched(Option<BTreeMap<u64, States>>);

/// A row before and after.
type States = (Option<Row>, Option<Row>);

impl Watched {
    /// None yet.
    pub(crate) fn new() -> Self {
        Self(Some(BTreeMap::new()))
    }

    /// Notes what became of a row at an owner; generated ones are nobody's records.
    pub(crate) fn note(&mut self, before: Option<&Placed>, after: Option<&Placed>) {
        let Some(rows) = &mut self.0 else { return };
        let clients = |placed: Option<&Placed>| placed.filter(|placed| !placed.row.generated).cloned();
        if let Some(Placed { place, row }) = clients(before) {
            rows.entry(place).or_default().0 = Some(row);
        }
        if let Some(Placed { place, row }) = clients(after) {
            rows.entry(place).or_default().1 = Some(row);
        }
        if rows.len() > ROWS_MAX {
            self.0 = None;
        }
    }

    /// The changes, unless they are too many; the times tell a row that was written from a SOA record that only has a new serial.
    pub(crate) fn changes(self) -> Option<impl Iterator<Item = RowChange>> {
        let times = |row: &Row| -> (Timestamp, Timestamp) { (row.created, row.updated) };
        let change = move |states: States| match states {
            (None, None) => None,
            (None, Some(row)) => Some(RowChange { action: Action::Create, row }),
            (Some(row), None) => Some(RowChange { action: Action::Delete, row }),
            (Some(before), Some(row)) => {
                let is_same = is_equal(&before, &row)
                    && before.zone == row.zone
                    && before.written == row.written
                    && times(&before) == times(&row);
                (!is_same).then_some(RowChange { action: Action::Update, row })
            }
        };
        Some(self.0?.into_values().filter_map(change))
    }
}

/// Rows of a commit that are gathered for those who look: more than people or programs change by hand, and few enough to
/// lie in memory twice. Fewer for the store's own tests, which are to be quick.
pub const ROWS_MAX: usize = if cfg!(test) { 1_024 } else { 65_536 };
