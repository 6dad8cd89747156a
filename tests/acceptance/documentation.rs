//! The pages for operators: every command is run, or says why not.

use cofrap_tests::checkout;
use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::Command;

const MARK: &str = "*Not run here: ";

/// A block of commands, and why it is not run, if it is not.
struct Block {
    page: PathBuf,
    commands: Vec<String>,
    not_run: Option<String>,
}

fn pages() -> Vec<PathBuf> {
    let mut folders = vec![checkout().join("docs/operations")];
    let mut pages = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                pages.push(path);
            }
        }
    }
    pages.sort();
    pages
}

fn blocks() -> Vec<Block> {
    let mut blocks = Vec::new();
    for page in pages() {
        let text = fs::read_to_string(&page).unwrap();
        let mut lines = text.lines();
        let mut reason = None;
        while let Some(line) = lines.next() {
            if let Some(said) = line.trim_start().strip_prefix(MARK) {
                reason = Some(said.trim_end_matches('*').to_owned());
            } else if line == "```console" {
                let body = lines.by_ref().take_while(|line| *line != "```");
                let commands = body.filter_map(|line| line.strip_prefix("$ ").map(str::to_owned)).collect();
                blocks.push(Block { page: page.clone(), commands, not_run: reason.take() });
            } else if !line.is_empty() {
                reason = None;
            }
        }
    }
    blocks
}

#[test]
fn every_command_of_a_page_is_run_or_says_why_not() {
    let (mut run, mut marked) = (0, 0);
    for Block { page, commands, not_run } in blocks() {
        assert!(!commands.is_empty(), "{}: a block without a command", page.display());
        if let Some(reason) = not_run {
            assert!(reason.len() > 10, "{}: say why", page.display());
            marked += commands.len();
            continue;
        }
        run += commands.len();
        let mut shell = Command::new("bash");
        shell.args(["-euo", "pipefail", "-c", &commands.join("\n")]).current_dir(checkout());
        let output = shell.env("CARGO_TERM_COLOR", "never").output().expect("bash is installed");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}: {commands:?}: {said}", page.display());
    }
    // For whoever reads the run's output: what tests print is kept from them.
    let count = format!("commands of docs/operations: {run} run here, {marked} not run here and marked with why\n");
    std::io::stderr().write_all(count.as_bytes()).unwrap();
    assert!(run > 0 && marked > 0);
}

/// What a page names in this tree is there.
#[test]
fn what_a_page_leads_to_is_there() {
    for page in pages() {
        let text = fs::read_to_string(&page).unwrap();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split_once(')').map(|(link, _)| link)) {
            let (path, heading) = link.split_once('#').map_or((link, None), |(path, heading)| (path, Some(heading)));
            if path.starts_with("https://") {
                continue;
            }
            let target = if path.is_empty() { page.clone() } else { page.parent().unwrap().join(path) };
            let text = fs::read_to_string(&target).unwrap_or_else(|_| panic!("{}: {link}", page.display()));
            let headings = text.lines().filter(|line| line.starts_with('#')).map(anchor);
            assert!(
                heading.is_none_or(|heading| headings.into_iter().any(|one| one == heading)),
                "{}: {link}",
                page.display()
            );
        }
    }
}

/// The anchor that a heading has on the web.
fn anchor(heading: &str) -> String {
    let text = heading.trim_start_matches('#').trim().to_lowercase();
    text.chars()
        .filter(|c| c.is_alphanumeric() || *c == '-' || *c == ' ' || *c == '_')
        .collect::<String>()
        .replace(' ', "-")
}
