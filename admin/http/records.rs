//! The collection of records: list, view, create, update, delete.

use std::sync::{Arc, OnceLock};

use engine::log;
use serde_json::json;
use store::edit::{Api, Applied, Edit, EditError, Op};
use store::{Faulty, Row, Store};

use super::call::{Call, Query, Reply};
use super::error::{ApiError, FieldFaults};
use super::filter::Filter;
use super::record;
use super::record_input::Input;
use super::site::Site;
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
    let input = Input::new(call.take_fields(MALFORMED).await?);
    let row = input.to_row(None).map_err(|faults| ApiError::fields(NOT_CREATED, faults))?;
    let applied = apply(&call.site, Op::Create(row)).await?;
    one(applied.map_err(|why| ApiError::edit(NOT_CREATED, why))?)
}

/// `PATCH …/records/{id}`
pub(super) async fn update(mut call: Call) -> Result<Reply, ApiError> {
    let id = record::id_from_text(call.path("id")).ok_or_else(ApiError::not_found)?;
    let input = Input::new(call.take_fields(MALFORMED).await?);
    // What is wrong with the fields shows inside the transaction, and comes out beside its verdict.
    let found: Arc<OnceLock<FieldFaults>> = Arc::default();
    let faults = Arc::clone(&found);
    let change = move |row: &Row| {
        input.to_row(Some(row)).map_err(|why| {
            let _ = faults.set(why);
            EditError::Rule { op: 0, field: Faulty::Content, message: String::new() }
        })
    };
    let applied = apply(&call.site, Op::Update(id, Box::new(change))).await?;
    let applied = applied.map_err(|why| match found.get() {
        Some(faults) => ApiError::fields(NOT_UPDATED, faults.clone()),
        None => ApiError::edit(NOT_UPDATED, why),
    });
    one(applied?)
}

/// `DELETE …/records/{id}`
pub(super) async fn delete(call: Call) -> Result<Reply, ApiError> {
    let id = record::id_from_text(call.path("id")).ok_or_else(ApiError::not_found)?;
    let applied = apply(&call.site, Op::Delete(id)).await?;
    applied.map_err(|why| ApiError::edit(NOT_DELETED, why))?;
    Ok(Reply::Empty)
}

/// Applies an edit of one op; back when it is durable and served.
async fn apply(site: &Site, op: Op) -> Result<Result<Applied, EditError>, ApiError> {
    let edit = Edit { who: site.account.email.clone(), api: Api::Pocketbase, ops: vec![op] };
    let applied = site.blocking(move |store| store.apply(edit)).await?;
    // The API has no place for them in its replies.
    for warning in applied.iter().flat_map(|applied| &applied.warnings) {
        log::warning(&format!("HTTP service: {warning}"));
    }
    Ok(applied)
}

/// The record that an edit of one row gave.
fn one(applied: Applied) -> Result<Reply, ApiError> {
    match applied.rows.first() {
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

/// A body that cannot be read.
const MALFORMED: &str = "Something went wrong while processing your request.";

/// A refused creation.
const NOT_CREATED: &str = "Failed to create record.";

/// A refused update.
const NOT_UPDATED: &str = "Failed to update record.";

/// A refused deletion.
const NOT_DELETED: &str = "Failed to delete record.";

/// Records on a page that names no number.
const SIZE_DEFAULT: u64 = 30;

/// Records on the biggest page.
const SIZE_MAX: u64 = 1000;
