//! `dialtone settings`: read, change and explain settings.
//!
//! Talks to the running router through its console socket; with `--flash` it works on the flash file of a router that does
//! not run. A file is checked here first, so a bad one names line, column and field and changes nothing. Changes that could
//! cut you off come on trial and wait for `dialtone settings confirm`; on a flash file there is nobody to cut off.

use std::error::Error;
use std::io::Read;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use dialtone_hal_linux::flash::{FLASH_SIZE, FileFlash};
use dialtone_services::console::explain;
use dialtone_settings::json::{self, Refused};
use dialtone_settings::storage::{Origin, SETTINGS_RANGE, SettingsStore};
use embassy_futures::block_on;

use crate::console::{NobodyThere, ask, default_socket, print};

/// What `dialtone settings` is told.
#[derive(Args, Debug)]
pub struct Arguments {
    /// The running router's console [default: /run/dialtone/console.sock].
    #[arg(long, value_name = "PATH", global = true)]
    socket: Option<PathBuf>,
    /// Work on this flash file of a router that does not run.
    #[arg(long, value_name = "FILE", global = true, conflicts_with = "socket")]
    flash: Option<PathBuf>,
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand, Debug)]
enum What {
    /// Print all settings.
    Show,
    /// Print one setting, or a group of them.
    Get {
        /// Like lan.dhcp.lease_seconds
        path: String,
    },
    /// Change one setting.
    Set {
        /// Like lan.dhcp.lease_seconds; dns.upstreams.+ appends to a list
        path: String,
        /// A word, a number, JSON, or words with commas between for a list
        #[arg(allow_hyphen_values = true)]
        value: String,
    },
    /// Say what settings are for, with their ranges and defaults.
    Explain {
        /// Like lan.dhcp; all of them without it
        path: Option<String>,
    },
    /// Write all settings as JSON.
    Export {
        /// Where to; - for standard output
        file: PathBuf,
    },
    /// Put a JSON file into force; what it leaves out gets its default.
    Import {
        /// From where; - for standard input
        file: PathBuf,
    },
    /// Say whether a JSON file could be imported, without a router.
    Check {
        /// Which; - for standard input
        file: PathBuf,
    },
    /// Put a setting, or all of them, back to the default, or take an entry out of its list.
    Reset {
        /// Like wan or reservations.3
        path: Option<String>,
    },
    /// Keep the change that is on trial.
    Confirm,
    /// Take the change that is on trial back.
    Revert,
}

/// Does what was asked.
pub fn run(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    match &arguments.what {
        What::Explain { path } => {
            print(&explain(path.as_deref().unwrap_or_default())?);
            return Ok(());
        }
        What::Check { file } => {
            read_file(file)?;
            print(&format!("{} is fine\n", name(file)));
            return Ok(());
        }
        _ => {}
    }
    match &arguments.flash {
        Some(flash) => offline(flash, &arguments.what),
        None => online(&arguments.socket.clone().unwrap_or_else(default_socket), &arguments.what).map_err(
            |error| match error.downcast_ref::<NobodyThere>() {
                Some(nobody) => format!("{nobody}, or its flash file with --flash").into(),
                None => error,
            },
        ),
    }
}

fn online(socket: &Path, what: &What) -> Result<(), Box<dyn Error>> {
    let command = match what {
        What::Show | What::Export { .. } => "export".into(),
        What::Get { path } => format!("get {path}"),
        What::Set { path, value } => format!("set {path} {}", value.replace('\n', " ")),
        What::Reset { path } => format!("reset {}", path.as_deref().unwrap_or_default()),
        What::Confirm => "confirm".into(),
        What::Revert => "revert".into(),
        What::Import { file } => {
            // On one line; JSON has line ends only between its parts, never inside a text.
            // The file's own text: what is exported again would have lost its passwords.
            let text = read_file(file)?;
            let line: String = text.trim_start_matches('\u{feff}').lines().map(str::trim).collect();
            format!("import {line}")
        }
        What::Explain { .. } | What::Check { .. } => return Ok(()),
    };
    let text = ask(socket, &format!("settings {command}"))?;
    match what {
        What::Export { file } => write_file(file, &text)?,
        _ => print(&text),
    }
    Ok(())
}

fn offline(flash: &Path, what: &What) -> Result<(), Box<dyn Error>> {
    let about = |error: &dyn std::fmt::Display| format!("flash file {}: {error}", flash.display());
    if matches!(what, What::Show | What::Get { .. } | What::Export { .. }) && !flash.exists() {
        return Err(about(&"there is none yet; `set` and `import` make it").into());
    }
    let file = FileFlash::open(flash, FLASH_SIZE).map_err(|error| about(&error))?;
    let mut store = block_on(SettingsStore::open(file, SETTINGS_RANGE)).map_err(|error| about(&error))?;
    let loaded = block_on(store.load()).map_err(|error| about(&error))?;
    match loaded.origin {
        Origin::LastGood => {
            eprintln!("dialtone: the newest settings were damaged; these are the ones before")
        }
        Origin::Damaged => eprintln!("dialtone: the settings were damaged; these are factory settings"),
        Origin::Newest | Origin::FirstStart => {}
    }
    let tree = &*loaded.settings;
    let changed = match what {
        What::Show => {
            print(&json::export(tree));
            return Ok(());
        }
        What::Get { path } => {
            print(&(json::value_at(tree, path)? + "\n"));
            return Ok(());
        }
        What::Export { file } => return write_file(file, &json::export(tree)),
        What::Set { path, value } => json::with_value(tree, path, value)?,
        What::Reset { path } => json::without_value(tree, path.as_deref().unwrap_or_default())?,
        What::Import { file } => {
            json::import_over(tree, &read_file(file)?).map_err(|refused| in_words(file, &refused))?
        }
        What::Confirm | What::Revert => return Err("nothing is on trial in a flash file".into()),
        What::Explain { .. } | What::Check { .. } => return Ok(()),
    };
    if *changed == *tree {
        print("that is what is stored already\n");
        return Ok(());
    }
    let revision = loaded.revision + 1;
    block_on(store.commit(revision, &changed)).map_err(|error| about(&error))?;
    print(&format!("revision {revision} is stored; a router that starts with this file uses it\n"));
    Ok(())
}

/// A file's text, looked through: every fault with the file's name in front.
fn read_file(file: &Path) -> Result<String, Box<dyn Error>> {
    let mut text = String::new();
    let read = if file == Path::new("-") {
        std::io::stdin().read_to_string(&mut text)
    } else {
        std::fs::File::open(file).and_then(|mut file| file.read_to_string(&mut text))
    };
    read.map_err(|error| format!("cannot read {}: {error}", name(file)))?;
    json::check_file(&text).map_err(|refused| in_words(file, &refused))?;
    Ok(text)
}

fn in_words(file: &Path, refused: &Refused) -> String {
    let mut out = format!("{} was refused and nothing was changed:", name(file));
    for line in refused.to_string().lines() {
        out.push_str("\n  ");
        out.push_str(line);
    }
    out
}

fn write_file(file: &Path, text: &str) -> Result<(), Box<dyn Error>> {
    if file == Path::new("-") {
        print(text);
        return Ok(());
    }
    std::fs::write(file, text).map_err(|error| format!("cannot write {}: {error}", name(file)))?;
    print(&format!("{} written\n", name(file)));
    Ok(())
}

fn name(file: &Path) -> String {
    if file == Path::new("-") { "standard input".into() } else { file.display().to_string() }
}
