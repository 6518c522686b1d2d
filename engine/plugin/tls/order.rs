//! How a certificate is ordered from an authority (RFC 8555): the account, the challenges, the certificate.

use std::fmt::{self, Display, Formatter};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::future::Future;
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Limited;
use hyper::client::conn::http1::handshake;
use hyper::header::{HOST, HeaderValue};
use hyper::http::uri::PathAndQuery;
use hyper::{Request, Uri};
use hyper_util::rt::TokioIo;
use instant_acme::{
    Account, AccountCredentials, AuthorizationStatus, BodyWrapper, BytesResponse, ChallengeType, Error, HttpClient,
    Identifier, NewAccount, NewOrder, Order, OrderStatus, Problem, RetryPolicy,
};
use store::name;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::pki_types::ServerName;

use super::challenges::Challenges;
use crate::plugin::later;

/// Somebody who gives certificates, and what is kept of our dealings.
pub(super) struct Authority {
    /// The URL that all others are learnt from.
    pub(super) directory: String,
    /// Where it may write to.
    pub(super) contact: Option<String>,
    /// How TLS is spoken with it.
    pub(super) http: Arc<ClientConfig>,
    /// Where the account and the certificates are.
    pub(super) folder: PathBuf,
}

/// Why there is no certificate.
#[derive(Debug)]
pub(super) struct Fault {
    text: String,
    /// What the operator may do.
    advice: &'static str,
    /// It costs the authority something, so that it bounds how often it may happen.
    is_costly: bool,
}

impl Fault {
    /// The authority has looked and is not content.
    pub(super) fn refused(text: impl Display, advice: &'static str) -> Self {
        Self { text: text.to_string(), advice, is_costly: true }
    }

    /// Something that is tried again soon.
    fn passing(text: impl Display, advice: &'static str) -> Self {
        Self { text: text.to_string(), advice, is_costly: false }
    }

    /// The same where the authority has done its part already.
    fn costly(self) -> Self {
        Self { is_costly: true, ..self }
    }

    /// A file could not be read or written.
    fn of_file(path: &Path, why: &dyn Display) -> Self {
        Self::passing(format!("{}: {why}", path.display()), "zonda has to be able to read and write in this folder")
    }

    /// How long to wait after so many failures before it: twice as long each time, and by `chance` (0 to 1) a quarter
    /// more or less, so that not all servers come back at once.
    pub(super) fn wait(&self, failures: u32, chance: f64) -> Duration {
        let first = if self.is_costly { WAIT_COSTLY } else { WAIT };
        let wait = first.saturating_mul(2_u32.saturating_pow(failures)).min(WAIT_MAX);
        wait.mul_f64(0.75 + chance / 2.0)
    }
}

impl Display for Fault {
    fn fmt(&self, to: &mut Formatter<'_>) -> fmt::Result {
        write!(to, "{} ({})", self.text, self.advice)
    }
}

/// A file that is going to hold a key: it is there whole or not at all, and for nobody else to read.
pub(super) struct NewFile {
    file: File,
    /// Where it is until it is whole, and then.
    paths: [PathBuf; 2],
}

impl NewFile {
    /// Makes its folder if that is not there, and makes sure that it can be written.
    pub(super) fn create(path: &Path) -> Result<Self, Fault> {
        let new = path.with_extension("new");
        let create = || {
            if let Some(folder) = path.parent() {
                DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
            }
            // One that was left by a write that did not come to its end may have another mode.
            if let Err(why) = fs::remove_file(&new)
                && why.kind() != io::ErrorKind::NotFound
            {
                return Err(why);
            }
            OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)
        };
        let file = create().map_err(|why| Fault::of_file(&new, &why))?;
        Ok(Self { file, paths: [new, path.to_owned()] })
    }

    /// Writes it, in the place of the one that was there. What cannot be written was given for nothing.
    pub(super) fn finish(mut self, text: &str) -> Result<(), Fault> {
        let [new, path] = &self.paths;
        let written = self.file.write_all(text.as_bytes()).and_then(|()| self.file.sync_all());
        let written = written.and_then(|()| fs::rename(new, path));
        written.map_err(|why| Fault::of_file(path, &why).costly())
    }
}

/// What the protocol's crate says: the authority's own words, or that it was not understood or reached.
impl From<Error> for Fault {
    fn from(why: Error) -> Self {
        match why {
            Error::Api(problem) => Self::refused(words(&problem), "these are the words of the authority"),
            why => Self::passing(why, "is the directory right, and can it be reached and trusted from here?"),
        }
    }
}

impl Authority {
    /// Orders a certificate for names, whose challenges are shown meanwhile; gives it and those that it follows from,
    /// behind its private key, in PEM.
    pub(super) async fn order(&self, names: &[String], challenges: &Arc<Challenges>) -> Result<String, Fault> {
        let order = async {
            let account = self.account().await?;
            let identifiers: Vec<_> = names.iter().cloned().map(Identifier::Dns).collect();
            let order = account.new_order(&NewOrder::new(&identifiers)).await;
            let mut order = order.map_err(|why| self.of_account(why))?;
            prove(&mut order, challenges).await?;
            let given = async {
                let key = order.finalize().await?;
                Ok(format!("{key}{}", order.poll_certificate(&PATIENCE).await?))
            };
            given.await.map_err(|why: Error| Fault::from(why).costly())
        };
        let too_late = |_| Fault::refused("it takes too long", "is the authority in order?");
        timeout(ORDER_MAX, order).await.map_err(too_late)?
    }

    /// Our account, which is made if there is none.
    async fn account(&self) -> Result<Account, Fault> {
        let path = self.folder.join(ACCOUNT);
        let http = || Account::builder_with_http(Box::new(Http(Arc::clone(&self.http))));
        match fs::read(&path) {
            Ok(text) => {
                // What was read is not told: there is a key in it.
                let credentials: AccountCredentials = serde_json::from_slice(&text)
                    .map_err(|_| Fault::of_file(&path, &"this is no account; move it away, and another one is made"))?;
                Ok(http().from_credentials(credentials).await?)
            }
            Err(why) if why.kind() == io::ErrorKind::NotFound => {
                // Before there is an account, so that none is made for nothing.
                let file = NewFile::create(&path)?;
                let contact: Vec<_> = self.contact.as_deref().into_iter().collect();
                let new = NewAccount { contact: &contact, terms_of_service_agreed: true, only_return_existing: false };
                let (account, credentials) = http().create(&new, self.directory.clone(), None).await?;
                let text = serde_json::to_string(&credentials).map_err(|why| Fault::of_file(&path, &why))?;
                file.finish(&text)?;
                Ok(account)
            }
            Err(why) => Err(Fault::of_file(&path, &why)),
        }
    }

    /// Puts an account away that the authority does not know (any more), so that the next attempt makes another one.
    fn of_account(&self, why: Error) -> Fault {
        if let Error::Api(problem) = &why
            && problem.r#type.as_deref() == Some("urn:ietf:params:acme:error:accountDoesNotExist")
        {
            let path = self.folder.join(ACCOUNT);
            return match fs::rename(&path, path.with_extension("former")) {
                Ok(()) => Fault::passing(words(problem), "the account is put away, and another one is made"),
                Err(why) => Fault::of_file(&path, &why),
            };
        }
        why.into()
    }
}

/// Shows the challenges of an order until the authority has seen all of them.
async fn prove(order: &mut Order, challenges: &Arc<Challenges>) -> Result<(), Fault> {
    let mut shown = Vec::new();
    let mut all = order.authorizations();
    while let Some(authorization) = all.next().await {
        let mut authorization = authorization?;
        if authorization.status == AuthorizationStatus::Valid {
            continue;
        }
        let Some(mut challenge) = authorization.challenge(ChallengeType::Dns01) else {
            return Err(Fault::refused("it does not take proofs over DNS (dns-01)", "another authority does"));
        };
        let Identifier::Dns(of) = challenge.identifier().identifier else { continue };
        let at = name::parse(&format!("_acme-challenge.{of}."), None);
        let at = at.map_err(|why| Fault::refused(format!("{of}: {why}"), "is the authority in order?"))?;
        shown.push(challenges.show(at, challenge.key_authorization().dns_value()));
        challenge.set_ready().await?;
    }
    if order.state().status == OrderStatus::Ready {
        return Ok(());
    }
    let mut why = match order.poll_ready(&PATIENCE).await {
        Ok(OrderStatus::Ready) => return Ok(()),
        Ok(_) => "it has not found the challenge".to_owned(),
        Err(Error::Api(problem)) => words(&problem),
        Err(why) => return Err(why.into()),
    };
    // What is told of a single challenge says more than what is told of the order.
    let mut all = order.authorizations();
    while let Some(authorization) = all.next().await {
        let mut authorization = authorization?;
        authorization.refresh().await?;
        let told = authorization.challenges.iter().find_map(|challenge| challenge.error.as_ref());
        if let Some(told) = told {
            why = format!("{}: {}", authorization.identifier(), words(told));
            break;
        }
    }
    Err(Fault::refused(why, "the name servers of the zone have to lead it to this server, over port 53"))
}

/// What an authority says, without the crate's word for it.
fn words(problem: &Problem) -> String {
    problem.to_string().trim_start_matches("API error: ").into()
}

/// HTTP/1.1 over TLS, a connection for each request: an order takes a dozen of them, once in weeks.
struct Http(Arc<ClientConfig>);

impl HttpClient for Http {
    fn request(
        &self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, Error>> + Send>> {
        let config = Arc::clone(&self.0);
        Box::pin(async move {
            let uri = request.uri().clone();
            let response = timeout(REQUEST_MAX, exchange(config, request)).await;
            let response = response.unwrap_or_else(|_| Err("no answer in time".into()));
            response.map_err(|why| Error::Other(format!("{uri}: {why}").into()))
        })
    }
}

/// Sends a request and gives the response.
async fn exchange(
    config: Arc<ClientConfig>,
    mut request: Request<BodyWrapper<Bytes>>,
) -> Result<BytesResponse, BoxError> {
    let uri = request.uri();
    let (Some("https"), Some(authority)) = (uri.scheme_str(), uri.authority()) else { return Err("not https".into()) };
    let host = authority.host().trim_matches(['[', ']']).to_owned();
    let port = authority.port_u16().unwrap_or(443);
    let named = HeaderValue::from_str(authority.as_str())?;
    let path = uri.path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/"));
    request.headers_mut().insert(HOST, named);
    *request.uri_mut() = Uri::from(path);
    let stream = TcpStream::connect((&host[..], port)).await?;
    let stream = TlsConnector::from(config).connect(ServerName::try_from(host)?, stream).await?;
    let (mut sender, connection) = handshake(TokioIo::new(stream)).await?;
    later::spawn(async move {
        // Its end shows at the response.
        let _ = timeout(REQUEST_MAX, connection).await;
    });
    let response = sender.send_request(request).await?;
    Ok(response.map(|body| Limited::new(body, BODY_MAX)).into())
}

/// An error of any kind.
type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The file with the account.
const ACCOUNT: &str = "account.json";

/// How long the authority may take for its next step: it may look at the challenge from several places.
const PATIENCE: RetryPolicy = RetryPolicy::new().timeout(Duration::from_secs(180));

/// How long an order may take.
const ORDER_MAX: Duration = Duration::from_secs(600);

/// How long a request may take.
const REQUEST_MAX: Duration = Duration::from_secs(30);

/// Octets of a response: a chain of certificates is a few thousand.
const BODY_MAX: usize = 1 << 20;

/// How long to wait after the first failure.
const WAIT: Duration = Duration::from_secs(5);

/// The same after one that the authority counts: Let's Encrypt takes five an hour for a name.
const WAIT_COSTLY: Duration = Duration::from_secs(900);

/// How long to wait at most.
const WAIT_MAX: Duration = Duration::from_secs(6 * 3600);

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn waits_double_up_to_a_bound_and_are_longer_after_what_is_counted() {
        let seconds = |fault: &Fault, failures| fault.wait(failures, 0.5).as_secs();
        let (passing, refused) = (Fault::passing("", ""), Fault::refused("", ""));
        assert_eq!(
            [0, 1, 2, 11, 12, 13, 40].map(|failures| seconds(&passing, failures)),
            [5, 10, 20, 10_240, 20_480, 21_600, 21_600]
        );
        assert_eq!([0, 1, 4, 5, 40].map(|failures| seconds(&refused, failures)), [900, 1800, 14_400, 21_600, 21_600]);
        assert_eq!(passing.wait(2, 0.0), Duration::from_secs(15));
        assert_eq!(passing.wait(2, 1.0), Duration::from_secs(25));
    }

    #[test]
    fn a_key_is_written_for_nobody_else_whatever_was_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("acme/ca.example.net/a.pem");
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let store = |text| NewFile::create(&path).unwrap().finish(text).unwrap();
        store("one");
        fs::write(path.with_extension("new"), "left").unwrap();
        fs::set_permissions(path.with_extension("new"), fs::Permissions::from_mode(0o644)).unwrap();
        store("two");
        assert_eq!((fs::read_to_string(&path).unwrap(), mode(&path)), ("two".into(), 0o600));
        assert_eq!([mode(path.parent().unwrap()), mode(&folder.path().join("acme"))], [0o700, 0o700]);
        assert!(!path.with_extension("new").exists());
        let Err(fault) = NewFile::create(&path.join("b.pem")) else { panic!("a file is no folder") };
        let fault = fault.to_string();
        assert!(fault.contains("a.pem/b.new: ") && fault.contains("in this folder"), "{fault}");
    }
}
