//! Every room has a sign: READMEs, opening lines, files of a readable length.

use std::fs;

use dialtone_layers::{files, root, shown};

/// Lines of code a file may have before its inline tests, as the house style says.
const LONGEST: usize = 800;

#[test]
fn every_crate_has_a_readme() {
    let missing: Vec<String> = ["firmware", "hal", "tools", "tests"]
        .iter()
        .flat_map(|folder| files(&root().join(folder), "toml"))
        .filter(|path| path.file_name().is_some_and(|name| name == "Cargo.toml"))
        .filter(|path| !path.with_file_name("README.md").exists())
        .map(|path| shown(&path))
        .collect();
    assert!(missing.is_empty(), "crates without README.md beside their manifest:\n{}", missing.join("\n"));
}

#[test]
fn every_file_opens_with_a_line_that_says_what_it_is() {
    let mute: Vec<String> = ["firmware", "hal", "tools", "tests"]
        .iter()
        .flat_map(|folder| files(&root().join(folder), "rs"))
        .filter(|path| !fs::read_to_string(path).is_ok_and(|text| text.starts_with("//!")))
        .map(|path| shown(&path))
        .collect();
    assert!(mute.is_empty(), "files that do not open with `//!`:\n{}", mute.join("\n"));
}

#[test]
fn no_file_drowns_its_reader() {
    let long: Vec<String> = ["firmware", "hal", "tools"]
        .iter()
        .flat_map(|folder| files(&root().join(folder), "rs"))
        .filter(|path| !path.ends_with("tests.rs") && !shown(path).contains("/tests/"))
        .filter_map(|path| {
            let text = fs::read_to_string(&path).ok()?;
            let code = text.lines().take_while(|line| *line != "#[cfg(test)]");
            let lines = code.filter(|line| !line.trim().is_empty() && !line.trim().starts_with("//")).count();
            (lines > LONGEST).then(|| format!("{}: {lines} lines of code", shown(&path)))
        })
        .collect();
    assert!(
        long.is_empty(),
        "files above {LONGEST} lines of code; split them by subject:\n{}",
        long.join("\n")
    );
}
