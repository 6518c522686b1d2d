//! zonda's own API: a back-up of the whole database.

use axum::http::header;
use axum::response::IntoResponse;
use store::{BackupError, name};

use super::call::{Call, Reply};
use super::error::ApiError;
use super::openapi::{Answer, Content, Operation};
use super::stream;
use engine::log;

/// What [`get`] does.
pub(super) const GET: Operation = Operation::new(
    "Back up the whole database while it is in use",
    &[Answer::new(200, "The back-up, for `zonda restore`.", &[Content::octets()])],
);

/// `GET /api/zonda/backup`
pub(super) async fn get(call: Call) -> Result<Reply, ApiError> {
    let body = stream::body(&call.site, call.site.exports_of(&call), "a back-up", |store, outlet| {
        let backup = store.backup(outlet)?;
        for apex in &backup.left_out {
            let apex = name::to_text(apex);
            log::error(&format!("HTTP service: the zone {apex} is damaged and missing from the back-up just made"));
        }
        Ok::<_, BackupError>(())
    });
    let body = body.await?.ok_or_else(ApiError::not_found)?;
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"zonda.backup\""),
    ];
    Ok(Reply::Whole((headers, body).into_response()))
}
