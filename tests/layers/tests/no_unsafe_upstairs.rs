//! Nothing unsafe upstairs: the firmware is `no_std` and free of `unsafe`, the hardware says why it is sound.

use std::fs;

use dialtone_layers::{files, root, shown};

#[test]
fn every_firmware_crate_but_boards_is_no_std_and_forbids_unsafe_code() {
    let firmware = root().join("firmware");
    let mut wrong = Vec::new();
    for manifest in files(&firmware, "toml") {
        let folder = manifest.parent().expect("a folder");
        if folder.starts_with(firmware.join("boards")) {
            continue;
        }
        let library = folder.join("src/lib.rs");
        let text = fs::read_to_string(&library).unwrap_or_default();
        for line in ["#![no_std]", "#![forbid(unsafe_code)]"] {
            if !text.lines().any(|found| found == line) {
                wrong.push(format!("{}: lacks {line}", shown(&library)));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_firmware_code_asks_which_target_it_runs_on() {
    let firmware = root().join("firmware");
    let asking: Vec<String> = files(&firmware, "rs")
        .into_iter()
        .filter(|path| !path.starts_with(firmware.join("boards")))
        .filter(|path| {
            let text = fs::read_to_string(path).unwrap_or_default();
            ["cfg(target", "cfg(unix", "cfg(windows", "cfg(any(target"].iter().any(|word| text.contains(word))
        })
        .map(|path| shown(&path))
        .collect();
    assert!(asking.is_empty(), "a trait in hal/api is missing; no cfg(target…) here:\n{}", asking.join("\n"));
}

#[test]
fn every_unsafe_block_says_why_it_is_sound() {
    let mut silent = Vec::new();
    for folder in ["hal", "firmware/boards", "tools", "tests"] {
        for path in files(&root().join(folder), "rs") {
            let text = fs::read_to_string(&path).unwrap_or_default();
            let lines: Vec<&str> = text.lines().collect();
            for (number, line) in lines.iter().enumerate() {
                let code = line.split("//").next().unwrap_or_default();
                let opens = code.contains("unsafe {") || code.contains("unsafe impl");
                let said =
                    lines[number.saturating_sub(8)..=number].iter().any(|line| line.contains("SAFETY:"));
                if opens && !said && !code.contains('"') {
                    silent.push(format!("{}:{}", shown(&path), number + 1));
                }
            }
        }
    }
    assert!(silent.is_empty(), "unsafe without a SAFETY comment just above:\n{}", silent.join("\n"));
}
