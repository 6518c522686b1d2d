//! The records of a collection: list, view, create, update, delete.

use axum::http::StatusCode;
use store::{Row, Store};

use super::call::{Call, Reply};
use super::change::{Change, apply};
use super::error::{ApiError, MALFORMED};
use super::filter::Filter;
use super::list::{self, Page};
use super::record::{self, FIELDS};
use super::sort::Sort;
use super::{account, collections, time};

/// `GET …/records`
pub(super) async fn list(call: Call) -> Result<Reply, ApiError> {
    if !collections::is_records(call.path("collection")) {
        let superuser = vec![call.site.account.to_json()];
        return list::of_values(&call.query, superuser, &account::FIELDS);
    }
    let page = Page::parse(&call.query)?;
    let skip = page.skip();
    let size = page.size as usize;
    let sort = call.query.get("sort").map(|text| Sort::parse(text, &FIELDS)).transpose()?;
    let filter = call.query.get("filter").map(|text| Filter::parse(text, time::now(), &FIELDS)).transpose()?;
    let found = call.site.blocking(move |store| match (filter, sort) {
        (None, None) => store.rows(skip, size).map_err(|why| ApiError::store(&why)),
        (filter, sort) => chosen(store, filter.as_ref(), sort.as_ref(), skip, size),
    });
    let (rows, total) = found.await??;
    Ok(page.reply(rows.iter().map(record::to_json).collect(), total))
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
        rows = sort.apply(rows, record::to_json);
    }
    let skip = usize::try_from(skip).unwrap_or(usize::MAX);
    Ok((rows.into_iter().skip(skip).take(size).collect(), total))
}

/// `GET …/records/{id}`
pub(super) async fn view(call: Call) -> Result<Reply, ApiError> {
    if !collections::is_records(call.path("collection")) {
        let account = &call.site.account;
        let is_it = call.path("id") == account.id;
        return is_it.then(|| Reply::Json(account.to_json())).ok_or_else(ApiError::not_found);
    }
    let id = record::id_from_text(call.path("id")).ok_or_else(ApiError::not_found)?;
    let row = call.site.blocking(move |store| store.row(id)).await?;
    let row = row.map_err(|why| ApiError::store(&why))?;
    row.as_ref().map(|row| Reply::Json(record::to_json(row))).ok_or_else(ApiError::not_found)
}

/// `POST …/records`
pub(super) async fn create(mut call: Call) -> Result<Reply, ApiError> {
    check_writable(&call)?;
    let change = Change::create(call.take_fields(MALFORMED).await?);
    one(apply(&call.site, vec![change]).await?)
}

/// `PATCH …/records/{id}`
pub(super) async fn update(mut call: Call) -> Result<Reply, ApiError> {
    check_writable(&call)?;
    let fields = call.take_fields(MALFORMED).await?;
    let change = Change::update(call.path("id"), fields);
    one(apply(&call.site, vec![change]).await?)
}

/// `DELETE …/records/{id}`
pub(super) async fn delete(call: Call) -> Result<Reply, ApiError> {
    check_writable(&call)?;
    let change = Change::delete(call.path("id"));
    apply(&call.site, vec![change]).await?.map_err(|(_, why)| why)?;
    Ok(Reply::Empty)
}

/// The superuser is changed in the Corefile alone.
fn check_writable(call: &Call) -> Result<(), ApiError> {
    match collections::is_records(call.path("collection")) {
        true => Ok(()),
        false => Err(ApiError::new(StatusCode::FORBIDDEN, "The superuser is set in the Corefile.")),
    }
}

/// The record that a change gave.
fn one(applied: Result<Vec<Row>, (usize, ApiError)>) -> Result<Reply, ApiError> {
    match applied.map_err(|(_, why)| why)?.first() {
        Some(row) => Ok(Reply::Json(record::to_json(row))),
        None => Err(ApiError::internal("the store gave no row for an edit of one")),
    }
}

/// Records that are filtered or put into another order than that of insertion: all of them are held in memory for it.
const ROWS_MAX: u64 = 100_000;
