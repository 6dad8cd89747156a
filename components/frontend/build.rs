//! Puts the site together: `pages/` in each language of `texts/`, the style sheet of `styles/`, and `static/`, each plain and compressed.
//!
//! A sentence that is missing in a language, or a page that names one that there is not, stops the build.

use flate2::Compression;
use flate2::write::GzEncoder;
use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, UndefinedBehavior, context};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::{env, fs};

/// The order of `cofrap_api::frontend::Language`.
const LANGUAGES: [&str; 2] = ["fr", "en"];

/// Path, template, and what a browser may do with it.
const PAGES: [(&str, &str, &str); 8] = [
    ("/", "index", "AndAskedFor"),
    ("/login", "login", "AndAskedFor"),
    ("/signup", "signup", "AndAskedFor"),
    ("/logout", "logout", "AndAskedFor"),
    ("/dashboard", "dashboard", "Never"),
    ("/generate-password", "generate-password", "Never"),
    ("/generate-2fa", "generate-2fa", "Never"),
    ("/check-2fa", "check-2fa", "Never"),
];

fn main() {
    for folder in ["pages", "static", "styles", "texts"] {
        println!("cargo::rerun-if-changed={folder}");
    }
    let texts = LANGUAGES.map(read_texts);
    assert_same_keys("texts", &texts[0], &texts[1]);

    let (modules, mut assets): (Vec<_>, Vec<_>) =
        read_folder("static").into_iter().partition(|(name, _)| is_of_every_page(name));
    assets.push(("app.js".to_owned(), bundle(modules).into_bytes()));
    assets.push(("style.css".to_owned(), style()));
    assets.push(("icon.png".to_owned(), icon()));
    for (language, texts) in LANGUAGES.iter().zip(&texts) {
        assets.push((format!("texts.{language}.js"), format!("export default {texts};\n").into_bytes()));
    }
    assets.sort();
    let version = digest(assets.iter().flat_map(|(name, bytes)| [name.as_bytes(), bytes]));

    let templates = templates();
    let page = |path: &str, name: &str, cache: &str| {
        let in_language = |(language, texts): (&&str, &Value)| {
            let values = context! {
                t => Serde(texts), lang => *language, path, version => version.as_str(),
                base => format!("/static/{version}"),
            };
            let page = templates.get_template(&format!("{name}.html")).and_then(|page| page.render(values));
            let page = page.unwrap_or_else(|error| panic!("{name} in {language}: {error:#}"));
            content(&format!("{name}.{language}.html"), page.as_bytes())
        };
        let [french, english] = [(&LANGUAGES[0], &texts[0]), (&LANGUAGES[1], &texts[1])].map(in_language);
        format!("Page {{ path: {path:?}, cache: CachePolicy::{cache}, contents: [{french}, {english}] }}")
    };
    let pages: Vec<_> = PAGES.iter().map(|(path, name, cache)| page(path, name, cache)).collect();
    let asset = |(name, bytes): &(String, Vec<u8>)| {
        let (path, media_type) = (format!("/static/{version}/{name}"), media_type(name));
        format!("Asset {{ path: {path:?}, media_type: {media_type:?}, content: {} }}", content(name, bytes))
    };
    let assets: Vec<_> = assets.iter().map(asset).collect();
    let site = format!(
        "Site {{ pages: &[{}], not_found: {}, assets: &[{}] }}",
        pages.join(", "),
        page("", "not-found", "AndAskedFor"),
        assets.join(", ")
    );
    write_output("site.rs", site.as_bytes());
}

/// Writes a file and its compressed form; an expression of the type `Content`, which includes them.
fn content(name: &str, bytes: &[u8]) -> String {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).expect("memory is writable");
    write_output(name, bytes);
    write_output(&format!("{name}.gz"), &encoder.finish().expect("memory is writable"));
    let include = |end: &str| format!(r#"include_bytes!(concat!(env!("OUT_DIR"), "/{name}{end}"))"#);
    format!("Content {{ plain: {}, gzip: {}, digest: {:?} }}", include(""), include(".gz"), digest([bytes]))
}

fn templates() -> Environment<'static> {
    let mut templates = Environment::new();
    templates.set_undefined_behavior(UndefinedBehavior::Strict);
    templates.set_auto_escape_callback(|_| AutoEscape::Html);
    for (name, bytes) in read_folder("pages") {
        let text = String::from_utf8(bytes).expect("pages are UTF-8");
        templates.add_template_owned(name, text).unwrap_or_else(|error| panic!("{error:#}"));
    }
    templates
}

/// The style sheet: the files of `styles/` in the order of their names.
fn style() -> Vec<u8> {
    let mut files = read_folder("styles");
    files.sort();
    files.into_iter().map(|(_, bytes)| bytes).collect::<Vec<_>>().join(&b"\n"[..])
}

/// Whether a file is a script that every page needs; others are asked for when they are.
fn is_of_every_page(name: &str) -> bool {
    media_type(name).starts_with("text/javascript") && name != "qr.js"
}

/// The modules as one script, so that a browser asks once. Each becomes a function that is called where it is first needed; what it
/// imports and exports is one line each, as in `static/`. Comments and indentation go.
fn bundle(modules: Vec<(String, Vec<u8>)>) -> String {
    let mut left: Vec<_> = modules
        .into_iter()
        .map(|(name, bytes)| Module::parse(&name, &String::from_utf8(bytes).expect("scripts are UTF-8")))
        .collect();
    let mut script = String::new();
    while !left.is_empty() {
        let is_ready = |module: &&Module| !module.needs.iter().any(|need| left.iter().any(|other| other.name == *need));
        let ready = left.iter().find(is_ready).unwrap_or_else(|| panic!("modules need each other in a circle"));
        let name = ready.name.clone();
        script += &ready.code;
        left.retain(|module| module.name != name);
    }
    script
}

struct Module {
    name: String,
    needs: Vec<String>,
    code: String,
}

impl Module {
    fn parse(file: &str, text: &str) -> Self {
        let name = identifier(file.strip_suffix(".js").expect("a script"));
        let (mut needs, mut exports, mut body) = (Vec::new(), Vec::new(), String::new());
        for line in text.lines().map(str::trim).filter(|line| !is_comment(line)) {
            if let Some(import) = line.strip_prefix("import ").filter(|import| import.contains(" from ")) {
                let (names, path) = import.split_once(" from ").expect("as above");
                let path = path.trim_matches(['"', ';']).strip_prefix("./").expect("a module beside this one");
                let need = identifier(path.strip_suffix(".js").expect("a script"));
                let names = names.strip_prefix("* as ").unwrap_or(names);
                body.push_str(&["const ", names, " = ", &need, ";\n"].concat());
                needs.push(need);
                continue;
            }
            assert!(
                !line.starts_with("import ") && !line.contains(" as ") && !line.starts_with("export default"),
                "{file}: {line}"
            );
            let declared = line.strip_prefix("export ").unwrap_or(line);
            if declared.len() < line.len() {
                let words =
                    declared.split([' ', '(']).filter(|word| !["async", "function", "const", "class"].contains(word));
                exports.push(words.into_iter().next().expect("a name").to_owned());
            }
            body += declared;
            body.push('\n');
        }
        // Only the entry waits for something, and nothing needs it.
        let code = if exports.is_empty() {
            body
        } else {
            format!("const {name} = (() => {{\n{body}return {{ {} }};\n}})();\n", exports.join(", "))
        };
        Self { name, needs, code }
    }
}

fn is_comment(line: &str) -> bool {
    let is_block = ["/**", "* "].iter().any(|start| line.starts_with(start)) || line == "*/" || line == "*";
    assert!(!is_block || !line.contains("*/") || line.ends_with("*/"), "code behind a comment: {line}");
    line.is_empty() || line.starts_with("//") || is_block
}

/// `check-2fa` is `check_2fa_module`.
fn identifier(name: &str) -> String {
    format!("{}_module", name.replace('-', "_"))
}

fn read_texts(language: &str) -> Value {
    let path = format!("texts/{language}.json");
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn assert_same_keys(place: &str, one: &Value, other: &Value) {
    match (one, other) {
        (Value::Object(one), Value::Object(other)) => {
            let (keys, others): (Vec<_>, Vec<_>) = (one.keys().collect(), other.keys().collect());
            assert_eq!(keys, others, "{place} has other keys in {LANGUAGES:?}");
            for (key, value) in one {
                assert_same_keys(&format!("{place}.{key}"), value, &other[key]);
            }
        }
        (Value::String(_), Value::String(_)) => {}
        _ => panic!("{place} is of another type in {LANGUAGES:?}"),
    }
}

/// Names and contents of the files in a folder, by name.
fn read_folder(folder: &str) -> Vec<(String, Vec<u8>)> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{folder}: {error}"));
    let paths = entries.map(|entry| entry.expect("a readable folder").path());
    let name = |path: &Path| path.file_name().expect("files have names").to_string_lossy().into_owned();
    let mut files: Vec<_> =
        paths.map(|path| (name(&path), fs::read(&path).expect("readable files, and no folders"))).collect();
    files.sort();
    files
}

fn media_type(name: &str) -> &'static str {
    match name.rsplit_once('.') {
        Some((_, "css")) => "text/css; charset=utf-8",
        Some((_, "js")) => "text/javascript; charset=utf-8",
        Some((_, "svg")) => "image/svg+xml",
        Some((_, "png")) => "image/png",
        _ => panic!("static/{name} has no media type here"),
    }
}

/// `static/icon.svg` for home screens, which take no SVG: the same padlock, without the corners that they cut themselves.
fn icon() -> Vec<u8> {
    const SIDE: u32 = 180;
    /// Points in a pixel, each way.
    const POINTS: u32 = 4;
    let (blue, white) = ([0x1f, 0x4f, 0xd1], [0xff; 3]);
    let mut pixels = Vec::new();
    for (row, column) in (0..SIDE).flat_map(|row| (0..SIDE).map(move |column| (row, column))) {
        let points = (0..POINTS * POINTS).map(|point| {
            let at = |pixel: u32, part: u32| {
                (f64::from(pixel) + (f64::from(part) + 0.5) / f64::from(POINTS)) * 32.0 / f64::from(SIDE)
            };
            is_padlock(at(column, point % POINTS), at(row, point / POINTS))
        });
        let inside = u32::try_from(points.filter(|is_inside| *is_inside).count()).expect("16 at most");
        let mix = |from: u8, to: u8| {
            let all = POINTS * POINTS;
            u8::try_from((u32::from(from) * (all - inside) + u32::from(to) * inside) / all).expect("between two bytes")
        };
        pixels.extend(blue.iter().zip(white).map(|(from, to)| mix(*from, to)));
    }
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, SIDE, SIDE);
    encoder.set_color(png::ColorType::Rgb);
    let mut writer = encoder.write_header().expect("memory is writable");
    writer.write_image_data(&pixels).expect("memory is writable");
    writer.finish().expect("memory is writable");
    file
}

/// Whether a point of the drawing, 32 wide and high, is white.
fn is_padlock(x: f64, y: f64) -> bool {
    let distance = |cx: f64, cy: f64| (x - cx).hypot(y - cy);
    // The body, its corners rounded by 3; the hole in it; half a ring and two legs.
    let (dx, dy) = ((x - 16.0).abs() - 6.0, (y - 20.0).abs() - 3.0);
    let is_body = dx.max(0.0).hypot(dy.max(0.0)) <= 3.0 && distance(16.0, 20.0) > 2.4;
    let is_bow = y <= 11.0 && (distance(16.0, 11.0) - 6.0).abs() <= 1.5;
    let is_leg = (11.0..=14.0).contains(&y) && ((x - 16.0).abs() - 6.0).abs() <= 1.5;
    is_body || is_bow || is_leg
}

/// 16 hexadecimal digits.
fn digest<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part);
    }
    let digest = hash.finalize();
    format!("{:016x}", u64::from_be_bytes(*digest.first_chunk().expect("32 bytes")))
}

#[expect(clippy::disallowed_methods, reason = "how Cargo speaks to build scripts")]
fn write_output(name: &str, bytes: &[u8]) {
    let folder = PathBuf::from(env::var_os("OUT_DIR").expect("Cargo sets it"));
    fs::write(folder.join(name), bytes).expect("the output folder is writable");
}
