//! Variables of an older version: ten of them are in `settings` now, and six in `database_url` and `database_host`.

use crate::say;
use anyhow::{Result, anyhow, bail};
use cofrap_edge::{DatabaseUrl, OperatorSettings};
use cofrap_host::{VariableSource, database_variables};
use tokio_postgres::Config;

/// What led to the database.
const DATABASE: [&str; 6] =
    ["postgres_host", "postgres_port", "postgres_db", "postgres_user", "postgres_password", "postgres_options"];

/// The names that are no variables any more.
pub(crate) fn former_names() -> Vec<&'static str> {
    let settings: OperatorSettings = "policy=strict".parse().expect("it is complete");
    settings.values().map(|(name, _)| name).chain(DATABASE).collect()
}

/// The same variables under the names that they have now; `place` is where they stand, for people.
pub(crate) fn with_present_names(mut source: VariableSource, place: &str) -> Result<VariableSource> {
    let former = former_names();
    let found: VariableSource =
        former.iter().filter_map(|name| source.remove_entry(*name)).filter(|(_, value)| !value.is_empty()).collect();
    if found.is_empty() {
        return Ok(source);
    }
    let refused = |name: &str, line: &str| {
        let former = format!("SPIN_VARIABLE_{}", name.to_uppercase());
        anyhow!("{former} in {place} is no variable any more: take it out and write {line}")
    };
    let settings: Vec<_> = found.iter().filter(|(name, _)| !DATABASE.contains(&name.as_str())).collect();
    if let Some((name, _)) = settings.first() {
        let policy = found.get("policy").map_or("strict", String::as_str);
        let others = settings.iter().filter(|(name, _)| *name != "policy");
        let line =
            others.fold(format!("policy={policy}"), |line, (name, value)| format!("{line} {name}={}", value.trim()));
        if source.contains_key("settings") || line.parse::<OperatorSettings>().is_err() {
            return Err(refused(name, &format!("SPIN_VARIABLE_SETTINGS=\"{line}\"")));
        }
        say(&format!("{place} has settings of an older version: they are now SPIN_VARIABLE_SETTINGS=\"{line}\""));
        source.insert("settings".to_owned(), line);
    }
    if let Some(host) = found.get("postgres_host") {
        if source.contains_key("database_url") {
            bail!("{place} has SPIN_VARIABLE_POSTGRES_HOST beside SPIN_VARIABLE_DATABASE_URL: take the former out");
        }
        let line = "SPIN_VARIABLE_DATABASE_URL=postgres://user:password@host:port/database and \
                    SPIN_VARIABLE_DATABASE_HOST=host:port instead";
        let address = address_of(host, &found).map_err(|_| refused("postgres_host", line))?;
        say(&format!(
            "{place} has a database's address of an older version: it is now SPIN_VARIABLE_DATABASE_URL and _HOST"
        ));
        source.extend(address);
    }
    Ok(source)
}

fn address_of(host: &str, found: &VariableSource) -> Result<VariableSource> {
    let value = |name: &str, default| found.get(name).map_or(default, String::as_str);
    let mut config = Config::new();
    config.host(host).port(value("postgres_port", "5432").parse()?).dbname(value("postgres_db", "mspr2_cofrap"));
    config.user(value("postgres_user", "")).password(value("postgres_password", ""));
    let mut address = database_variables(&config)?;
    // libpq's keywords become the URL's parameters, as far as one may have them.
    let options: Vec<_> = value("postgres_options", "").split_whitespace().collect();
    if let Some(url) = address.get_mut("database_url") {
        if !options.is_empty() {
            url.push('?');
            url.push_str(&options.join("&"));
        }
        DatabaseUrl::parse(url)?;
    }
    Ok(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(pairs: &[(&str, &str)]) -> VariableSource {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn an_older_file_is_read_as_the_new_one() {
        let old = source(&[
            ("encryption_key", "k"),
            ("registration", "operator"),
            ("postgres_host", "db"),
            ("postgres_user", "u"),
            ("postgres_password", "p@/"),
            ("postgres_options", "sslmode=require connect_timeout=1"),
        ]);
        let new = with_present_names(old, ".env").unwrap();
        assert_eq!(new["settings"], "policy=strict registration=operator");
        assert_eq!(new["database_host"], "db:5432");
        assert_eq!(new["database_url"], "postgres://u:p%40%2F@db:5432/mspr2_cofrap?sslmode=require&connect_timeout=1");
        assert_eq!(new["encryption_key"], "k");
        assert_eq!(new.len(), 4);
        assert_eq!(with_present_names(new.clone(), ".env").unwrap(), new);
    }

    #[test]
    fn what_cannot_be_read_is_refused_with_the_line_to_write() {
        for (old, line) in [
            (source(&[("policy", "lax")]), "SPIN_VARIABLE_SETTINGS=\"policy=lax\""),
            (
                source(&[("settings", "policy=strict"), ("ip_failures_limit", "5")]),
                "SPIN_VARIABLE_SETTINGS=\"policy=strict ip_failures_limit=5\"",
            ),
            (
                source(&[("postgres_host", "db"), ("postgres_user", "u"), ("postgres_options", "options=x")]),
                "SPIN_VARIABLE_DATABASE_URL=",
            ),
        ] {
            let error = with_present_names(old, ".env").unwrap_err().to_string();
            assert!(error.contains(line), "{error}");
        }
    }
}
