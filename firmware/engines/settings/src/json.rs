//! The tree as JSON: files for people, one field at a time for the command line.
//!
//! In a file a missing field means its default and an unknown one is refused; every fault names line, column and
//! field. Nothing is put into force here.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use serde_json::Value;

use crate::locate::{Position, path_at, position_of};
use crate::tree::Settings;
use crate::validate::{PROBLEMS, validate};

/// One fault of a file or a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Where in the file; `None` when it is about no file, or nothing of it is in the file.
    pub position: Option<Position>,
    /// The field; empty when it is about the file as a whole.
    pub path: String,
    /// What is wrong and what to do.
    pub message: String,
}

/// Why a file or a value was refused: at least one fault. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The faults, in order, at most [`PROBLEMS`].
    pub faults: Vec<Fault>,
    /// Faults beyond those.
    pub more: usize,
}

/// The whole tree, indented, every field with its value.
pub fn export(tree: &Settings) -> String {
    // A tree of texts, numbers and lists always has a JSON form.
    let mut text = serde_json::to_string_pretty(tree).unwrap_or_default();
    text.push('\n');
    text
}

/// Reads a file: missing fields get their defaults, then the whole is validated.
///
/// # Errors
/// The first fault of form, or every fault the validator found.
pub fn import(text: &str) -> Result<Box<Settings>, Refused> {
    let tree = parse(text)?;
    check(&tree, Some(text))?;
    Ok(tree)
}

/// The value at `path` as JSON, a text without its quotes; the whole tree for an empty path.
///
/// # Errors
/// When there is no such field; the message says what is there instead.
pub fn value_at(tree: &Settings, path: &str) -> Result<String, Refused> {
    let mut root = as_value(tree);
    let value = navigate(&mut root, path)?;
    Ok(match value {
        Value::String(text) => text.clone(),
        other => serde_json::to_string_pretty(other).unwrap_or_default(),
    })
}

/// A copy of `tree` with `path` set to `text`, validated. `text` is JSON, or a plain word, or for a list words with
/// commas between; `null` clears. The index one past the end of a list, or `+`, appends.
///
/// # Errors
/// When there is no such field, the value does not fit it, or the tree would not be valid.
pub fn with_value(tree: &Settings, path: &str, text: &str) -> Result<Box<Settings>, Refused> {
    let mut root = as_value(tree);
    let path = resolve_append(&mut root, path)?;
    let is_list = navigate(&mut root, &path)?.is_array();
    let mut first_refusal = None;
    for candidate in candidates(text, is_list) {
        let mut root = root.clone();
        *navigate(&mut root, &path)? = candidate;
        match from_value(&root, &path) {
            Ok(tree) => {
                check(&tree, None)?;
                return Ok(tree);
            }
            Err(refused) => first_refusal = first_refusal.or(Some(refused)),
        }
    }
    // There is always a candidate: the plain word.
    Err(first_refusal.unwrap_or_else(|| Refused::one(&path, "no value".into())))
}

/// A copy of `tree` with `path` back at its default, or taken out of its list, validated; all defaults for an empty
/// path.
///
/// # Errors
/// When there is no such field, or the tree would not be valid.
pub fn without_value(tree: &Settings, path: &str) -> Result<Box<Settings>, Refused> {
    let mut root = as_value(tree);
    navigate(&mut root, path)?;
    let (parent, last) = path.rsplit_once('.').unwrap_or(("", path));
    match (navigate(&mut root, parent)?, last.parse::<usize>()) {
        (Value::Array(list), Ok(index)) if index < list.len() => drop(list.remove(index)),
        _ => {
            let mut factory = as_value(&Settings::default());
            // A field of a list's entry has no place in the factory settings, and not every one may be left out.
            let Ok(default) = navigate(&mut factory, path).cloned() else {
                let message = format!("has no default; remove the whole entry {parent}, or set it");
                return Err(Refused::one(path, message));
            };
            *navigate(&mut root, path)? = default;
        }
    }
    let tree = from_value(&root, path)?;
    check(&tree, None)?;
    Ok(tree)
}

impl Refused {
    fn one(path: &str, message: String) -> Self {
        Self { faults: [Fault { position: None, path: path.into(), message }].into(), more: 0 }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(Position { line, column }) = self.position {
            write!(f, "line {line}, column {column}: ")?;
        }
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, fault) in self.faults.iter().enumerate() {
            let separator = if index == 0 { "" } else { "\n" };
            write!(f, "{separator}{fault}")?;
        }
        if self.more > 0 {
            write!(f, "\n… and {} more", self.more)?;
        }
        Ok(())
    }
}

impl core::error::Error for Refused {}

fn parse(text: &str) -> Result<Box<Settings>, Refused> {
    // Windows editors put a byte order mark in front; columns are counted without it.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.trim().is_empty() {
        let message = "is empty; factory settings are {}".to_string();
        return Err(Refused {
            faults: [Fault { position: None, path: String::new(), message }].into(),
            more: 0,
        });
    }
    serde_json::from_str(text).map_err(|error| {
        let mut position = Position { line: error.line(), column: error.column() };
        if error.is_data() && !error.to_string().starts_with("missing field") {
            position = position.back_into_value(text);
        }
        let path = path_at(text, position);
        let message = plain_message(&error, &path);
        Refused { faults: [Fault { position: Some(position), path, message }].into(), more: 0 }
    })
}

/// What serde says, without the position and the name of the field, which are said in front.
fn plain_message(error: &serde_json::Error, path: &str) -> String {
    let mut message = error.to_string();
    if let Some(at) = message.rfind(" at line ") {
        message.truncate(at);
    }
    for (word, plain) in NUMBERS {
        if let Some(rest) = message.strip_suffix(word) {
            message = format!("{rest}{plain}");
        }
    }
    let field = path.rsplit('.').next().unwrap_or(path);
    if let Some(rest) = message.strip_prefix(&format!("unknown field `{field}`, ")) {
        message = format!("there is no such field; {rest}");
    }
    if message.len() > MESSAGE {
        message = message.chars().take(MESSAGE).collect();
        message.push('…');
    }
    message
}

fn check(tree: &Settings, text: Option<&str>) -> Result<(), Refused> {
    validate(tree).map_err(|problems| {
        let fault = |problem: &crate::validate::Problem| Fault {
            position: text.and_then(|text| position_of(text, &problem.path)),
            path: problem.path.as_str().into(),
            message: problem.message.as_str().into(),
        };
        Refused { faults: problems.iter().take(PROBLEMS).map(fault).collect(), more: problems.more() }
    })
}

fn as_value(tree: &Settings) -> Value {
    serde_json::to_value(tree).unwrap_or_default()
}

/// Through text, because only then an error knows its place; faults are told with the path, or what was set.
fn from_value(root: &Value, path: &str) -> Result<Box<Settings>, Refused> {
    parse(&root.to_string()).map_err(|mut refused| {
        for fault in &mut refused.faults {
            fault.position = None;
            if !fault.path.starts_with(path) {
                fault.path = path.into();
            }
        }
        refused
    })
}

/// What a person may have meant by `text`, most literal first.
fn candidates(text: &str, is_list: bool) -> Vec<Value> {
    let mut candidates = Vec::new();
    candidates.extend(serde_json::from_str(text).ok());
    if is_list && !text.trim_start().starts_with('[') {
        let words = text.split(',').map(str::trim).filter(|word| !word.is_empty());
        candidates.push(words.map(|word| Value::String(word.into())).collect());
    }
    candidates.push(Value::String(text.into()));
    candidates
}

/// Puts an entry at the end of a list when `path` asks for one; the path with its index.
fn resolve_append(root: &mut Value, path: &str) -> Result<String, Refused> {
    let Some((parent, last)) = path.rsplit_once('.') else { return Ok(path.into()) };
    if let Value::Array(list) = navigate(root, parent)?
        && (last == "+" || last.parse() == Ok(list.len()))
    {
        list.push(Value::Null);
        return Ok(format!("{parent}.{}", list.len() - 1));
    }
    Ok(path.into())
}

fn navigate<'a>(root: &'a mut Value, path: &str) -> Result<&'a mut Value, Refused> {
    let mut value = root;
    let mut done = String::new();
    for step in path.split('.').filter(|_| !path.is_empty()) {
        let here = if done.is_empty() { "the tree".into() } else { done.clone() };
        let nothing = |message: String| Err(Refused::one(path, message));
        value = match value {
            Value::Object(fields) => {
                if !fields.contains_key(step) {
                    let names: Vec<&str> = fields.keys().map(String::as_str).collect();
                    return nothing(format!("{here} has no \"{step}\"; it has {}", names.join(", ")));
                }
                let Some(field) = fields.get_mut(step) else { return nothing(String::new()) };
                field
            }
            Value::Array(list) => {
                let length = list.len();
                match step.parse::<usize>().ok().and_then(|index| list.get_mut(index)) {
                    Some(entry) => entry,
                    None => {
                        return nothing(format!("{here} has {length} entries, counted from 0; + appends"));
                    }
                }
            }
            _ => return nothing(format!("{here} is one value and has no \"{step}\"")),
        };
        if !done.is_empty() {
            done.push('.');
        }
        done.push_str(step);
    }
    Ok(value)
}

const MESSAGE: usize = 300;
/// What serde calls a number, and what people do.
const NUMBERS: [(&str, &str); 2] = [
    ("expected u16", "expected a number from 0 to 65535"),
    ("expected u32", "expected a number from 0 to 4294967295"),
];

#[cfg(test)]
mod tests;
