//! Variables of an older version: ten of them are in `settings` now, and six in `database_url` and `database_host`.

use anyhow::{Context, Error, Result, anyhow};
use cofrap_database::{VariableSource, database_variables};
use cofrap_edge::{DatabaseUrl, OperatorSettings};
use tokio_postgres::Config;

/// What led to the database.
const DATABASE: [&str; 6] =
    ["postgres_host", "postgres_port", "postgres_db", "postgres_user", "postgres_password", "postgres_options"];

/// The names that are no variables any more.
pub(crate) fn former_names() -> Vec<&'static str> {
    let settings: OperatorSettings = "policy=strict".parse().expect("it is complete");
    settings.values().map(|(name, _)| name).chain(DATABASE).collect()
}

/// Refuses former names in the environment: what they and `.env` say together, nobody can tell.
pub(crate) fn refuse_former_names(environment: &VariableSource) -> Result<()> {
    match former_names().into_iter().find(|name| environment.contains_key(*name)) {
        Some(name) if DATABASE.contains(&name) => Err(refusal(name, "the environment", DATABASE_LINES)),
        Some(name) => {
            let pair = format!("{name}={}", environment[name].trim());
            let pair = if name == "policy" { pair } else { format!("policy=strict {pair}") };
            Err(refusal(
                name,
                "the environment",
                &format!("SPIN_VARIABLE_SETTINGS=\"{pair}\" (and the other settings)"),
            ))
        }
        None => Ok(()),
    }
}

/// The variables of `.env` under the names that they have now. What cannot be read is refused with the line to write.
pub(crate) fn with_present_names(mut source: VariableSource, environment: &VariableSource) -> Result<VariableSource> {
    let place = ".env";
    let former = former_names();
    let found: VariableSource = former.iter().filter_map(|name| source.remove_entry(*name)).collect();
    let settings: Vec<_> = found.iter().filter(|(name, _)| !DATABASE.contains(&name.as_str())).collect();
    if let Some((name, _)) = settings.first() {
        let policy = found.get("policy").map_or("strict", String::as_str);
        let others = settings.iter().filter(|(name, _)| *name != "policy");
        let line =
            others.fold(format!("policy={policy}"), |line, (name, value)| format!("{line} {name}={}", value.trim()));
        if source.contains_key("settings") || environment.contains_key("settings") {
            let line =
                format!("it into SPIN_VARIABLE_SETTINGS, which is there and counts alone (\"{line}\" is all of them)");
            return Err(refusal(name, place, &line));
        }
        if let Err(error) = line.parse::<OperatorSettings>() {
            return Err(refusal(name, place, &format!("SPIN_VARIABLE_SETTINGS=\"{line}\", where {error}")));
        }
        source.insert("settings".to_owned(), line);
    }
    if let Some(name) = DATABASE.into_iter().find(|name| found.contains_key(*name)) {
        if source.contains_key("database_url") {
            return Err(refusal(name, place, "nothing: SPIN_VARIABLE_DATABASE_URL is there and counts alone"));
        }
        let refused = |error| refusal(name, place, &format!("{DATABASE_LINES} ({error})"));
        source.extend(address_of(&found).map_err(refused)?);
    }
    Ok(source)
}

/// What is written in the place of the former names of a database.
const DATABASE_LINES: &str = "SPIN_VARIABLE_DATABASE_URL=postgres://user:password@host:port/database and \
                              SPIN_VARIABLE_DATABASE_HOST=host:port";

fn refusal(name: &str, place: &str, line: &str) -> Error {
    let former = format!("SPIN_VARIABLE_{}", name.to_uppercase());
    anyhow!("{former} in {place} is no variable any more: take it out and write {line}")
}

/// The address, if all of it is there: a password that is kept elsewhere would be lost.
fn address_of(found: &VariableSource) -> Result<VariableSource> {
    let value = |name: &str, default| found.get(name).map_or(default, String::as_str);
    let given = |name: &str| {
        let value = found.get(name).filter(|value| !value.is_empty());
        value.with_context(|| format!("SPIN_VARIABLE_{} is missing", name.to_uppercase()))
    };
    let mut config = Config::new();
    config.host(given("postgres_host")?).user(given("postgres_user")?).password(given("postgres_password")?);
    config.port(value("postgres_port", "5432").parse()?).dbname(value("postgres_db", "mspr2_cofrap"));
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
        let new = with_present_names(old, &source(&[])).unwrap();
        assert_eq!(new["settings"], "policy=strict registration=operator");
        assert_eq!(new["database_host"], "db:5432");
        assert_eq!(new["database_url"], "postgres://u:p%40%2F@db:5432/mspr2_cofrap?sslmode=require&connect_timeout=1");
        assert_eq!(new["encryption_key"], "k");
        assert_eq!(new.len(), 4);
        assert_eq!(with_present_names(new.clone(), &source(&[])).unwrap(), new);
    }

    #[test]
    fn what_cannot_be_read_is_refused_with_the_line_to_write() {
        let settings = source(&[("settings", "policy=strict")]);
        let nothing = source(&[]);
        for (old, environment, line) in [
            (source(&[("policy", "lax")]), &nothing, "SPIN_VARIABLE_SETTINGS=\"policy=lax\", where policy must be"),
            (
                source(&[("settings", "policy=strict"), ("ip_failures_limit", "5")]),
                &nothing,
                "which is there and counts alone (\"policy=strict ip_failures_limit=5\"",
            ),
            (
                source(&[("registration", "operator")]),
                &settings,
                "which is there and counts alone (\"policy=strict registration=operator\"",
            ),
            (
                source(&[
                    ("postgres_host", "db"),
                    ("postgres_user", "u"),
                    ("postgres_password", "p"),
                    ("postgres_options", "options=x"),
                ]),
                &nothing,
                "SPIN_VARIABLE_DATABASE_URL=",
            ),
            // The password is elsewhere; an orphan.
            (
                source(&[("postgres_host", "db"), ("postgres_user", "u")]),
                &nothing,
                "SPIN_VARIABLE_POSTGRES_PASSWORD is missing",
            ),
            (source(&[("postgres_password", "p")]), &nothing, "SPIN_VARIABLE_DATABASE_URL="),
        ] {
            let error = with_present_names(old, environment).unwrap_err().to_string();
            assert!(error.contains(line), "{error}");
        }
    }

    #[test]
    fn the_environment_is_never_guessed_at() {
        for (name, line) in [
            ("registration", "SPIN_VARIABLE_SETTINGS=\"policy=strict registration=canary\""),
            ("policy", "SPIN_VARIABLE_SETTINGS=\"policy=canary\""),
            ("postgres_password", "SPIN_VARIABLE_DATABASE_URL="),
        ] {
            let error = refuse_former_names(&source(&[(name, "canary")])).unwrap_err().to_string();
            assert!(error.contains(line), "{error}");
            assert!(name != "postgres_password" || !error.contains("canary"), "{error}");
        }
        assert!(refuse_former_names(&source(&[("settings", "policy=strict")])).is_ok());
    }
}
