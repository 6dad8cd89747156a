//! What is done with a database: migrating, looking, retiring.

use crate::address::Address;
use crate::findings::say_taken_over;
use crate::say::say;
use crate::tls::Authorities;
use crate::variables::{VariableSource, database_variables};
use anyhow::{Context, Result, anyhow, bail};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cofrap_accounts::Clock;
use cofrap_crypto::{Keyring, SharedSecret};
use cofrap_edge::{DatabaseUrl, SystemClock, SystemRng};
use cofrap_migrations::{FORMER_ROLE, functions_login};
use cofrap_take_over::{Expire, Remark, WRONG_KEYS, What, plan_take_over, take_over};
use std::time::Duration;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Config};
use zeroize::Zeroizing;

/// How long a named database may take to answer.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A database that answers.
pub struct Database {
    pub(crate) config: Config,
    pub(crate) authorities: Authorities,
    variables: VariableSource,
    /// The URL that names it; none for one that this machine made for itself.
    given: Option<DatabaseUrl>,
    /// What the functions are configured with already, if that is said.
    login: Option<DatabaseUrl>,
}

impl Database {
    /// One that is named, once it answers.
    ///
    /// # Errors
    /// When it cannot be reached, is not who it should be or refuses.
    pub async fn connect_to(Address { config, authorities, platform }: Address) -> Result<Self> {
        let variables = database_variables(&config)?;
        let database = Self { config, authorities, variables, given: Some(platform), login: None };
        say("connecting to the named database");
        database.connect().await?;
        Ok(database)
    }

    /// One that this machine made for itself.
    ///
    /// # Errors
    /// When no component could reach it.
    pub fn private(config: Config) -> Result<Self> {
        let variables = database_variables(&config)?;
        Ok(Self { config, authorities: Authorities::default(), variables, given: None, login: None })
    }

    /// The functions' user is to be the one of this URL with its password, which running functions have or will have: it is made if it is
    /// not there, and [`Self::migrate`] fails unless it can be used.
    #[must_use]
    pub fn with_login(self, login: DatabaseUrl) -> Self {
        Self { login: Some(login), ..self }
    }

    /// Applies what is missing, says what was, takes over what the functions before left, and gives the functions a user of
    /// their own. Its password is the one that `known` has for it, if it does.
    ///
    /// # Errors
    /// When the keys do not fit what is stored, or the database refuses.
    pub async fn migrate(&mut self, known: Option<&DatabaseUrl>, keyring: &Keyring, expire: Expire) -> Result<()> {
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
            Err(error) if self.login.is_some() => return Err(error.context("the functions' user cannot be used")),
            Err(error) => say(&format!(
                "warning: the functions run as the URL's user, with all its rights, for want of one of their own ({error:#}); \
                 let `migrate` run once as who may make roles"
            )),
        }
        Ok(())
    }

    /// Has the database know the operator by their token.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn know_operator(&self, token: Option<&SharedSecret>) -> Result<()> {
        cofrap_migrations::know_operator(&self.connect().await?, token).await
    }

    /// Says what [`Self::migrate`] would do. Nothing is written.
    ///
    /// # Errors
    /// When the keys do not fit what is stored, or the database refuses.
    pub async fn plan(&self, keyring: &Keyring, expire: Expire) -> Result<()> {
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
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn retire(&self, dry_run: bool) -> Result<()> {
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
        if logs_in.get(0) && self.given.is_some() {
            bail!(
                "{login} is there already, and its password is neither in the environment nor in .env: put it into \
                 SPIN_VARIABLE_DATABASE_URL there, or give it another with ALTER ROLE"
            );
        }
        let password = match &self.login {
            Some(url) if url.user() == login => url.password().to_owned(),
            Some(url) => bail!("the functions log in as {}, who may not call them: let them be {login}", url.user()),
            None => random_password(),
        };
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
    ///
    /// # Errors
    /// When they do not, or the database refuses.
    pub async fn check_keys(&self, keyring: &Keyring) -> Result<()> {
        let keys = cofrap_migrations::stored_keys(&self.connect().await?).await?;
        keys.check(keyring).map(|_| ()).map_err(|error| {
            anyhow!(
                "{error}: put it back into the list in SPIN_VARIABLE_ENCRYPTION_KEY (whatever ran here before has it)"
            )
        })
    }

    /// The variables that lead the functions to it.
    #[must_use]
    pub const fn variables(&self) -> &VariableSource {
        &self.variables
    }

    /// Whose signature its certificate needs.
    #[must_use]
    pub const fn authorities(&self) -> &Authorities {
        &self.authorities
    }

    pub(crate) async fn connect(&self) -> Result<Client> {
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

/// The operator's token of what the variable `admin_token` holds; an empty one is none.
///
/// # Errors
/// When it is too short to be one.
pub fn operator_token(variable: Option<&str>) -> Result<Option<SharedSecret>> {
    let Some(token) = variable.filter(|token| !token.is_empty()) else { return Ok(None) };
    let token = SharedSecret::new(Zeroizing::new(token.to_owned()));
    token.map(Some).map_err(|error| anyhow!("variable admin_token: {error}"))
}

/// 32 random bytes in base64.
///
/// # Panics
/// When the system has no randomness.
#[expect(clippy::disallowed_methods, reason = "the machine's randomness, for keys of an operator's")]
#[must_use]
pub fn random_key() -> String {
    let mut key = Zeroizing::new([0; 32]);
    getrandom::fill(&mut *key).expect("the system has randomness");
    STANDARD.encode(*key)
}

/// 32 random bytes: nobody types it.
fn random_password() -> String {
    random_key().replace(['+', '/', '='], "")
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
