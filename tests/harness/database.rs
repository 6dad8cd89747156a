//! One PostgreSQL server for a test run, one database for each test, cloned from one that was migrated once.

use crate::wire::Wire;
use cofrap_database::{Authorities, VariableSource, database_variables};
use cofrap_host::{LocalPostgres, PostgresHome};
use cofrap_migrations::Report;
use std::sync::atomic::{AtomicU32, Ordering};
use tokio::sync::OnceCell;
use tokio_postgres::config::SslMode;
use tokio_postgres::{Client, Config};

/// The migrated database that others are cloned from.
const TEMPLATE: &str = "cofrap_template";

/// The user that the functions log in as, and its password; it belongs to the database that others are cloned from.
const FUNCTIONS: (&str, &str) = ("cofrap_template_functions", "functions' password");

static SERVER: OnceCell<TestServer> = OnceCell::const_new();
static DATABASES: AtomicU32 = AtomicU32::new(0);

/// The run's server. It stops, and its files go, when the test process ends.
pub struct TestServer(LocalPostgres);

impl TestServer {
    /// The server, started by the first who asks.
    pub async fn get() -> &'static Self {
        SERVER.get_or_init(Self::start).await
    }

    async fn start() -> Self {
        // Tests each have a runtime of their own, which ends with them; the server's process outlives the first.
        let (sender, receiver) = tokio::sync::oneshot::channel();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            let server = runtime.block_on(async {
                let server = LocalPostgres::start(PostgresHome::Temporary, |_| {}).await.expect("PostgreSQL starts");
                server.ensure_database(TEMPLATE).await.expect("a database");
                let mut template = connect(&server.config(TEMPLATE)).await;
                cofrap_migrations::migrate(&mut template, |_| {}).await.expect("the migrations apply");
                let user = cofrap_migrations::let_functions_log_in(&template, FUNCTIONS.1).await.expect("a user");
                assert_eq!(user, FUNCTIONS.0);
                drop(template);
                server
            });
            let _ = sender.send(Self(server));
            runtime.block_on(std::future::pending::<()>());
        });
        receiver.await.expect("the server's thread lives")
    }

    /// A fresh database with the current schema.
    pub async fn migrated_database(&self) -> Database {
        self.create(&format!("TEMPLATE {TEMPLATE}")).await
    }

    /// A fresh database without a table.
    pub async fn empty_database(&self) -> Database {
        self.create("TEMPLATE template0").await
    }

    async fn create(&self, from: &str) -> Database {
        let name = format!("test_{}", DATABASES.fetch_add(1, Ordering::Relaxed));
        let admin = connect(&self.0.config("postgres")).await;
        admin.batch_execute(&format!("CREATE DATABASE {name} {from}")).await.expect("a database");
        // Rights on a database are not cloned with it.
        let close = format!(
            "REVOKE CONNECT, TEMPORARY ON DATABASE {name} FROM PUBLIC; GRANT CONNECT ON DATABASE {name} TO {}, {TEMPLATE}_owner",
            FUNCTIONS.0
        );
        admin.batch_execute(&close).await.expect("revoked");
        let config = self.0.config(&name);
        let client = connect(&config).await;
        // A copy is another database, of the same age.
        let settle = "DO $$ BEGIN UPDATE installation SET place = concat_ws('/',
                          (SELECT d.oid FROM pg_database d WHERE d.datname = current_database()), 'installation'::regclass::oid,
                          current_setting('cluster_name')); EXCEPTION WHEN undefined_table THEN NULL; END $$";
        client.batch_execute(settle).await.expect("settled");
        Database { client, admin, name, config }
    }
}

/// One test's database, with a superuser's connection to look into it.
pub struct Database {
    /// Runs any SQL.
    pub client: Client,
    admin: Client,
    name: String,
    config: Config,
}

impl Database {
    /// The one of functions that run elsewhere, as a user who may look into it and end their sessions.
    pub(crate) async fn at(url: &str) -> Self {
        let config: Config = url.parse().expect("the database's URL is one");
        let name = config.get_dbname().expect("the URL names a database").to_owned();
        Self { client: connect(&config).await, admin: connect(&config).await, name, config }
    }

    /// Brings it to the current schema, and lets the functions of the tests in.
    pub async fn migrate(&self) -> Report {
        let report = cofrap_migrations::migrate(&mut self.connect().await, |_| {}).await.expect("the migrations apply");
        cofrap_migrations::admit(&self.client, FUNCTIONS.0).await.expect("they are let in");
        report
    }

    /// Ends every session of the functions.
    pub async fn end_sessions(&self) {
        self.admin
            .execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1 AND application_name = 'cofrap'",
                &[&self.name],
            )
            .await
            .expect("answers");
    }

    /// How the database carries out every call, once it is filled.
    pub async fn explain(&self) -> Vec<cofrap_migrations::Explained> {
        cofrap_migrations::explain(&self.config).await.expect("every call is carried out")
    }

    /// Another connection.
    pub async fn connect(&self) -> Client {
        connect(&self.config).await
    }

    /// Where its server listens.
    pub fn port(&self) -> u16 {
        self.config.get_ports()[0]
    }

    /// Another connection, over a wire.
    pub async fn connect_through(&self, wire: &Wire) -> Client {
        let mut text = Config::new();
        text.host("127.0.0.1").port(wire.port()).dbname(&self.name).ssl_mode(SslMode::Disable);
        text.user(self.config.get_user().expect("a user")).password(self.config.get_password().expect("a password"));
        connect(&text).await
    }

    /// A connection to another database of the same server.
    pub async fn connect_to(&self, name: &str) -> Client {
        connect(self.config.clone().dbname(name)).await
    }

    /// Refuses new connections and ends those that are there, this one's excepted: for the functions, it is gone.
    pub async fn go_away(&self) {
        let name = &self.name;
        self.admin.batch_execute(&format!("ALTER DATABASE {name} ALLOW_CONNECTIONS false")).await.expect("answers");
        self.admin
            .execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", &[name])
            .await
            .expect("answers");
    }

    /// Undoes [`Self::go_away`], but for the connections.
    pub async fn come_back(&self) {
        let name = &self.name;
        self.admin.batch_execute(&format!("ALTER DATABASE {name} ALLOW_CONNECTIONS true")).await.expect("answers");
    }

    /// One number.
    pub async fn count(&self, query: &str) -> i64 {
        self.client.query_one(query, &[]).await.expect("one row").get(0)
    }

    /// One text.
    pub async fn text(&self, query: &str) -> String {
        self.client.query_one(query, &[]).await.expect("one row").get(0)
    }

    /// Every row of every table, as text.
    pub async fn dump(&self) -> String {
        let tables = "SELECT tablename::text FROM pg_tables WHERE schemaname = 'public'";
        let mut dump = String::new();
        for table in self.client.query(tables, &[]).await.expect("tables") {
            let table: String = table.get(0);
            let rows = self.client.query(&format!("SELECT to_jsonb(t)::text FROM \"{table}\" t"), &[]).await;
            for row in rows.expect("rows") {
                dump.push_str(row.get(0));
                dump.push('\n');
            }
        }
        dump
    }

    /// The variables that lead the functions here, as the user with their rights and no more.
    pub fn variables(&self) -> VariableSource {
        database_variables(&self.functions_config()).expect("it has one host")
    }

    /// The same, by way of another port of this machine.
    pub fn variables_at(&self, port: u16) -> VariableSource {
        let config = self.functions_config();
        let mut elsewhere = Config::new();
        elsewhere.host("127.0.0.1").port(port).dbname(&self.name).ssl_mode(SslMode::Disable);
        elsewhere.user(config.get_user().expect("a user")).password(config.get_password().expect("a password"));
        database_variables(&elsewhere).expect("it has one host")
    }

    /// The same, with another password.
    pub fn variables_with_password(&self, password: &str) -> VariableSource {
        self.variables_of(FUNCTIONS.0, password)
    }

    /// The same, as another user.
    pub fn variables_of(&self, user: &str, password: &str) -> VariableSource {
        database_variables(self.functions_config().user(user).password(password)).expect("it has one host")
    }

    /// The superuser's address, for components that are no functions of ours.
    pub fn url_of_the_owner(&self) -> String {
        database_variables(&self.config).expect("it has one host").remove("database_url").expect("a URL")
    }

    /// A connection as another user.
    pub async fn connect_as(&self, user: &str, password: &str) -> Client {
        connect(self.config.clone().user(user).password(password)).await
    }

    /// A connection with the functions' rights.
    pub async fn connect_as_the_functions(&self) -> Client {
        connect(&self.functions_config()).await
    }

    fn functions_config(&self) -> Config {
        let mut config = self.config.clone();
        config.user(FUNCTIONS.0).password(FUNCTIONS.1);
        config
    }
}

async fn connect(config: &Config) -> Client {
    Authorities::default().connect(config).await.expect("PostgreSQL answers")
}
