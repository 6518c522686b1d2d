//! The table of routes: method, path, the right that is needed, the bound of the body, and who handles it.
//!
//! Everything that can be asked stands in [`ROUTES`]; the way of a request past rights and headers is in this file.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::rejection::RawPathParamsRejection;
use axum::extract::{RawPathParams, Request, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, on};

use super::api_token::{ApiToken, Scope};
use super::body::Inbound;
use super::call::{Call, Query, Reply};
use super::error::ApiError;
use super::fields::Fields;
use super::openapi::{self, Operation};
use super::server::Ending;
use super::site::Site;
use super::{
    api_token, auth, backup, batch, check, collections, console, explain, export, history, listen, realtime, records,
    reload, report, rrsets, statistics, status, token, tokens, zonefile, zones,
};

/// A row of the table.
pub(super) struct Route {
    /// The method; HEAD goes with GET.
    pub(super) method: MethodFilter,
    /// The method's name.
    pub(super) verb: &'static str,
    /// The path with its parameters.
    pub(super) path: &'static str,
    /// What the bearer of the request has to be.
    pub(super) right: Right,
    /// Octets of the longest body.
    pub(super) body_max: usize,
    /// Who answers.
    pub(super) handler: Handler,
    /// The name of who answers.
    pub(super) name: &'static str,
    /// What the API's description says of it; zonda's own routes have one.
    pub(super) operation: Option<&'static Operation>,
}

/// The right that a route needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Right {
    /// None.
    Anyone,
    /// A superuser's token, else 401.
    Superuser,
    /// A collection, else 404, and a superuser's token, else 403.
    Records,
    /// The superuser, or an API token to read: for the zone in the path, or for all zones where the path has none.
    Read,
    /// The same with an API token to write.
    Write,
    /// The superuser or any API token; the handler leaves out what the token is not for.
    ReadOwn,
    /// The same with an API token to write.
    WriteOwn,
}

/// A function that answers a call.
type Handler = fn(Call) -> Pin<Box<dyn Future<Output = Result<Reply, ApiError>> + Send>>;

/// Where a request came from; set for each connection.
#[derive(Clone, Copy)]
pub(super) struct Peer(pub(super) SocketAddr);

/// Makes the table's rows of function names and, after `=>`, the names of their descriptions.
macro_rules! routes {
    ($($method:ident $path:literal $right:ident $body_max:ident $handler:path $(=> $operation:path)?;)*) => {
        &[$(Route {
            method: MethodFilter::$method,
            verb: stringify!($method),
            path: $path,
            right: Right::$right,
            body_max: $body_max,
            handler: |call| Box::pin($handler(call)),
            name: stringify!($handler),
            operation: [$(Some(&$operation),)? None][0],
        }),*]
    };
}

/// All that can be asked.
#[rustfmt::skip]
pub(super) const ROUTES: &[Route] = routes! {
    GET    "/"                                                Anyone    NONE     console::page;
    GET    "/_/"                                              Anyone    NONE     console::page;
    GET    "/console/{*file}"                                 Anyone    NONE     console::file;
    GET    "/api/health"                                      Anyone    NONE     collections::health;
    POST   "/api/batch"                                       Anyone    BATCH    batch::batch;
    GET    "/api/collections"                                 Superuser NONE     collections::list;
    GET    "/api/collections/{collection}"                    Superuser NONE     collections::view;
    GET    "/api/collections/{collection}/auth-methods"       Anyone    NONE     auth::methods;
    POST   "/api/collections/{collection}/auth-with-password" Anyone    SMALL    auth::with_password;
    POST   "/api/collections/{collection}/auth-refresh"       Superuser SMALL    auth::refresh;
    POST   "/api/collections/{collection}/impersonate/{id}"   Superuser SMALL    auth::impersonate;
    GET    "/api/collections/{collection}/records"            Records   NONE     records::list;
    POST   "/api/collections/{collection}/records"            Records   RECORD   records::create;
    GET    "/api/collections/{collection}/records/{id}"       Records   NONE     records::view;
    PATCH  "/api/collections/{collection}/records/{id}"       Records   RECORD   records::update;
    DELETE "/api/collections/{collection}/records/{id}"       Records   NONE     records::delete;
    GET    "/api/realtime"                                    Anyone    NONE     realtime::connect;
    POST   "/api/realtime"                                    Anyone    TOPICS   realtime::subscribe;
    GET    "/api/zonda/openapi.json"                          Anyone    NONE     openapi::get    => openapi::GET;
    GET    "/api/zonda/welcome"                               Anyone    NONE     console::welcome => console::WELCOME;
    GET    "/api/zonda/backup"                                Superuser NONE     backup::get     => backup::GET;
    GET    "/api/zonda/explain"                               ReadOwn   NONE     explain::get    => explain::GET;
    GET    "/api/zonda/history"                               Read      NONE     history::recent => history::RECENT;
    POST   "/api/zonda/reload"                                Superuser SMALL    reload::reload  => reload::RELOAD;
    POST   "/api/zonda/check"                                 ReadOwn   ZONEFILE check::post     => check::POST;
    GET    "/api/zonda/statistics"                            Read      NONE     statistics::get => statistics::GET;
    GET    "/api/zonda/statistics/stream"                     Read      NONE     statistics::stream => statistics::STREAM;
    GET    "/api/zonda/status"                                Read      NONE     status::get     => status::GET;
    GET    "/api/zonda/tokens"                                Superuser NONE     tokens::list    => tokens::LIST;
    POST   "/api/zonda/tokens"                                Superuser SMALL    tokens::create  => tokens::CREATE;
    DELETE "/api/zonda/tokens/{id}"                           Superuser NONE     tokens::revoke  => tokens::REVOKE;
    GET    "/api/zonda/zones"                                 ReadOwn   NONE     zones::list     => zones::LIST;
    POST   "/api/zonda/zones"                                 WriteOwn  ZONEFILE zones::create   => zones::CREATE;
    GET    "/api/zonda/zones/{zone}"                          Read      NONE     zones::view     => zones::VIEW;
    DELETE "/api/zonda/zones/{zone}"                          Write     NONE     zones::remove   => zones::REMOVE;
    GET    "/api/zonda/zones/{zone}/zonefile"                 Read      NONE     export::get     => export::GET;
    PUT    "/api/zonda/zones/{zone}/zonefile"                 Write     ZONEFILE zonefile::put   => zonefile::PUT;
    GET    "/api/zonda/zones/{zone}/rrsets"                   Read      NONE     rrsets::list    => rrsets::LIST;
    PATCH  "/api/zonda/zones/{zone}/rrsets"                   Write     CHANGES  rrsets::patch   => rrsets::PATCH;
    GET    "/api/zonda/zones/{zone}/rrsets/{name}/{type}"     Read      NONE     rrsets::view    => rrsets::VIEW;
    PUT    "/api/zonda/zones/{zone}/rrsets/{name}/{type}"     Write     CHANGES  rrsets::put     => rrsets::PUT;
    DELETE "/api/zonda/zones/{zone}/rrsets/{name}/{type}"     Write     NONE     rrsets::delete  => rrsets::DELETE;
    GET    "/api/zonda/zones/{zone}/history"                  Read      NONE     history::list   => history::LIST;
    GET    "/api/zonda/zones/{zone}/history/{serial}"         Read      NONE     history::view   => history::VIEW;
    GET    "/api/zonda/zones/{zone}/diff"                     Read      NONE     history::diff   => history::DIFF;
    POST   "/api/zonda/zones/{zone}/revert"                   Write     SMALL    history::revert => history::REVERT;
};

/// No body is read.
const NONE: usize = 0;

/// A body of what is no record; guests may send it, so it is small.
pub(super) const SMALL: usize = 64 << 10;

/// A record, as PocketBase bounds it: 32 MiB and one for JSON.
const RECORD: usize = 33 << 20;

/// A batch, as PocketBase bounds it; guests may send less.
const BATCH: usize = 128 << 20;

/// As many topics as a client may have; guests may send less.
const TOPICS: usize = 12 << 20;

/// Changes of RRsets: some hundred thousand records.
const CHANGES: usize = 32 << 20;

/// A zone file.
const ZONEFILE: usize = 256 << 20;

/// The service that answers all requests.
pub(super) fn router(site: &Arc<Site>) -> Router {
    let mut router = Router::new();
    for route in ROUTES {
        let handler = move |State(site): State<Arc<Site>>,
                            params: Result<RawPathParams, RawPathParamsRejection>,
                            request: Request| async move {
            match params {
                Ok(params) => answer(site, route, &params, request).await,
                // Octets in the path that are no text name nothing.
                Err(_) => Err(ApiError::not_found()),
            }
        };
        router = router.route(route.path, on(route.method, handler));
    }
    router
        .fallback(not_found)
        // A wrong method is a wrong path to PocketBase.
        .method_not_allowed_fallback(not_found)
        .layer(middleware::from_fn_with_state(Arc::clone(site), surround))
        .with_state(Arc::clone(site))
}

/// Answers a request that has a row in the table.
async fn answer(
    site: Arc<Site>,
    route: &'static Route,
    params: &RawPathParams,
    request: Request,
) -> Result<Response, ApiError> {
    let (parts, body) = request.into_parts();
    let inbound = Inbound::new(&parts.headers, body);
    let authorization = parts.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let shown = authorization.map(token::bearer).filter(|text| text.starts_with(api_token::PREFIX)).map(str::to_owned);
    let mut call = Call {
        peer: parts.extensions.get().map_or_else(|| SocketAddr::from(([0; 4], 0)), |peer: &Peer| peer.0),
        ending: parts.extensions.get().cloned().unwrap_or_else(Ending::ended),
        path: params.iter().map(|(name, value)| (name.into(), value.into())).collect(),
        query: Query::parse(parts.uri.query()),
        token: authorization.and_then(|header| site.signer.check(header)),
        api_token: None,
        headers: parts.headers,
        inbound: Some(inbound),
        body_max: route.body_max,
        site,
    };
    // PocketBase's paths know the superuser alone.
    if let Some(text) = shown.filter(|_| route.path.starts_with(NATIVE)) {
        let checked = call.site.blocking(move |store| ApiToken::check(store, &text)).await?;
        call.api_token = checked.map_err(|why| ApiError::store(&why))?;
    }
    match route.right {
        Right::Anyone => {}
        Right::Superuser if call.api_token.is_some() => return Err(ApiError::forbidden()),
        Right::Superuser if call.token.is_none() => return Err(ApiError::unauthorized()),
        Right::Superuser => {}
        Right::Records if !collections::exists(call.path("collection")) => return Err(ApiError::no_collection()),
        Right::Records if call.token.is_none() => return Err(ApiError::forbidden()),
        Right::Records => {}
        Right::Read | Right::Write | Right::ReadOwn | Right::WriteOwn if call.token.is_some() => {}
        Right::Read => allow(&call, Scope::Read, true)?,
        Right::Write => allow(&call, Scope::Write, true)?,
        Right::ReadOwn => allow(&call, Scope::Read, false)?,
        Right::WriteOwn => allow(&call, Scope::Write, false)?,
    }
    if let Some(operation) = route.operation {
        // What is misspelled would be left undone without a word: a dry run that is none.
        call.query.check(|name| name == FIELDS || operation.has_param(name))?;
    }
    let fields = call.query.get(FIELDS).and_then(Fields::parse);
    let reply = (route.handler)(call).await?;
    Ok(reply.into_response(fields.as_ref()))
}

/// Lets a call by whose API token it may be: one with the scope, and `of_zone` for the zone in the path or, without one,
/// for all zones.
fn allow(call: &Call, scope: Scope, of_zone: bool) -> Result<(), ApiError> {
    let token = call.api_token.as_ref().ok_or_else(ApiError::unauthorized)?;
    if token.scope < scope {
        return Err(ApiError::new(StatusCode::FORBIDDEN, "The API token may not write."));
    }
    let is_covered = match call.path.contains_key("zone") {
        _ if !of_zone => true,
        true => token.covers(&report::apex(call)?),
        false => token.zones.is_empty(),
    };
    match is_covered {
        true => Ok(()),
        false => Err(ApiError::other_zones()),
    }
}

/// Answers what has no row.
async fn not_found(request: Request) -> ApiError {
    let (parts, body) = request.into_parts();
    drop(Inbound::new(&parts.headers, body));
    ApiError::not_found()
}

/// What happens around every request: preflights are answered, requests from elsewhere are refused while the password is
/// the default one, and each answer gets the headers that all have.
async fn surround(State(site): State<Arc<Site>>, request: Request, next: Next) -> Response {
    // Scripts of other sites may use PocketBase's API, as they always could; zonda's own and the console are not theirs.
    let path = request.uri().path();
    let is_shared = !path.starts_with(NATIVE) && !path.starts_with(CONSOLE) && !matches!(path, "/" | "/_/");
    let mut response = if site.is_local_only && !listen::is_local(request.headers(), request.uri()) {
        let (parts, body) = request.into_parts();
        drop(Inbound::new(&parts.headers, body));
        ApiError::new(StatusCode::FORBIDDEN, LOCAL_ONLY).into_response()
    } else if request.method() == Method::OPTIONS && is_shared {
        preflight(&request)
    } else {
        next.run(request).await
    };
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.entry(header::X_FRAME_OPTIONS).or_insert(HeaderValue::from_static("SAMEORIGIN"));
    headers.append(header::VARY, HeaderValue::from_static("Origin"));
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    if is_shared {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    }
    response
}

/// Answers the question of a browser whether a script of another site may ask.
fn preflight(request: &Request) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET,HEAD,PUT,PATCH,POST,DELETE"));
    if let Some(asked) = request.headers().get(header::ACCESS_CONTROL_REQUEST_HEADERS) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, asked.clone());
    }
    response
}

/// The parameter that picks fields of an answer, of every route.
const FIELDS: &str = "fields";

/// Where zonda's own API lives.
pub(super) const NATIVE: &str = "/api/zonda/";

/// Where the console's files are.
const CONSOLE: &str = "/console/";

/// Why a request from elsewhere is refused.
const LOCAL_ONLY: &str = "The superuser still has the well-known default password, so only requests made on the server \
                          itself are answered. Set su_password in the Corefile or COREDNS_PB_SUPERUSER_PWD.";
