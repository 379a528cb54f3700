//! Arrows point down: the crate graph keeps to the order of the floors.

use std::collections::BTreeMap;

use dialtone_layers::{metadata, root};
use serde_json::Value;

/// A floor of the house; a crate may depend on crates of the floors named beside it, besides its own where allowed.
fn floor(folder: &str) -> Option<(&'static str, &'static [&'static str])> {
    let rules: &[(&str, &str, &[&str])] = &[
        ("firmware/base", "base", &[]),
        ("firmware/wire", "wire", &["base"]),
        ("firmware/dataplane", "dataplane", &["wire", "base"]),
        ("firmware/signal", "signal", &["base"]),
        // Engines never import each other: what two must know lives in base.
        ("firmware/engines/", "engine", &["wire", "signal", "base"]),
        ("firmware/services", "services", &["engine", "dataplane", "wire", "signal", "base", "hal-api"]),
        (
            "firmware/web_api",
            "web_api",
            &["services", "engine", "dataplane", "wire", "signal", "base", "hal-api"],
        ),
        ("firmware/app", "app", &["web_api", "services", "engine", "dataplane", "wire", "base", "hal-api"]),
        ("firmware/boards/", "board", &["app", "services", "engine", "base", "hal-api", "hal-platform"]),
        ("hal/api", "hal-api", &["base"]),
        ("hal/testkit", "hal-platform", &["hal-api", "base"]),
        ("hal/", "hal-platform", &["hal-api", "base", "hal-platform"]),
    ];
    rules.iter().find(|(prefix, _, _)| folder.starts_with(prefix)).map(|(_, name, may)| (*name, *may))
}

#[test]
fn every_crate_depends_only_on_floors_below_it() {
    let metadata: Value = serde_json::from_str(&metadata()).expect("cargo prints JSON");
    let root = root();
    let mut folders = BTreeMap::new();
    let members: Vec<&Value> = metadata["packages"]
        .as_array()
        .expect("packages")
        .iter()
        .filter(|package| package["source"].is_null())
        .collect();
    for package in &members {
        let manifest = package["manifest_path"].as_str().expect("a path");
        let folder =
            std::path::Path::new(manifest).parent().and_then(|folder| folder.strip_prefix(&root).ok());
        let folder = folder.expect("inside the workspace").display().to_string();
        folders.insert(package["name"].as_str().expect("a name").to_string(), folder);
    }

    let mut broken = Vec::new();
    for package in &members {
        let name = package["name"].as_str().expect("a name");
        let Some((own_floor, may)) = floor(&folders[name]) else { continue };
        for dependency in package["dependencies"].as_array().expect("dependencies") {
            // Tests beside the code may use fakes from anywhere.
            if dependency["kind"] == "dev" {
                continue;
            }
            let Some(folder) = folders.get(dependency["name"].as_str().expect("a name")) else { continue };
            let allowed = floor(folder).is_some_and(|(floor, _)| may.contains(&floor));
            if !allowed {
                broken.push(format!("{name} ({own_floor}) must not depend on {}", dependency["name"]));
            }
        }
    }
    assert!(broken.is_empty(), "arrows that go up:\n{}", broken.join("\n"));
    assert!(folders.len() > 10, "the workspace was read");
}

#[test]
fn the_stack_and_the_wire_library_are_named_only_where_the_design_says() {
    let metadata: Value = serde_json::from_str(&metadata()).expect("cargo prints JSON");
    let allowed: &[(&str, &[&str])] = &[
        ("embassy-net", &["dialtone-services"]),
        ("embassy-net-driver", &["dialtone-services"]),
        ("smoltcp", &["dialtone-services", "dialtone-netsim"]),
        ("picoserve", &["dialtone-web-api"]),
    ];
    for package in metadata["packages"].as_array().expect("packages") {
        if !package["source"].is_null() {
            continue;
        }
        let name = package["name"].as_str().expect("a name");
        for dependency in package["dependencies"].as_array().expect("dependencies") {
            let dependency_name = dependency["name"].as_str().expect("a name");
            if let Some((_, users)) = allowed.iter().find(|(guarded, _)| *guarded == dependency_name) {
                assert!(
                    users.contains(&name) || dependency["kind"] == "dev",
                    "{name} must not name {dependency_name}: only {users:?} may"
                );
            }
        }
    }
}
