//! Certificates of our own by ACME: what the Corefile says of them, and what of the configuration follows from that.
//!
//! Lines that want the same certificate get the same one, so that it is ordered once.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use hyper::Uri;
use store::{Name, name};

use super::challenges::Challenges;
use super::keeper::Keeper;
use super::order::Authority;
use crate::certificate::{Certificate, CertificateFiles};
use crate::plugin::corefile::{ConfigError, Directive, Scheme, ServerKey, Token};
use crate::plugin::{Plugin, Setup, forward, later};

/// What the lines of a `tls` say of ACME.
#[derive(Default)]
pub(super) struct Lines<'l> {
    /// The first line, and the names on all of them.
    acme: Option<(&'l Directive, Vec<Wanted>)>,
    /// The first of the others.
    other: Option<&'l Directive>,
    contact: Option<String>,
    directory: Option<String>,
    roots: Option<&'l Directive>,
    storage: Option<&'l Token>,
}

/// A name that a certificate is to be for.
#[derive(Clone, PartialEq, Eq)]
struct Wanted {
    /// As certificates have it.
    text: String,
    /// Where its challenge is looked for (RFC 8555 §8.4).
    challenge: Name,
}

/// What a configuration gets from authorities.
pub(in crate::plugin) struct Acme {
    challenges: Arc<Challenges>,
    certificates: Vec<Ordered>,
}

/// A certificate that is ordered.
struct Ordered {
    file: PathBuf,
    /// What else has to be the same where another line wants it.
    terms: (Vec<Wanted>, String, Option<String>),
    certificate: Arc<Certificate>,
}

impl<'l> Lines<'l> {
    /// Reads a line, if it is one of these.
    pub(super) fn read(&mut self, line: &'l Directive) -> Result<bool, ConfigError> {
        match &line.name.text[..] {
            "acme" => {
                line.no_body()?;
                if line.args.is_empty() {
                    return Err(line.wrong_argument_count());
                }
                let (_, names) = self.acme.get_or_insert_with(|| (line, Vec::new()));
                for arg in &line.args {
                    let wanted = Wanted::read(&arg.text).map_err(|why| arg.error(why))?;
                    if !names.contains(&wanted) {
                        names.push(wanted);
                    }
                }
                if names.len() > NAMES_MAX {
                    return Err(line.error(format!("a certificate is for {NAMES_MAX} names at most")));
                }
                return Ok(true);
            }
            "email" => {
                let value = line.one_argument()?;
                let address = value.text.strip_prefix("mailto:").unwrap_or(&value.text);
                if !matches!(address.split_once('@'), Some((user, host)) if !user.is_empty() && !host.is_empty()) {
                    return Err(value.error(format!("'{}' is not an e-mail address", value.text)));
                }
                self.contact = Some(format!("mailto:{address}"));
            }
            "ca" => {
                let value = line.one_argument()?;
                let is_good = |uri: &Uri| uri.scheme_str() == Some("https") && uri.host().is_some();
                if !value.text.parse().as_ref().is_ok_and(is_good) {
                    return Err(value.error(format!("'{}' is not the URL of a directory: https://…", value.text)));
                }
                self.directory = Some(value.text.clone());
            }
            "ca_root" => {
                line.one_argument()?;
                self.roots = Some(line);
            }
            "storage" => self.storage = Some(line.one_argument()?),
            // It would be asked whether the challenge can be seen; ours is, as soon as it is shown.
            "resolver" => drop(line.one_argument()?),
            _ => return Ok(false),
        }
        self.other.get_or_insert(line);
        Ok(true)
    }

    /// The certificate that they want, which is ordered from now on; None without names.
    pub(super) fn certificate(self, setup: &mut Setup<'_>) -> Result<Option<Arc<Certificate>>, ConfigError> {
        let Some((line, names)) = self.acme else {
            let needs = |line: &Directive| line.error(format!("'{}' needs the names of 'acme'", line.name.text));
            return self.other.map_or(Ok(None), |line| Err(needs(line)));
        };
        later::prepare().map_err(|why| line.error(why))?;
        let directory = self.directory.unwrap_or_else(|| instant_acme::LetsEncrypt::Production.url().into());
        let folder = setup.path(self.storage.map_or(STORAGE, |folder| &folder.text)).join(file_name(&directory));
        let file = folder.join(format!("{}.pem", file_name(&names[0].text)));
        let terms = (names.clone(), directory.clone(), self.contact.clone());
        if let Some(same) =
            setup.services.acme.iter().flat_map(|acme| &acme.certificates).find(|other| other.file == file)
        {
            return match same.terms == terms {
                true => Ok(Some(Arc::clone(&same.certificate))),
                false => Err(line.error(format!(
                    "another line orders a certificate for {} in other terms; its names and lines must be the same",
                    names[0].text
                ))),
            };
        }
        let http = forward::tls::config(self.roots, line, setup)?;
        let files = CertificateFiles { certificate: file.clone(), key: file.clone() };
        let certificate = Certificate::awaited("plugin/tls", &files);
        let acme = setup
            .services
            .acme
            .get_or_insert_with(|| Acme { challenges: Challenges::new(setup.hub), certificates: Vec::new() });
        acme.certificates.push(Ordered { file: file.clone(), terms, certificate: Arc::clone(&certificate) });
        let keeper = Keeper {
            names: names.iter().map(|wanted| wanted.text.clone()).collect(),
            authority: Authority { directory, contact: self.contact, http, folder },
            file,
            certificate: Arc::clone(&certificate),
            challenges: Arc::clone(&acme.challenges),
        };
        setup.services.tasks.push(keeper.task());
        Ok(Some(certificate))
    }
}

impl Wanted {
    /// Reads a name, or a wildcard for all names below one.
    fn read(text: &str) -> Result<Self, String> {
        let lower = text.trim_end_matches('.').to_ascii_lowercase();
        let base = lower.strip_prefix("*.").unwrap_or(&lower);
        if base.parse::<IpAddr>().is_ok() {
            return Err(format!("'{text}' is an address; certificates are ordered for names"));
        }
        let is_label = |label: &str| {
            let is_good = |octet: u8| octet.is_ascii_alphanumeric() || octet == b'-';
            label.bytes().all(is_good) && !label.starts_with('-') && !label.ends_with('-')
        };
        let challenge = name::parse(&format!("_acme-challenge.{base}."), None);
        match challenge {
            Ok(challenge) if base.split('.').all(is_label) => Ok(Self { text: lower, challenge }),
            _ => Err(format!("'{text}' is not a name that a certificate may be for")),
        }
    }
}

impl Acme {
    /// The challenges of all orders.
    #[cfg(test)]
    pub(in crate::plugin) fn challenges(&self) -> &Arc<Challenges> {
        &self.challenges
    }

    /// The stage for a block with these keys, if challenges may be asked of it.
    pub(in crate::plugin) fn stage(&self, keys: &[ServerKey]) -> Option<Box<dyn Plugin>> {
        let is_asked = |(challenge, _): (&Name, _)| keys.iter().any(|key| is_above(key, challenge));
        self.names().any(is_asked).then(|| self.challenges.stage())
    }

    /// What the operator should know: names whose challenges are asked of no block with one of these keys.
    pub(in crate::plugin) fn warnings<'k>(&self, keys: impl Iterator<Item = &'k ServerKey> + Clone) -> Vec<String> {
        let is_lost = |(challenge, _): &(&Name, _)| !keys.clone().any(|key| is_above(key, challenge));
        let lost = self.names().filter(is_lost);
        lost.map(|(_, text)| {
            format!(
                "plugin/tls: no server block answers for {text} over plain DNS, so nobody can prove to an authority that \
                 it is ours; add a block with its zone, or one for _acme-challenge.{}",
                text.trim_start_matches("*.")
            )
        })
        .collect()
    }

    /// All names, with the place of their challenges.
    fn names(&self) -> impl Iterator<Item = (&Name, &str)> {
        let wanted = self.certificates.iter().flat_map(|ordered| &ordered.terms.0);
        wanted.map(|wanted| (&wanted.challenge, &wanted.text[..]))
    }
}

/// Whether a name is asked for over plain DNS by this key.
fn is_above(key: &ServerKey, name: &Name) -> bool {
    key.scheme == Scheme::Dns && name.ends_with(&key.zone)
}

/// A text as the name of a file: that of a directory without its scheme, and no sign that file systems or shells take
/// for another.
fn file_name(text: &str) -> String {
    let is_plain = |sign: char| sign.is_ascii_alphanumeric() || matches!(sign, '.' | '-');
    text.trim_start_matches("https://").chars().map(|sign| if is_plain(sign) { sign } else { '_' }).collect()
}

/// Where accounts and certificates are if the Corefile does not say.
const STORAGE: &str = "acme";

/// Names of a certificate: what Let's Encrypt takes at most.
const NAMES_MAX: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugin::corefile::Corefile;
    use crate::plugin::setup;
    use crate::zone::Hub;

    /// Sets blocks up that have these lines in their `tls`, in a folder with a certificate `ca.pem`; the warnings, or the
    /// first fault.
    fn set_up(blocks: &[&str]) -> Result<Vec<String>, String> {
        let folder = tempfile::tempdir().unwrap();
        let authority = rcgen::generate_simple_self_signed(["ca.example.net".to_owned()]).unwrap();
        std::fs::write(folder.path().join("ca.pem"), authority.cert.pem()).unwrap();
        let mut text = String::from("example.org {\nwhoami\n}\n");
        for (number, lines) in blocks.iter().enumerate() {
            let root = folder.path().display();
            let lines = lines.replace("; ", "\n");
            text.push_str(&format!("tls://.:{} {{\nroot {root}\ntls {{\n{lines}\n}}\n}}\n", 8853 + number));
        }
        let corefile = Corefile::parse_text("Corefile", &text).map_err(|why| why.to_string())?;
        let ready = setup(&corefile, &Hub::new(), &|_| None).map_err(|faults| faults[0].to_string())?;
        assert!(!folder.path().join("acme").exists(), "a set-up writes nothing");
        let ends = "ca_root ca.pem";
        assert!(blocks.iter().all(|lines| lines.contains(ends)) && ready.services.acme.is_some());
        Ok(ready.services.warnings)
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_its_line() {
        for (lines, message) in [
            ("acme", "Wrong argument count or unexpected line ending after 'acme'"),
            ("acme 192.0.2.1", "'192.0.2.1' is an address; certificates are ordered for names"),
            ("acme a..example.org", "'a..example.org' is not a name that a certificate may be for"),
            ("acme *.*.example.org", "'*.*.example.org' is not a name that a certificate may be for"),
            ("acme -a.example.org", "'-a.example.org' is not a name that a certificate may be for"),
            ("acme .", "'.' is not a name that a certificate may be for"),
            ("email info", "'info' is not an e-mail address"),
            ("email mailto:@example.org", "'mailto:@example.org' is not an e-mail address"),
            ("ca http://ca.example.net/dir", "'http://ca.example.net/dir' is not the URL of a directory: https://…"),
            ("ca nonsense", "'nonsense' is not the URL of a directory: https://…"),
            ("email info@example.org", "'email' needs the names of 'acme'"),
            ("storage", "Wrong argument count or unexpected line ending after 'storage'"),
            ("acmes dns.example.org", "unknown property 'acmes'"),
        ] {
            let expected = format!("plugin/tls: Corefile:7 - Error during parsing: {message}");
            assert_eq!(set_up(&[lines]), Err(expected), "{lines}");
        }
        let lines = "acme dns.example.org; ca_root none.pem";
        assert!(set_up(&[lines]).unwrap_err().starts_with("plugin/tls: Corefile:8 - Error during parsing: none.pem: "));
    }

    #[test]
    fn a_certificate_is_read_from_files_or_ordered() {
        let text = "tls://. {\ntls cert.pem key.pem {\nacme dns.example.org\nca_root ca.pem\n}\n}\n";
        let folder = tempfile::tempdir().unwrap();
        let authority = rcgen::generate_simple_self_signed(["ca.example.net".to_owned()]).unwrap();
        std::fs::write(folder.path().join("ca.pem"), authority.cert.pem()).unwrap();
        let text = text.replace("ca.pem", &folder.path().join("ca.pem").display().to_string());
        let corefile = Corefile::parse_text("Corefile", &text).unwrap();
        let Err(faults) = setup(&corefile, &Hub::new(), &|_| None) else { panic!("it is taken") };
        let expected = "plugin/tls: Corefile:2 - Error during parsing: a certificate is either read from files or \
                        ordered by 'acme'";
        assert_eq!(faults[0].to_string(), expected);
    }

    #[test]
    fn blocks_share_a_certificate_that_is_wanted_alike_and_no_other_of_its_first_name() {
        let all = "acme Dns.Example.org. *.dns.example.org; email info@example.org; resolver 192.0.2.53:53; \
                   storage folder; ca https://ca.example.net/dir; ca_root ca.pem; client_auth nocert";
        assert_eq!(set_up(&[all, all]), Ok(vec![]));
        let other = all.replace(" *.dns.example.org", "");
        let expected = "plugin/tls: Corefile:19 - Error during parsing: another line orders a certificate for \
                        dns.example.org in other terms; its names and lines must be the same";
        assert_eq!(set_up(&[all, &other]), Err(expected.into()));
        assert_eq!(set_up(&[all, &other.replace("folder", "folder2")]), Ok(vec![]));
    }

    #[test]
    fn a_name_that_nobody_here_answers_for_is_worth_a_warning() {
        let expected = "plugin/tls: no server block answers for *.example.net over plain DNS, so nobody can prove to an \
                        authority that it is ours; add a block with its zone, or one for _acme-challenge.example.net";
        assert_eq!(set_up(&["acme *.example.net example.org; ca_root ca.pem"]), Ok(vec![expected.into()]));
    }

    #[test]
    fn accounts_and_certificates_of_authorities_lie_apart() {
        for (text, expected) in [
            ("https://acme-v02.api.letsencrypt.org/directory", "acme-v02.api.letsencrypt.org_directory"),
            ("https://[2001:db8::1]:14000/../dir?a=1", "_2001_db8__1__14000_.._dir_a_1"),
            ("*.example.org", "_.example.org"),
        ] {
            assert_eq!(file_name(text), expected);
        }
    }
}
