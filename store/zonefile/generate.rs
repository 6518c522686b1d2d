//! `$GENERATE start-stop[/step] owner [TTL] [class] type data`: one record for each number.
//!
//! In owner and data `$` stands for the number, `$$` and `\$` for a dollar sign, and `${offset[,width[,base]]}` for the
//! number plus offset, filled with zeros to the width, in base `d`, `o`, `x` or `X`, or as reversed hex digits with
//! dots between them (`n`, `N`), whose width counts the dots.

use crate::types::Token;

/// A directive that is being carried out.
pub(super) struct Generate {
    /// The line it stands on.
    pub(super) line: u32,
    /// The number to come.
    next: u64,
    /// The last number at most.
    stop: u64,
    /// From one number to the next.
    step: u64,
    /// What each record's text consists of.
    parts: Vec<Part>,
    /// The text of the current record, kept for its allocation.
    text: Vec<u8>,
}

/// A piece of the template.
#[derive(Debug, PartialEq, Eq)]
enum Part {
    /// Text that is the same in all records.
    Fixed(Vec<u8>),
    /// The number.
    Number(Form),
}

/// How a number is written.
#[derive(Debug, PartialEq, Eq)]
struct Form {
    /// What is added to it.
    offset: i64,
    /// The least number of characters.
    width: usize,
    /// One of `d o x X n N`.
    base: u8,
}

impl Generate {
    /// Reads the directive from its tokens.
    pub(super) fn new(text: &[u8], tokens: &[Token]) -> Result<Self, String> {
        let [word, range, template @ ..] = tokens else {
            return Err("it is empty".into());
        };
        let (start, stop, step) = read_range(range.of(text)).ok_or(RANGE_FORM)?;
        let mut parts = vec![Part::Fixed(Vec::new())];
        for (at, token) in template.iter().enumerate() {
            let quote: &[u8] = if token.quoted { b"\"" } else { b"" };
            // Tokens that touched each other still do.
            push_fixed(if at > 0 && token.space { b" " } else { b"" }, &mut parts);
            push_fixed(quote, &mut parts);
            read_template(token.of(text), &mut parts)?;
            push_fixed(quote, &mut parts);
        }
        let generate = Self { line: word.line, next: start, stop, step, parts, text: Vec::new() };
        if generate.count() > COUNT_MAX {
            return Err(format!("it makes more than {COUNT_MAX} records"));
        }
        Ok(generate)
    }

    /// How many records are still to come, at most [`COUNT_MAX`] and one.
    pub(super) fn count(&self) -> u32 {
        match self.stop.checked_sub(self.next) {
            Some(span) => u32::try_from(span / self.step + 1).unwrap_or(u32::MAX),
            None => 0,
        }
    }

    /// What the directive counts towards [`super::Options::generated_max`]: a record one for each 256 octets of text, so
    /// that few long ones are bounded as many short ones are.
    pub(super) fn cost(&self) -> u64 {
        let octets: usize = self
            .parts
            .iter()
            .map(|part| match part {
                Part::Fixed(text) => text.len(),
                Part::Number(form) => form.width.max(10),
            })
            .sum();
        u64::from(self.count()) * (octets as u64 / 256 + 1)
    }

    /// The text of the next record, as an entry of its own.
    pub(super) fn next(&mut self) -> Option<Result<&[u8], String>> {
        if self.next > self.stop {
            return None;
        }
        let number = self.next;
        self.next += self.step;
        self.text.clear();
        for part in &self.parts {
            match part {
                Part::Fixed(text) => self.text.extend_from_slice(text),
                Part::Number(form) => {
                    if let Err(why) = form.write(number, &mut self.text) {
                        return Some(Err(why));
                    }
                }
            }
        }
        Some(Ok(&self.text))
    }
}

impl Form {
    /// Appends the number.
    fn write(&self, number: u64, text: &mut Vec<u8>) -> Result<(), String> {
        let number = i64::try_from(number).ok().and_then(|number| number.checked_add(self.offset));
        let number = number.and_then(|number| u32::try_from(number).ok());
        let number = number.ok_or("a number with its offset is below 0 or above 4294967295")?;
        let width = self.width;
        let written = match self.base {
            b'o' => format!("{number:0width$o}"),
            b'x' => format!("{number:0width$x}"),
            b'X' => format!("{number:0width$X}"),
            b'n' | b'N' => nibbles(number, width, self.base == b'N'),
            _ => format!("{number:0width$}"),
        };
        text.extend_from_slice(written.as_bytes());
        Ok(())
    }
}

/// Hex digits from the lowest to the highest with dots between them, for names below `ip6.arpa` (RFC 3596 §2.5).
fn nibbles(mut number: u32, width: usize, upper: bool) -> String {
    let digits: &[u8; 16] = if upper { b"0123456789ABCDEF" } else { b"0123456789abcdef" };
    let mut text = String::new();
    loop {
        text.push(digits[(number & 15) as usize].into());
        number >>= 4;
        if number == 0 && text.len() >= width {
            return text;
        }
        text.push('.');
        if number == 0 && text.len() >= width {
            return text;
        }
    }
}

/// Reads `start-stop[/step]`.
fn read_range(text: &[u8]) -> Option<(u64, u64, u64)> {
    let text = std::str::from_utf8(text).ok()?;
    let (range, step) = text.split_once('/').unwrap_or((text, "1"));
    let (start, stop) = range.split_once('-')?;
    let number = |text: &str| text.parse::<u32>().ok().filter(|_| !text.starts_with('+')).map(u64::from);
    let (start, stop, step) = (number(start)?, number(stop)?, number(step)?);
    (start <= stop && step > 0).then_some((start, stop, step))
}

/// Cuts a token of the template into parts.
fn read_template(mut text: &[u8], parts: &mut Vec<Part>) -> Result<(), String> {
    while let Some((&octet, after)) = text.split_first() {
        text = match (octet, after.first()) {
            // `$$` stays an escaped dollar sign, for that is what it means to the reader of the record.
            (b'$', Some(b'$')) => {
                push_fixed(b"\\$", parts);
                &after[1..]
            }
            (b'\\', Some(_)) => {
                push_fixed(&text[..2], parts);
                &after[1..]
            }
            (b'$', Some(b'{')) => {
                let end = after.iter().position(|octet| *octet == b'}').ok_or(FORM_FORM)?;
                parts.push(Part::Number(read_form(&after[1..end]).ok_or(FORM_FORM)?));
                &after[end + 1..]
            }
            (b'$', _) => {
                parts.push(Part::Number(Form { offset: 0, width: 0, base: b'd' }));
                after
            }
            _ => {
                push_fixed(&[octet], parts);
                after
            }
        };
    }
    Ok(())
}

/// Reads `offset[,width[,base]]`.
fn read_form(text: &[u8]) -> Option<Form> {
    let mut fields = std::str::from_utf8(text).ok()?.split(',');
    let offset = fields.next()?.parse::<i32>().ok()?.into();
    let width = fields.next().map_or(Some(0), |width| width.parse().ok())?;
    let base = match fields.next() {
        None => b'd',
        Some(base) => *base.as_bytes().first().filter(|first| base.len() == 1 && b"doxXnN".contains(first))?,
    };
    (fields.next().is_none() && width <= WIDTH_MAX).then_some(Form { offset, width, base })
}

/// Appends fixed text to the parts.
fn push_fixed(text: &[u8], parts: &mut Vec<Part>) {
    match parts.last_mut() {
        Some(Part::Fixed(fixed)) => fixed.extend_from_slice(text),
        _ if text.is_empty() => {}
        _ => parts.push(Part::Fixed(text.into())),
    }
}

/// What a range has to look like.
const RANGE_FORM: &str = "the range must be START-STOP or START-STOP/STEP with START up to STOP";

/// What a number's form has to look like.
const FORM_FORM: &str = "a number's form must be ${OFFSET[,WIDTH[,BASE]]} with BASE one of d o x X n N";

/// Records of one directive: two octets of an address, more than anyone has asked for.
const COUNT_MAX: u32 = 65_536;

/// The largest width: no label or string is longer.
const WIDTH_MAX: usize = 255;
