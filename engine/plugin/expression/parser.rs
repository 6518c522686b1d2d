//! From the text of an expression to its parts, by descent from the loosest operator to the tightest.

use regex::Regex;

use super::functions::Function;
use super::{Node, Value};

/// Reads a whole expression.
pub(super) fn read(text: &str, variables: &[String]) -> Result<Node, String> {
    let tokens = tokens(text)?;
    let mut parser = Parser { tokens: &tokens, variables, depth: 0, closures: 0 };
    let node = parser.choice()?;
    match parser.tokens.first() {
        None => Ok(node),
        Some(token) => Err(format!("unexpected {token:?}")),
    }
}

/// A word or sign.
#[derive(Clone, Debug, PartialEq)]
enum Token {
    Text(String),
    Number(i64),
    Word(String),
    Sign(&'static str),
}

/// The tokens that are left.
struct Parser<'t> {
    tokens: &'t [Token],
    variables: &'t [String],
    depth: usize,
    /// How many `any`, `all` and `none` are around.
    closures: usize,
}

impl Parser<'_> {
    /// `a ? b : c`, or what binds tighter.
    fn choice(&mut self) -> Result<Node, String> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err("it is nested too deep".into());
        }
        let mut node = self.or()?;
        if self.takes("?") {
            let yes = self.choice()?;
            self.expect(":")?;
            node = Node::Choice(Box::new(node), Box::new(yes), Box::new(self.choice()?));
        }
        self.depth -= 1;
        Ok(node)
    }

    /// Conditions of which one has to hold.
    fn or(&mut self) -> Result<Node, String> {
        let mut node = self.and()?;
        while self.takes("||") || self.takes("or") {
            node = Node::Or(Box::new(node), Box::new(self.and()?));
        }
        Ok(node)
    }

    /// Conditions that all have to hold.
    fn and(&mut self) -> Result<Node, String> {
        let mut node = self.comparison()?;
        while self.takes("&&") || self.takes("and") {
            node = Node::And(Box::new(node), Box::new(self.comparison()?));
        }
        Ok(node)
    }

    /// Comparisons.
    fn comparison(&mut self) -> Result<Node, String> {
        let mut node = self.operators(&["+", "-"])?;
        loop {
            let negated = matches!(self.tokens, [Token::Word(not), Token::Word(_), ..] if not == "not");
            let rest = if negated { &self.tokens[1..] } else { self.tokens };
            let Some(operator) = COMPARISONS.iter().copied().find(|operator| is(rest.first(), operator)) else {
                return Ok(node);
            };
            self.tokens = &rest[1..];
            node = match operator {
                "matches" => match self.tokens.split_first() {
                    Some((Token::Text(pattern), rest)) => {
                        self.tokens = rest;
                        Node::Matches(Box::new(node), Box::new(Regex::new(pattern).map_err(|why| why.to_string())?))
                    }
                    _ => return Err("matches needs a pattern in quotes".into()),
                },
                _ => Node::Binary(operator, Box::new(node), Box::new(self.operators(&["+", "-"])?)),
            };
            if negated {
                node = Node::Not(Box::new(node));
            }
        }
    }

    /// Sums of products.
    fn operators(&mut self, signs: &[&'static str]) -> Result<Node, String> {
        let products = ["*", "/", "%"];
        let inner = |parser: &mut Self| if signs == products { parser.unary() } else { parser.operators(&products) };
        let mut node = inner(self)?;
        while let Some(sign) = signs.iter().copied().find(|sign| is(self.tokens.first(), sign)) {
            self.tokens = &self.tokens[1..];
            node = Node::Binary(sign, Box::new(node), Box::new(inner(self)?));
        }
        Ok(node)
    }

    /// Signs in front of a value.
    fn unary(&mut self) -> Result<Node, String> {
        let (not, minus) = (self.takes("!") || self.takes("not"), self.takes("-"));
        if !not && !minus {
            return self.postfix();
        }
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err("it is nested too deep".into());
        }
        let mut node = self.unary()?;
        self.depth -= 1;
        if minus {
            node = Node::Negative(Box::new(node));
        }
        Ok(if not { Node::Not(Box::new(node)) } else { node })
    }

    /// A value with `[index]` behind it.
    fn postfix(&mut self) -> Result<Node, String> {
        let mut node = self.primary()?;
        while self.takes("[") {
            node = Node::Index(Box::new(node), Box::new(self.choice()?));
            self.expect("]")?;
        }
        Ok(node)
    }

    /// A literal, a variable, a call, a list, or an expression in parentheses.
    fn primary(&mut self) -> Result<Node, String> {
        let Some((token, rest)) = self.tokens.split_first() else { return Err("it ends too early".into()) };
        self.tokens = rest;
        match token {
            Token::Text(text) => Ok(Node::Value(Value::Text(text.clone()))),
            Token::Number(number) => Ok(Node::Value(Value::Number(*number))),
            Token::Sign("(") => {
                let node = self.choice()?;
                self.expect(")").map(|()| node)
            }
            Token::Sign("[") => self.list("]").map(Node::List),
            Token::Sign("#") if self.closures > 0 => Ok(Node::Element),
            Token::Word(word) if word == "true" || word == "false" => Ok(Node::Value(Value::Bool(word == "true"))),
            Token::Word(word) if self.takes("(") => self.call(word),
            Token::Word(word) => {
                // The latest variable of that name.
                let at = self.variables.iter().rposition(|variable| variable == word);
                at.map(Node::Variable).ok_or_else(|| format!("unknown name {word}"))
            }
            Token::Sign(sign) => Err(format!("unexpected {sign:?}")),
        }
    }

    /// The rest of a call, behind its opening parenthesis.
    fn call(&mut self, word: &str) -> Result<Node, String> {
        if let Some(kind) = ["any", "all", "none"].into_iter().find(|kind| *kind == word) {
            let list = self.choice()?;
            self.expect(",")?;
            self.closures += 1;
            let braces = self.takes("{");
            let condition = self.choice()?;
            if braces {
                self.expect("}")?;
            }
            self.closures -= 1;
            self.expect(")")?;
            return Ok(Node::Over(kind, Box::new(list), Box::new(condition)));
        }
        let function = Function::find(word).ok_or_else(|| format!("unknown function {word}"))?;
        let arguments = self.list(")")?;
        match arguments.len() == function.arguments {
            true => Ok(Node::Call(function, arguments)),
            false => Err(format!("{word} takes {} arguments and not {}", function.arguments, arguments.len())),
        }
    }

    /// Expressions with commas between them, up to a closing sign.
    fn list(&mut self, end: &str) -> Result<Vec<Node>, String> {
        let mut nodes = Vec::new();
        while !self.takes(end) {
            if !nodes.is_empty() {
                self.expect(",")?;
            }
            nodes.push(self.choice()?);
        }
        Ok(nodes)
    }

    /// Takes a sign or a word if it is next.
    fn takes(&mut self, sign: &str) -> bool {
        let is_next = is(self.tokens.first(), sign);
        if is_next {
            self.tokens = &self.tokens[1..];
        }
        is_next
    }

    /// Takes a sign that has to be next.
    fn expect(&mut self, sign: &str) -> Result<(), String> {
        if self.takes(sign) { Ok(()) } else { Err(format!("{sign:?} is missing")) }
    }
}

/// Whether a token is this sign or word.
fn is(token: Option<&Token>, wanted: &str) -> bool {
    match token {
        Some(Token::Sign(sign)) => *sign == wanted,
        Some(Token::Word(word)) => word == wanted,
        _ => false,
    }
}

/// Cuts an expression into tokens.
fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let word = rest.find(|next: char| next != '_' && !next.is_alphanumeric()).unwrap_or(rest.len());
        let (token, taken) = match first {
            '\'' | '"' => quoted(rest, first)?,
            '0'..='9' => {
                let number = rest[..word].parse().map_err(|_| format!("{:?} is no number", &rest[..word]))?;
                (Token::Number(number), word)
            }
            _ if word > 0 => (Token::Word(rest[..word].into()), word),
            _ => {
                let sign = SIGNS.iter().find(|sign| rest.starts_with(**sign));
                let sign = sign.ok_or_else(|| format!("unexpected {first:?}"))?;
                (Token::Sign(sign), sign.len())
            }
        };
        tokens.push(token);
        rest = rest[taken..].trim_start();
    }
    Ok(tokens)
}

/// A text in quotes at the start of `text`, and the octets that it takes. `\` makes the next character literal.
fn quoted(text: &str, quote: char) -> Result<(Token, usize), String> {
    let mut meaning = String::new();
    let mut characters = text.char_indices().skip(1);
    while let Some((at, character)) = characters.next() {
        match character {
            _ if character == quote => return Ok((Token::Text(meaning), at + 1)),
            '\\' => meaning.extend(characters.next().map(|(_, literal)| literal)),
            other => meaning.push(other),
        }
    }
    Err("a quote is not closed".into())
}

/// Operators between comparable values, those first that begin with others.
const COMPARISONS: &[&str] = &["==", "!=", "<=", ">=", "<", ">", "in", "contains", "startsWith", "endsWith", "matches"];

/// All signs, those first that begin with others.
const SIGNS: &[&str] = &[
    "||", "&&", "==", "!=", "<=", ">=", "<", ">", "!", "+", "-", "*", "/", "%", "?", ":", ",", "(", ")", "[", "]", "{",
    "}", "#",
];

/// Expressions inside each other at most.
const DEPTH_MAX: usize = 64;
