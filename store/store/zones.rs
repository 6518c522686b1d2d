//! The zones as those who look after them see them: the damaged ones too, and who changed each last.

use std::cmp::Reverse;
use std::collections::HashSet;

use super::{Found, Store, StoreError, ZoneInfo, headers, info};
use crate::codec::{self, Header, decode_entry, decode_entry_head};
use crate::db::{Read, Table};
use crate::edit::{Api, JournalEntry, NodeData};
use crate::{Name, name, removed, tables};

/// A zone, whether it can be read or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ZoneState {
    /// It is sound, as far as is known.
    Served(ZoneInfo),
    /// Its records are damaged: it is not served until it is restored, replaced or removed.
    Withheld(ZoneInfo),
    /// Not even its header can be read.
    Damaged(Name),
}

/// The last change of a zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastChange {
    /// Who asked for it.
    pub who: String,
    /// The door it came through.
    pub api: Api,
}

impl ZoneState {
    /// The zone's apex.
    pub fn apex(&self) -> &Name {
        match self {
            Self::Served(info) | Self::Withheld(info) => &info.apex,
            Self::Damaged(apex) => apex,
        }
    }

    /// What its header says, if that can be read.
    pub fn info(&self) -> Option<&ZoneInfo> {
        match self {
            Self::Served(info) | Self::Withheld(info) => Some(info),
            Self::Damaged(_) => None,
        }
    }
}

impl Store {
    /// All zones in canonical order, of which `pick` takes some, and the last change of each of those as far as it is
    /// remembered; one consistent read.
    pub fn survey(
        &self,
        pick: &mut dyn FnMut(Vec<ZoneState>) -> Vec<ZoneState>,
    ) -> Result<Vec<(ZoneState, Option<LastChange>)>, StoreError> {
        let withheld = self.shared.withheld();
        self.shared.db.read(|view| {
            let zones = headers(view)?.into_iter().map(|found| state(found, &withheld)).collect();
            pick(zones).into_iter().map(|zone| self.with_change(view, zone)).collect()
        })
    }

    /// A zone and its last change; `None` if there is no such zone.
    pub fn zone(&self, apex: &Name) -> Result<Option<(ZoneState, Option<LastChange>)>, StoreError> {
        let withheld = self.shared.withheld();
        let key = name::order_key(apex);
        self.shared.db.read(|view| {
            let header = match tables::header(view, &key) {
                Ok(None) => return Ok(None),
                Ok(Some(header)) => Ok(header),
                Err(error @ StoreError::Damaged(_)) => Err(error),
                Err(other) => return Err(other),
            };
            self.with_change(view, state((key, header), &withheld)).map(Some)
        })
    }

    /// What `look` makes of the newest changes of all zones, those of removed and remembered ones too, newest first; one
    /// consistent read. Zones that are withheld, and journals that cannot be read, are left out.
    pub fn recent<T>(&self, most: usize, look: &dyn Fn(&Name, &JournalEntry) -> T) -> Result<Vec<T>, StoreError> {
        self.shared.db.check_sound()?;
        let withheld = self.shared.withheld();
        self.shared.db.read(|view| {
            let sound = headers(view)?.into_iter().filter(|(key, _)| !withheld.contains(key));
            let mut zones: Vec<Header> = sound.filter_map(|(_, header)| header.ok()).collect();
            for key in removed::newest(view, most)? {
                zones.extend(removed::find(view, &key)?);
            }
            zones.sort_by_key(|header| Reverse(header.updated));
            let mut changes = Vec::new();
            for Header { apex, number, updated, .. } in &zones {
                // No zone from here on has a change that is newer than its last one.
                let oldest = changes.get(most.saturating_sub(1)).map(|(at, _)| *at);
                if most == 0 || oldest.is_some_and(|oldest| oldest >= *updated) {
                    break;
                }
                let mut seen = 0;
                view.scan_back(Table::Journal, &number.to_be_bytes(), &mut |_, value| {
                    let Ok(entry) = decode_entry(value) else { return Ok(false) };
                    let is_newer = oldest.is_none_or(|oldest| entry.at > oldest);
                    if is_newer {
                        changes.push((entry.at, look(apex, &entry)));
                        seen += 1;
                    }
                    Ok(is_newer && seen < most)
                })?;
                // The order of one zone's changes stays.
                changes.sort_by_key(|(at, _)| Reverse(*at));
                changes.truncate(most);
            }
            Ok(changes.into_iter().map(|(_, change)| change).collect())
        })
    }

    /// What is at one name of a zone, and the zone's line in the list, from one state. `None` if there is no such zone.
    pub fn node(&self, apex: &Name, owner: &Name) -> Result<Option<(ZoneInfo, Option<NodeData>)>, StoreError> {
        self.shared.db.check_sound()?;
        let key = name::order_key(apex);
        self.shared.check_withheld(&key)?;
        self.shared.db.read(|view| {
            let Some(header) = tables::header(view, &key)? else {
                return Ok(None);
            };
            let rows = tables::node_rows(view, header.number, &header.apex, &name::order_key(owner))?;
            Ok(Some((info(&header), tables::node_data(&rows))))
        })
    }

    /// Adds the last change to a zone; it is not known of a damaged one.
    fn with_change(&self, view: &dyn Read, zone: ZoneState) -> Result<(ZoneState, Option<LastChange>), StoreError> {
        let mut last = None;
        if let (ZoneState::Served(info), Ok(())) = (&zone, self.shared.db.check_sound())
            && let Some(Header { number, .. }) = tables::header(view, &name::order_key(&info.apex))?
        {
            view.scan_back(Table::Journal, &number.to_be_bytes(), &mut |_, value| {
                last = decode_entry_head(value).ok().map(|entry| LastChange { who: entry.who, api: entry.api });
                Ok(false)
            })?;
        }
        Ok((zone, last))
    }
}

/// The state of a zone.
fn state((key, header): Found, withheld: &HashSet<Vec<u8>>) -> ZoneState {
    match header {
        Ok(header) if withheld.contains(&key) => ZoneState::Withheld(info(&header)),
        Ok(header) => ZoneState::Served(info(&header)),
        Err(_) => ZoneState::Damaged(codec::name_of_key(&key).unwrap_or_else(|_| Name::root_bytes())),
    }
}
