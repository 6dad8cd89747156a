//! The functions of the database: one schema `cofrap_<version>` for each version, made whole and in one transaction.
//!
//! A component calls the functions of the version that it was built for, so those of the version before stay until
//! [`retire`]: components of both run during a roll-out.

use crate::error::refused;
use crate::roles::{FORMER_ROLE, NUMBERED, RIGHTS, Roles, quoted, sequence_of};
use crate::sameness_keys;
use crate::version::{SCHEMA_VERSION, schema_of};
use anyhow::{Context, Result};
use tokio_postgres::{Client, Transaction};

/// The files, by name. In them the schema is called `cofrap`.
const FUNCTIONS: &[(&str, &str)] = &include!(concat!(env!("OUT_DIR"), "/functions.rs"));

/// Those of the audit's owner: they make its partitions, and remove what is older than it is kept.
const OF_THE_KEEPER: [&str; 5] = ["is_referred", "keep_partitions", "maintain", "mask_names", "remove_accounts"];

/// By which version 5 finds attempts on a name.
const FORMER_INDEX: &str = "public.idx_auth_logs_v2_username";

/// Digests without a key, of 64 hexadecimal digits: version 6 wrote them, and whoever has the database finds out whose they are.
const FORMER_DIGESTS: &str = "
    DELETE FROM public.throttles WHERE length(subject) = 64 OR length(place) = 64;
    UPDATE public.users_v2 SET
        login_places = ARRAY(SELECT place FROM unnest(login_places) place WHERE length(place) <> 64),
        generated_from = CASE WHEN length(generated_from) <> 64 THEN generated_from END
    WHERE length(generated_from) = 64 OR length(login_places[1]) = 64 OR length(login_places[2]) = 64 OR length(login_places[3]) = 64";

/// What the components call: the other functions are steps of these.
fn is_called_by_components(text: &str) -> bool {
    text.contains("\n    OUT answer text\n")
}

/// Makes the current version's functions, unless they are there, whole, and their owner's.
pub(crate) async fn install(client: &mut Client, roles: &Roles) -> Result<()> {
    let schema = schema_of(SCHEMA_VERSION);
    let transaction = client.transaction().await.map_err(refused)?;
    if !is_installed(&transaction, &schema, roles).await? {
        make(&transaction, &schema, roles).await.with_context(|| format!("cannot make the functions of {schema}"))?;
    }
    grant(&transaction, &schema, roles).await?;
    transaction.commit().await.map_err(refused)
}

async fn is_installed(transaction: &Transaction<'_>, schema: &str, roles: &Roles) -> Result<bool> {
    let question =
        "SELECT coalesce(obj_description(n.oid, 'pg_namespace') = $2, FALSE) AND n.nspowner = $3::text::regrole
                    FROM pg_namespace n WHERE n.nspname = $1";
    let found = transaction.query_opt(question, &[&schema, &fingerprint(), &quoted(roles.owner())]).await;
    Ok(found.map_err(refused)?.is_some_and(|row| row.get(0)))
}

async fn make(transaction: &Transaction<'_>, schema: &str, roles: &Roles) -> Result<()> {
    let owner = quoted(roles.owner());
    let head = format!(
        "DROP SCHEMA IF EXISTS {schema} CASCADE; CREATE SCHEMA {schema} AUTHORIZATION {owner};
         COMMENT ON SCHEMA {schema} IS '{}'; SET LOCAL ROLE {owner}",
        fingerprint()
    );
    transaction.batch_execute(&head).await.map_err(refused)?;
    for (name, text) in FUNCTIONS {
        let made = transaction.batch_execute(&text.replace("cofrap.", &format!("{schema}."))).await;
        made.map_err(refused).with_context(|| format!("functions/{name}.sql"))?;
    }
    let keeper = quoted(roles.keeper());
    let mut tail = vec![format!("REVOKE ALL ON ALL FUNCTIONS IN SCHEMA {schema} FROM PUBLIC; RESET ROLE")];
    if roles.keeper() != roles.owner() {
        tail.push(format!("GRANT USAGE, CREATE ON SCHEMA {schema} TO {keeper}"));
        tail.push(format!("GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA {schema} TO {keeper}"));
        tail.extend(OF_THE_KEEPER.map(|name| format!("ALTER FUNCTION {schema}.{name} OWNER TO {keeper}")));
        tail.push(format!("REVOKE CREATE ON SCHEMA {schema} FROM {keeper}"));
    }
    transaction.batch_execute(&tail.join("; ")).await.map_err(refused)
}

/// Lets the functions' login call what the components call, and nothing else there.
async fn grant(transaction: &Transaction<'_>, schema: &str, roles: &Roles) -> Result<()> {
    let Some(login) = roles.login() else { return Ok(()) };
    let login = quoted(login);
    let mut statements = vec![
        format!("REVOKE ALL ON ALL FUNCTIONS IN SCHEMA {schema} FROM {login}"),
        format!("GRANT USAGE ON SCHEMA {schema} TO {login}"),
    ];
    let called = FUNCTIONS.iter().filter(|(_, text)| is_called_by_components(text));
    statements.extend(called.map(|(name, _)| format!("GRANT EXECUTE ON FUNCTION {schema}.{name} TO {login}")));
    let statements = statements.join("; ");
    transaction
        .batch_execute(&statements)
        .await
        .map_err(refused)
        .context("cannot let the components call the functions")
}

/// What retiring takes, one line for each thing.
///
/// # Errors
/// When the database refuses a statement.
pub async fn retirable(client: &Client) -> Result<Vec<String>> {
    let mut lines = Vec::new();
    for schema in former_schemas(client).await? {
        lines.push(format!("the schema {schema} goes, with the functions that components of that version call"));
    }
    let is_indexed = client.query_one("SELECT to_regclass($1) IS NOT NULL", &[&FORMER_INDEX]).await.map_err(refused)?;
    if is_indexed.get(0) {
        lines.push(format!("the index {FORMER_INDEX} goes, which every attempt writes for components of version 5"));
    }
    let members = "SELECT coalesce(string_agg(m.rolname, ', ' ORDER BY m.rolname), 'nobody')
                   FROM pg_roles r LEFT JOIN pg_auth_members a ON a.roleid = r.oid LEFT JOIN pg_roles m ON m.oid = a.member
                   WHERE r.rolname = $1 GROUP BY r.oid";
    let has_rights = "SELECT EXISTS (
                          SELECT FROM pg_class c CROSS JOIN LATERAL aclexplode(c.relacl) a JOIN pg_roles r ON r.oid = a.grantee
                          WHERE c.relnamespace = 'public'::regnamespace AND r.rolname = $1)";
    if client.query_one(has_rights, &[&FORMER_ROLE]).await.map_err(refused)?.get(0) {
        let members: String = client.query_one(members, &[&FORMER_ROLE]).await.map_err(refused)?.get(0);
        lines.push(format!(
            "the role {FORMER_ROLE} loses its rights on the tables here, and so do its members: {members}"
        ));
    }
    Ok(lines)
}

/// Takes away what only components of versions before use. In this database alone: roles belong to the whole server.
///
/// # Errors
/// When the database refuses a statement; then nothing was taken.
pub async fn retire(client: &Client) -> Result<()> {
    // Statements that are sent together are one transaction.
    let mut statements = vec![format!("DROP INDEX IF EXISTS {FORMER_INDEX}")];
    for schema in former_schemas(client).await? {
        statements.push(format!("DROP SCHEMA {schema} CASCADE"));
    }
    let is_there =
        client.query_opt("SELECT FROM pg_roles WHERE rolname = $1", &[&FORMER_ROLE]).await.map_err(refused)?;
    if is_there.is_some() {
        let database: String =
            client.query_one("SELECT quote_ident(current_database())", &[]).await.map_err(refused)?.get(0);
        statements.push(format!(
            "REVOKE CONNECT ON DATABASE {database} FROM {FORMER_ROLE}; REVOKE USAGE ON SCHEMA public FROM {FORMER_ROLE}"
        ));
        for table in RIGHTS.map(|(table, _)| table).into_iter().chain(["refinery_schema_history"]) {
            statements.push(format!("REVOKE ALL ON public.{table} FROM {FORMER_ROLE}"));
        }
        for table in NUMBERED {
            if let Some(sequence) = sequence_of(client, table).await? {
                statements.push(format!("REVOKE ALL ON SEQUENCE {sequence} FROM {FORMER_ROLE}"));
            }
        }
    }
    statements.push(FORMER_DIGESTS.to_owned());
    client.batch_execute(&statements.join("; ")).await.map_err(refused).context("nothing was retired")?;
    // Those of the last accounts that they made.
    sameness_keys::forget_former(client, |_| {}).await?;
    sameness_keys::fill(client, |_| {}).await.map(|_| ())
}

/// Takes away what only components of versions before would use, where there are none.
pub(crate) async fn tidy(client: &Client) -> Result<()> {
    if former_schemas(client).await?.is_empty() {
        client.batch_execute(&format!("DROP INDEX IF EXISTS {FORMER_INDEX}")).await.map_err(refused)?;
    }
    Ok(())
}

async fn former_schemas(client: &Client) -> Result<Vec<String>> {
    let question =
        "SELECT nspname::text FROM pg_namespace WHERE nspname ~ '^cofrap_[0-9]+$' AND nspname <> $1 ORDER BY 1";
    let rows = client.query(question, &[&schema_of(SCHEMA_VERSION)]).await.map_err(refused)?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// Tells these files from others: a schema holds it as its comment.
pub(crate) fn fingerprint() -> String {
    let parts: Vec<&str> = FUNCTIONS.iter().flat_map(|(name, text)| [*name, *text]).collect();
    cofrap_crypto::digest(&parts)
}
