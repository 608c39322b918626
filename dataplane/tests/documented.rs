//! docs/rfc.md names tests: they are there.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Names of all functions in the Rust files of a folder.
fn functions(folder: &Path, names: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            functions(&path, names);
        } else if path.extension().is_some_and(|ext| ext == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            let names_of = text.split("fn ").skip(1).filter_map(|rest| rest.split('(').next());
            names.extend(names_of.map(str::to_owned));
        }
    }
}

#[test]
fn every_test_of_the_tables_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut names = BTreeSet::new();
    for folder in ["dataplane/src", "dataplane/tests", "control/src", "control/tests"] {
        functions(&root.join(folder), &mut names);
    }
    let tables = fs::read_to_string(root.join("docs/rfc.md")).unwrap();
    let rows = tables.lines().filter_map(|line| line.strip_prefix('|')?.strip_suffix('|'));
    let cells = rows.filter_map(|row| row.rsplit('|').next());
    let named: Vec<&str> = cells.flat_map(|cell| cell.split('`').skip(1).step_by(2)).collect();
    assert!(named.len() > 50, "the tables are not read");
    let missing: Vec<_> = named.iter().filter(|name| !names.contains(**name)).collect();
    assert!(missing.is_empty(), "docs/rfc.md names tests that do not exist: {missing:#?}");
}
