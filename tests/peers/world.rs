//! Zones that hold what servers disagree about, made from a seed.

use std::collections::BTreeSet;

use super::random::Random;

/// Zones that are served together.
pub(super) struct World {
    pub(super) zones: Vec<Zone>,
    /// Owners, and the names that records lead to.
    pub(super) names: Vec<String>,
}

/// A zone as a zone file.
pub(super) struct Zone {
    pub(super) apex: &'static str,
    pub(super) lines: Vec<String>,
    /// Owners so far, in lower case, relative to the apex.
    owners: BTreeSet<String>,
    /// Owners with NS below the apex, and with DNAME: what is below them is not to be found.
    cuts: Vec<String>,
    dnames: Vec<String>,
}

impl World {
    /// A parent, its child, a zone apart, and one whose apex is a DNAME.
    pub(super) fn generate(random: &mut Random) -> Self {
        let mut world = Self { zones: APEXES.iter().map(|apex| Zone::new(apex)).collect(), names: Vec::new() };
        world.names.extend(APEXES.iter().map(|apex| (*apex).into()));
        world.names.extend(["www.example.com.", "nowhere.example.org.", "deep.under.www.example.net."].map(Into::into));
        let parent = &mut world.zones[0];
        parent.add("sub", "NS ns1.sub.example.org.");
        parent.add("ns1.sub", "A 192.0.2.20");
        parent.cuts.push("sub".into());
        for zone in 0..3 {
            for _ in 0..OWNERS {
                world.add_owner(zone, random);
            }
        }
        world.zones[3].lines.push("@ 300 IN DNAME example.org.".into());
        world
    }

    /// Adds one owner with something at it.
    fn add_owner(&mut self, zone: usize, random: &mut Random) {
        let mut labels: Vec<&str> = (0..1 + random.below(3)).map(|_| random.pick(LABELS)).collect();
        // Below an owner that is there already, so that wildcards, empty non-terminals and cuts meet.
        let near = random.percent(40).then(|| self.zones[zone].any_owner(random)).flatten();
        labels.extend(near.as_deref());
        let wildcard = random.percent(15);
        if wildcard {
            labels.insert(0, "*");
        }
        let owner = labels.join(".");
        let target = self.target(random);
        // nsd takes what a parent has below a cut for data of the child, and refuses data below a DNAME.
        let in_parent = format!("{owner}.sub");
        let parent_has_below = zone == 1 && self.zones[0].has_below(&in_parent);
        if zone == 1 && self.zones[0].is_below_dname(&in_parent) {
            return;
        }
        let zone = &mut self.zones[zone];
        let apex = zone.apex;
        if owner.len() > 120 || !zone.may_hold(&owner) {
            return;
        }
        self.names.push(format!("{owner}.{apex}"));
        match random.below(12) {
            0 | 1 => zone.add(&owner, &format!("CNAME {target}")),
            2 if !wildcard && !zone.has_below(&owner) && !parent_has_below => {
                zone.add(&owner, &format!("DNAME {target}"));
                if random.percent(30) {
                    zone.add(&owner, "TXT \"beside a DNAME\"");
                }
                zone.dnames.push(owner.to_ascii_lowercase());
            }
            3..=5 if !wildcard && !owner.contains('*') && !zone.is_below_cut(&owner) => {
                self.names.extend(zone.add_cut(&owner, &target, random));
            }
            _ => {
                for _ in 0..1 + random.below(3) {
                    let data = random.pick(DATA).replace("TARGET", &target);
                    zone.add(&owner, &data);
                }
            }
        }
    }

    /// Where a record leads: to what is there, below it, beside it, or out of all zones.
    fn target(&self, random: &mut Random) -> String {
        let name = &self.names[random.below(self.names.len())];
        match random.below(10) {
            0 => format!("{}.{name}", random.pick(LABELS)),
            1 => format!("host.{}.example.com.", random.pick(LABELS)),
            2 => name.replacen('*', "star", 1),
            _ => name.clone(),
        }
    }
}

impl Zone {
    /// A zone with an apex and two name servers.
    fn new(apex: &'static str) -> Self {
        let lines = format!(
            "$ORIGIN {apex}\n$TTL 3600\n@ 3600 IN SOA ns1.example.net. hostmaster.{apex} 1 7200 3600 1209600 600\n\
             @ IN NS ns1.example.net.\n@ IN NS ns.example.com.",
        );
        let mut zone = Self {
            apex,
            lines: lines.lines().map(Into::into).collect(),
            owners: BTreeSet::new(),
            cuts: Vec::new(),
            dnames: Vec::new(),
        };
        if apex != APEXES[3] {
            for (owner, data) in [
                ("ns1", "A 192.0.2.1"),
                ("ns1", "AAAA 2001:db8::1"),
                ("www", "A 192.0.2.80"),
                ("@", "MX 10 www"),
                ("@", "TXT \"apex\""),
            ] {
                zone.add(owner, data);
            }
        }
        zone
    }

    /// Adds a record. TTLs follow from owner and type, so that all records of an RRset have one (RFC 2181 §5.2).
    fn add(&mut self, owner: &str, data: &str) {
        let rtype = data.split(' ').next().unwrap_or_default();
        let ttl = 60 * (1 + (owner.to_ascii_lowercase().len() + rtype.len()) % 20);
        let line = format!("{owner} {ttl} IN {data}");
        if !self.lines.contains(&line) {
            self.lines.push(line);
        }
        self.owners.insert(owner.to_ascii_lowercase());
    }

    /// Adds a delegation, with DS or not, with glue or not; gives the names to ask for.
    fn add_cut(&mut self, owner: &str, target: &str, random: &mut Random) -> Vec<String> {
        let apex = self.apex;
        self.cuts.push(owner.to_ascii_lowercase());
        let (inside, sibling) = (format!("ns.{owner}"), self.cuts[random.below(self.cuts.len())].clone());
        self.add(owner, &format!("NS {inside}.{apex}"));
        if random.percent(70) {
            self.add(&inside, "A 192.0.2.53");
            self.add(&inside, "AAAA 2001:db8::53");
        }
        match random.below(4) {
            0 => self.add(owner, &format!("NS {target}")),
            1 => self.add(owner, &format!("NS ns.{sibling}.{apex}")),
            2 => self.add(owner, "NS ns.example.com."),
            _ => {}
        }
        if random.percent(50) {
            self.add(owner, &format!("DS 4711 13 2 {}", "ab".repeat(32)));
        }
        if random.percent(30) {
            self.add(&format!("hidden.{owner}"), "TXT \"occluded\"");
        }
        vec![format!("{inside}.{apex}"), format!("hidden.{owner}.{apex}"), format!("x.y.{owner}.{apex}")]
    }

    /// Whether an owner is free, and not below a DNAME: some servers refuse zones that have data there (RFC 6672 §2.4).
    fn may_hold(&self, owner: &str) -> bool {
        !self.owners.contains(&owner.to_ascii_lowercase()) && !self.is_below_dname(owner)
    }

    /// Whether an owner is below a DNAME.
    fn is_below_dname(&self, owner: &str) -> bool {
        let owner = owner.to_ascii_lowercase();
        self.dnames.iter().any(|dname| owner.ends_with(&format!(".{dname}")))
    }

    /// Whether an owner is below a cut.
    fn is_below_cut(&self, owner: &str) -> bool {
        let owner = owner.to_ascii_lowercase();
        self.cuts.iter().any(|cut| owner.ends_with(&format!(".{cut}")))
    }

    /// Whether something is below an owner.
    fn has_below(&self, owner: &str) -> bool {
        let below = format!(".{}", owner.to_ascii_lowercase());
        self.owners.iter().any(|other| other.ends_with(&below))
    }

    /// Some owner, none in an empty zone.
    fn any_owner(&self, random: &mut Random) -> Option<String> {
        let owner = self.owners.iter().nth(random.below(self.owners.len().max(1)))?;
        (owner != "@").then(|| owner.clone())
    }
}

/// The zones: the second is a child of the first.
pub(super) const APEXES: [&str; 4] = ["example.org.", "sub.example.org.", "example.net.", "alias.example."];

/// Owners that are tried for a zone.
const OWNERS: usize = 70;

/// Labels of owners; few, so that names meet.
pub(super) const LABELS: &[&str] = &[
    "a",
    "b",
    "c",
    "mail",
    "Www",
    "_tcp",
    "_dmarc",
    "x1",
    "z",
    "0",
    "xn--a",
    "\\000",
    "\\255",
    "sp\\032ace",
    "dot\\.ted",
    "a-label-that-is-longer-than-the-others-are",
];

/// Data of owners that are neither alias nor cut.
const DATA: &[&str] = &[
    "A 192.0.2.10",
    "A 192.0.2.11",
    "A 192.0.2.12",
    "AAAA 2001:db8::10",
    "AAAA 2001:db8::11",
    "TXT \"some text\"",
    "TXT \"Two\" \"strings\"",
    "MX 10 TARGET",
    "MX 20 Mail.Example.NET.",
    "SRV 0 5 5060 TARGET",
    "PTR TARGET",
    "CAA 0 issue \"ca.example.net\"",
    "SVCB 1 TARGET alpn=h2",
    "HTTPS 0 TARGET",
    "HTTPS 1 . alpn=h2,h3 ipv4hint=192.0.2.10",
    "TYPE65534 \\# 3 010203",
];
