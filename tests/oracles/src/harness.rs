//! Programs that listen: C around libraries, compiled when a test needs it, and pipes to all of them.

use std::ffi::OsStr;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// Files of this test run; nobody else writes there.
pub fn folder() -> PathBuf {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let name = format!("dialtone-oracles-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
    let folder = std::env::temp_dir().join(name);
    std::fs::create_dir_all(&folder).expect("the folder for temporary files can be written");
    folder
}

/// A program of `c/`, compiled and linked with these libraries.
pub fn compile(name: &str, libraries: &[&str]) -> PathBuf {
    let program = folder().join(name);
    let source = source(&format!("{name}.c"));
    let mut command = Command::new("gcc");
    command.args(["-O1", "-Wall", "-Werror", "-o"]).arg(&program).arg(source);
    command.args(libraries.iter().map(|library| format!("-l{library}")));
    let output = command.output().expect("gcc is installed: see packages.txt");
    assert!(output.status.success(), "{name}.c: {}", String::from_utf8_lossy(&output.stderr));
    program
}

/// A file of `c/`.
pub fn source(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("c").join(name)
}

/// What a program makes of its input. It must end well.
pub fn pipe(program: &Path, arguments: &[&str], input: &[u8]) -> Vec<u8> {
    let mut child = Command::new(program)
        .args(arguments.iter().map(OsStr::new))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{}: {error}: see packages.txt", program.display()));
    let mut stdin = child.stdin.take().expect("piped");
    let input = input.to_vec();
    let writer = std::thread::spawn(move || {
        // A listener that ends early has heard enough.
        let _ = stdin.write_all(&input);
    });
    let output = child.wait_with_output().expect("it was started");
    writer.join().expect("writing does not panic");
    assert!(
        output.status.success(),
        "{} {arguments:?}: {}",
        program.display(),
        String::from_utf8_lossy(&output.stderr)
    );
    output.stdout
}

/// The same as text, without the white space around it.
pub fn pipe_text(program: &Path, arguments: &[&str], input: &[u8]) -> String {
    String::from_utf8_lossy(&pipe(program, arguments, input)).trim().to_owned()
}

/// Samples as bytes.
pub fn bytes(samples: &[i16]) -> Vec<u8> {
    samples.iter().flat_map(|sample| sample.to_le_bytes()).collect()
}

/// Bytes as samples.
pub fn samples(bytes: &[u8]) -> Vec<i16> {
    bytes.chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect()
}
