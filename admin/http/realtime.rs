//! Records as they change, told over server-sent events: `GET /api/realtime` opens a stream, `POST /api/realtime` says
//! what it is to tell.
//!
//! The writer puts what a commit has changed into one bounded ring that all clients read ([`hub`]); each makes its frames
//! of it at its own pace. One that falls behind by the whole ring is dropped, so that a writer waits for nobody. A commit
//! of more than [`store::ROWS_MAX`] rows is told by the end of all streams.

mod hub;
mod topic;

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::http::{HeaderName, StatusCode, header};
use axum::response::IntoResponse;
use serde_json::{Map, Value, json};
use tokio::sync::broadcast;
use tokio::sync::mpsc;
use tokio::time::{Instant, interval_at, sleep_until};

use super::call::{Call, Reply};
use super::error::{ApiError, FieldFaults, MALFORMED};
use super::record;
use super::routes::SMALL;
use super::stream::{self, Piece};
pub(super) use hub::Hub;
use hub::{Changes, Client};
use topic::Topic;

/// `GET /api/realtime`
pub(super) async fn connect(call: Call) -> Result<Reply, ApiError> {
    let hub = Arc::clone(&call.site.realtime);
    let Some((client, changes)) = hub.admit()? else {
        return Err(ApiError::new(StatusCode::TOO_MANY_REQUESTS, "Too Many Requests."));
    };
    let (to, pieces) = mpsc::channel(PIECES_MAX);
    let hello = json!({ "clientId": client.id });
    let hello = format!("id:{}\nevent:PB_CONNECT\ndata:{hello}\n\n", client.id);
    tokio::spawn(async move {
        tell(&client, changes, &to).await;
        hub.remove(&client);
    });
    let headers = [
        (header::CONTENT_TYPE, "text/event-stream"),
        // A proxy that gathers octets would hold events back.
        (HeaderName::from_static("x-accel-buffering"), "no"),
    ];
    Ok(Reply::Whole((headers, stream::pieces(hello.into(), pieces)).into_response()))
}

/// `POST /api/realtime`
pub(super) async fn subscribe(mut call: Call) -> Result<Reply, ApiError> {
    if call.token.is_none() {
        call.body_max = SMALL;
    }
    let fields = call.take_fields(MALFORMED).await?;
    let (id, topics) = wanted(&fields)?;
    let client = call.site.realtime.client(&id);
    let client = client.ok_or_else(|| ApiError::new(StatusCode::NOT_FOUND, "Missing or invalid client id."))?;
    let topics: Vec<Topic> = topics.into_iter().filter_map(Topic::parse).collect();
    match call.site.realtime.subscribe(&client, call.token.is_some(), topics) {
        true => Ok(Reply::Empty),
        false => {
            Err(ApiError::new(StatusCode::FORBIDDEN, "The current and the previous request authorization don't match."))
        }
    }
}

/// The client's id and its topics in the body of a subscription.
fn wanted(fields: &Map<String, Value>) -> Result<(String, Vec<String>), ApiError> {
    let text = |value: &Value| value.as_str().map(str::to_owned).ok_or_else(|| ApiError::bad_request(MALFORMED));
    let id = match fields.get("clientId") {
        None | Some(Value::Null) => String::new(),
        // A form does not tell a text of digits from a number.
        Some(Value::Number(number)) => number.to_string(),
        Some(other) => text(other)?,
    };
    let topics = match fields.get("subscriptions") {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(topics)) => topics.iter().map(text).collect::<Result<_, _>>()?,
        Some(one) => vec![text(one)?],
    };
    let mut faults = FieldFaults::default();
    if id.is_empty() {
        faults.required("clientId");
    } else if id.chars().count() > ID_LENGTH_MAX {
        let message = format!("The length must be between 1 and {ID_LENGTH_MAX}.");
        let params = json!({ "min": 1, "max": ID_LENGTH_MAX });
        faults.add_with("clientId", "validation_length_out_of_range", &message, params);
    }
    if topics.len() > TOPICS_MAX {
        faults.too_long("subscriptions", TOPICS_MAX);
    }
    let mut of_topics = FieldFaults::default();
    for (at, topic) in topics.iter().enumerate().take(TOPICS_MAX) {
        if topic.chars().count() > TOPIC_LENGTH_MAX {
            of_topics.too_long(&at.to_string(), TOPIC_LENGTH_MAX);
        }
    }
    if !of_topics.is_empty() {
        faults.insert("subscriptions", of_topics.into());
    }
    match faults.is_empty() {
        true => Ok((id, topics)),
        false => Err(ApiError::fields(MALFORMED, faults)),
    }
}

/// Tells a client what changes until it goes, falls behind, or has been silent or there for too long.
async fn tell(client: &Client, mut changes: broadcast::Receiver<Changes>, to: &mpsc::Sender<Piece>) {
    let opened = Instant::now();
    let mut told = opened;
    let mut beat = interval_at(opened + BEAT, BEAT);
    loop {
        let received = tokio::select! {
            () = to.closed() => return,
            () = client.ended() => return,
            () = sleep_until((told + IDLE_MAX).min(opened + LIFE_MAX)) => return,
            _ = beat.tick() => None,
            received = changes.recv() => match received {
                Ok(changes) => Some(changes),
                // It has fallen behind, or the service ends.
                Err(_) => return,
            },
        };
        let sent = async {
            match received {
                None => to.send(Ok(Bytes::from_static(COMMENT))).await.is_ok(),
                Some(changes) => send(client, &changes, to, &mut told).await,
            }
        };
        tokio::select! {
            is_sent = sent => if !is_sent { return },
            // It may be one that takes nothing.
            () = client.ended() => return,
        }
    }
}

/// Sends the frames of some changes, as far as the client asked for them; false if it is gone.
async fn send(client: &Client, changes: &Changes, to: &mpsc::Sender<Piece>, told: &mut Instant) -> bool {
    let topics = client.topics(changes);
    if topics.is_empty() {
        return true;
    }
    let mut frames = String::new();
    for change in changes.rows.iter() {
        let record = record::to_json(&change.row);
        for topic in topics.iter().filter(|topic| topic.wants(change.row.id, &record)) {
            topic.frame(&client.id, change.action, &record, &mut frames);
            *told = Instant::now();
            if frames.len() >= PIECE_OCTETS && to.send(Ok(std::mem::take(&mut frames).into())).await.is_err() {
                return false;
            }
        }
    }
    frames.is_empty() || to.send(Ok(frames.into())).await.is_ok()
}

/// What keeps a connection alive: a comment, which no client shows.
const COMMENT: &[u8] = b":\n\n";

/// The time between comments; proxies give up on silent connections after a minute.
const BEAT: Duration = Duration::from_secs(25);

/// How long a client may hear nothing but comments; it comes back by itself if it is still there.
const IDLE_MAX: Duration = Duration::from_secs(5 * 60);

/// How long a client is told anything on one token.
const LIFE_MAX: Duration = Duration::from_secs(30 * 60);

/// Octets of frames that are sent together.
const PIECE_OCTETS: usize = 16 * 1024;

/// Pieces that wait for one client, beside the ring of changes that all share.
const PIECES_MAX: usize = 4;

/// Characters of a client's id that are looked at, as PocketBase bounds them.
const ID_LENGTH_MAX: usize = 255;

/// Topics of one client, as PocketBase bounds them.
const TOPICS_MAX: usize = 1000;

/// Characters of one topic, as PocketBase bounds them.
const TOPIC_LENGTH_MAX: usize = 2500;

#[cfg(test)]
mod tests {
    use store::{Action, Row, RowChange, Rtype, Watch, name};

    use super::*;

    /// How long a stream lasts on which something is told so often, and how many events and comments it has.
    async fn last(every: Duration) -> (Duration, usize, usize) {
        let hub = Arc::new(Hub::new());
        let (client, changes) = hub.admit().unwrap().unwrap();
        assert!(hub.subscribe(&client, true, Topic::parse("coredns_records/*".into()).into_iter().collect()));
        let (to, mut pieces) = mpsc::channel(PIECES_MAX);
        let opened = Instant::now();
        tokio::spawn(async move { tell(&client, changes, &to).await });
        tokio::spawn(async move {
            let zone = name::parse("example.org.", None).unwrap();
            let (owner, rdata) = (zone.clone(), Bytes::from_static(&[192, 0, 2, 1]));
            let (written, generated, created, updated) = (None, false, 0, 0);
            let row =
                Row { id: 42, zone, owner, rtype: Rtype::A, ttl: None, rdata, written, generated, created, updated };
            loop {
                tokio::time::sleep(every).await;
                hub.changed(Some(&[RowChange { action: Action::Update, row: row.clone() }]));
            }
        });
        let (mut events, mut comments) = (0, 0);
        while let Some(piece) = pieces.recv().await {
            match piece.unwrap() == COMMENT {
                true => comments += 1,
                false => events += 1,
            }
        }
        (opened.elapsed(), events, comments)
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_is_kept_alive_and_ends_after_5_minutes_of_silence_or_30_in_all() {
        let (lasted, events, comments) = last(Duration::from_secs(3600)).await;
        assert!(lasted.abs_diff(IDLE_MAX) < Duration::from_secs(1), "{lasted:?}");
        assert!(events == 0 && (11..=12).contains(&comments), "{events} {comments}");
        let (lasted, events, comments) = last(Duration::from_secs(61)).await;
        assert!(lasted.abs_diff(LIFE_MAX) < Duration::from_secs(1), "{lasted:?}");
        assert!(events == 29 && (71..=72).contains(&comments), "{events} {comments}");
    }
}
