//! The language of templates: text with `{{ … }}` in it, read once and run for each answer.
//!
//! It is the part of Go's text/template that makes one record from one question: fields, variables, literals, pipelines,
//! parentheses, `if`, comments and trimming, and the functions below. Templates cannot call each other and cannot loop,
//! so a run takes as long as the template is.

use std::collections::HashMap;

use super::lexer::{Piece, Token, pieces};
use super::value::{FUNCTIONS, Function, Value};

/// A template that has been read.
pub(super) struct Program(Vec<Node>);

/// What a template may refer to.
pub(super) struct Data<'d> {
    /// `.Name`, `.Zone` and the like.
    pub(super) fields: &'d [(&'static str, &'d str)],
    /// `.Match`: what the pattern and each of its groups found.
    pub(super) matches: &'d [&'d str],
    /// `.Group`: the same by name and by number.
    pub(super) groups: &'d [(String, &'d str)],
    /// `.Var`: values by name.
    pub(super) variables: &'d [(String, String)],
}

/// Names of fields that are texts; `.Match`, `.Group`, `.Meta` and those of `.Question` come besides.
const FIELDS: &[&str] = &["Name", "Zone", "Type", "Class", "Remote"];

/// A part of a template.
enum Node {
    Text(String),
    Print(Pipeline),
    Set(String, Pipeline),
    If(Pipeline, Vec<Self>, Vec<Self>),
}

/// Commands, each of which gets the value of the one before as its last argument.
type Pipeline = Vec<Vec<Operand>>;

/// A word of a command.
enum Operand {
    Value(Value),
    Field(Vec<String>),
    Variable(String),
    Function(Function),
    Inner(Pipeline),
}

impl Program {
    /// Reads a template that may use these names below `.Var`; on an error says what is wrong with it.
    pub(super) fn read(text: &str, values: &[String]) -> Result<Self, String> {
        let mut reader = Reader { pieces: pieces(text)?.into_iter(), values, variables: Vec::new(), depth: 0 };
        let (nodes, end) = reader.nodes()?;
        match end {
            Stop::Text => Ok(Self(nodes)),
            Stop::Else(_) => Err("unexpected {{else}}".into()),
            Stop::End => Err("unexpected {{end}}".into()),
        }
    }

    /// The text, if the template is nothing else.
    pub(super) fn constant(&self) -> Option<String> {
        let text = |node: &Node| if let Node::Text(text) = node { Some(text.clone()) } else { None };
        self.0.iter().map(text).collect()
    }

    /// Runs the template; on an error says what went wrong.
    pub(super) fn run(&self, data: &Data<'_>) -> Result<String, String> {
        let mut run = Run { data, variables: HashMap::new(), output: String::new() };
        run.nodes(&self.0)?;
        Ok(run.output)
    }
}

/// What a list of nodes ended with.
enum Stop {
    /// The end of the template.
    Text,
    /// `{{else}}` with what stands behind it.
    Else(Vec<Token>),
    /// `{{end}}`.
    End,
}

/// Makes nodes of pieces.
struct Reader<'r> {
    pieces: std::vec::IntoIter<Piece>,
    /// The names below `.Var`.
    values: &'r [String],
    variables: Vec<String>,
    depth: usize,
}

impl Reader<'_> {
    /// Reads nodes as far as they belong together.
    fn nodes(&mut self) -> Result<(Vec<Node>, Stop), String> {
        let mut nodes = Vec::new();
        while let Some(piece) = self.pieces.next() {
            let tokens = match piece {
                Piece::Text(text) => {
                    nodes.push(Node::Text(text));
                    continue;
                }
                Piece::Action(tokens) => tokens,
            };
            match &tokens[..] {
                [Token::Word(word), condition @ ..] if word == "if" => nodes.push(self.condition(condition)?),
                [Token::Word(word), rest @ ..] if word == "else" => return Ok((nodes, Stop::Else(rest.to_vec()))),
                [Token::Word(word)] if word == "end" => return Ok((nodes, Stop::End)),
                [Token::Word(word), ..] if UNSUPPORTED.contains(&&word[..]) => {
                    return Err(format!("{{{{{word}}}}} is not supported"));
                }
                [Token::Variable(name), Token::Symbol(sign @ (":=" | "=")), rest @ ..] => {
                    if *sign == ":=" {
                        self.variables.push(name.clone());
                    } else if !self.variables.contains(name) {
                        return Err(format!("undefined variable {name:?}"));
                    }
                    nodes.push(Node::Set(name.clone(), self.pipeline(rest)?));
                }
                _ => nodes.push(Node::Print(self.pipeline(&tokens)?)),
            }
        }
        Ok((nodes, Stop::Text))
    }

    /// Reads what belongs to an `if` whose condition is given.
    fn condition(&mut self, condition: &[Token]) -> Result<Node, String> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err("too many {{if}} inside each other".into());
        }
        let condition = self.pipeline(condition)?;
        let (yes, end) = self.nodes()?;
        let no = match end {
            Stop::End => Vec::new(),
            Stop::Text => return Err("{{if}} without {{end}}".into()),
            Stop::Else(rest) => match &rest[..] {
                [] => match self.nodes()? {
                    (no, Stop::End) => no,
                    _ => return Err("{{else}} without {{end}}".into()),
                },
                [Token::Word(word), rest @ ..] if word == "if" => vec![self.condition(rest)?],
                _ => return Err("{{else}} takes nothing but if".into()),
            },
        };
        self.depth -= 1;
        Ok(Node::If(condition, yes, no))
    }

    /// Reads commands with `|` between them.
    fn pipeline(&mut self, tokens: &[Token]) -> Result<Pipeline, String> {
        let mut commands = vec![Vec::new()];
        let mut rest = tokens;
        while let Some((token, after)) = rest.split_first() {
            rest = after;
            let operand = match token {
                Token::Text(text) => Operand::Value(Value::Text(text.clone())),
                Token::Number(number) => Operand::Value(Value::Number(*number)),
                Token::Field(path) => Operand::Field(check_field(path, self.values)?),
                Token::Variable(name) if self.variables.contains(name) => Operand::Variable(name.clone()),
                Token::Variable(name) => return Err(format!("undefined variable {name:?}")),
                Token::Word(word) => match &word[..] {
                    "true" | "false" => Operand::Value(Value::Bool(word == "true")),
                    _ => {
                        let found = FUNCTIONS.iter().find(|(name, _)| name == word);
                        let (_, function) = found.ok_or_else(|| format!("function {word:?} not defined"))?;
                        Operand::Function(*function)
                    }
                },
                Token::Symbol("|") => {
                    commands.push(Vec::new());
                    continue;
                }
                Token::Symbol("(") => {
                    let end = closing(rest).ok_or("unclosed left paren")?;
                    let inner = &rest[..end];
                    rest = &rest[end + 1..];
                    self.depth += 1;
                    if self.depth > DEPTH_MAX {
                        return Err("too many parentheses inside each other".into());
                    }
                    let inner = self.pipeline(inner)?;
                    self.depth -= 1;
                    Operand::Inner(inner)
                }
                Token::Symbol(other) => return Err(format!("unexpected {other:?}")),
            };
            if let Some(command) = commands.last_mut() {
                command.push(operand);
            }
        }
        for (index, command) in commands.iter().enumerate() {
            let takes_arguments = match command.first() {
                None => return Err("missing value for command".into()),
                Some(Operand::Function(_)) => true,
                Some(Operand::Field(path)) => path[0] == "Meta",
                Some(_) => false,
            };
            if !takes_arguments && (command.len() > 1 || index > 0) {
                return Err("arguments for something that is no function".into());
            }
        }
        Ok(commands)
    }
}

/// Where the parenthesis closes that was opened before these tokens.
fn closing(tokens: &[Token]) -> Option<usize> {
    let mut open = 1;
    tokens.iter().position(|token| {
        open += match token {
            Token::Symbol("(") => 1,
            Token::Symbol(")") => -1,
            _ => 0,
        };
        open == 0
    })
}

/// A field's path, if there is such a field.
fn check_field(path: &[String], values: &[String]) -> Result<Vec<String>, String> {
    let names: Vec<&str> = path.iter().map(String::as_str).collect();
    match names[..] {
        [name] if FIELDS.contains(&name) => {}
        ["Var", name] if values.iter().any(|value| value == name) => {}
        ["Match" | "Group" | "Meta"] | ["Group", _] => {}
        ["Question", "Name" | "Qtype" | "Qclass"] => {}
        _ => return Err(format!("there is no field .{}", path.join("."))),
    }
    Ok(path.to_vec())
}

/// One run of a template.
struct Run<'r> {
    data: &'r Data<'r>,
    variables: HashMap<String, Value>,
    output: String,
}

impl Run<'_> {
    /// Runs nodes one after the other.
    fn nodes(&mut self, nodes: &[Node]) -> Result<(), String> {
        for node in nodes {
            match node {
                Node::Text(text) => self.output.push_str(text),
                Node::Print(pipeline) => {
                    let value = self.pipeline(pipeline)?;
                    self.output.push_str(&value.print());
                }
                Node::Set(name, pipeline) => {
                    let value = self.pipeline(pipeline)?;
                    self.variables.insert(name.clone(), value);
                }
                Node::If(condition, yes, no) => {
                    let holds = self.pipeline(condition)?.holds();
                    self.nodes(if holds { yes } else { no })?;
                }
            }
        }
        Ok(())
    }

    /// The value of a pipeline.
    fn pipeline(&self, commands: &Pipeline) -> Result<Value, String> {
        let mut last = None;
        for command in commands {
            let [head, arguments @ ..] = &command[..] else { return Err("missing value for command".into()) };
            last = Some(match head {
                Operand::Function(function) => {
                    let values = arguments.iter().map(|argument| self.operand(argument));
                    let values = values.chain(last.map(Ok)).collect::<Result<Vec<_>, _>>()?;
                    function.call(&values)?
                }
                // No plugin gives labels, and a label that is not there is empty.
                Operand::Field(path) if path[0] == "Meta" => Value::Text(String::new()),
                operand => self.operand(operand)?,
            });
        }
        last.ok_or_else(|| "missing value for command".into())
    }

    /// The value of a word.
    fn operand(&self, operand: &Operand) -> Result<Value, String> {
        let text = |name: &str| {
            let found = self.data.fields.iter().find(|(field, _)| *field == name);
            Value::Text(found.map_or_else(String::new, |(_, text)| (*text).into()))
        };
        Ok(match operand {
            Operand::Value(value) => value.clone(),
            // It is set before it is used unless that stands in a branch that was not taken.
            Operand::Variable(name) => {
                self.variables.get(name).cloned().ok_or_else(|| format!("{name} has no value"))?
            }
            Operand::Inner(pipeline) => self.pipeline(pipeline)?,
            Operand::Function(function) => function.call(&[])?,
            Operand::Field(path) => match (&path[0][..], path.get(1).map(String::as_str)) {
                ("Match", _) => Value::List(self.data.matches.iter().map(|text| (*text).into()).collect()),
                ("Group", None) => {
                    let groups = self.data.groups.iter();
                    Value::Map(groups.map(|(name, text)| (name.clone(), (*text).into())).collect())
                }
                ("Group", Some(name)) => {
                    let found = self.data.groups.iter().rev().find(|(group, _)| group == name);
                    // As Go prints what a map does not have.
                    Value::Text(found.map_or("<no value>", |(_, text)| *text).into())
                }
                ("Var", Some(name)) => {
                    let found = self.data.variables.iter().rev().find(|(variable, _)| variable == name);
                    Value::Text(found.map_or_else(String::new, |(_, text)| text.clone()))
                }
                ("Question", Some("Name")) => text("Name"),
                ("Question", Some("Qtype")) => text("Qtype"),
                ("Question", _) => text("Qclass"),
                ("Meta", _) => Value::Text(String::new()),
                (name, _) => text(name),
            },
        })
    }
}

/// Words of the language that are left out: they make loops, and templates of templates.
const UNSUPPORTED: &[&str] = &["range", "with", "define", "template", "block", "break", "continue"];

/// Conditions and parentheses inside each other at most.
const DEPTH_MAX: usize = 64;
