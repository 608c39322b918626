//! The walls between the crates of the project, and between the modules of each: read from the sources, held
//! against [`CRATES`].
//!
//! A crate imports only those that its row names, which all stand above it in the table; its top-level modules
//! import each other in no circle. What is under `#[cfg(test)]` does not count.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs;
use std::path::{Path, PathBuf};

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// A crate of the workspace and what it may know of the others.
struct Crate {
    name: &'static str,
    /// From the top of the project.
    folder: &'static str,
    /// Crates of the workspace that its sources may import.
    may_use: &'static [&'static str],
    /// What else they may not name.
    never: &'static [&'static str],
    /// Its modules still import each other in circles. Take this away once they do not.
    tangled: bool,
}

/// From the ground up: no crate uses one below its row.
const CRATES: [Crate; 13] = [
    Crate {
        name: "hikyaku-net",
        folder: "dataplane/net",
        may_use: &[],
        never: &["std::fs", "std::thread"],
        tangled: false,
    },
    Crate { name: "hikyaku-ring", folder: "dataplane/ring", may_use: &["hikyaku-net"], never: &[], tangled: false },
    Crate {
        name: "hikyaku-dataplane",
        folder: "dataplane",
        may_use: &["hikyaku-net", "hikyaku-ring"],
        never: &["std::fs"],
        tangled: false,
    },
    Crate { name: "hikyaku-capture", folder: "control/capture", may_use: &["hikyaku-net"], never: &[], tangled: false },
    Crate {
        name: "hikyaku-protocols",
        folder: "control/protocols",
        may_use: &["hikyaku-net", "hikyaku-dataplane"],
        // A value that is told the time: it reads no clock.
        never: &["clap", "std::fs", "std::thread", "std::time::Instant", "std::time::SystemTime", "hikyaku_net::Clock"],
        tangled: false,
    },
    Crate {
        name: "hikyaku-http",
        folder: "control/http",
        may_use: &["hikyaku-protocols"],
        never: &["clap", "std::fs"],
        tangled: false,
    },
    Crate {
        name: "hikyaku-schema",
        folder: "control/schema",
        // Nor any service or protocol: the benchmark has it.
        may_use: &["hikyaku-net", "hikyaku-ring", "hikyaku-dataplane"],
        never: &["std::thread"],
        tangled: false,
    },
    Crate {
        name: "hikyaku-config",
        folder: "control/config",
        may_use: &["hikyaku-net", "hikyaku-ring", "hikyaku-dataplane", "hikyaku-protocols", "hikyaku-schema"],
        never: &["std::thread"],
        tangled: false,
    },
    Crate { name: "hikyaku-platform", folder: "control/platform", may_use: &[], never: &[], tangled: false },
    Crate {
        name: "hikyaku",
        folder: "control",
        may_use: &[
            "hikyaku-net",
            "hikyaku-ring",
            "hikyaku-dataplane",
            "hikyaku-capture",
            "hikyaku-config",
            "hikyaku-http",
            "hikyaku-platform",
            "hikyaku-protocols",
            "hikyaku-schema",
        ],
        never: &[],
        tangled: false,
    },
    Crate {
        name: "hikyaku-bench",
        folder: "bench",
        may_use: &["hikyaku-net", "hikyaku-ring", "hikyaku-dataplane", "hikyaku-schema"],
        never: &[],
        tangled: false,
    },
    Crate { name: "hikyaku-lab", folder: "lab", may_use: &["hikyaku-platform"], never: &[], tangled: false },
    Crate { name: "hikyaku-testkit", folder: "testkit", may_use: &["hikyaku-net"], never: &[], tangled: false },
];

/// A module's full path, the crate left out.
type Module = Vec<String>;

/// Text by file, from the `src` of a crate.
type Sources = BTreeMap<PathBuf, String>;

/// Something that is named by a path: where, from which module, and the path, resolved as far as its first
/// word goes.
#[derive(Clone, Debug)]
struct Import {
    file: PathBuf,
    from: Module,
    to: Target,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Target {
    /// Something of the same crate.
    Inside(Module),
    /// Something else, by its whole path.
    Outside(Module),
}

/// Reads the imports of one file.
struct Reader<'a> {
    file: &'a Path,
    module: Module,
    imports: Vec<Import>,
    /// Modules that are only there for tests.
    tests: BTreeSet<Module>,
}

impl Reader<'_> {
    fn tokens(&mut self, tokens: TokenStream) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let mut at = 0;
        let mut test = false;
        while at < tokens.len() {
            at = match &tokens[at..] {
                [TokenTree::Punct(p), TokenTree::Group(attribute), ..] if p.as_char() == '#' => {
                    test |= is_for_tests(attribute.stream());
                    at + 2
                }
                [TokenTree::Ident(word), TokenTree::Ident(name), ..] if word == "mod" => {
                    self.module.push(name.to_string());
                    match tokens.get(at + 2) {
                        Some(TokenTree::Group(body)) if !test => self.tokens(body.stream()),
                        _ if test => _ = self.tests.insert(self.module.clone()),
                        _ => {}
                    }
                    self.module.pop();
                    test = false;
                    at + 3
                }
                // Not the `use<>` of a type.
                [TokenTree::Ident(word), next, ..] if word == "use" && !is_punct(next, '<') => {
                    let end = (at..tokens.len()).find(|&i| is_punct(&tokens[i], ';')).unwrap_or(tokens.len());
                    if !test {
                        self.tree(&[], &tokens[at + 1..end]);
                    }
                    test = false;
                    end + 1
                }
                [TokenTree::Group(group), ..] => {
                    if !test || group.delimiter() != Delimiter::Brace {
                        self.tokens(group.stream());
                    }
                    test &= group.delimiter() != Delimiter::Brace;
                    at + 1
                }
                [TokenTree::Punct(p), ..] => {
                    test &= p.as_char() != ';';
                    at + 1
                }
                [TokenTree::Ident(_), ..] => {
                    let follows = at >= 2 && is_punct(&tokens[at - 1], ':') && is_punct(&tokens[at - 2], ':');
                    let path = path_at(&tokens[at..]);
                    if !follows && !test && path.len() > 1 {
                        self.import(path.clone());
                    }
                    at + 1 + 3 * (path.len() - 1)
                }
                _ => at + 1,
            };
        }
    }

    /// A `use` tree below `head`.
    fn tree(&mut self, head: &[String], tokens: &[TokenTree]) {
        let mut path = head.to_vec();
        for (at, token) in tokens.iter().enumerate() {
            match token {
                TokenTree::Ident(word) if word == "as" => break,
                TokenTree::Ident(word) => path.push(word.to_string()),
                TokenTree::Punct(p) if p.as_char() == '*' => path.push("*".into()),
                TokenTree::Group(group) => {
                    let inner: Vec<TokenTree> = group.stream().into_iter().collect();
                    for branch in inner.split(|token| is_punct(token, ',')).filter(|branch| !branch.is_empty()) {
                        self.tree(&path, branch);
                    }
                    return assert_eq!(at + 1, tokens.len(), "{}: nothing follows a group", self.file.display());
                }
                _ => {}
            }
        }
        self.import(path);
    }

    fn import(&mut self, path: Vec<String>) {
        let ups = path.iter().take_while(|word| *word == "super").count();
        let to = match path.first().map(String::as_str) {
            Some("crate") => Target::Inside(path[1..].to_vec()),
            Some("self") => Target::Inside([&self.module, &path[1..]].concat()),
            Some("super") if ups <= self.module.len() => {
                Target::Inside([&self.module[..self.module.len() - ups], &path[ups..]].concat())
            }
            _ => Target::Outside(path),
        };
        self.imports.push(Import { file: self.file.to_owned(), from: self.module.clone(), to });
    }
}

fn is_punct(token: &TokenTree, wanted: char) -> bool {
    matches!(token, TokenTree::Punct(p) if p.as_char() == wanted)
}

/// The path that begins here: at least one word.
fn path_at(tokens: &[TokenTree]) -> Vec<String> {
    let mut path = Vec::new();
    let mut rest = tokens;
    while let [TokenTree::Ident(word), after @ ..] = rest {
        path.push(word.to_string());
        match after {
            [a, b, next @ ..] if is_punct(a, ':') && is_punct(b, ':') => rest = next,
            _ => break,
        }
    }
    path
}

/// Whether an attribute is `cfg` of something that is only so in tests.
fn is_for_tests(attribute: TokenStream) -> bool {
    let tokens: Vec<TokenTree> = attribute.into_iter().collect();
    match &tokens[..] {
        [TokenTree::Ident(word), TokenTree::Group(group)] if word == "cfg" || word == "all" => {
            let inner: Vec<TokenTree> = group.stream().into_iter().collect();
            inner.split(|token| is_punct(token, ',')).any(|one| is_for_tests(one.iter().cloned().collect()))
        }
        [TokenTree::Ident(word)] => word == "test",
        _ => false,
    }
}

/// The module that a file is; the crate's root is the empty path.
fn module_of(file: &Path) -> Module {
    let mut module: Module = file.with_extension("").iter().map(|part| part.to_string_lossy().into_owned()).collect();
    if matches!(module.last().map(String::as_str), Some("mod" | "lib")) {
        module.pop();
    }
    module
}

/// All imports of a crate's sources, but for those of tests.
fn imports(sources: &Sources) -> Vec<Import> {
    let (mut imports, mut tests) = (Vec::new(), BTreeSet::new());
    for (file, text) in sources {
        let tokens = text.parse().unwrap_or_else(|e| panic!("{}: {e}", file.display()));
        let mut reader = Reader { file, module: module_of(file), imports: Vec::new(), tests: BTreeSet::new() };
        reader.tokens(tokens);
        imports.extend(reader.imports);
        tests.extend(reader.tests);
    }
    let is_test = |import: &Import| (1..=import.from.len()).any(|n| tests.contains(&import.from[..n]));
    imports.retain(|import| !is_test(import));
    imports
}

/// Which top-level module imports which, and by what.
fn arrows(sources: &Sources) -> BTreeMap<(String, String), Import> {
    let all = imports(sources);
    let top: BTreeSet<String> = sources.keys().filter_map(|file| module_of(file).into_iter().next()).collect();
    // What the root passes on from its modules, by the name it has there.
    let mut passed_on: BTreeMap<&str, &str> = BTreeMap::new();
    for import in all.iter().filter(|import| import.from.is_empty()) {
        if let Target::Outside(path) | Target::Inside(path) = &import.to
            && let [module, .., name] = &path[..]
            && top.contains(module)
        {
            passed_on.insert(name, module);
        }
    }
    let mut arrows = BTreeMap::new();
    for import in &all {
        let (Some(from), Target::Inside(path)) = (import.from.first(), &import.to) else { continue };
        // The module itself is at home in the root, and so is what the root defines.
        let Some(name) = path.first() else { continue };
        let to = if top.contains(name) { name.as_str() } else { passed_on.get(name.as_str()).copied().unwrap_or(ROOT) };
        if from != to {
            arrows.entry((from.clone(), to.to_owned())).or_insert_with(|| import.clone());
        }
    }
    arrows
}

/// What stands in `lib.rs` itself: it imports all modules, so none may import it.
const ROOT: &str = "lib.rs";

/// The shortest circle of arrows, with the file that each is from.
fn circle(arrows: &BTreeMap<(String, String), Import>) -> Option<String> {
    if let Some(((from, _), import)) = arrows.iter().find(|((_, to), _)| to == ROOT) {
        return Some(format!("{from} uses what lib.rs defines: {import:?}"));
    }
    let names: BTreeSet<&String> = arrows.keys().map(|(from, _)| from).collect();
    let shortest = names.into_iter().filter_map(|name| way_back(arrows, name)).min_by_key(Vec::len)?;
    let step = |two: &[&String]| {
        let import = &arrows[&(two[0].clone(), two[1].clone())];
        format!("  {} imports {} ({})\n", two[0], two[1], import.file.display())
    };
    Some(shortest.windows(2).map(step).collect())
}

/// The shortest way along arrows from `start` to itself.
fn way_back<'a>(arrows: &'a BTreeMap<(String, String), Import>, start: &'a String) -> Option<Vec<&'a String>> {
    let mut before: BTreeMap<&String, &String> = BTreeMap::new();
    let mut queue = VecDeque::from([start]);
    while let Some(at) = queue.pop_front() {
        for (_, next) in arrows.keys().filter(|(from, _)| from == at) {
            if next == start {
                let back = std::iter::successors(Some(at), |&at| before.get(at).copied());
                let mut way: Vec<&String> = std::iter::once(start).chain(back).collect();
                way.reverse();
                return Some(way);
            }
            if !before.contains_key(next) {
                before.insert(next, at);
                queue.push_back(next);
            }
        }
    }
    None
}

/// Imports of other crates that the row does not allow.
fn strays(of: &Crate, sources: &Sources) -> Vec<String> {
    let ident = |name: &str| name.replace('-', "_");
    let forbidden = |path: &Module| {
        let text = path.join("::");
        let other = CRATES.iter().any(|other| other.name != of.name && ident(other.name) == path[0]);
        let allowed = of.may_use.iter().any(|name| ident(name) == path[0]);
        let never = of.never.iter().any(|never| text == *never || text.starts_with(&format!("{never}::")));
        other && !allowed || never
    };
    let all = imports(sources).into_iter();
    let stray = all.filter_map(|import| match import.to {
        Target::Outside(path) if forbidden(&path) => {
            Some(format!("{} imports {} ({})", of.name, path.join("::"), import.file.display()))
        }
        _ => None,
    });
    stray.collect()
}

fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The sources of a crate's library.
fn read(folder: &str) -> Sources {
    fn add(root: &Path, folder: &Path, sources: &mut Sources) {
        for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
            let path = entry.path();
            if path.is_dir() {
                add(root, &path, sources);
            } else if path.extension().is_some_and(|e| e == "rs") && entry.file_name() != "main.rs" {
                sources.insert(path.strip_prefix(root).unwrap().to_owned(), fs::read_to_string(&path).unwrap());
            }
        }
    }
    let (root, mut sources) = (top().join(folder).join("src"), Sources::new());
    add(&root, &root, &mut sources);
    assert!(sources.len() > 1, "{folder}: no sources");
    sources
}

#[test]
fn every_crate_has_a_row_and_uses_only_those_above_it() {
    let workspace = fs::read_to_string(top().join("Cargo.toml")).unwrap();
    let (_, members) = workspace.split_once("members = [").unwrap();
    let members: BTreeSet<&str> = members.split(']').next().unwrap().split('"').skip(1).step_by(2).collect();
    assert_eq!(members, CRATES.iter().map(|of| of.folder).collect(), "members of the workspace, rows of the table");
    for (row, of) in CRATES.iter().enumerate() {
        for used in of.may_use {
            assert!(CRATES[..row].iter().any(|above| above.name == *used), "{} may use {used}, not above it", of.name);
        }
    }
}

#[test]
fn no_crate_imports_what_its_row_does_not_name() {
    let strays: Vec<String> = CRATES.iter().flat_map(|of| strays(of, &read(of.folder))).collect();
    assert!(strays.is_empty(), "{strays:#?}");
}

#[test]
fn no_modules_import_each_other_in_a_circle() {
    for of in CRATES {
        match circle(&arrows(&read(of.folder))) {
            Some(circle) if !of.tangled => panic!("{}:\n{circle}", of.name),
            None if of.tangled => panic!("{} is not tangled any more: say so in CRATES", of.name),
            _ => {}
        }
    }
}

/// Of the ring and of the platform's calls alone: each other program and library forbids it at its root.
#[test]
fn only_two_crates_may_be_unsafe() {
    for of in CRATES.iter().filter(|of| !["hikyaku-ring", "hikyaku-platform"].contains(&of.name)) {
        let roots =
            read(of.folder).into_iter().filter(|(file, _)| ["lib.rs", "main.rs"].map(Path::new).contains(&&**file));
        for (file, text) in roots {
            assert!(text.contains("#![forbid(unsafe_code)]"), "{}: {}", of.name, file.display());
        }
    }
}

/// The sources of a made-up crate, file by file.
fn made_up(files: &[(&str, &str)]) -> Sources {
    files.iter().map(|&(file, text)| (file.into(), text.into())).collect()
}

#[test]
fn a_circle_is_found_however_it_is_written() {
    let root = ("lib.rs", "mod a; mod b; mod c; pub use b::{Deep, inner::Other};");
    for back in [
        "use crate::a::X;",
        "use super::a::{self, X};",
        "fn f() -> crate::a::X { todo() }",
        "mod inner { use super::super::a; }",
        "macro_rules! m { () => { $crate::a::X } }",
        "fn f() { g(|| vec![super::a::X]) }",
    ] {
        let sources = made_up(&[root, ("a.rs", "use crate::c::Y;"), ("c/mod.rs", "use crate::Other;"), ("b.rs", back)]);
        let found = circle(&arrows(&sources)).unwrap_or_else(|| panic!("nothing found in {back}"));
        assert!(found.contains("a imports c (a.rs)") && found.contains("b imports a (b.rs)"), "{found}");
        assert_eq!(found.lines().count(), 3, "{found}");
    }
    for none in ["", "#[cfg(test)] mod tests { use crate::a::X; }", "#[cfg(all(test, unix))] use crate::a::X;"] {
        let sources = made_up(&[root, ("a.rs", "use crate::c::Y;"), ("c/mod.rs", "use crate::Other;"), ("b.rs", none)]);
        assert_eq!(circle(&arrows(&sources)), None, "{none}");
    }
    let tests = made_up(&[
        root,
        ("a.rs", "use crate::b;"),
        ("b.rs", "#[cfg(test)] mod tests;"),
        ("b/tests.rs", "use crate::a;"),
    ]);
    assert_eq!(circle(&arrows(&tests)), None);
    let upwards = made_up(&[("lib.rs", "mod a; pub struct X;"), ("a.rs", "use crate::X;")]);
    assert!(circle(&arrows(&upwards)).unwrap().starts_with("a uses what lib.rs defines"));
}

#[test]
fn an_import_of_a_crate_below_is_found() {
    let ring = &CRATES[1];
    for (text, wrong) in [
        ("use hikyaku_net::Mac;", 0),
        ("use hikyaku_dataplane::napt::Napt;", 1),
        ("fn f() { hikyaku::run::start(); std::fs::read(x); }", 1),
        ("#[cfg(test)] mod tests { use hikyaku_dataplane::napt::Napt; }", 0),
    ] {
        assert_eq!(strays(ring, &made_up(&[("lib.rs", text)])).len(), wrong, "{text}");
    }
    assert_eq!(strays(&CRATES[0], &made_up(&[("lib.rs", "use std::{fs, io};")])).len(), 1);
}
