//! PESQ (ITU-T P.862, mapped by P.862.1) by the Python package `pesq` in a virtual environment of its own.
//!
//! The environment is made once, beside the build's other products; that needs `python3-venv`, a C compiler and PyPI.

use std::env;
use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};

const SCRIPT: &str = "
import sys, numpy
from pesq import pesq
for line in sys.stdin:
    rate, reference, degraded = line.split()
    a = numpy.fromfile(reference, numpy.int16)
    b = numpy.fromfile(degraded, numpy.int16)
    try:
        print(pesq(int(rate), a, b, 'wb' if int(rate) == 16000 else 'nb'))
    except Exception as error:
        print(1.0)
        print(error, file=sys.stderr)
";

/// The score of each pair of what was said and what was heard, at `rate` (16000: wide band, P.862.2).
pub fn scores(rate: u32, pairs: &[(Vec<i16>, Vec<i16>)]) -> io::Result<Vec<f64>> {
    let python = python()?;
    let folder = folder().join(format!("clips-{}-{:?}", std::process::id(), std::thread::current().id()));
    fs::create_dir_all(&folder)?;
    let mut child =
        Command::new(python).args(["-c", SCRIPT]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let mut list = String::new();
    for (number, (said, heard)) in pairs.iter().enumerate() {
        let files = [("said", said), ("heard", heard)]
            .map(|(name, sound)| (folder.join(format!("{name}{number}")), sound));
        for (path, sound) in &files {
            let bytes: Vec<u8> = sound.iter().flat_map(|sample| sample.to_le_bytes()).collect();
            fs::write(path, bytes)?;
        }
        list += &format!("{rate} {} {}\n", files[0].0.display(), files[1].0.display());
    }
    if let Some(mut input) = child.stdin.take() {
        input.write_all(list.as_bytes())?;
    }
    let output = child.wait_with_output()?;
    fs::remove_dir_all(&folder)?;
    let text = String::from_utf8_lossy(&output.stdout);
    let scores: Vec<f64> = text.lines().filter_map(|line| line.trim().parse().ok()).collect();
    if scores.len() == pairs.len() {
        Ok(scores)
    } else {
        Err(io::Error::other("pesq did not score every pair"))
    }
}

fn folder() -> PathBuf {
    let target = env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../target"), PathBuf::from);
    target.join("pesq")
}

/// The interpreter that has `pesq`; makes it at first.
fn python() -> io::Result<PathBuf> {
    let folder = folder();
    let python = folder.join("venv/bin/python");
    let ready = folder.join("ready");
    if ready.exists() {
        return Ok(python);
    }
    fs::create_dir_all(&folder)?;
    run(Command::new("python3").args(["-m", "venv"]).arg(folder.join("venv")))?;
    let pip =
        |packages: &[&str]| run(Command::new(&python).args(["-m", "pip", "install", "-q"]).args(packages));
    pip(&["numpy", "scipy", "cython", "wheel", "setuptools"])?;
    pip(&["pesq==0.0.4"])?;
    fs::write(ready, "")?;
    Ok(python)
}

fn run(command: &mut Command) -> io::Result<()> {
    if command.status()?.success() { Ok(()) } else { Err(io::Error::other(format!("{command:?} failed"))) }
}
