//! `backup`, `restore`, `after-restore`: by PostgreSQL's own `pg_dump` and `pg_restore`. A backup holds accounts, their sealed secrets and
//! the audit; no key is in it, and neither are the database's functions, which `migrate` makes.

use crate::database::OpenDatabase;
use crate::up::Project;
use anyhow::{Context, Result, bail};
use cofrap_database::say;
use cofrap_database::{Database, DatabaseArgs, Treatment, random_key};
use cofrap_host::postgres_program;
use cofrap_take_over::Expire;
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::Command;

/// What a dump leaves to whoever restores it: owners and rights are `migrate`'s.
const NO_OWNERS: [&str; 2] = ["--no-owner", "--no-privileges"];

/// Writes a backup in `pg_dump`'s custom format, to a new file that is the caller's alone.
pub(crate) async fn backup(file: &Path, arguments: &DatabaseArgs) -> Result<()> {
    // Beside it and moved into place: a file of that name is a whole backup, and nobody else's.
    let part = file.with_extension(format!("{}.part", &random_key().replace(['+', '/', '='], "")[..8]));
    if file.exists() {
        bail!("{} is there already: name another file", file.display());
    }
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&part)
        .with_context(|| format!("cannot write {}", part.display()))?;
    let dumped = dump(&part, arguments).await;
    let kept = dumped.and_then(|()| {
        File::open(&part)?.sync_all()?;
        fs::rename(&part, file).with_context(|| format!("cannot write {}", file.display()))
    });
    if let Err(error) = kept {
        let _ = fs::remove_file(&part);
        return Err(error);
    }
    say(&format!(
        "wrote {} ({} bytes): keep encryption_key elsewhere, without it no secret in it can be read",
        file.display(),
        file.metadata()?.len()
    ));
    Ok(())
}

async fn dump(part: &Path, arguments: &DatabaseArgs) -> Result<()> {
    let database = OpenDatabase::open(arguments).await?;
    let dumped = program("pg_dump", &database).and_then(|mut dump| {
        dump.args(["--format=custom", "--exclude-schema=cofrap_[0-9]*"]).args(NO_OWNERS).arg("--file").arg(part);
        run(dump)
    });
    database.close().await?;
    dumped
}

/// Loads a backup into a database without accounts, and treats it.
pub(crate) async fn restore(file: &Path, treatment: &Treatment, arguments: &DatabaseArgs) -> Result<()> {
    if !file.is_file() {
        bail!("there is no backup {}", file.display());
    }
    let project = Project::read(arguments)?;
    let mut database = OpenDatabase::open(arguments).await?;
    let restored = load_and_treat(file, treatment, &project, &mut database).await;
    database.close().await?;
    restored
}

async fn load_and_treat(
    file: &Path,
    treatment: &Treatment,
    project: &Project,
    database: &mut OpenDatabase,
) -> Result<()> {
    if database.holds_accounts().await? {
        bail!("the database holds accounts: restore into an empty one (`createdb`), and let the functions use that");
    }
    say(&format!("loading {}", file.display()));
    let mut load = program("pg_restore", database)?;
    load.args(["--exit-on-error", "--single-transaction", "--dbname"]).arg(database.name()).args(NO_OWNERS).arg(file);
    run(load)?;
    treat(treatment, project, database).await
}

/// Treats a database that was restored by other means: from an archive, a snapshot, a dump.
pub(crate) async fn after_restore(treatment: &Treatment, arguments: &DatabaseArgs) -> Result<()> {
    let project = Project::read(arguments)?;
    let mut database = OpenDatabase::open(arguments).await?;
    let treated = treat(treatment, &project, &mut database).await;
    database.close().await?;
    treated
}

async fn treat(treatment: &Treatment, project: &Project, database: &mut OpenDatabase) -> Result<()> {
    project.prepare(database, Expire::Nobody).await?;
    database.after_restore(treatment).await?;
    say("the functions may serve it: `cargo xtask migrate` writes its address to .env, for `spin up`");
    Ok(())
}

/// One of PostgreSQL's programs, told where the database is by its environment: arguments are for everybody to see.
fn program(name: &str, database: &Database) -> Result<Command> {
    let mut command = Command::new(postgres_program(name)?);
    command.envs(database.libpq_environment()?);
    Ok(command)
}

fn run(mut command: Command) -> Result<()> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.output().with_context(|| format!("cannot run {name}"))?;
    if !output.status.success() {
        bail!("{name} failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}
