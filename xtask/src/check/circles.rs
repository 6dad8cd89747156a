//! Finds circles between the modules of a crate. Imports through a crate's root or another module are followed to where an item is defined.

use crate::checkout::checkout;
use anyhow::{Context, Result};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use syn::visit::{self, Visit};
use syn::{Attribute, Item, ItemMod, ItemUse, UseTree, Visibility};

/// The crates whose modules are looked at, by the folder of their sources.
const CRATES: [&str; 11] = [
    "shared/accounts/src",
    "shared/api/src",
    "shared/crypto/src",
    "shared/edge/src",
    "database/src",
    "host/src",
    "migrations/src",
    "take-over/src",
    "xtask/src",
    "tests/harness",
    "bench/twin/src",
];

/// The layers of `accounts`: each imports only those before it.
const LAYERS: [&str; 5] = ["types", "limits", "verify", "store", "operations"];

/// A module's path from its crate's root: empty for the root itself.
type Module = Vec<String>;

/// What a module says: which paths it names, and what it re-exports under which name.
#[derive(Default)]
struct Named {
    paths: Vec<Vec<String>>,
    exports: BTreeMap<String, Vec<String>>,
}

/// The modules of one crate.
#[derive(Default)]
struct Crate(BTreeMap<Module, Named>);

/// Every circle, and every import against the order of the layers.
pub(super) fn problems() -> Result<Vec<String>> {
    let mut problems = Vec::new();
    for folder in CRATES {
        let modules = Crate::read(&checkout().join(folder))?;
        let arrows = modules.arrows();
        problems.extend(circles(&arrows).into_iter().map(|circle| format!("{folder} has a circle: {circle}")));
        if folder == "shared/accounts/src" {
            problems.extend(against_the_layers(&arrows));
        }
    }
    Ok(problems)
}

impl Crate {
    fn read(folder: &Path) -> Result<Self> {
        let mut modules = Self::default();
        for root in ["lib.rs", "main.rs"] {
            if folder.join(root).is_file() {
                modules.read_file(&folder.join(root), &Module::new(), folder)?;
            }
        }
        Ok(modules)
    }

    /// Reads a file, and the files of the modules that it declares, which lie in `children`.
    fn read_file(&mut self, file: &Path, module: &Module, children: &Path) -> Result<()> {
        let text = fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
        let parsed = syn::parse_file(&text).with_context(|| format!("cannot parse {}", file.display()))?;
        for item in &parsed.items {
            let Item::Mod(ItemMod { ident, content: None, attrs, .. }) = item else { continue };
            if is_for_tests(attrs) {
                continue;
            }
            let name = ident.to_string();
            let (flat, nested) = (children.join(format!("{name}.rs")), children.join(&name).join("mod.rs"));
            let file = if flat.is_file() { flat } else { nested };
            self.read_file(&file, &[module.clone(), vec![name.clone()]].concat(), &children.join(&name))?;
        }
        self.0.entry(module.clone()).or_default().read(&parsed.items, module);
        Ok(())
    }

    /// Which module uses which others.
    fn arrows(&self) -> BTreeMap<&Module, BTreeSet<&Module>> {
        let targets = |module, named: &Named| {
            let found = named.paths.iter().filter_map(|path| self.origin(path, 0));
            found.filter(|target| *target != module).collect()
        };
        self.0.iter().map(|(module, named)| (module, targets(module, named))).collect()
    }

    /// The module that defines what a path leads to. Re-exports are followed.
    fn origin(&self, path: &[String], depth: usize) -> Option<&Module> {
        let length = (0..=path.len()).rev().find(|length| self.0.contains_key(&path[..*length]))?;
        let (module, named) = self.0.get_key_value(&path[..length])?;
        match path.get(length).and_then(|name| named.exports.get(name)) {
            Some(target) if depth < 10 => {
                let rest = path.get(length + 1..).unwrap_or_default();
                self.origin(&[target, rest].concat(), depth + 1)
            }
            _ => Some(module),
        }
    }
}

impl Named {
    fn read(&mut self, items: &[Item], module: &Module) {
        for item in items {
            if let Item::Use(ItemUse { tree, vis, attrs, .. }) = item
                && !is_for_tests(attrs)
            {
                let mut leaves = Vec::new();
                flatten(tree, &mut Vec::new(), &mut leaves);
                for (name, path) in leaves {
                    let Some(path) = absolute(&path, module) else { continue };
                    // A re-export is no use: who imports the name uses what it leads to.
                    if matches!(vis, Visibility::Inherited) {
                        self.paths.push(path);
                    } else {
                        self.exports.insert(name, path);
                    }
                }
            } else {
                let mut visitor = Paths { module, found: Vec::new() };
                visitor.visit_item(item);
                self.paths.append(&mut visitor.found);
            }
        }
    }
}

/// The paths inside an item that begin with `crate`, `self` or `super`.
struct Paths<'a> {
    module: &'a Module,
    found: Vec<Vec<String>>,
}

impl<'ast> Visit<'ast> for Paths<'_> {
    fn visit_path(&mut self, path: &'ast syn::Path) {
        let segments: Vec<_> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        self.found.extend(absolute(&segments, self.module));
        visit::visit_path(self, path);
    }

    /// `pub(crate)` names no item.
    fn visit_visibility(&mut self, _: &'ast Visibility) {}

    fn visit_item_mod(&mut self, module: &'ast ItemMod) {
        if !is_for_tests(&module.attrs) {
            visit::visit_item_mod(self, module);
        }
    }
}

/// Every name of a `use`, with its path as it is written.
fn flatten(tree: &UseTree, before: &mut Vec<String>, leaves: &mut Vec<(String, Vec<String>)>) {
    match tree {
        UseTree::Path(path) => {
            before.push(path.ident.to_string());
            flatten(&path.tree, before, leaves);
            before.pop();
        }
        UseTree::Name(name) => {
            let name = name.ident.to_string();
            let path =
                if name == "self" { before.clone() } else { [&before[..], std::slice::from_ref(&name)].concat() };
            leaves.push((path.last().cloned().unwrap_or_default(), path));
        }
        UseTree::Rename(rename) => {
            leaves.push((rename.rename.to_string(), [&before[..], &[rename.ident.to_string()]].concat()));
        }
        UseTree::Glob(_) => leaves.push(("*".to_owned(), before.clone())),
        UseTree::Group(group) => group.items.iter().for_each(|tree| flatten(tree, before, leaves)),
    }
}

/// A path from the crate's root; none if it leads out of the crate. A path that begins with a child module's name counts as the child's.
fn absolute(path: &[String], module: &Module) -> Option<Vec<String>> {
    let (first, rest) = path.split_first()?;
    match first.as_str() {
        "crate" => Some(rest.to_vec()),
        "self" => Some([module, rest].concat()),
        "super" => absolute(&[&["self".to_owned()], rest].concat(), &module.split_last()?.1.to_vec()),
        _ => Some([&module[..], path].concat()).filter(|_| path.len() > 1),
    }
}

fn is_for_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg") && attribute.parse_args::<syn::Path>().is_ok_and(|path| path.is_ident("test"))
    })
}

/// Sets of modules that each lead to all others of the set.
fn circles(arrows: &BTreeMap<&Module, BTreeSet<&Module>>) -> BTreeSet<String> {
    let reach: BTreeMap<&Module, BTreeSet<&Module>> =
        arrows.keys().map(|module| (*module, reachable(module, arrows))).collect();
    let circle = |module: &&Module| -> Option<String> {
        let members: Vec<_> = reach[*module].iter().filter(|other| reach[**other].contains(*module)).collect();
        let names = || members.iter().map(|member| shown(member));
        (!members.is_empty()).then(|| names().collect::<Vec<_>>().join(", "))
    };
    arrows.keys().filter_map(circle).collect()
}

/// Every module that one leads to over one arrow or more.
fn reachable<'a>(from: &Module, arrows: &BTreeMap<&'a Module, BTreeSet<&'a Module>>) -> BTreeSet<&'a Module> {
    let (mut seen, mut left) = (BTreeSet::new(), vec![from]);
    while let Some(module) = left.pop() {
        for next in arrows.get(module).into_iter().flatten() {
            if seen.insert(*next) {
                left.push(next);
            }
        }
    }
    seen
}

fn against_the_layers(arrows: &BTreeMap<&Module, BTreeSet<&Module>>) -> Vec<String> {
    let layer = |module: &Module| LAYERS.iter().position(|layer| module.first().is_some_and(|first| first == layer));
    let wrong = |(from, to): (&Module, &Module)| {
        (layer(from) < layer(to)).then(|| format!("accounts: {} imports {}, a later layer", shown(from), shown(to)))
    };
    let pairs = arrows.iter().flat_map(|(from, targets)| targets.iter().map(move |to| (*from, *to)));
    pairs.filter(|(from, _)| !from.is_empty()).filter_map(wrong).collect()
}

fn shown(module: &Module) -> String {
    if module.is_empty() { "the root".to_owned() } else { module.join("::") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn modules(sources: &[(&str, &str)]) -> Crate {
        let path = |name: &str| name.split("::").filter(|part| !part.is_empty()).map(str::to_owned).collect::<Module>();
        let mut modules = Crate::default();
        for (name, text) in sources {
            modules.0.entry(path(name)).or_default().read(&syn::parse_file(text).unwrap().items, &path(name));
        }
        modules
    }

    fn found(sources: &[(&str, &str)]) -> Vec<String> {
        circles(&modules(sources).arrows()).into_iter().collect()
    }

    #[test]
    fn a_circle_through_the_root_s_re_exports_is_found() {
        let root = ("", "mod a; mod b; pub use a::A; pub use b::B;");
        assert_eq!(
            found(&[root, ("a", "use crate::B; pub struct A;"), ("b", "use crate::A; pub struct B;")]),
            ["a, b"]
        );
        assert!(found(&[root, ("a", "pub struct A;"), ("b", "use crate::A; pub struct B;")]).is_empty());
    }

    #[test]
    fn a_path_inside_code_and_a_child_that_uses_its_parent_count() {
        let a = ("a", "fn f() { crate::b::g() }");
        assert_eq!(found(&[("", ""), a, ("b", "use super::a::f; fn g() {}")]), ["a, b"]);
        let parent = ("a", "mod child; use child::f; pub fn g() {}");
        assert_eq!(found(&[("", ""), parent, ("a::child", "use super::g; pub fn f() {}")]), ["a, a::child"]);
        let parent = ("a", "mod child; pub use child::f; pub fn g() {}");
        assert!(found(&[("", ""), parent, ("a::child", "use super::g; pub fn f() {}")]).is_empty());
    }

    #[test]
    fn what_tests_import_is_no_arrow() {
        let a = ("a", "pub fn f() {} #[cfg(test)] mod tests { use crate::b::g; }");
        assert!(found(&[("", ""), a, ("b", "use crate::a::f; pub fn g() {}")]).is_empty());
    }

    #[test]
    fn a_layer_imports_only_those_before_it() {
        let layers = modules(&[("", ""), ("types::a", "use crate::store::b::B;"), ("store::b", "pub struct B;")]);
        assert_eq!(against_the_layers(&layers.arrows()), ["accounts: types::a imports store::b, a later layer"]);
    }

    #[test]
    fn the_project_has_no_circle() {
        assert_eq!(problems().unwrap(), Vec::<String>::new());
    }
}
