//! Zones signed by the tools of the field.

use std::path::Path;
use std::process::{Command, Stdio};

use super::world::World;

/// How zones are signed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Signing {
    pub(super) signer: Signer,
    /// None for NSEC; else the options that make the signer write NSEC3 (RFC 5155).
    pub(super) options: &'static [&'static str],
}

/// What signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Signer {
    /// Nothing.
    Nobody,
    /// `dnssec-signzone`.
    Bind,
    /// `ldns-signzone`.
    Ldns,
}

/// Writes the files of all zones, named for their apex, into a folder; gives the trust anchors (RFC 4033 §2) as `delv`
/// reads them. Children come before their parents, which need their DS.
pub(super) fn write_zones(world: &World, signing: Signing, folder: &Path) -> String {
    let (mut anchors, mut ds) = (String::new(), String::new());
    let mut zones: Vec<_> = world.zones.iter().collect();
    zones.sort_by_key(|zone| std::cmp::Reverse(zone.apex.len()));
    for zone in zones {
        let mut text = zone.lines.join("\n") + "\n";
        for line in
            ds.lines().filter(|line| line.split_once('.').is_some_and(|(_, parent)| parent.starts_with(zone.apex)))
        {
            text.push_str(&format!("{line}\n"));
        }
        if signing.signer == Signer::Nobody {
            std::fs::write(folder.join(zone.apex), &text).unwrap();
            continue;
        }
        let key = run(folder, "dnssec-keygen", &["-q", "-a", "ECDSAP256SHA256", "-f", "KSK", zone.apex]);
        let (key, key_file) = (key.trim(), format!("{}.key", key.trim()));
        let record = std::fs::read_to_string(folder.join(&key_file)).unwrap();
        let record = record.lines().find(|line| !line.starts_with(';')).unwrap();
        let data = record.split_once("DNSKEY ").unwrap().1;
        let fields: Vec<&str> = data.splitn(4, ' ').collect();
        anchors.push_str(&format!(
            "{} static-key {} {} {} \"{}\";\n",
            zone.apex,
            fields[0],
            fields[1],
            fields[2],
            fields[3].replace(' ', "")
        ));
        text.push_str(&format!("{record}\n"));
        ds.push_str(&run(folder, "dnssec-dsfromkey", &["-2", &key_file]));
        let unsigned = format!("{}unsigned", zone.apex);
        std::fs::write(folder.join(&unsigned), &text).unwrap();
        let (program, first): (_, &[&str]) = match signing.signer {
            Signer::Ldns => ("ldns-signzone", &[]),
            _ => ("dnssec-signzone", &["-z", "-P"]),
        };
        let last = ["-o", zone.apex, "-f", zone.apex, &unsigned, key];
        run(folder, program, &[first, signing.options, &last[..]].concat());
    }
    format!("trust-anchors {{\n{anchors}}};\n")
}

/// Runs a program to its end; gives what it printed.
fn run(folder: &Path, program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).current_dir(folder).stdin(Stdio::null()).output();
    let output = output.unwrap_or_else(|why| panic!("{program}: {why}"));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}
