//! The collection of records: list, view, create, update, delete.

use serde_json::json;
use store::{Row, Store};

use super::call::{Call, Query, Reply};
use super::change::{Change, apply};
use super::error::{ApiError, MALFORMED};
use super::filter::Filter;
use super::record;
use super::sort::{ROWS_MAX, Sort};
use super::time;

/// `GET …/records`
pub(super) async fn list(call: Call) -> Result<Reply, ApiError> {
    let page = Page::parse(&call.query)?;
    let skip = (page.page - 1).saturating_mul(page.size);
    let size = page.size as usize;
    let sort = call.query.get("sort").map(Sort::parse).transpose()?;
    let filter = call.query.get("filter").map(|text| Filter::parse(text, time::now())).transpose()?;
    let found = call.site.blocking(move |store| match (filter, sort) {
        (None, None) => store.rows(skip, size).map_err(|why| ApiError::store(&why)),
        (filter, sort) => chosen(store, filter.as_ref(), sort.as_ref(), skip, size),
    });
    let (rows, total) = found.await??;
    let (total, pages) = match page.skip_total {
        true => (-1, -1),
        false => (total as i64, total.div_ceil(page.size) as i64),
    };
    Ok(Reply::List(json!({
        "items": rows.iter().map(record::to_json).collect::<Vec<_>>(),
        "page": page.page,
        "perPage": page.size,
        "totalItems": total,
        "totalPages": pages,
    })))
}

/// A page of the records that meet a condition, in an order of their values, and how many meet it.
fn chosen(
    store: &Store,
    filter: Option<&Filter>,
    sort: Option<&Sort>,
    skip: u64,
    size: usize,
) -> Result<(Vec<Row>, u64), ApiError> {
    let (mut rows, total) = store.rows(0, ROWS_MAX as usize).map_err(|why| ApiError::store(&why))?;
    if total > ROWS_MAX {
        return Err(ApiError::bad_request(format!("More than {ROWS_MAX} records cannot be sorted or filtered.")));
    }
    if let Some(filter) = filter {
        rows.retain(|row| filter.matches(&record::to_json(row)));
    }
    let total = rows.len() as u64;
    if let Some(sort) = sort {
        rows = sort.apply(rows);
    }
    let skip = usize::try_from(skip).unwrap_or(usize::MAX);
    Ok((rows.into_iter().skip(skip).take(size).collect(), total))
}

/// `GET …/records/{id}`
pub(super) async fn view(call: Call) -> Result<Reply, ApiError> {
    let id = record::id_from_text(call.path("id")).ok_or_else(ApiError::not_found)?;
    let row = call.site.blocking(move |store| store.row(id)).await?;
    let row = row.map_err(|why| ApiError::store(&why))?;
    row.as_ref().map(|row| Reply::Json(record::to_json(row))).ok_or_else(ApiError::not_found)
}

/// `POST …/records`
pub(super) async fn create(mut call: Call) -> Result<Reply, ApiError> {
    let change = Change::create(call.take_fields(MALFORMED).await?);
    one(apply(&call.site, vec![change]).await?)
}

/// `PATCH …/records/{id}`
pub(super) async fn update(mut call: Call) -> Result<Reply, ApiError> {
    let fields = call.take_fields(MALFORMED).await?;
    let change = Change::update(call.path("id"), fields);
    one(apply(&call.site, vec![change]).await?)
}

/// `DELETE …/records/{id}`
pub(super) async fn delete(call: Call) -> Result<Reply, ApiError> {
    let change = Change::delete(call.path("id"));
    apply(&call.site, vec![change]).await?.map_err(|(_, why)| why)?;
    Ok(Reply::Empty)
}

/// The record that a change gave.
fn one(applied: Result<Vec<Row>, (usize, ApiError)>) -> Result<Reply, ApiError> {
    match applied.map_err(|(_, why)| why)?.first() {
        Some(row) => Ok(Reply::Json(record::to_json(row))),
        None => Err(ApiError::internal("the store gave no row for an edit of one")),
    }
}

/// Which part of a list is wanted.
struct Page {
    /// The page, counted from 1.
    page: u64,
    /// Records on a page.
    size: u64,
    /// Whether the totals do not matter.
    skip_total: bool,
}

impl Page {
    /// Reads the parameters of a list.
    fn parse(query: &Query) -> Result<Self, ApiError> {
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
}

/// Records on a page that names no number.
const SIZE_DEFAULT: u64 = 30;

/// Records on the biggest page.
const SIZE_MAX: u64 = 1000;
