//! The file that `tls` names: the web configuration that exporters of Prometheus share, as far as it says how to speak TLS.

use std::path::Path;

use crate::certificate::CertificateFiles;

/// Reads the file; paths in it are relative to its folder. What it asks for beyond a certificate and its key is an error:
/// who limits access there must not be served without.
pub(super) fn read(path: &Path) -> Result<CertificateFiles, String> {
    let about = |why: &str| format!("{}: {why}", path.display());
    let text = std::fs::read_to_string(path).map_err(|why| about(&why.to_string()))?;
    let (mut certificate, mut key, mut is_in_section) = (None, None, false);
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.split_once(" #").map_or(line, |(line, _)| line).trim_end();
        if line.is_empty() || line.starts_with('#') || line == "---" {
            continue;
        }
        let fault = |why: &str| format!("{}:{number}: {why}", path.display());
        let (name, value) = line.trim_start().split_once(':').ok_or_else(|| fault("this is no line `NAME: VALUE`"))?;
        let value = value.trim().trim_matches(['"', '\'']);
        let file = || Some(path.with_file_name(value)).filter(|_| !value.is_empty());
        match (line.starts_with([' ', '\t']), name) {
            (false, SECTION) if value.is_empty() => is_in_section = true,
            (true, "cert_file") if is_in_section => certificate = file(),
            (true, "key_file") if is_in_section => key = file(),
            _ => {
                return Err(fault(&format!("`{name}` is not known here; known are {SECTION}, cert_file and key_file")));
            }
        }
    }
    match (certificate, key) {
        (Some(certificate), Some(key)) => Ok(CertificateFiles { certificate, key }),
        _ => Err(about(&format!("{SECTION} names no cert_file, or no key_file"))),
    }
}

/// The only part of such a file that is understood.
const SECTION: &str = "tls_server_config";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_understood_is_taken() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("web.yml");
        let read = |text: &str| {
            std::fs::write(&path, text).unwrap();
            read(&path).map_err(|why| why.replace(&path.display().to_string(), "web.yml"))
        };
        let found = read(
            "# mine\n---\ntls_server_config:\n  cert_file: \"server.crt\" # renewed\n\n  key_file: /keys/server.key\n",
        )
        .unwrap();
        assert_eq!((found.certificate, found.key), (folder.path().join("server.crt"), "/keys/server.key".into()));
        for (text, why) in [
            ("", "web.yml: tls_server_config names no cert_file, or no key_file"),
            ("tls_server_config:\n  cert_file: a\n", "web.yml: tls_server_config names no cert_file, or no key_file"),
            (
                "tls_server_config:\n  cert_file:\n  key_file: b\n",
                "web.yml: tls_server_config names no cert_file, or no key_file",
            ),
            ("nonsense\n", "web.yml:1: this is no line `NAME: VALUE`"),
            (
                "tls_server_config:\n  cert_file: a\n  key_file: b\nbasic_auth_users:\n  me: x\n",
                "web.yml:4: `basic_auth_users` is not known here; known are tls_server_config, cert_file and key_file",
            ),
            (
                "tls_server_config:\n  client_auth_type: RequireAnyClientCert\n",
                "web.yml:2: `client_auth_type` is not known here; known are tls_server_config, cert_file and key_file",
            ),
        ] {
            assert_eq!(read(text), Err(why.into()), "{text}");
        }
    }
}
