//! Lists: the parameters that all of them take, and lists of what lies in memory.

use serde_json::{Value, json};

use super::call::{Query, Reply};
use super::error::ApiError;
use super::filter::Filter;
use super::sort::Sort;
use super::time;

/// Which part of a list is wanted.
pub(super) struct Page {
    /// The page, counted from 1.
    page: u64,
    /// Records on a page.
    pub(super) size: u64,
    /// Whether the totals do not matter.
    skip_total: bool,
}

impl Page {
    /// Reads the parameters of a list.
    pub(super) fn parse(query: &Query) -> Result<Self, ApiError> {
        let number = |name, default: u64| match query.get(name) {
            None => Ok(default),
            Some(text) => match text.parse::<i64>() {
                Ok(number) => Ok(u64::try_from(number).ok().filter(|number| *number != 0).unwrap_or(default)),
                Err(_) => Err(ApiError::malformed()),
            },
        };
        Ok(Self {
            page: number("page", 1)?,
            size: number("perPage", SIZE_DEFAULT)?.min(SIZE_MAX),
            skip_total: match query.get("skipTotal") {
                None | Some("0" | "f" | "F" | "false" | "FALSE" | "False") => false,
                Some("1" | "t" | "T" | "true" | "TRUE" | "True") => true,
                Some(_) => return Err(ApiError::malformed()),
            },
        })
    }

    /// Records before it.
    pub(super) fn skip(&self) -> u64 {
        (self.page - 1).saturating_mul(self.size)
    }

    /// The list with its items, of so many in all.
    pub(super) fn reply(&self, items: Vec<Value>, total: u64) -> Reply {
        let (total, pages) = match self.skip_total {
            true => (-1, -1),
            false => (total as i64, total.div_ceil(self.size) as i64),
        };
        Reply::List(json!({
            "items": items,
            "page": self.page,
            "perPage": self.size,
            "totalItems": total,
            "totalPages": pages,
        }))
    }
}

/// A list of what lies in memory.
pub(super) fn of_values(
    query: &Query,
    mut items: Vec<Value>,
    fields: &'static [&'static str],
) -> Result<Reply, ApiError> {
    let page = Page::parse(query)?;
    let sort = query.get("sort").map(|text| Sort::parse(text, fields)).transpose()?;
    if let Some(filter) = query.get("filter") {
        let filter = Filter::parse(filter, time::now(), fields)?;
        items.retain(|item| filter.matches(item));
    }
    if let Some(sort) = sort {
        items = sort.apply(items, Value::clone);
    }
    let total = items.len() as u64;
    let skip = usize::try_from(page.skip()).unwrap_or(usize::MAX);
    Ok(page.reply(items.into_iter().skip(skip).take(page.size as usize).collect(), total))
}

/// Records on a page that names no number.
const SIZE_DEFAULT: u64 = 30;

/// Records on the biggest page.
const SIZE_MAX: u64 = 1000;
