//! Whatever ships in the firmware may be shipped: licences of all dependencies, checked offline.
//!
//! `cargo deny` checks the same list (`deny.toml`) and advisories where its database can be reached.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use dialtone_layers::metadata;
use serde_json::Value;

/// Licences that may be combined with ours; the same list as in `deny.toml`.
const ALLOWED: [&str; 9] = [
    "MIT",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "0BSD",
    "ISC",
    "Zlib",
    "Unicode-3.0",
];

#[test]
fn every_dependency_has_a_licence_from_the_list() {
    let metadata: Value = serde_json::from_str(&metadata()).expect("cargo prints JSON");
    let packages: BTreeMap<&str, &Value> = metadata["packages"]
        .as_array()
        .expect("packages")
        .iter()
        .map(|package| (package["id"].as_str().expect("an id"), package))
        .collect();
    let nodes: BTreeMap<&str, &Value> = metadata["resolve"]["nodes"]
        .as_array()
        .expect("nodes")
        .iter()
        .map(|node| (node["id"].as_str().expect("an id"), node))
        .collect();

    // Everything reachable from our crates without their tests' dependencies.
    let mut queue: VecDeque<&str> =
        packages.iter().filter(|(_, package)| package["source"].is_null()).map(|(id, _)| *id).collect();
    let mut seen = BTreeSet::new();
    let mut refused = Vec::new();
    while let Some(id) = queue.pop_front() {
        if !seen.insert(id) {
            continue;
        }
        let package = packages[id];
        let licence = package["license"].as_str().unwrap_or("none given");
        if !acceptable(licence) {
            refused.push(format!("{} {}: {licence}", package["name"], package["version"]));
        }
        for dependency in nodes[id]["deps"].as_array().expect("deps") {
            let kinds = dependency["dep_kinds"].as_array().expect("kinds");
            if kinds.iter().any(|kind| kind["kind"] != "dev") {
                queue.push_back(dependency["pkg"].as_str().expect("an id"));
            }
        }
    }
    assert!(refused.is_empty(), "licences outside the list in deny.toml:\n{}", refused.join("\n"));
    assert!(seen.len() > 30, "the graph was walked");
}

/// A licence expression holds when each `AND` part has an allowed `OR` alternative.
fn acceptable(expression: &str) -> bool {
    let flat = expression.replace(['(', ')'], "").replace('/', " OR ");
    flat.split(" AND ").all(|part| part.split(" OR ").any(|choice| ALLOWED.contains(&choice.trim())))
}
