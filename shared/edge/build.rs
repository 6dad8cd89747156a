//! Writes the Rust side of the database's functions from their files: for each that a component calls, a struct of its parameters
//! and the text of the call.
//!
//! A file says what is needed: after `CREATE FUNCTION cofrap.<name>(`, one parameter a line as `name type,`, with `-- or null` behind
//! it where it may be; a line `-- Name: ...` begins a group that several functions share, a line `-- Own.` ends it. What ends with
//! `OUT answer text` is called by components, and answers in JSON. Types are `text`, `int8` and `bool`.
//!
//! The calls are positional: the order is read here, nobody counts, and PostgreSQL takes half as long to parse them.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

struct Function {
    name: String,
    doc: String,
    is_read_only: bool,
    /// The parameters in the order of the file, each in its group.
    parts: Vec<Part>,
}

#[derive(Clone, PartialEq)]
enum Part {
    Group(String, Vec<Parameter>),
    Own(Parameter),
}

#[derive(Clone, PartialEq)]
struct Parameter {
    name: String,
    sql_type: String,
    is_nullable: bool,
}

#[expect(clippy::disallowed_methods, reason = "Cargo configures a build script by its environment")]
fn main() {
    println!("cargo::rerun-if-changed=../../migrations/sql");
    let version = files("../../migrations/sql", "sql").iter().filter_map(|file| version_of(file)).max();
    let version = version.expect("there is a numbered file");
    let functions: Vec<_> =
        files("../../migrations/sql/functions", "sql").iter().filter_map(|file| parse(file)).collect();

    let mut rust = format!("/// The schema that this build calls.\npub const SCHEMA_VERSION: i64 = {version};\n");
    let mut groups = BTreeMap::new();
    for part in functions.iter().flat_map(|function| &function.parts) {
        if let Part::Group(name, parameters) = part {
            let known = groups.entry(name).or_insert(parameters);
            assert!(*known == parameters, "the group {name} is not the same everywhere");
        }
    }
    for (name, parameters) in &groups {
        write_group(&mut rust, name, parameters);
    }
    for function in &functions {
        write_function(&mut rust, function, version);
    }
    let names: Vec<_> = functions.iter().map(|function| format!("{0}::TEXT", pascal(&function.name))).collect();
    let _ = writeln!(
        rust,
        "/// Every call, as it is sent.\npub const CALLS: [&str; {}] = [{}];",
        names.len(),
        names.join(", ")
    );
    let out = env::var_os("OUT_DIR").expect("Cargo sets it");
    fs::write(Path::new(&out).join("calls.rs"), rust).expect("it can be written");
}

fn files(folder: &str, extension: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{folder}: {error}"));
    let mut files: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.retain(|file| file.extension().is_some_and(|found| found == extension));
    files.sort();
    files
}

fn version_of(file: &Path) -> Option<u32> {
    file.file_name()?.to_str()?.strip_prefix('V')?.split_once("__")?.0.parse().ok()
}

/// None for a function that only other functions call: it returns no columns, or is not called by itself.
fn parse(file: &Path) -> Option<Function> {
    let text = fs::read_to_string(file).expect("it can be read");
    let name = file.file_stem()?.to_str()?.to_owned();
    let (head, body) = text.split_once(&format!("CREATE FUNCTION cofrap.{name}(\n"))?;
    let (signature, rest) = body.split_once("\n) ").unwrap_or_else(|| panic!("{name}: no end of the parameters"));
    if !signature.contains("    OUT answer text") {
        return None;
    }
    let doc: Vec<_> = head.lines().map(|line| line.trim_start_matches("-- ")).collect();
    let mut parts: Vec<Part> = Vec::new();
    let mut in_group = false;
    for line in signature.lines().map(str::trim).filter(|line| !line.starts_with("OUT ")) {
        if let Some(comment) = line.strip_prefix("-- ") {
            in_group = comment != "Own.";
            if in_group {
                let (group, _) = comment.split_once(':').unwrap_or_else(|| panic!("{name}: {line}"));
                parts.push(Part::Group(group.to_owned(), Vec::new()));
            }
            continue;
        }
        let (declared, comment) = line.split_once(',').unwrap_or((line, ""));
        let (parameter, sql_type) = declared.split_once(' ').unwrap_or_else(|| panic!("{name}: {line}"));
        assert!(["text", "int8", "bool"].contains(&sql_type), "{name}: {line}");
        let parameter = Parameter {
            name: parameter.to_owned(),
            sql_type: sql_type.to_owned(),
            is_nullable: comment.trim_start().starts_with("-- or null"),
        };
        match parts.last_mut() {
            Some(Part::Group(_, parameters)) if in_group => parameters.push(parameter),
            _ => parts.push(Part::Own(parameter)),
        }
    }
    Some(Function { name, doc: doc.join(" "), is_read_only: rest.starts_with("LANGUAGE plpgsql STABLE"), parts })
}

fn write_group(rust: &mut String, name: &str, parameters: &[Parameter]) {
    let fields: Vec<_> = parameters.iter().map(field).collect();
    let pushes: Vec<_> = parameters.iter().map(|parameter| push("self.", parameter)).collect();
    let lifetime = lifetime(parameters.iter().any(is_borrowed));
    let _ = write!(
        rust,
        "#[derive(Clone, Copy)]\npub(super) struct {name}{lifetime} {{\n{}}}\n
         impl {name}{} {{\n    fn push(self, parameters: &mut Vec<ParameterValue>) {{\n{}    }}\n}}\n\n",
        fields.concat(),
        anonymous(lifetime),
        pushes.concat()
    );
}

fn write_function(rust: &mut String, function: &Function, version: u32) {
    let (mut fields, mut pushes, mut names, mut is_borrowing) = (String::new(), String::new(), Vec::new(), false);
    for part in &function.parts {
        match part {
            Part::Group(name, parameters) => {
                let borrows = parameters.iter().any(is_borrowed);
                let field = name.to_lowercase();
                let _ = writeln!(fields, "    pub(super) {field}: {name}{},", lifetime(borrows));
                let _ = writeln!(pushes, "        self.{field}.push(&mut parameters);");
                names.extend(parameters.iter().map(|parameter| &parameter.name));
                is_borrowing |= borrows;
            }
            Part::Own(parameter) => {
                fields += &field(parameter);
                pushes += &push("self.", parameter).replace("push(parameters)", "push(&mut parameters)");
                names.push(&parameter.name);
                is_borrowing |= is_borrowed(parameter);
            }
        }
    }
    let arguments: Vec<_> = (1..=names.len()).map(|number| format!("${number}")).collect();
    let (name, kind, lifetime) = (&function.name, pascal(&function.name), lifetime(is_borrowing));
    let _ = write!(
        rust,
        "/// {doc}\npub(super) struct {kind}{lifetime} {{\n{fields}}}\n
         impl {kind}{anonymous} {{\n    const TEXT: &'static str =\n        \"/* {name} */ SELECT cofrap_{version}.{name}({arguments})\";\n}}\n
         impl Call for {kind}{anonymous} {{\n    const NAME: &'static str = \"{name}\";\n    const TEXT: &'static str = Self::TEXT;\n    const IS_READ_ONLY: bool = {is_read_only};\n
             fn parameters(self) -> Vec<ParameterValue> {{\n{body}    }}\n}}\n\n",
        doc = function.doc,
        anonymous = anonymous(lifetime),
        arguments = arguments.join(", "),
        is_read_only = function.is_read_only,
        body = if names.is_empty() {
            "        Vec::new()\n".to_owned()
        } else {
            format!(
                "        let mut parameters = Vec::with_capacity({});\n{pushes}        parameters\n",
                names.len()
            )
        },
    );
}

fn field(parameter: &Parameter) -> String {
    let kind = match parameter.sql_type.as_str() {
        "text" => "&'a str",
        "int8" => "i64",
        _ => "bool",
    };
    let kind = if parameter.is_nullable { format!("Option<{kind}>") } else { kind.to_owned() };
    format!("    pub(super) {}: {kind},\n", parameter.name)
}

fn push(of: &str, parameter: &Parameter) -> String {
    format!("        {of}{}.push(parameters);\n", parameter.name)
}

fn is_borrowed(parameter: &Parameter) -> bool {
    parameter.sql_type == "text"
}

const fn lifetime(is_borrowing: bool) -> &'static str {
    if is_borrowing { "<'a>" } else { "" }
}

fn anonymous(lifetime: &str) -> &'static str {
    if lifetime.is_empty() { "" } else { "<'_>" }
}

fn pascal(name: &str) -> String {
    name.split('_').map(|word| word[..1].to_uppercase() + &word[1..]).collect()
}
