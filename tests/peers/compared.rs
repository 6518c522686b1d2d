//! What counts as a difference, and the table of those that are known.

use std::collections::BTreeSet;
use std::fmt;

use super::asked::to_dig;
use super::peer::Kind;
use super::world::APEXES;
use crate::cases::Expected;
use crate::support::Question;

/// One question and two answers.
pub(super) struct Asked<'a> {
    pub(super) peer: Kind,
    pub(super) question: &'a Question,
    pub(super) ours: &'a Expected,
    pub(super) theirs: &'a Expected,
    /// Whether another peer gives the same answer as zonda, or the same to the end of a chain that leaves the zone.
    pub(super) seconded: bool,
}

/// How two answers compare.
pub(super) enum Verdict {
    /// The same code, flags, answer and authority.
    Same,
    /// Not the same, as a row of the table says.
    Known(&'static str),
    /// Not the same, and nobody knows why.
    Different(String),
}

/// A difference that is known.
struct Difference {
    /// What differs, and the RFC that allows it.
    why: &'static str,
    applies: fn(&Asked<'_>) -> bool,
}

impl Asked<'_> {
    /// Compares.
    pub(super) fn verdict(&self) -> Verdict {
        let what = difference(self.ours, self.theirs);
        if what.is_empty() {
            return Verdict::Same;
        }
        match DIFFERENCES.iter().find(|difference| (difference.applies)(self)) {
            Some(difference) => Verdict::Known(difference.why),
            None => Verdict::Different(what),
        }
    }
}

impl fmt::Display for Asked<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "dig {}", to_dig(self.question))?;
        for (who, answer) in [("zonda", self.ours), ("peer", self.theirs)] {
            writeln!(formatter, "  {who}: {}", answer.status.join(" "))?;
            for section in ["answer", "authority"] {
                for line in records(answer, section) {
                    let line: String = line.chars().take(LINE_MAX).collect();
                    writeln!(formatter, "    {section}: {line}")?;
                }
            }
        }
        Ok(())
    }
}

/// The name that an answer ends at: the target of its last alias, or the name asked for.
fn last_name(question: &Question, answer: &Expected) -> String {
    let answer = records(answer, "answer");
    let mut name = question.qname.to_ascii_lowercase();
    for _ in 0..answer.len() {
        let alias = answer.iter().find_map(|line| {
            let words: Vec<&str> = line.split(' ').collect();
            (words[0] == name && words[3] == "cname").then(|| words[4].to_owned())
        });
        let Some(target) = alias else { break };
        name = target;
    }
    name
}

/// The question for the end of an alias chain that leaves the zone it begins in.
pub(super) fn end_of_chain(question: &Question, answer: &Expected) -> Option<Question> {
    leaves_zone(answer).then(|| Question { qname: last_name(question, answer), ..question.clone() })
}

/// Whether all that one answer has stands in another too, with the same code.
pub(super) fn is_part(part: &Expected, whole: &Expected) -> bool {
    part.status[0] == whole.status[0] && is_more(whole, part, "answer") && is_more(whole, part, "authority")
}

/// Which parts of two answers differ, empty for none. Additional data is left to each server (RFC 1034 §4.3.2 step 6)
/// and not compared.
pub(super) fn difference(ours: &Expected, theirs: &Expected) -> String {
    let mut parts = Vec::new();
    if flags(ours) != flags(theirs) {
        parts.push("status");
    }
    parts.extend(["answer", "authority"].into_iter().filter(|part| records(ours, part) != records(theirs, part)));
    parts.join(", ")
}

/// The code, and whether the answer has authority and is whole.
fn flags(answer: &Expected) -> Vec<&str> {
    let words = answer.status.iter().map(String::as_str);
    words.enumerate().filter(|(at, word)| *at == 0 || ["aa", "tc", "ad"].contains(word)).map(|(_, word)| word).collect()
}

/// The records of a section in lower case: servers differ in which spelling of a name they keep (RFC 4343 §4).
fn records(answer: &Expected, section: &str) -> BTreeSet<String> {
    let lines = answer.sections.get(section).map_or(&[][..], Vec::as_slice);
    lines.iter().map(|line| line.to_ascii_lowercase()).collect()
}

/// Whether an answer has a flag.
fn has(answer: &Expected, flag: &str) -> bool {
    answer.status.iter().any(|word| word == flag)
}

/// The authority without a type.
fn without(answer: &Expected, rtype: &str) -> BTreeSet<String> {
    records(answer, "authority").into_iter().filter(|line| line.split(' ').nth(3) != Some(rtype)).collect()
}

/// Whether the first answer has all that the second has in a section.
fn is_more(more: &Expected, less: &Expected, section: &str) -> bool {
    records(more, section).is_superset(&records(less, section))
}

/// Whether nothing but the authority differs.
fn is_about_authority(asked: &Asked<'_>) -> bool {
    difference(asked.ours, asked.theirs) == "authority"
}

/// Owners of the NSEC records of the authority.
fn nsec_owners(answer: &Expected) -> BTreeSet<String> {
    let lines = records(answer, "authority").into_iter();
    lines.filter(|line| line.contains(" in nsec ")).filter_map(|line| Some(line.split(' ').next()?.into())).collect()
}

/// Whether an answer has an alias to a name in another zone than its owner's.
fn leaves_zone(answer: &Expected) -> bool {
    records(answer, "answer").iter().any(|line| {
        let words: Vec<&str> = line.split(' ').collect();
        words[3] == "cname" && zone_of(words[0]) != zone_of(words[4])
    })
}

/// The apex of the zone that a name is in; none of the names here has an escaped dot before an apex.
fn zone_of(name: &str) -> Option<&'static str> {
    let is_in = |apex: &&&str| name == **apex || name.ends_with(&format!(".{apex}"));
    APEXES.iter().filter(is_in).max_by_key(|apex| apex.len()).copied()
}

/// Whether a section has a record of a type.
fn has_type(answer: &Expected, section: &str, rtype: &str) -> bool {
    records(answer, section).iter().any(|line| line.split(' ').nth(3) == Some(rtype))
}

/// The known differences; the first that applies counts.
const DIFFERENCES: &[Difference] = &[
    Difference {
        why: "cut off at different records; TCP has it all (RFC 2181 §9)",
        applies: |asked| {
            (has(asked.ours, "tc") || has(asked.theirs, "tc"))
                && has(asked.ours, "aa") == has(asked.theirs, "aa")
                && asked.ours.status[0] == asked.theirs.status[0]
        },
    },
    Difference {
        why: "DS of a cut in a zone that is not signed (RFC 4035 §3.1.4 names no exception)",
        applies: |asked| {
            !has_type(asked.ours, "authority", "rrsig")
                && has_type(asked.ours, "authority", "ds")
                && is_about_authority(asked)
                && without(asked.ours, "ds") == records(asked.theirs, "authority")
        },
    },
    Difference {
        why: "knotd and named end an alias chain where it leaves the zone (RFC 1034 §4.3.2 step 3a: go back to step 1)",
        applies: |asked| {
            asked.peer != Kind::Nsd
                && leaves_zone(asked.theirs)
                && has(asked.ours, "aa") == has(asked.theirs, "aa")
                && is_more(asked.ours, asked.theirs, "answer")
                // knotd refers to the child as if only the parent were served here.
                && (is_more(asked.ours, asked.theirs, "authority") || has_type(asked.theirs, "authority", "ns"))
        },
    },
    Difference {
        why: "knotd gives one of the RRSIG RRsets, zonda all (RFC 8482 §7 allows both)",
        applies: |asked| {
            asked.peer == Kind::Knotd
                && asked.question.qtype == store::Rtype::RRSIG
                && has_type(asked.theirs, "answer", "rrsig")
                && is_more(asked.ours, asked.theirs, "answer")
        },
    },
    Difference {
        why: "nsd follows an alias for NSEC and RRSIG, which are beside it (RFC 4035 §2.5), and not for NSEC3",
        applies: |asked| {
            let (ours, theirs) = (has_type(asked.ours, "answer", "cname"), has_type(asked.theirs, "answer", "cname"));
            asked.peer == Kind::Nsd
                && match asked.question.qtype {
                    store::Rtype::NSEC | store::Rtype::RRSIG => theirs && !ours,
                    store::Rtype::NSEC3 => ours && !theirs,
                    _ => false,
                }
        },
    },
    Difference {
        why: "nsd proves the closest encloser too where a wildcard is found by its own name (RFC 5155 §7.2.3: one NSEC3)",
        applies: |asked| {
            let by_alias = records(asked.ours, "answer").iter().any(|line| line.contains(" cname *."));
            asked.peer == Kind::Nsd
                && (asked.question.qname.starts_with("*.") || by_alias)
                && is_about_authority(asked)
                && has_type(asked.ours, "authority", "nsec3")
                && is_more(asked.theirs, asked.ours, "authority")
        },
    },
    Difference {
        why: "nsd, opt-out: no closest provable encloser where an empty non-terminal has no NSEC3 (RFC 5155 §7.2.1)",
        applies: |asked| {
            asked.peer == Kind::Nsd
                && asked.seconded
                && is_about_authority(asked)
                && records(asked.ours, "authority").iter().any(|line| line.contains(" nsec3 1 1 "))
        },
    },
    Difference {
        why: "nsd leaves out an NSEC3 of a wildcard below a wildcard (RFC 5155 §7.2.5 asks for three); another agrees with us",
        applies: |asked| {
            asked.peer == Kind::Nsd
                && asked.seconded
                && is_about_authority(asked)
                && asked.ours.status[0] == "NOERROR"
                && has_type(asked.theirs, "authority", "nsec3")
                && is_more(asked.ours, asked.theirs, "authority")
        },
    },
    Difference {
        why: "nsd gives an NSEC too far before a name, or none, where its tree has a name that another zone or rdata mentions",
        applies: |asked| {
            let (ours, theirs) = (nsec_owners(asked.ours), nsec_owners(asked.theirs));
            asked.peer == Kind::Nsd
                && asked.seconded
                && is_about_authority(asked)
                && ours.difference(&theirs).count() <= 2
                && theirs.difference(&ours).count() <= 1
        },
    },
    Difference {
        why: "nsd takes names that the parent zone has below the cut for names of the child (RFC 8020 §2: NXDOMAIN)",
        applies: |asked| {
            asked.peer == Kind::Nsd
                && asked.seconded
                && has(asked.ours, "aa") == has(asked.theirs, "aa")
                && zone_of(&last_name(asked.question, asked.ours)) == Some(APEXES[1])
        },
    },
    Difference {
        why: "knotd, opt-out: an empty NXDOMAIN without AA where an empty non-terminal has no NSEC3 (RFC 5155 §7.2.2)",
        applies: |asked| {
            asked.peer == Kind::Knotd
                && asked.seconded
                && !has(asked.theirs, "aa")
                && records(asked.theirs, "authority").is_empty()
                && records(asked.ours, "authority").iter().any(|line| line.contains(" nsec3 1 1 "))
        },
    },
    Difference {
        why: "knotd leaves out the NSEC that proves a wildcard answer when NSEC is asked for (RFC 4035 §3.1.3.3)",
        applies: |asked| {
            asked.peer == Kind::Knotd
                && asked.seconded
                && asked.question.qtype == store::Rtype::NSEC
                && is_about_authority(asked)
                && is_more(asked.ours, asked.theirs, "authority")
        },
    },
    Difference {
        why: "named answers for NSEC at a cut as it does for DS; another refers like us (RFC 1034 §4.3.2 step 3b)",
        applies: |asked| {
            asked.peer == Kind::Named
                && asked.seconded
                && asked.question.qtype == store::Rtype::NSEC
                && !has(asked.ours, "aa")
                && has(asked.theirs, "aa")
        },
    },
    Difference {
        why: "ANY below a DNAME ends at the CNAME made from it, as at any CNAME (RFC 1034 §3.6.2); named does the same",
        applies: |asked| {
            asked.question.qtype == store::Rtype::ANY
                && asked.seconded
                && has_type(asked.ours, "answer", "dname")
                && is_more(asked.theirs, asked.ours, "answer")
                && has(asked.ours, "aa") == has(asked.theirs, "aa")
        },
    },
    Difference {
        why: "ANY is answered with one RRset or all of them (RFC 8482 §4.1)",
        applies: |asked| {
            asked.question.qtype == store::Rtype::ANY
                && flags(asked.ours) == flags(asked.theirs)
                && !records(asked.ours, "answer").is_empty()
                && !records(asked.theirs, "answer").is_empty()
        },
    },
];

/// Characters of a record that are printed.
const LINE_MAX: usize = 160;
