//! Talks to a running router's console: `dialtone console WORDS`, and what `dialtone settings` asks.
//!
//! The protocol is `services/src/console.rs`'s: a command on a line; `ok` or `error`, text, a single dot. The socket belongs
//! to the router's user, who may change everything.

use std::error::Error;
use std::fmt;
use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;

/// What `dialtone console` is told.
#[derive(Args, Debug)]
pub struct Arguments {
    /// The running router's console [default: /run/dialtone/console.sock].
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
    /// A command, such as: status, phone, calls, counters, trace start 5, trace show; help lists them.
    #[arg(value_name = "WORD", default_value = "help", trailing_var_arg = true)]
    words: Vec<String>,
}

/// Asks and prints the answer.
pub fn run(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let socket = arguments.socket.clone().unwrap_or_else(default_socket);
    print(&ask(&socket, &arguments.words.join(" ").replace('\n', " "))?);
    Ok(())
}

/// One command to the console, its answer, or its refusal as the error.
pub fn ask(socket: &Path, command: &str) -> Result<String, Box<dyn Error>> {
    let mut stream = UnixStream::connect(socket).map_err(|error| match error.kind() {
        ErrorKind::PermissionDenied => {
            format!("not allowed to use {}: only the router's user and root may, try sudo", socket.display())
                .into()
        }
        _ => Box::<dyn Error>::from(NobodyThere(socket.into())),
    })?;
    stream.set_read_timeout(Some(PATIENCE))?;
    writeln!(stream, "{command}")?;
    let silent =
        |error: std::io::Error| format!("the router at {} does not answer: {error}", socket.display());
    let mut lines = BufReader::new(stream).lines();
    let word = lines.next().ok_or("the router hung up")?.map_err(silent)?;
    if let Some(reason) = word.strip_prefix("error: ") {
        return Err(reason.into());
    }
    let mut text = String::new();
    for line in lines {
        let line = line.map_err(silent)?;
        if line == "." {
            return if word == "ok" { Ok(text) } else { Err(text.trim_end().into()) };
        }
        text.push_str(line.strip_prefix('.').unwrap_or(&line));
        text.push('\n');
    }
    Err("the router hung up in the middle of its answer".into())
}

/// No router listens at this path.
#[derive(Debug)]
pub struct NobodyThere(PathBuf);

impl fmt::Display for NobodyThere {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let socket = self.0.display();
        write!(
            f,
            "no router answers at {socket}: start one with `dialtone run`, name its console with --socket"
        )
    }
}

impl Error for NobodyThere {}

/// The system's router, or one that this user runs.
pub fn default_socket() -> PathBuf {
    let own =
        std::env::var_os("XDG_RUNTIME_DIR").map(|folder| Path::new(&folder).join("dialtone/console.sock"));
    own.filter(|path| path.exists()).unwrap_or_else(|| "/run/dialtone/console.sock".into())
}

/// Text for people or for a pipe; whoever reads it may have gone.
pub fn print(text: &str) {
    let _ = std::io::stdout().write_all(text.as_bytes());
}

/// How long a router may take to answer: writing flash takes a while.
const PATIENCE: Duration = Duration::from_secs(10);
