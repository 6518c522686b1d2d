//! The OpenAPI document of zonda's own API, made from the table of routes.
//!
//! A row of [`ROUTES`] under `/api/zonda/` names its [`Operation`], a constant beside the function that answers. What
//! follows from the row itself is added here: the parameters of its path, the token it asks for, and the errors that
//! every route of its kind can answer with. Schemas are made from the very types that are read and written; their doc
//! comments are the descriptions.

use std::sync::LazyLock;

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Map, Value, json};

use super::call::{Call, Reply};
use super::error::ApiError;
use super::routes::{NATIVE, ROUTES, Right, Route};

/// What the document says of a route beyond its row of the table.
#[derive(Clone, Copy)]
pub(super) struct Operation {
    /// What it does, in a few words.
    pub(super) summary: &'static str,
    /// Its parameters, those of the path left out.
    pub(super) params: &'static [Param],
    /// The bodies it reads, by media type; it reads none if this is empty.
    pub(super) body: &'static [Content],
    /// What it answers when it does what was asked.
    pub(super) answers: &'static [Answer],
    /// Statuses of errors that not every route of its kind has.
    pub(super) errors: &'static [u16],
}

/// A parameter after the `?` or in a header.
#[derive(Clone, Copy)]
pub(super) struct Param {
    /// `query` or `header`.
    place: &'static str,
    /// Its name.
    name: &'static str,
    /// What it does.
    description: &'static str,
    /// Its values.
    schema: SchemaOf,
    /// Whether it has to be given.
    required: bool,
}

/// A body of one media type.
#[derive(Clone, Copy)]
pub(super) struct Content {
    /// The media type.
    mime: &'static str,
    /// What it holds.
    schema: SchemaOf,
}

/// An answer that is no error.
#[derive(Clone, Copy)]
pub(super) struct Answer {
    /// The status.
    status: u16,
    /// When it is given.
    description: &'static str,
    /// Its body, in each media type; it has none if this is empty.
    content: &'static [Content],
}

/// Makes a schema.
type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

impl Operation {
    /// An operation without parameters and bodies, to be completed.
    pub(super) const fn new(summary: &'static str, answers: &'static [Answer]) -> Self {
        Self { summary, params: &[], body: &[], answers, errors: &[] }
    }

    /// Whether it has a parameter of this name after the `?`.
    pub(super) fn has_param(&self, name: &str) -> bool {
        self.params.iter().any(|param| param.place == "query" && param.name == name)
    }
}

impl Param {
    /// A parameter after the `?`.
    pub(super) const fn query<T: JsonSchema>(name: &'static str, description: &'static str) -> Self {
        Self { place: "query", name, description, schema: schema_of::<T>, required: false }
    }

    /// A parameter after the `?` that has to be given.
    pub(super) const fn needed_query<T: JsonSchema>(name: &'static str, description: &'static str) -> Self {
        Self { required: true, ..Self::query::<T>(name, description) }
    }

    /// A header.
    pub(super) const fn header<T: JsonSchema>(name: &'static str, description: &'static str) -> Self {
        Self { place: "header", ..Self::query::<T>(name, description) }
    }
}

impl Content {
    /// JSON of a type.
    pub(super) const fn json<T: JsonSchema>() -> Self {
        Self { mime: "application/json", schema: schema_of::<T> }
    }

    /// Text of another kind.
    pub(super) const fn text(mime: &'static str) -> Self {
        Self { mime, schema: schema_of::<String> }
    }

    /// Octets.
    pub(super) const fn octets() -> Self {
        Self { mime: "application/octet-stream", schema: |_| Schema::default() }
    }
}

impl Answer {
    /// An answer with a body.
    pub(super) const fn new(status: u16, description: &'static str, content: &'static [Content]) -> Self {
        Self { status, description, content }
    }

    /// 204.
    pub(super) const fn empty(description: &'static str) -> Self {
        Self { status: 204, description, content: &[] }
    }
}

/// The schema of a type, or a reference to it.
fn schema_of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

/// What [`openapi`](get) says of itself.
pub(super) const GET: Operation = Operation::new(
    "Describe this API",
    &[Answer::new(200, "The document, in OpenAPI 3.1.", &[Content::json::<Map<String, Value>>()])],
);

/// `GET /api/zonda/openapi.json`
pub(super) async fn get(_: Call) -> Result<Reply, ApiError> {
    Ok(Reply::Json(DOCUMENT.clone()))
}

/// The document, which is the same for all who ask.
static DOCUMENT: LazyLock<Value> = LazyLock::new(document);

/// Makes the document.
fn document() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
    });
    // What is read may leave fields out, what is written has them all.
    let mut schemas = Schemas {
        read: settings.clone().for_deserialize().into_generator(),
        written: settings.for_serialize().into_generator(),
    };
    schemas.written.subschema_for::<ErrorBody>();
    let mut paths = Map::new();
    for route in ROUTES.iter().filter(|route| route.path.starts_with(NATIVE)) {
        if let Some(operation) = route.operation {
            let path = paths.entry(route.path).or_insert_with(|| json!({}));
            path[route.verb.to_ascii_lowercase()] = describe(route, operation, &mut schemas);
        }
    }
    let mut named = schemas.read.take_definitions(true);
    named.append(&mut schemas.written.take_definitions(true));
    json!({
        "openapi": "3.1.0",
        "info": { "title": "zonda", "version": env!("CARGO_PKG_VERSION"), "description": ABOUT },
        "servers": [{ "url": "/" }],
        "security": [{ "token": [] }],
        "paths": paths,
        "components": {
            "schemas": named,
            "securitySchemes": { "token": { "type": "http", "scheme": "bearer" } },
        },
    })
}

/// Schemas of bodies.
struct Schemas {
    /// Of those that are read.
    read: SchemaGenerator,
    /// Of those that are written.
    written: SchemaGenerator,
}

/// The description of a route.
fn describe(route: &Route, operation: &Operation, schemas: &mut Schemas) -> Value {
    let in_path = route.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let mut params: Vec<Value> = in_path
        .map(|name| {
            let about = PATH_PARAMS.iter().find(|(known, ..)| *known == name);
            let description = about.map_or("", |(_, description, _)| description);
            let example = about.map_or("", |(.., example)| example);
            let schema = json!({ "type": "string", "minLength": 1, "examples": [example] });
            json!({ "in": "path", "name": name, "required": true, "description": description, "schema": schema })
        })
        .collect();
    params.extend(operation.params.iter().map(|param| {
        let schema = (param.schema)(&mut schemas.read);
        json!({
            "in": param.place,
            "name": param.name,
            "required": param.required,
            "description": param.description,
            "schema": schema,
        })
    }));
    let mut answers = Map::new();
    for answer in operation.answers {
        let mut described = json!({ "description": answer.description });
        if !answer.content.is_empty() {
            described["content"] = contents(answer.content, &mut schemas.written);
        }
        answers.insert(answer.status.to_string(), described);
    }
    for status in statuses(route, operation) {
        let about = ERRORS.iter().find(|(known, _)| *known == status).map_or("", |(_, about)| about);
        let schema = json!({ "$ref": "#/components/schemas/Error" });
        let described = json!({ "description": about, "content": { "application/json": { "schema": schema } } });
        answers.insert(status.to_string(), described);
    }
    let mut described = json!({
        "operationId": route.name.replace("::", "_"),
        "summary": operation.summary,
        "parameters": params,
        "responses": answers,
    });
    if !operation.body.is_empty() {
        described["requestBody"] = json!({ "required": true, "content": contents(operation.body, &mut schemas.read) });
    }
    if route.right == Right::Anyone {
        described["security"] = json!([]);
    }
    described
}

/// The bodies by media type.
fn contents(contents: &[Content], generator: &mut SchemaGenerator) -> Value {
    let contents = contents.iter();
    contents.map(|content| (content.mime.to_owned(), json!({ "schema": (content.schema)(generator) }))).collect()
}

/// The errors that a route can answer with.
fn statuses(route: &Route, operation: &Operation) -> impl Iterator<Item = u16> {
    let has_params = route.path.contains('{');
    let writes = route.verb != "GET";
    let is_conditional = operation.params.iter().any(|param| param.name == IF_MATCH.name);
    let of_its_kind = [
        (true, 400),
        (route.right != Right::Anyone, 401),
        (true, 403),
        (has_params, 404),
        (route.body_max > 0, 408),
        (is_conditional, 412),
        (route.body_max > 0, 413),
        (true, 500),
        (writes, 507),
    ];
    let of_its_kind = of_its_kind.into_iter().filter_map(|(has, status)| has.then_some(status));
    of_its_kind.chain(operation.errors.iter().copied())
}

/// What errors look like.
#[derive(serde::Serialize, JsonSchema)]
#[schemars(rename = "Error")]
#[allow(dead_code, reason = "errors are written by `ApiError`; this describes them")]
struct ErrorBody {
    /// The HTTP status.
    status: u16,
    /// What went wrong, a sentence.
    message: String,
    /// What is wrong with which field: mostly an object with `code` and `message`, for a zone file an array of lines.
    data: Map<String, Value>,
}

/// Describes the header If-Match.
#[derive(JsonSchema)]
#[schemars(extend("pattern" = r#"^(\*|"[0-9]{1,10}"|[0-9]{1,10})$"#))]
struct Tag(#[expect(dead_code, reason = "describes it")] String);

/// The condition of a write.
pub(super) const IF_MATCH: Param = Param::header::<Tag>(
    "If-Match",
    "Write only if the zone has this serial, in quotes as ETag gives it; `*` if there is such a zone. Else 412.",
);

/// The parameters of paths: name, meaning, example.
const PATH_PARAMS: &[(&str, &str, &str)] = &[
    ("zone", "The zone's name, with or without the final dot.", "example.org"),
    ("name", "The owner's name: with a final dot in full, else below the zone; `@` is the apex.", "www"),
    ("type", "The record type.", "A"),
    ("serial", "A serial of the zone.", "2026112601"),
    ("id", "The id.", "1"),
];

/// When an error is given.
const ERRORS: &[(u16, &str)] = &[
    (400, "Something that was sent is wrong; `data` names the field."),
    (401, "There is no valid token."),
    (403, "The token is not for this, or the default password is in use and the request is from elsewhere."),
    (404, "There is nothing of this name."),
    (408, "The body came too slowly."),
    (409, "It is there already."),
    (412, "The zone has another serial than If-Match says."),
    (413, "The body is too large."),
    (500, "The server failed, or what it has stored is damaged; `message` says so if a change may have taken place."),
    (503, "There is too much of this at once."),
    (507, "The disk of the server is full; nothing was written."),
];

/// What the document says of the whole.
const ABOUT: &str = "The API of zonda, an authoritative DNS server. A change is durable and served when it is answered. \
                     Errors have `status`, `message` and `data` with the fields at fault.";
