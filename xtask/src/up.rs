//! `up` and `migrate`: from a fresh clone to functions that answer.

use crate::cargo::run_until;
use crate::checkout::checkout;
use crate::components;
use crate::database::OpenDatabase;
use crate::dotenv::Dotenv;
use crate::former_variables::refuse_former_names;
use crate::monitoring::{self, Monitoring};
use crate::readable_log::readable;
use anyhow::{Result, anyhow, bail};
use cofrap_accounts::{Policy, Registration};
use cofrap_crypto::{Keyring, SharedSecret};
use cofrap_database::say;
use cofrap_database::{DatabaseArgs, VariableSource, from_environment, operator_token, random_key};
use cofrap_edge::{ConfigError, DatabaseUrl, OperatorSettings, ReadKeys, Variables, check_variables};
use cofrap_host::{Ambient, App, Engine, Manifest, Options, read_dotenv, serve};
use cofrap_take_over::Expire;
use std::io::{ErrorKind, Write};
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use zeroize::Zeroizing;

/// Serves until Ctrl-C or SIGTERM. What may fail for want of something comes before what takes minutes.
pub(crate) async fn up(listen: &str, with_monitoring: bool, database: &DatabaseArgs) -> Result<()> {
    if with_monitoring {
        monitoring::check_installed()?;
    }
    let mut shutdown = pin!(shutdown_signal()?);
    let listener = TcpListener::bind(listen).await.map_err(|error| match error.kind() {
        ErrorKind::AddrInUse => {
            anyhow!("{listen} is taken by another program: stop it, or choose another place with --listen 127.0.0.1:0")
        }
        _ => anyhow!("cannot listen on {listen}: {error} (write host:port, like 127.0.0.1:8080)"),
    })?;
    let mut project = Project::read(database)?;
    let token = with_monitoring.then(|| project.metrics_token());
    let mut database = OpenDatabase::open(database).await?;
    let served = prepare_and_serve(listener, &mut database, &project, token, shutdown.as_mut()).await;
    database.close().await?;
    served
}

/// Brings the schema up to date and takes over what the functions before left; of a named database, `.env` keeps the address
/// for `spin up`.
pub(crate) async fn migrate(arguments: &DatabaseArgs, expire: Expire) -> Result<()> {
    let dotenv = Dotenv::of(checkout());
    let project = Project::read(arguments)?;
    let mut database = OpenDatabase::open(arguments).await?;
    let migrated = project.migrate(&mut database, expire).await;
    let variables = database.variables().clone();
    database.close().await?;
    migrated?;
    if arguments.is_named() {
        dotenv.set(&variables)?;
        let user = known_login(&variables).map(|url| url.user().to_owned()).unwrap_or_default();
        say(&format!(
            "the database's address, with the user {user} for the functions, is in .env, where `spin up` reads it"
        ));
        let dotenv = read_dotenv(&checkout().join(".env"))?;
        let alone: Vec<_> = ["encryption_key", "jwt_secret", "settings"]
            .into_iter()
            .filter(|name| !dotenv.contains_key(*name))
            .collect();
        if !alone.is_empty() {
            let names = alone.join(", ");
            say(&format!(
                "note: {names} in the environment alone: put it into .env, or set it for `up` and `spin up` too"
            ));
        }
    }
    Ok(())
}

/// Says what [`migrate`] would do, and does nothing.
pub(crate) async fn plan(arguments: &DatabaseArgs, expire: Expire) -> Result<()> {
    if !arguments.is_named() {
        bail!("there is nothing to look at: name the database with DATABASE_URL or --database-url");
    }
    let keyring = configured_keyring(arguments)?;
    let database = OpenDatabase::open(arguments).await?;
    let planned = match database.check_keys(&keyring).await {
        Ok(()) => database.plan(&keyring, expire).await,
        Err(error) => Err(error),
    };
    database.close().await?;
    planned
}

/// Says what only components of versions before use, and takes it away unless this is a dry run.
pub(crate) async fn retire(arguments: &DatabaseArgs, dry_run: bool) -> Result<()> {
    if !arguments.is_named() {
        bail!("there is nothing to retire: name the database with DATABASE_URL or --database-url");
    }
    let database = OpenDatabase::open(arguments).await?;
    let retired = database.retire(dry_run).await;
    database.close().await?;
    retired
}

/// Does what the database needs from time to time, as the URL's user: functions may be running there.
pub(crate) async fn maintain(arguments: &DatabaseArgs) -> Result<()> {
    let project = Project::read(arguments)?;
    let database = OpenDatabase::open(arguments).await?;
    let maintained = project.maintain(&database).await;
    database.close().await?;
    maintained
}

/// The keys of the environment or `.env`, which a dry run does not write; where there are none, nothing is sealed under any.
fn configured_keyring(arguments: &DatabaseArgs) -> Result<Keyring> {
    let sources = [from_environment(), arguments.variables(), read_dotenv(&checkout().join(".env"))?];
    let configured = sources.iter().find_map(|source| source.get("encryption_key"));
    if configured.is_none() {
        say("no SPIN_VARIABLE_ENCRYPTION_KEY is configured: whatever is sealed counts as unreadable");
    }
    let list = Zeroizing::new(configured.cloned().unwrap_or_else(random_key));
    list.parse().map_err(|error| anyhow!("variable encryption_key: {error}"))
}

/// The manifest, and where its variables come from.
pub(crate) struct Project {
    sources: Vec<VariableSource>,
}

impl Project {
    /// Reads the environment and `.env`. What no function could use is refused now.
    pub(crate) fn read(arguments: &DatabaseArgs) -> Result<Self> {
        let mut environment = arguments.variables();
        environment.extend(from_environment());
        refuse_former_names(&environment)?;
        let dotenv = Dotenv::of(checkout()).with_keys(&environment)?;
        let manifest = Self::manifest()?;
        for name in environment.keys().chain(dotenv.keys()).filter(|name| !manifest.declares(name)) {
            say(&format!(
                "warning: SPIN_VARIABLE_{} is no variable of spin.toml: is it spelled right?",
                name.to_uppercase()
            ));
        }
        let project = Self { sources: vec![environment, dotenv] };
        // Where the database is, is found out later.
        let somewhere = [("database_url", "postgres://nobody@localhost:1/none"), ("database_host", "localhost:1")];
        let somewhere = somewhere.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let values = Values(project.resolve(&somewhere.into())?);
        let settings = check_variables(&values).map_err(|error| {
            let name = error.variable();
            let place = if project.sources[0].contains_key(name) { "the environment" } else { ".env" };
            anyhow!("{error} (SPIN_VARIABLE_{} in {place})", name.to_uppercase())
        })?;
        say(&format!("settings in force: {settings}"));
        let is_closed = settings.rules.registration == Registration::Operator;
        if is_closed && values.0.get("admin_token").is_some_and(String::is_empty) {
            say("warning: registration=operator without SPIN_VARIABLE_ADMIN_TOKEN: nobody can create an account");
        }
        if settings.rules.policy == Policy::Legacy {
            say("warning: policy=legacy: generation needs no proof, and there are no sessions");
        }
        if !arguments.is_named() {
            project.say_whose_address_is_left_alone();
        }
        Ok(project)
    }

    /// `database_url` is for Spin: who expects `up` and `migrate` to use it is told how they would.
    fn say_whose_address_is_left_alone(&self) {
        match self.sources.iter().find_map(|source| source.get("database_url")).map(|url| DatabaseUrl::parse(url)) {
            Some(Ok(url)) => say(&format!(
                "note: this uses the private database; SPIN_VARIABLE_DATABASE_URL ({}) is for `spin up`: to use it here, set DATABASE_URL",
                url.host_and_port()
            )),
            Some(Err(error)) => say(&format!("warning: SPIN_VARIABLE_DATABASE_URL, which `spin up` reads: {error}")),
            None => {}
        }
    }

    fn manifest() -> Result<Manifest> {
        Manifest::read(&checkout().join("spin.toml"))
    }

    fn resolve(&self, database: &VariableSource) -> Result<VariableSource> {
        Self::manifest()?.resolve(&self.with(database))
    }

    /// The database that was just migrated is the one to use, whatever else is set.
    fn with(&self, database: &VariableSource) -> Vec<VariableSource> {
        [database.clone()].into_iter().chain(self.sources.iter().cloned()).collect()
    }

    /// Migrates the database, unless the keys do not fit what is stored there. One that was restored and not treated is refused.
    pub(crate) async fn migrate(&self, database: &mut OpenDatabase, expire: Expire) -> Result<()> {
        self.prepare(database, expire).await?;
        database.check_is_here().await
    }

    /// Migrates it, whether it was treated or not.
    pub(crate) async fn prepare(&self, database: &mut OpenDatabase, expire: Expire) -> Result<()> {
        self.check_keys(database).await?;
        let known = self.sources.iter().find_map(known_login);
        let keyring = self.keyring(database)?;
        database.migrate(known.as_ref(), &keyring, expire).await?;
        if let Some(token) = self.operator_token()? {
            database.know_operator(Some(&token)).await?;
        }
        self.check_keys(database).await
    }

    /// The operator's token, if there is one.
    fn operator_token(&self) -> Result<Option<SharedSecret>> {
        operator_token(self.value("admin_token"))
    }

    /// What a variable was given, if it was.
    pub(crate) fn value(&self, name: &str) -> Option<&str> {
        self.sources.iter().find_map(|source| source.get(name)).map(String::as_str)
    }

    /// Gives a variable another value, for this run.
    pub(crate) fn give(&mut self, name: &str, value: &str) {
        self.sources.insert(0, VariableSource::from([(name.to_owned(), value.to_owned())]));
    }

    /// The monitoring system's token; one of this run where none is set.
    fn metrics_token(&mut self) -> String {
        let configured = self.value("metrics_token").filter(|token| !token.is_empty()).map(str::to_owned);
        let token = configured.unwrap_or_else(random_key);
        self.give("metrics_token", &token);
        token
    }

    /// Refuses keys that do not fit what the database holds.
    pub(crate) async fn check_keys(&self, database: &OpenDatabase) -> Result<()> {
        database.check_keys(&self.keyring(database)?).await.map_err(|error| match database.folder() {
            Some(folder) => anyhow!("{error}, or remove {} to start from nothing", folder.display()),
            None => error,
        })
    }

    fn keyring(&self, database: &OpenDatabase) -> Result<Keyring> {
        let values = Values(self.resolve(database.variables())?);
        Ok(Keyring::read(&values, &OperatorSettings::read(&values)?)?)
    }

    async fn maintain(&self, database: &OpenDatabase) -> Result<()> {
        self.check_keys(database).await?;
        database.check_is_here().await?;
        let settings = OperatorSettings::read(&Values(self.resolve(database.variables())?))?;
        database.maintain(self.keyring(database)?, &settings).await
    }

    /// Builds the components and loads them; nothing if `shutdown` comes first.
    pub(crate) async fn load(
        &self,
        database: &OpenDatabase,
        shutdown: impl Future<Output = ()>,
    ) -> Result<Option<Arc<App>>> {
        if !run_until(components::build_command()?, shutdown).await? {
            return Ok(None);
        }
        say("loading the components");
        let engine = Engine::new(&checkout().join("target/wasmtime-cache"))?;
        let options = Options {
            manifest: Self::manifest()?,
            variables: self.with(database.variables()),
            authorities: database.authorities().clone(),
            ambient: Ambient::default(),
            // Whoever read the lines may have left; the functions go on.
            output: Arc::new(|line| drop(writeln!(std::io::stdout(), "{}", readable(line)))),
        };
        Ok(Some(Arc::new(App::load(&engine, options)?)))
    }
}

/// The login of the functions that a source of variables has.
fn known_login(source: &VariableSource) -> Option<DatabaseUrl> {
    source.get("database_url").and_then(|url| DatabaseUrl::parse(url).ok())
}

/// Resolved variables, as the functions read them.
struct Values(VariableSource);

impl Variables for Values {
    fn get(&self, name: &'static str) -> Result<Zeroizing<String>, ConfigError> {
        let missing = || ConfigError::Variable { name, problem: "it is not in spin.toml".to_owned() };
        self.0.get(name).cloned().map(Zeroizing::new).ok_or_else(missing)
    }
}

async fn prepare_and_serve(
    listener: TcpListener,
    database: &mut OpenDatabase,
    project: &Project,
    metrics_token: Option<String>,
    mut shutdown: Pin<&mut impl Future<Output = ()>>,
) -> Result<()> {
    project.migrate(database, Expire::Nobody).await?;
    // The functions are given what was read here: without a token there is no operator.
    if project.operator_token()?.is_none() {
        database.know_operator(None).await?;
    }
    let Some(app) = project.load(database, shutdown.as_mut()).await? else { return Ok(()) };
    let address = listener.local_addr()?;
    let monitoring = match metrics_token {
        Some(token) => {
            project.maintain(database).await?;
            Some(Monitoring::start(address, &token)?)
        }
        None => None,
    };
    greet(address, database, monitoring.as_ref())?;
    if !serve(app, listener, shutdown).await {
        say("some requests did not finish in time and were cut off");
    }
    Ok(())
}

fn greet(address: SocketAddr, database: &OpenDatabase, monitoring: Option<&Monitoring>) -> Result<()> {
    let mut out = std::io::stdout();
    writeln!(out, "==> serving on http://{address} (Ctrl-C stops it)")?;
    if let Some(folder) = database.folder() {
        writeln!(out, "    data: {} (stop this, then remove the folder to start from nothing)", folder.display())?;
    }
    writeln!(out, "    open: http://{address}/ in a browser")?;
    if let Some(monitoring) = monitoring {
        writeln!(out, "    watch: {}", monitoring.places())?;
    }
    writeln!(out, "    try:  curl -X POST http://{address}/function/generate-password-v2 \\")?;
    writeln!(out, "            -H 'Content-Type: application/json' -d '{{\"username\": \"michel.ranu\"}}'")?;
    Ok(())
}

pub(crate) fn shutdown_signal() -> Result<impl Future<Output = ()>> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        say("stopping: requests under way may finish");
    })
}
