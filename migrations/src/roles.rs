//! Who owns the database's functions, and who may call them.
//!
//! Roles belong to the whole server, so each database has its own two: one database's password opens no other database.

use crate::error::refused;
use crate::patience::patiently;
use anyhow::{Context, Result, bail};
use tokio_postgres::Client;

/// Once the one role of the functions of every database on a server. It keeps its rights until they are retired.
pub const FORMER_ROLE: &str = "cofrap_app";

/// What the functions' sessions have: the same that they ask for, see `shared/edge/src/database_url.rs`.
const SESSION_DEFAULTS: [(&str, &str); 6] = [
    ("statement_timeout", "3000ms"),
    ("lock_timeout", "2000ms"),
    ("idle_in_transaction_session_timeout", "5000ms"),
    ("idle_session_timeout", "2000ms"),
    ("plan_cache_mode", "force_generic_plan"),
    ("timezone", "UTC"),
];

/// The tables that the functions use; what the functions' owner may do with each. The audit is only added to.
pub(crate) const RIGHTS: [(&str, &str); 13] = [
    ("users_v2", "SELECT, INSERT, UPDATE"),
    ("password_history_v2", "SELECT, INSERT, UPDATE"),
    ("auth_logs_v2", "SELECT, INSERT"),
    ("throttles", "SELECT, INSERT, UPDATE, DELETE"),
    ("encryption_keys", "SELECT, INSERT, DELETE"),
    ("installation", "SELECT, UPDATE"),
    ("installation_here", "SELECT"),
    ("ended_sessions", "SELECT, INSERT, UPDATE, DELETE"),
    ("locked_attempts", "SELECT, INSERT, UPDATE, DELETE"),
    ("attempt_totals", "SELECT, INSERT, UPDATE"),
    ("attempt_rollup", "SELECT, UPDATE"),
    ("audited_attempts", "SELECT"),
    ("account_gauges", "SELECT, INSERT, UPDATE"),
];

/// What the audit's owner may do besides with what it owns: make its partitions, and remove what maintenance removes.
const KEEPER_RIGHTS: [(&str, &str); 4] = [
    // The column for the sake of locking a row, or passing it.
    ("users_v2", "SELECT, DELETE, REFERENCES, UPDATE (updated_at)"),
    // To pass what others hold, one must be able to hold it.
    ("throttles", "SELECT, UPDATE, DELETE"),
    ("ended_sessions", "SELECT, UPDATE, DELETE"),
    ("attempt_rollup", "SELECT"),
];

/// The tables whose rows are numbered by a sequence.
pub(crate) const NUMBERED: [&str; 3] = ["users_v2", "password_history_v2", "auth_logs_v2"];

/// Functions by which anybody makes large objects, which are files in the database: `pg_proc` of PostgreSQL 14 to 18.
const LARGE_OBJECTS: [&str; 3] = ["lo_creat(int4)", "lo_create(oid)", "lo_from_bytea(oid, bytea)"];

/// The roles of a database.
pub(crate) struct Roles {
    owner: String,
    keeper: String,
    login: Option<String>,
}

impl Roles {
    /// Makes them unless they are there. Where the caller may make no roles, what is called is theirs, and so is the login.
    pub(crate) async fn ensure(client: &Client) -> Result<Self> {
        let row = client
            .query_one(
                "SELECT current_database()::text, current_user::text, r.rolsuper OR r.rolcreaterole, r.rolsuper
                 FROM pg_roles r WHERE r.rolname = current_user",
                &[],
            )
            .await
            .map_err(refused)?;
        let (database, user, may_make_roles, is_superuser): (String, String, bool, bool) =
            (row.get(0), row.get(1), row.get(2), row.get(3));
        let (owner, keeper, login) = (owner_of(&database), keeper_of(&database), login_of(&database));
        for role in [&owner, &keeper, &login] {
            if may_make_roles {
                make(client, role).await?;
            } else if !is_there(client, role).await? {
                if is_there(client, &owner).await? {
                    bail!("the role {role} is not there: let `migrate` run once as who may make roles");
                }
                return Ok(Self { owner: user.clone(), keeper: user, login: None });
            }
        }
        for role in [&owner, &keeper] {
            if is_superuser {
                break;
            }
            // Who makes a thing for a role must be of it, and able to become it (PostgreSQL 16).
            let become_it = client.batch_execute(&format!("GRANT {} TO CURRENT_USER", quoted(role))).await;
            let is_member = client.query_one("SELECT pg_has_role($1, 'MEMBER')", &[role]).await.map_err(refused)?;
            if !is_member.get::<_, bool>(0) {
                become_it.map_err(refused).with_context(|| format!("cannot make things for {role}"))?;
            }
        }
        Ok(Self { owner, keeper, login: Some(login) })
    }

    /// Who owns the functions, and does with the tables what they do.
    pub(crate) fn owner(&self) -> &str {
        &self.owner
    }

    /// Who owns the audit, and the few functions that remove what is older than it is kept.
    pub(crate) fn keeper(&self) -> &str {
        &self.keeper
    }

    /// Who may call the functions, and do nothing else; none where nobody could be made.
    pub(crate) fn login(&self) -> Option<&str> {
        self.login.as_deref()
    }

    /// Gives the owner its rights on the tables, every time anew, and takes from everybody what nobody needs.
    pub(crate) async fn grant(&self, client: &Client) -> Result<()> {
        let Some(login) = &self.login else { return Ok(()) };
        let (owner, login) = (quoted(&self.owner), quoted(login));
        let mut statements = vec![format!("GRANT USAGE ON SCHEMA public TO {owner}")];
        for (table, rights) in RIGHTS {
            statements.push(format!(
                "REVOKE ALL ON public.{table} FROM {owner}, {login}; GRANT {rights} ON public.{table} TO {owner}"
            ));
        }
        client
            .batch_execute(&statements.join("; "))
            .await
            .map_err(refused)
            .context("cannot give the functions' owner its rights")?;
        self.give_the_audit_to_its_keeper(client).await?;
        for table in NUMBERED {
            if let Some(sequence) = sequence_of(client, table).await? {
                let grant = format!("GRANT USAGE, SELECT, UPDATE ON SEQUENCE {sequence} TO {owner}");
                client.batch_execute(&grant).await.map_err(refused)?;
            }
        }
        self.close_the_database(client).await
    }

    /// The functions' owner adds to the audit; its keeper makes its partitions, and lets go what is old.
    async fn give_the_audit_to_its_keeper(&self, client: &Client) -> Result<()> {
        let keeper = quoted(&self.keeper);
        let mut statements = vec![format!("GRANT USAGE, CREATE ON SCHEMA public TO {keeper}")];
        for (table, rights) in KEEPER_RIGHTS {
            statements.push(format!(
                "REVOKE ALL ON public.{table} FROM {keeper}; GRANT {rights} ON public.{table} TO {keeper}"
            ));
        }
        // The schema first: whoever is to own a thing there must be able to make one. What is the keeper's already is not locked again.
        let things = "
            SELECT t.thing FROM (
                SELECT 1 AS place, 'SCHEMA cofrap_audit' AS thing, n.nspowner AS owner FROM pg_namespace n WHERE n.nspname = 'cofrap_audit'
                UNION ALL SELECT 2, format('%s %s', CASE c.relkind WHEN 'v' THEN 'VIEW' ELSE 'TABLE' END, c.oid::regclass), c.relowner
                FROM pg_class c WHERE c.relkind IN ('r', 'p', 'v')
                     AND (c.oid = 'public.auth_logs_v2'::regclass OR c.relnamespace = 'cofrap_audit'::regnamespace)
                UNION ALL SELECT 3, 'FUNCTION ' || p.oid::regprocedure, p.proowner
                FROM pg_proc p WHERE p.pronamespace = 'cofrap_audit'::regnamespace) t
            WHERE t.owner <> $1::text::regrole ORDER BY t.place";
        for row in client.query(things, &[&keeper]).await.map_err(refused)? {
            statements.push(format!("ALTER {} OWNER TO {keeper}", row.get::<_, &str>(0)));
        }
        statements.push(format!("REVOKE CREATE ON SCHEMA public FROM {keeper}"));
        patiently(client, &statements.join("; ")).await.context("cannot give the audit to its keeper")?;
        // Whoever refers to an account keeps it: what cannot be read counts as if it did.
        let referring = "
            SELECT format('GRANT SELECT ON %s TO ', c.conrelid::regclass) FROM pg_constraint c
            WHERE c.contype = 'f' AND c.confrelid = 'public.users_v2'::regclass AND c.conparentid = 0
                  AND c.conrelid NOT IN (
                      'public.password_history_v2'::regclass, 'public.auth_logs_v2'::regclass, 'public.ended_sessions'::regclass)";
        for row in client.query(referring, &[]).await.map_err(refused)? {
            let _ = client.batch_execute(&format!("{}{keeper}", row.get::<_, &str>(0))).await;
        }
        Ok(())
    }

    /// Takes from PUBLIC: to connect, temporary tables, tables in `public`, large objects. Who has rights on a table of ours keeps
    /// the right to connect.
    async fn close_the_database(&self, client: &Client) -> Result<()> {
        let row = client
            .query_one(
                "SELECT current_database()::text, coalesce(array_agg(DISTINCT quote_ident(r.rolname)), '{}')::text[]
                 FROM pg_class c CROSS JOIN LATERAL aclexplode(c.relacl) a JOIN pg_roles r ON r.oid = a.grantee
                 WHERE c.relnamespace = 'public'::regnamespace
                       AND c.relname IN ('users', 'users_v2', 'password_history_v2', 'auth_logs_v2')",
                &[],
            )
            .await
            .map_err(refused)?;
        let (database, mut keep): (String, Vec<String>) = (row.get(0), row.get(1));
        keep.extend(self.login().map(quoted));
        let database = quoted(&database);
        let statements = format!(
            "GRANT CONNECT ON DATABASE {database} TO {}; REVOKE CONNECT, TEMPORARY ON DATABASE {database} FROM PUBLIC;
             REVOKE CREATE ON SCHEMA public FROM PUBLIC",
            keep.join(", ")
        );
        client.batch_execute(&statements).await.map_err(refused).context("cannot close the database to everybody")?;
        // Only a superuser may; elsewhere the platform decides.
        for function in LARGE_OBJECTS {
            let _ =
                client.batch_execute(&format!("REVOKE EXECUTE ON FUNCTION pg_catalog.{function} FROM PUBLIC")).await;
        }
        Ok(())
    }
}

/// The sequence of a table's numbers, as SQL writes it.
pub(crate) async fn sequence_of(client: &Client, table: &str) -> Result<Option<String>> {
    let row = client.query_one("SELECT pg_get_serial_sequence('public.' || $1::text, 'id')", &[&table]).await;
    Ok(row.map_err(refused)?.get(0))
}

/// The role that owns a database's functions.
fn owner_of(database: &str) -> String {
    format!("{}_owner", shortened(database))
}

/// The role that owns a database's audit.
fn keeper_of(database: &str) -> String {
    format!("{}_keeper", shortened(database))
}

/// The role that a database's functions log in as.
#[must_use]
pub fn login_of(database: &str) -> String {
    format!("{}_functions", shortened(database))
}

/// Names of roles have at most 63 bytes.
fn shortened(database: &str) -> String {
    let mut short = database.to_owned();
    while short.len() > 48 {
        short.pop();
    }
    short
}

async fn is_there(client: &Client, role: &str) -> Result<bool> {
    Ok(client.query_opt("SELECT FROM pg_roles WHERE rolname = $1", &[&role]).await.map_err(refused)?.is_some())
}

/// Two migrations at once may both want to make a role.
async fn make(client: &Client, role: &str) -> Result<()> {
    let create = format!(
        "DO $$ BEGIN CREATE ROLE {} NOLOGIN; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$",
        quoted(role)
    );
    client.batch_execute(&create).await.map_err(refused).with_context(|| format!("cannot make the role {role}"))
}

/// The role that the functions of the client's database log in as.
///
/// # Errors
/// When the database refuses.
pub async fn functions_login(client: &Client) -> Result<String> {
    let database = client.query_one("SELECT current_database()::text", &[]).await.map_err(refused)?;
    Ok(login_of(database.get(0)))
}

/// Lets the functions' role log in with a password, which travels as the verifier that the server stores (RFC 5803).
///
/// # Errors
/// When the database refuses, as it does to who may not make roles.
pub async fn let_functions_log_in(client: &Client, password: &str) -> Result<String> {
    let login = functions_login(client).await?;
    let verifier = postgres_protocol::password::scram_sha_256(password.as_bytes());
    let statement = format!("ALTER ROLE {} LOGIN PASSWORD '{verifier}'", quoted(&login));
    client.batch_execute(&statement).await.map_err(refused).context("cannot let the functions log in")?;
    Ok(login)
}

/// Lets another role, which the functions log in as already, call what the database's own one may.
///
/// # Errors
/// When the database refuses.
pub async fn admit(client: &Client, user: &str) -> Result<()> {
    let login = functions_login(client).await?;
    if user != login {
        let grant = format!("GRANT {} TO {}", quoted(&login), quoted(user));
        client
            .batch_execute(&grant)
            .await
            .map_err(refused)
            .context("cannot let the functions' user call the functions")?;
    }
    Ok(())
}

/// Sets for the functions' user what the functions ask for when they connect: a pooler between them and the server may drop that.
///
/// # Errors
/// When the database refuses: who did not make the user may not change it.
pub async fn set_session_defaults(client: &Client, user: &str) -> Result<()> {
    let set = |(setting, value)| format!("ALTER ROLE {} SET {setting} = '{value}'", quoted(user));
    let statements = SESSION_DEFAULTS.map(set).join("; ");
    client.batch_execute(&statements).await.context("cannot set the session defaults of the functions' user")
}

/// A name as SQL writes it.
pub(crate) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
