//! The database that a command works with: one that is named, or a private one.

use crate::address::Address;
use crate::{checkout, say};
use anyhow::{Context, Result, anyhow, bail};
use clap::Args;
use cofrap_accounts::Clock;
use cofrap_crypto::{Keyring, PasswordHash, SharedSecret};
use cofrap_edge::{DatabaseUrl, SystemClock, SystemRng};
use cofrap_host::{Authorities, LocalPostgres, PostgresHome, VariableSource, database_variables};
use cofrap_migrations::{
    Expire, FORMER_ROLE, Finding, Remark, TakenOver, WRONG_KEYS, What, functions_login, plan_take_over, take_over,
};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Config};

/// The database's name where the specification leaves it to a default.
const DATABASE: &str = "mspr2_cofrap";

/// How long a named database may take to answer.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

#[derive(Args)]
pub(crate) struct DatabaseArgs {
    /// A running PostgreSQL, 14 or newer: postgres://user:password@host:port/database [default: a private one]
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    database_url: Option<String>,
    #[command(flatten)]
    seed: SeedNames,
}

/// The names of the OpenFaaS functions' environment, for who has a database of theirs: `POSTGRES_HOST` and the others lead to it
/// where no URL does.
#[derive(Args)]
struct SeedNames {
    #[arg(long, env = "POSTGRES_HOST", hide = true)]
    postgres_host: Option<String>,
    /// Text: Kubernetes sets `tcp://...` under this name for a service called postgres.
    #[arg(long, env = "POSTGRES_PORT", hide = true, default_value = "5432")]
    postgres_port: String,
    #[arg(long, env = "POSTGRES_DB", hide = true, default_value = DATABASE)]
    postgres_db: String,
    #[arg(long, env = "POSTGRES_USER", hide = true)]
    postgres_user: Option<String>,
    #[arg(long, env = "POSTGRES_PASSWORD", hide = true, hide_env_values = true, default_value = "")]
    postgres_password: String,
    /// What the names above leave open, by PostgreSQL's own: `sslmode` and `sslrootcert` of the URL.
    #[arg(long, env = "PGSSLMODE", hide = true)]
    pgsslmode: Option<String>,
    #[arg(long, env = "PGSSLROOTCERT", hide = true)]
    pgsslrootcert: Option<String>,
    #[arg(long, env = "ENCRYPTION_KEY", hide = true, hide_env_values = true)]
    encryption_key: Option<String>,
}

impl DatabaseArgs {
    pub(crate) const fn is_named(&self) -> bool {
        self.database_url.is_some() || self.seed.postgres_host.is_some()
    }

    /// Variables that have another name in the OpenFaaS functions' environment.
    pub(crate) fn variables(&self) -> VariableSource {
        self.seed.encryption_key.iter().map(|key| ("encryption_key".to_owned(), key.clone())).collect()
    }

    /// Where the named database is, if one is named.
    fn address(&self) -> Result<Option<Address>> {
        if let Some(url) = &self.database_url {
            return Address::parse(url).map(Some);
        }
        let SeedNames { postgres_host, postgres_port, postgres_db, postgres_user, postgres_password, .. } = &self.seed;
        let Some(host) = postgres_host else { return Ok(None) };
        let user = postgres_user.as_ref().context("POSTGRES_HOST names a database: name its user in POSTGRES_USER")?;
        let port = postgres_port.parse().map_err(|_| anyhow!("POSTGRES_PORT must be a number from 1 to 65535"))?;
        let mut config = Config::new();
        config.host(host).port(port).dbname(postgres_db).user(user).password(postgres_password);
        let mut url = database_variables(&config)?["database_url"].clone();
        let given = [("sslmode", &self.seed.pgsslmode), ("sslrootcert", &self.seed.pgsslrootcert)];
        for (name, value) in given.into_iter().filter_map(|(name, value)| Some((name, value.as_ref()?))) {
            let sign = if url.contains('?') { '&' } else { '?' };
            let _ = write!(url, "{sign}{name}={}", utf8_percent_encode(value, NON_ALPHANUMERIC));
        }
        Address::parse(&url).map(Some).context(
            "POSTGRES_HOST and the names with it make no address (what a URL says as sslmode and sslrootcert, PGSSLMODE and \
             PGSSLROOTCERT say here)",
        )
    }
}

/// A database that answers.
pub(crate) struct Database {
    config: Config,
    authorities: Authorities,
    variables: VariableSource,
    /// The URL that names it, if one does.
    given: Option<DatabaseUrl>,
    private: Option<LocalPostgres>,
}

impl Database {
    /// Connects to the one that is named, or starts the checkout's own.
    pub(crate) async fn open(arguments: &DatabaseArgs) -> Result<Self> {
        if let Some(Address { config, authorities, platform }) = arguments.address()? {
            let variables = database_variables(&config)?;
            let database = Self { config, authorities, variables, given: Some(platform), private: None };
            say("connecting to the named database");
            database.connect().await?;
            return Ok(database);
        }
        let server = LocalPostgres::start(PostgresHome::Checkout(checkout().to_owned()), say).await?;
        let config = server.config(DATABASE);
        let created = server.ensure_database(DATABASE).await.context("cannot make the private database");
        let (variables, authorities) = (database_variables(&config)?, Authorities::default());
        let database = Self { config, authorities, variables, given: None, private: Some(server) };
        match created {
            Ok(()) => Ok(database),
            Err(error) => {
                database.close().await?;
                Err(error)
            }
        }
    }

    /// Applies what is missing, says what was, takes over what the functions before left, and gives the functions a user of
    /// their own. Its password is the one that `known` has for it, if it does.
    pub(crate) async fn migrate(
        &mut self,
        known: Option<&DatabaseUrl>,
        keyring: &Keyring,
        expire: Expire,
    ) -> Result<()> {
        say("migrating the database");
        let mut client = self.connect().await?;
        let planned = plan_take_over(&client, keyring, SystemClock.now(), expire).await?;
        if planned.has(Remark::WrongKeys) {
            bail!("{WRONG_KEYS}");
        }
        let report = cofrap_migrations::migrate(&mut client, say).await.context("the database was not migrated")?;
        match report.applied.as_slice() {
            [] => say("the database's schema is current"),
            applied => say(&format!("migrated the database: {}", applied.join(", "))),
        }
        match planned.findings.iter().filter(|finding| finding.what == What::PasswordInClear).count() {
            0 => {}
            count => say(&format!("protecting {count} passwords that are in clear (up to a third of a second each)")),
        }
        let taken_over = take_over(&mut client, keyring, &mut SystemRng::default(), SystemClock.now(), expire).await;
        say_taken_over(&taken_over.context("nothing was taken over")?);
        match self.functions_login(&client, report.has_role_of_the_functions, known).await {
            Ok((user, password)) => {
                if let Err(error) = cofrap_migrations::set_session_defaults(&client, &user).await {
                    say(&format!(
                        "warning: {error:#}: behind a pooler that drops startup options, nothing limits the sessions of {user}"
                    ));
                }
                let mut config = self.config.clone();
                let mut variables = database_variables(config.user(user).password(password))?;
                if let Some(url) = variables.get_mut("database_url") {
                    *url = self.with_parameters(url, known)?;
                }
                self.variables = variables;
            }
            Err(error) => say(&format!(
                "warning: the functions run as the URL's user, with all its rights, for want of one of their own ({error:#}); \
                 let `migrate` run once as who may make roles"
            )),
        }
        Ok(())
    }

    /// Has the database know the operator by their token.
    pub(crate) async fn know_operator(&self, token: Option<&SharedSecret>) -> Result<()> {
        cofrap_migrations::know_operator(&self.connect().await?, token).await
    }

    /// Says what [`Self::migrate`] would do. Nothing is written.
    pub(crate) async fn plan(&self, keyring: &Keyring, expire: Expire) -> Result<()> {
        let client = self.connect().await?;
        say("dry run: this is what would be done");
        match cofrap_migrations::pending(&client).await?.as_slice() {
            [] => say("the database's schema is current"),
            pending => say(&format!("would migrate the database: {}", pending.join(", "))),
        }
        let planned = plan_take_over(&client, keyring, SystemClock.now(), expire).await?;
        say_taken_over(&planned);
        say("nothing was changed");
        if planned.has(Remark::WrongKeys) {
            bail!("{WRONG_KEYS}");
        }
        Ok(())
    }

    /// Says what versions before left, and takes it away unless this is a dry run.
    pub(crate) async fn retire(&self, dry_run: bool) -> Result<()> {
        let client = self.connect().await?;
        let taken = cofrap_migrations::retirable(&client).await?;
        for line in &taken {
            say(line);
        }
        match (taken.is_empty(), dry_run) {
            (true, _) => say("versions before left nothing"),
            (false, true) => say("nothing was changed"),
            (false, false) => {
                cofrap_migrations::retire(&client).await?;
                say("retired");
            }
        }
        Ok(())
    }

    /// The user that the functions log in as. What is known is kept if it works; of a named database, the password of a user
    /// that is there already is never changed, because running functions may have it.
    async fn functions_login(
        &self,
        client: &Client,
        has_role: bool,
        known: Option<&DatabaseUrl>,
    ) -> Result<(String, String)> {
        if !has_role {
            bail!("the URL's user may make no roles");
        }
        if let Some((user, password)) = known.map(|url| (url.user(), url.password()))
            && self.is_functions_login(client, user, password).await?
        {
            return Ok((user.to_owned(), password.to_owned()));
        }
        let login = functions_login(client).await?;
        let logs_in = client.query_one("SELECT rolcanlogin FROM pg_roles WHERE rolname = $1", &[&login]).await?;
        if logs_in.get(0) && self.private.is_none() {
            bail!(
                "{login} is there already, and its password is neither in the environment nor in .env: put it into \
                 SPIN_VARIABLE_DATABASE_URL there, or give it another with ALTER ROLE"
            );
        }
        let password = random_password();
        Ok((cofrap_migrations::let_functions_log_in(client, &password).await?, password))
    }

    /// The functions' address with the parameters that were given now, and those of before that nobody gave now.
    fn with_parameters(&self, address: &str, known: Option<&DatabaseUrl>) -> Result<String> {
        let mut url = DatabaseUrl::parse(address)?;
        let before = known.filter(|known| known.is_same_database_as(&url));
        for source in self.given.as_ref().into_iter().chain(before) {
            url.add_parameters_of(source);
        }
        let place = address.split_once('?').map_or(address, |(place, _)| place);
        Ok(format!("{place}{}", url.query()))
    }

    /// Whether somebody logs in like this who may call the functions, and is not the owner. Whom the functions of versions before logged
    /// in as is let call today's.
    async fn is_functions_login(&self, client: &Client, user: &str, password: &str) -> Result<bool> {
        let mut config = self.config.clone();
        config.user(user).password(password);
        if self.config.get_user() == Some(user) || self.authorities.connect(&config).await.is_err() {
            return Ok(false);
        }
        let login = functions_login(client).await?;
        let question = "SELECT pg_has_role($1, $2, 'MEMBER'), EXISTS (
                            SELECT FROM pg_roles WHERE rolname = $3 AND pg_has_role($1, oid, 'MEMBER'))";
        let row = client.query_one(question, &[&user, &login, &FORMER_ROLE]).await?;
        let (is_member, was_member): (bool, bool) = (row.get(0), row.get(1));
        if was_member && !is_member {
            cofrap_migrations::admit(client, user).await?;
        }
        Ok(is_member || was_member)
    }

    /// Refuses keys that do not fit what is stored: with them nobody could log in.
    pub(crate) async fn check_keys(&self, keyring: &Keyring) -> Result<()> {
        let keys = cofrap_migrations::stored_keys(&self.connect().await?).await?;
        keys.check(keyring).map(|_| ()).map_err(|error| {
            let remedy = self
                .folder()
                .map_or_else(String::new, |folder| format!(", or remove {} to start from nothing", folder.display()));
            anyhow!("{error}: put it back into the list in SPIN_VARIABLE_ENCRYPTION_KEY (whatever ran here before has it){remedy}")
        })
    }

    /// The variables that lead the functions to it.
    pub(crate) const fn variables(&self) -> &VariableSource {
        &self.variables
    }

    /// Whose signature its certificate needs.
    pub(crate) const fn authorities(&self) -> &Authorities {
        &self.authorities
    }

    /// Where its data lies, if that is for us to say.
    pub(crate) fn folder(&self) -> Option<&Path> {
        self.private.as_ref().map(LocalPostgres::folder)
    }

    /// Stops it, if it is private.
    pub(crate) async fn close(self) -> Result<()> {
        match self.private {
            Some(server) => {
                say("stopping PostgreSQL");
                server.stop().await
            }
            None => Ok(()),
        }
    }

    async fn connect(&self) -> Result<Client> {
        let connecting = tokio::time::timeout(CONNECT_TIMEOUT, self.authorities.connect(&self.config));
        match connecting.await {
            Ok(Ok(client)) => Ok(client),
            Ok(Err(error)) => match error.downcast_ref::<tokio_postgres::Error>() {
                Some(error) => bail!("cannot use the database: {}: {}", cause(error), remedy(error)),
                None => Err(error.context("cannot use the database")),
            },
            Err(_) => bail!(
                "the database does not answer within {} seconds: is there a PostgreSQL at that address?",
                CONNECT_TIMEOUT.as_secs()
            ),
        }
    }
}

/// What was found row by row, by number only, and what it comes to.
fn say_taken_over(report: &TakenOver) {
    for Finding { table, id, what } in &report.findings {
        say(&format!("{table}:{id}: {what}"));
    }
    let count =
        |what| report.findings.iter().filter(|finding| finding.table == "users" && finding.what == what).count();
    let taken = count(What::TakenOver);
    let left = count(What::LongName) + count(What::NoName) + count(What::Duplicate);
    if taken + left > 0 || report.before > 0 {
        say(&format!(
            "first generation: {taken} accounts to take over, {} taken over before, {left} left; its table stays as it is",
            report.before
        ));
    }
    if report.has(Remark::UnreadableSource) && taken > 0 {
        say(
            "warning: no key of encryption_key opens any sealed secret of users: is it the key of the functions before?",
        );
    }
    match report.rows_in_need() {
        0 => {}
        rows => say(&format!("rows that need somebody before anybody logs in with them: {rows}")),
    }
    if report.has(Remark::Hashes) {
        say(&format!(
            "bcrypt reads {} bytes of a password: whoever had a longer one logs in with it as before, and then must renew",
            PasswordHash::MAX_BYTES
        ));
    }
    if report.expired > 0 {
        say(&format!("{} accounts of the first generation must renew at their next complete login", report.expired));
    }
    if report.has(Remark::ForeignUsers) {
        say("the table users is another program's: it has not the columns of the first generation");
    }
}

/// 32 random bytes: nobody types it.
fn random_password() -> String {
    crate::dotenv::random_key().replace(['+', '/', '='], "")
}

/// The driver's own words hide the cause.
fn cause(error: &tokio_postgres::Error) -> String {
    match error.as_db_error() {
        Some(cause) => cause.message().to_owned(),
        None => std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string),
    }
}

fn remedy(error: &tokio_postgres::Error) -> &'static str {
    match error.code() {
        Some(code) if *code == SqlState::INVALID_CATALOG_NAME => "make it with `createdb`",
        Some(code) if *code == SqlState::INVALID_PASSWORD => "is the password right?",
        _ => "is it running, and is the URL right?",
    }
}
