//! The checkout's `.env`: what `spin up` and `cargo xtask up` read variables from.

use crate::former_variables::{former_names, with_present_names};
use anyhow::{Context, Result, anyhow};
use cofrap_crypto::Keyring;
use cofrap_database::say;
use cofrap_database::{VariableSource, random_key};
use cofrap_host::read_dotenv;
use std::fmt::Write as _;
use std::fs::{self, OpenOptions, Permissions};
use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

const HEADER: &str = "# Secrets of this checkout, written by `cargo xtask`: keep the file, do not share it. One line for each name; values with\n\
                      # spaces in quotes: SPIN_VARIABLE_SETTINGS=\"policy=strict registration=operator\"\n";

/// What a first start makes up: 32 random bytes each.
const KEYS: [&str; 2] = ["encryption_key", "jwt_secret"];

/// What a first start sets.
const FIRST_SETTINGS: &str = "policy=strict";

pub(crate) struct Dotenv {
    path: PathBuf,
}

impl Dotenv {
    pub(crate) fn of(checkout: &Path) -> Self {
        Self { path: checkout.join(".env") }
    }

    /// Reads the file; keys and settings that are neither there nor in the environment are made and added. Names of an older
    /// version are replaced.
    pub(crate) fn with_keys(&self, environment: &VariableSource) -> Result<VariableSource> {
        let found = read_dotenv(&self.path)?;
        let mut variables = with_present_names(found.clone(), environment)?;
        let renamed: VariableSource = variables
            .iter()
            .filter(|(name, _)| !found.contains_key(*name))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        let is_missing = |name: &str| !variables.contains_key(name) && !environment.contains_key(name);
        let mut missing: VariableSource =
            KEYS.iter().filter(|name| is_missing(name)).map(|name| ((*name).to_owned(), random_key())).collect();
        if is_missing("settings") {
            missing.insert("settings".to_owned(), FIRST_SETTINGS.to_owned());
        }
        if !missing.is_empty() {
            let names: Vec<_> = missing.keys().map(String::as_str).collect();
            say(&format!("writing {} to {}", names.join(", "), self.path.display()));
        }
        if !missing.is_empty() || !renamed.is_empty() {
            variables.extend(missing.clone());
            let names: Vec<_> = renamed.keys().map(|name| key(name)).collect();
            self.set(&renamed.into_iter().chain(missing).collect())?;
            if !names.is_empty() {
                say(&format!(
                    "rewrote .env, which was of an older version: {} in the place of its former lines",
                    names.join(", ")
                ));
            }
        }
        check_keys(environment, &variables)?;
        self.keep_private()?;
        Ok(variables)
    }

    /// Sets variables in the file; its other lines stay, but for those of an older version.
    pub(crate) fn set(&self, variables: &VariableSource) -> Result<()> {
        let old = if self.path.exists() {
            Zeroizing::new(fs::read_to_string(&self.path).context("cannot read .env")?)
        } else {
            Zeroizing::new(HEADER.to_owned())
        };
        let names: Vec<_> = variables.keys().map(String::as_str).chain(former_names()).collect();
        let names: Vec<_> = names.into_iter().map(key).collect();
        let is_replaced = |line: &str| name_in(line).is_some_and(|set| names.iter().any(|name| name == set));
        let mut text = Zeroizing::new(String::new());
        for line in old.lines().filter(|line| !is_replaced(line)) {
            writeln!(text, "{line}")?;
        }
        for (name, value) in variables {
            writeln!(text, "{}={}", key(name), quoted(value))?;
        }
        self.write(&text).with_context(|| format!("cannot write {}", self.path.display()))
    }

    /// Written beside and moved into place, so that a full disk does not cost the keys.
    fn write(&self, text: &str) -> std::io::Result<()> {
        let beside = self.path.with_extension("new");
        let _ = fs::remove_file(&beside);
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(beside, &self.path)
    }

    fn keep_private(&self) -> Result<()> {
        let Ok(metadata) = self.path.metadata() else { return Ok(()) };
        if metadata.permissions().mode() & 0o077 != 0 {
            say(".env was open to others: making it yours alone");
            fs::set_permissions(&self.path, Permissions::from_mode(0o600)).context("cannot change the mode of .env")?;
        }
        Ok(())
    }
}

fn check_keys(environment: &VariableSource, dotenv: &VariableSource) -> Result<()> {
    for name in KEYS {
        let (value, place) = match environment.get(name) {
            Some(value) => (value, "the environment"),
            None => (dotenv.get(name).context("with_keys made it")?, ".env"),
        };
        value.parse::<Keyring>().map_err(|error| anyhow!("{} in {place} cannot be used: {error}", key(name)))?;
    }
    Ok(())
}

/// The name that a line sets: dotenv files may say `export`, and have spaces around the sign.
fn name_in(line: &str) -> Option<&str> {
    let (name, _) = line.split_once('=')?;
    Some(name.trim().strip_prefix("export ").unwrap_or(name).trim())
}

fn key(name: &str) -> String {
    format!("SPIN_VARIABLE_{}", name.to_uppercase())
}

fn quoted(value: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "+/._:-".contains(c);
    if !value.is_empty() && value.chars().all(plain) {
        return value.to_owned();
    }
    format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\"").replace('$', "\\$"))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("cofrap-dotenv-{name}-{}", std::process::id()));
            fs::create_dir_all(&path).unwrap();
            Self(path)
        }

        fn dotenv(&self) -> Dotenv {
            Dotenv::of(&self.0)
        }

        fn mode(&self) -> u32 {
            self.0.join(".env").metadata().unwrap().permissions().mode() & 0o777
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn variables(pairs: &[(&str, &str)]) -> VariableSource {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn keys_are_made_once_kept_and_private() {
        let folder = Folder::new("keys");
        let first = folder.dotenv().with_keys(&variables(&[])).unwrap();
        assert!(first["encryption_key"].parse::<Keyring>().is_ok());
        assert_eq!(first["settings"], "policy=strict");
        assert_eq!(folder.mode(), 0o600);
        fs::set_permissions(folder.0.join(".env"), Permissions::from_mode(0o644)).unwrap();
        assert_eq!(folder.dotenv().with_keys(&variables(&[])).unwrap(), first);
        assert_eq!(folder.mode(), 0o600);
        assert_ne!(Folder::new("other").dotenv().with_keys(&variables(&[])).unwrap(), first);
    }

    #[test]
    fn a_key_of_the_environment_is_not_written() {
        let folder = Folder::new("environment");
        let given = [("encryption_key", &*random_key()), ("jwt_secret", &random_key()), ("settings", "policy=strict")];
        let given = variables(&given);
        folder.dotenv().with_keys(&given).unwrap();
        assert!(!folder.0.join(".env").exists());
    }

    #[test]
    fn names_of_an_older_version_are_replaced_in_the_file() {
        let folder = Folder::new("older");
        let old = "# mine\nSPIN_VARIABLE_POLICY=legacy\nSPIN_VARIABLE_POSTGRES_HOST=db\nSPIN_VARIABLE_POSTGRES_USER=u\nexport SPIN_VARIABLE_POSTGRES_PASSWORD=p\n";
        fs::write(folder.0.join(".env"), old).unwrap();
        let read = folder.dotenv().with_keys(&variables(&[])).unwrap();
        assert_eq!(read["settings"], "policy=legacy");
        let text = fs::read_to_string(folder.0.join(".env")).unwrap();
        assert!(text.starts_with("# mine\n") && !text.contains("POSTGRES_") && !text.contains("_POLICY"), "{text}");
        assert_eq!(folder.dotenv().with_keys(&variables(&[])).unwrap(), read);
    }

    #[test]
    fn a_key_that_is_none_is_refused_with_its_name_its_place_and_the_remedy() {
        let folder = Folder::new("bad");
        fs::write(folder.0.join(".env"), "SPIN_VARIABLE_ENCRYPTION_KEY=short\n").unwrap();
        let error = folder.dotenv().with_keys(&variables(&[])).unwrap_err().to_string();
        for word in ["SPIN_VARIABLE_ENCRYPTION_KEY", ".env", "openssl rand -base64 32"] {
            assert!(error.contains(word), "{error}");
        }
    }

    #[test]
    fn setting_a_variable_keeps_the_other_lines_and_any_value() {
        let folder = Folder::new("set");
        fs::write(folder.0.join(".env"), "# mine\nSPIN_VARIABLE_A=1\nSPIN_VARIABLE_B=2\n").unwrap();
        let odd = r#"it's a "p$ssword" \ # 100 %"#;
        folder.dotenv().set(&variables(&[("a", odd), ("c", "")])).unwrap();
        assert_eq!(read_dotenv(&folder.0.join(".env")).unwrap(), variables(&[("a", odd), ("b", "2"), ("c", "")]));
        assert!(fs::read_to_string(folder.0.join(".env")).unwrap().starts_with("# mine\n"));
    }
}
