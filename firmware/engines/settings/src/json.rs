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

use crate::fields::{FIELDS, Field};
use crate::locate::{Position, path_at, position_of};
use crate::secret::PLACEHOLDER;
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

/// Reads a file: missing fields get their defaults, then the whole is validated. Its secrets must be in it.
///
/// # Errors
/// The first fault of form, or every fault the validator found, or a secret that is only shown as `********`.
pub fn import(text: &str) -> Result<Box<Settings>, Refused> {
    import_over(&Settings::default(), text)
}

/// Whether a router could import this file; secrets that are only shown as `********` may be there.
///
/// # Errors
/// The first fault of form, or every fault the validator found.
pub fn check_file(text: &str) -> Result<(), Refused> {
    let tree = parse(text)?;
    check(&tree, Some(text))
}

/// Reads a file as [`import`] does; secrets it shows as `********` are those of `current`.
///
/// # Errors
/// As [`import`], and when `current` has no such secret.
pub fn import_over(current: &Settings, text: &str) -> Result<Box<Settings>, Refused> {
    let mut tree = parse(text)?;
    check(&tree, Some(text))?;
    keep_secrets(&mut tree, current)?;
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
            Ok(mut candidate) => {
                keep_secrets(&mut candidate, tree)?;
                check(&candidate, None)?;
                return Ok(candidate);
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
    let mut changed = from_value(&root, path)?;
    keep_secrets(&mut changed, tree)?;
    check(&changed, None)?;
    Ok(changed)
}

/// Secrets that were shown as `********` and came back so stay what they were.
fn keep_secrets(tree: &mut Settings, old: &Settings) -> Result<(), Refused> {
    let Some(index) = crate::secret::keep(tree, old) else { return Ok(()) };
    let message = format!("{PLACEHOLDER} stands for a password this router does not know: write it out");
    Err(Refused::one(&format!("telephony.accounts.{index}.auth_password"), message))
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
    groups_are_groups(text)?;
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

/// Refuses a list or a word where a group of settings belongs: serde would read a list as the group's fields in their
/// order, and `[]` as the factory settings.
fn groups_are_groups(text: &str) -> Result<(), Refused> {
    // What is no JSON at all is told by the parser, which knows where.
    let Ok(root) = serde_json::from_str::<Value>(text) else { return Ok(()) };
    match not_a_group(&root, "", "") {
        None => Ok(()),
        Some((path, wanted)) => {
            let position = position_of(text, &path);
            Err(Refused { faults: [Fault { position, path, message: wanted }].into(), more: 0 })
        }
    }
}

/// The first group that is none, with what it should be. `pattern` is `path` with N for an index, as in [`FIELDS`].
fn not_a_group(value: &Value, path: &str, pattern: &str) -> Option<(String, String)> {
    let join = |parent: &str, name: &str| match parent {
        "" => name.to_string(),
        _ => format!("{parent}.{name}"),
    };
    let mut inside = Vec::new();
    for field in FIELDS {
        let rest = if pattern.is_empty() { Some(field.path) } else { below(field.path, pattern) };
        let name = rest.and_then(|rest| rest.split('.').next());
        inside.extend(name.filter(|name| !inside.contains(name)));
    }
    match value {
        _ if inside.is_empty() => None,
        Value::Array(entries) if inside == ["N"] => entries.iter().enumerate().find_map(|(index, entry)| {
            not_a_group(entry, &join(path, &index.to_string()), &join(pattern, "N"))
        }),
        _ if inside == ["N"] => Some((path.into(), "wants a list: [{…}, {…}]".into())),
        Value::Object(fields) => fields
            .iter()
            .find_map(|(name, value)| not_a_group(value, &join(path, name), &join(pattern, name))),
        _ => Some((path.into(), format!("wants {{…}} with {}", inside.join(", ")))),
    }
}

fn below<'a>(path: &'a str, parent: &str) -> Option<&'a str> {
    path.strip_prefix(parent)?.strip_prefix('.')
}

/// What is known about the field at `path`, or about the list it is an entry of.
fn field_at(path: &str) -> Option<&'static Field> {
    let steps = path.split('.').map(|step| if step.parse::<usize>().is_ok() { "N" } else { step });
    let pattern = steps.collect::<Vec<_>>().join(".");
    let list = pattern.strip_suffix(".N");
    FIELDS.iter().find(|field| field.path == pattern || Some(field.path) == list)
}

/// What serde says, without the position and the name of the field, which are said in front.
fn plain_message(error: &serde_json::Error, path: &str) -> String {
    let mut message = error.to_string();
    if let Some(at) = message.rfind(" at line ") {
        message.truncate(at);
    }
    if let Some((found, wanted)) =
        MISFITS.iter().find_map(|misfit| message.strip_prefix(misfit)?.split_once(", expected "))
    {
        // Serde says `string "x"` and "integer `5`"; people call that "x" and 5.
        let found = found.strip_prefix("string ").or_else(|| found.split('`').nth(1)).unwrap_or(found);
        let wanted =
            field_at(path).map_or(wanted.into(), |field| format!("{} ({})", field.kind, field.range));
        message = format!("{found} does not fit; it wants: {wanted}");
    }
    if message == "invalid IPv4 address syntax" {
        message = "not an address like 192.0.2.1".into();
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
/// How serde begins when a value is not what a field takes.
const MISFITS: [&str; 3] = ["invalid type: ", "invalid value: ", "unknown variant "];

#[cfg(test)]
mod tests;
