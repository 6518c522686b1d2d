//! Parameters of lists: which page, how long, in what order.

use schemars::JsonSchema;
use serde::Serialize;

use super::call::Query;
use super::error::{ApiError, FieldFaults};
use super::openapi::Param;

/// The page of a list that is asked for.
#[derive(Clone, Copy)]
pub(super) struct Paging {
    /// The page, counted from 1.
    page: u32,
    /// Items on each.
    per_page: u32,
}

/// Where a list was cut.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Cut {
    /// The page, counted from 1.
    page: u32,
    /// Items on each.
    per_page: u32,
    /// Items on all.
    total_items: u64,
    /// How many pages there are.
    total_pages: u64,
}

impl Paging {
    /// The parameter that names the page.
    pub(super) const PAGE: Param = Param::query::<PageNumber>("page", "The page, counted from 1.");

    /// The parameter that says how much is on one.
    pub(super) const PER_PAGE: Param = Param::query::<PageSize>("perPage", "Items on a page, 100 if not given.");

    /// Reads the parameters.
    pub(super) fn parse(query: &Query) -> Result<Self, ApiError> {
        let page = number(query, "page", 1, PAGE_MAX)?.unwrap_or(1);
        let per_page = number(query, "perPage", 1, SIZE_MAX)?.unwrap_or(SIZE_DEFAULT);
        Ok(Self { page, per_page })
    }

    /// Items on a page.
    pub(super) fn size(self) -> usize {
        self.per_page as usize
    }

    /// Whether the page has the item that so many come before.
    pub(super) fn has(self, before: u64) -> bool {
        let first = u64::from(self.page - 1) * u64::from(self.per_page);
        (first..first + u64::from(self.per_page)).contains(&before)
    }

    /// The items on the page.
    pub(super) fn cut<T>(self, items: Vec<T>) -> Vec<T> {
        let items = items.into_iter().zip(0..);
        items.filter(|(_, before)| self.has(*before)).map(|(item, _)| item).collect()
    }

    /// Where a list of so many items is cut.
    pub(super) fn of(self, total_items: u64) -> Cut {
        let Self { page, per_page } = self;
        Cut { page, per_page, total_items, total_pages: total_items.div_ceil(per_page.into()) }
    }
}

/// A whole number after the `?`; 400 for what is none, or out of range.
pub(super) fn number(query: &Query, name: &str, min: u32, max: u32) -> Result<Option<u32>, ApiError> {
    let Some(text) = query.given(name) else {
        return Ok(None);
    };
    let number = text.parse().ok().filter(|number| (min..=max).contains(number));
    let refused = || parameter(name, &format!("this is a whole number from {min} to {max}"));
    number.map(Some).ok_or_else(refused)
}

/// `true` or `false` after the `?`; false if it is not there.
pub(super) fn flag(query: &Query, name: &str) -> Result<bool, ApiError> {
    match query.given(name) {
        None | Some("false") => Ok(false),
        Some("true") => Ok(true),
        Some(_) => Err(parameter(name, "this is `true` or `false`")),
    }
}

/// 400 for a parameter.
pub(super) fn parameter(name: &str, why: &str) -> ApiError {
    let mut faults = FieldFaults::default();
    faults.invalid(name, why);
    ApiError::fields("A parameter of the request is wrong.", faults)
}

/// Describes the parameter `page`.
#[derive(JsonSchema)]
struct PageNumber(
    #[schemars(range(min = 1, max = PAGE_MAX))]
    #[expect(dead_code, reason = "describes it")]
    u32,
);

/// Describes the parameter `perPage`.
#[derive(JsonSchema)]
struct PageSize(
    #[schemars(range(min = 1, max = SIZE_MAX))]
    #[expect(dead_code, reason = "describes it")]
    u32,
);

/// The last page that can be asked for.
const PAGE_MAX: u32 = 1_000_000_000;

/// Items of the longest page.
const SIZE_MAX: u32 = 1_000;

/// Items of a page whose length is not said.
const SIZE_DEFAULT: u32 = 100;
