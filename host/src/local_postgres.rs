//! A private PostgreSQL server, started from the server binaries that the machine has.
//!
//! It listens on 127.0.0.1 only, asks for a password (SCRAM), and stops with the process that started it, however that
//! ends: a small shell holds the server and watches its own standard input, which then closes.

use anyhow::{Context, Result, anyhow, bail};
use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::Write as _;
use std::net::TcpListener;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use tokio::process::Child;
use tokio_postgres::config::SslMode;
use tokio_postgres::{Config, NoTls};

/// The database's superuser.
const SUPERUSER: &str = "postgres";

/// How long the server may take to answer, recovery after a crash included.
const START_TIMEOUT: Duration = Duration::from_mins(1);

/// How long the server of a process that was killed may take to shut down.
const PREVIOUS_TIMEOUT: Duration = Duration::from_secs(15);

/// Runs the server until it stops, or until standard input closes: then it shuts the server down (SIGINT is a "fast"
/// shutdown). Removes the folder that `$0` names, if it names one, and passes the server's status on.
const KEEPER: &str = r#"
    exec 3<&0
    "$@" <&- 3<&- & server=$!
    { cat <&3 >/dev/null; kill -INT "$server"; } 2>/dev/null & watcher=$!
    wait "$server"; status=$?
    kill "$watcher" 2>/dev/null
    [ -z "$0" ] || rm -rf "$0"
    exit "$status"
"#;

/// Where a server's files lie, and how long they last.
#[derive(Clone, Debug)]
pub enum PostgresHome {
    /// Kept for a checkout of the project: in its ignored folder, or for root, which PostgreSQL refuses to run as, where
    /// an unprivileged user can reach it.
    Checkout(PathBuf),
    /// Under the system's temporary folder, removed at the end; faster, because it need not survive a crash.
    Temporary,
}

/// A running private server.
pub struct LocalPostgres {
    keeper: Child,
    folder: PathBuf,
    port: u16,
    password: String,
    /// Held while the server runs: two of them never share a folder.
    _lock: File,
}

impl LocalPostgres {
    /// Makes the database the first time, starts the server and waits until it answers.
    ///
    /// # Errors
    /// When there are no server binaries, or the server does not start; the message says what to do.
    pub async fn start(home: PostgresHome, say: impl Fn(&str)) -> Result<Self> {
        let binaries = find_binaries()?;
        let owner = Owner::find()?;
        let folder = home.folder(&owner)?;
        let lock = lock(&folder)?;
        let data = folder.join("data");
        wait_for_previous(&data).await;
        if !data.exists() {
            say(&format!("making a private PostgreSQL database in {}", folder.display()));
            initialise(&binaries, &owner, &home, &folder, &data)?;
        }
        say(&format!("starting PostgreSQL with its data in {}", data.display()));
        let password = fs::read_to_string(folder.join("password")).context("cannot read the database's password")?;
        let (port, keeper) = launch(&binaries, &owner, &home, &folder, &data)?;
        let mut server = Self { keeper, folder, port, password, _lock: lock };
        server.wait_until_ready().await?;
        Ok(server)
    }

    /// How a client reaches one of its databases, as the superuser.
    #[must_use]
    pub fn config(&self, database: &str) -> Config {
        let mut config = Config::new();
        config.host("127.0.0.1").port(self.port).user(SUPERUSER).password(&self.password).dbname(database);
        config.ssl_mode(SslMode::Disable);
        config
    }

    /// Makes a database unless it is there.
    ///
    /// # Errors
    /// When the server refuses.
    pub async fn ensure_database(&self, name: &str) -> Result<()> {
        let (client, connection) = self.config(SUPERUSER).connect(NoTls).await?;
        let connection = tokio::spawn(connection);
        let existing = client.query("SELECT 1 FROM pg_database WHERE datname = $1", &[&name]).await?;
        if existing.is_empty() {
            client.batch_execute(&format!("CREATE DATABASE \"{}\"", name.replace('"', "\"\""))).await?;
        }
        drop(client);
        connection.await??;
        Ok(())
    }

    /// Where its files lie.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Shuts the server down and waits until it has.
    ///
    /// # Errors
    /// When it cannot be waited for.
    pub async fn stop(mut self) -> Result<()> {
        drop(self.keeper.stdin.take());
        self.keeper.wait().await.context("cannot wait for PostgreSQL")?;
        Ok(())
    }

    fn end_of_log(&self) -> String {
        let path = self.folder.join("log");
        let log = fs::read_to_string(&path).unwrap_or_default();
        format!("{} (the whole log is {})", log.lines().last().unwrap_or("no word of why"), path.display())
    }

    #[expect(clippy::disallowed_methods, reason = "a timeout of the machine's, not of the functions'")]
    async fn wait_until_ready(&mut self) -> Result<()> {
        let deadline = Instant::now() + START_TIMEOUT;
        loop {
            if let Some(status) = self.keeper.try_wait()? {
                bail!("PostgreSQL did not start ({status}): {}", self.end_of_log());
            }
            match self.config(SUPERUSER).connect(NoTls).await {
                Ok(_) => return Ok(()),
                Err(error) if Instant::now() > deadline => {
                    bail!("PostgreSQL does not answer ({error}): {}", self.end_of_log());
                }
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    }
}

impl PostgresHome {
    const fn is_temporary(&self) -> bool {
        matches!(self, Self::Temporary)
    }

    fn folder(&self, owner: &Owner) -> Result<PathBuf> {
        let folder = match (self, owner) {
            (Self::Checkout(checkout), Owner::Caller) => checkout.join(".cofrap/postgres"),
            (Self::Checkout(checkout), Owner::Unprivileged { .. }) => {
                let all = Path::new("/var/lib/cofrap-dev");
                fs::create_dir_all(all).with_context(|| format!("cannot make {}", all.display()))?;
                fs::set_permissions(all, Permissions::from_mode(0o755))?;
                all.join(identity(&checkout.join(".cofrap"))?)
            }
            (Self::Temporary, _) => std::env::temp_dir().join(format!("cofrap-postgres-{}", random_hex(8))),
        };
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        if let Owner::Unprivileged { .. } = owner {
            // Root's, so that nobody puts a link where root is about to write; the server only passes through.
            fs::set_permissions(&folder, Permissions::from_mode(0o755))?;
        }
        Ok(folder)
    }
}

/// Who runs the server.
enum Owner {
    Caller,
    Unprivileged { user: u32, group: u32 },
}

impl Owner {
    /// PostgreSQL refuses to run as root: there it runs as the user that its packages make, or as nobody.
    fn find() -> Result<Self> {
        if id(&["-u"]).context("cannot tell who runs this")? != 0 {
            return Ok(Self::Caller);
        }
        for name in [SUPERUSER, "nobody"] {
            if let (Some(user), Some(group)) = (id(&["-u", name]), id(&["-g", name])) {
                return Ok(Self::Unprivileged { user, group });
            }
        }
        bail!("PostgreSQL refuses to run as root, and there is neither a user `postgres` nor `nobody` to run it as")
    }

    fn give(&self, path: &Path) -> Result<()> {
        match *self {
            Self::Caller => Ok(()),
            Self::Unprivileged { user, group } => {
                chown(path, Some(user), Some(group)).with_context(|| format!("cannot give {} away", path.display()))
            }
        }
    }

    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        if let Self::Unprivileged { user, group } = *self {
            command.uid(user).gid(group);
        }
        command
    }
}

fn id(arguments: &[&str]) -> Option<u32> {
    let output = Command::new("id")
        .args(arguments)
        .stderr(Stdio::null())
        .output()
        .ok()
        .filter(|output| output.status.success())?;
    String::from_utf8(output.stdout).ok()?.trim().parse().ok()
}

/// One of PostgreSQL's own programs, where its server's lie.
///
/// # Errors
/// When there are none; the message says what to install.
pub fn postgres_program(name: &str) -> Result<PathBuf> {
    let folder = find_binaries()?;
    // The server may be there as a link alone.
    let original = folder.join("postgres").canonicalize().ok().and_then(|server| Some(server.parent()?.to_owned()));
    let programs = [Some(folder), original].into_iter().flatten().map(|folder| folder.join(name));
    programs.into_iter().find(|program| program.is_file()).with_context(|| {
        format!("{name} is missing beside the PostgreSQL server: install PostgreSQL's client programs")
    })
}

/// The folder with `postgres` and `initdb`: on the path, where Debian puts it, or where `pg_config` says.
fn find_binaries() -> Result<PathBuf> {
    let complete = |folder: &PathBuf| folder.join("postgres").is_file() && folder.join("initdb").is_file();
    let debian = || {
        let versions = fs::read_dir("/usr/lib/postgresql").ok()?.filter_map(|entry| Some(entry.ok()?.path()));
        let version = |path: &PathBuf| path.file_name().and_then(|name| name.to_str()?.parse::<u32>().ok());
        versions.filter(|path| complete(&path.join("bin"))).max_by_key(version).map(|path| path.join("bin"))
    };
    let pg_config = || {
        let output = Command::new("pg_config").arg("--bindir").stderr(Stdio::null()).output().ok()?;
        Some(PathBuf::from(String::from_utf8(output.stdout).ok()?.trim())).filter(complete)
    };
    #[expect(clippy::disallowed_methods, reason = "the path is the environment's")]
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).find(complete).or_else(debian).or_else(pg_config).context(
        "no PostgreSQL server is installed: install one (Debian: `apt-get install postgresql`, \
         macOS: `brew install postgresql`), or name a running one with --database-url",
    )
}

/// Makes the database beside its place: an attempt that is cut off is never taken for one.
fn initialise(binaries: &Path, owner: &Owner, home: &PostgresHome, folder: &Path, data: &Path) -> Result<()> {
    let beside = folder.join("data.new");
    if beside.exists() {
        fs::remove_dir_all(&beside).with_context(|| format!("cannot remove {}", beside.display()))?;
    }
    fs::create_dir(&beside).with_context(|| format!("cannot make {}", beside.display()))?;
    fs::set_permissions(&beside, Permissions::from_mode(0o700))?;
    let password = folder.join("password");
    write_private(&password, &random_hex(16))?;
    owner.give(&beside)?;
    owner.give(&password)?;
    let output = owner
        .command(&binaries.join("initdb"))
        .current_dir(folder)
        .arg("--pgdata")
        .arg(&beside)
        .arg("--pwfile")
        .arg(&password)
        .args(["--username", SUPERUSER, "--auth", "scram-sha-256", "--encoding", "UTF8", "--no-locale"])
        .args(home.is_temporary().then_some("--no-sync"))
        .output()
        .context("cannot run initdb")?;
    if !output.status.success() {
        bail!("initdb failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    fs::rename(&beside, data).with_context(|| format!("cannot make {}", data.display()))
}

fn launch(binaries: &Path, owner: &Owner, home: &PostgresHome, folder: &Path, data: &Path) -> Result<(u16, Child)> {
    let port =
        TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).context("no free port")?.port();
    let log = File::create(folder.join("log")).context("cannot write PostgreSQL's log")?;
    if home.is_temporary() {
        // The keeper removes it; root writes there no more.
        owner.give(folder)?;
    }
    let mut command = owner.command(Path::new("/bin/sh"));
    command
        .args(["-c", KEEPER])
        .arg(if home.is_temporary() { folder } else { Path::new("") })
        .arg(binaries.join("postgres"))
        .arg("-D")
        .arg(data)
        .args(["-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=", "-c", &format!("port={port}")])
        .args(["-c", "max_connections=500"]);
    if home.is_temporary() {
        command.args(["-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off"]);
    }
    // Its own process group: Ctrl-C reaches this process, which then closes the keeper's input.
    command.current_dir(folder).process_group(0).stdin(Stdio::piped()).stdout(log.try_clone()?).stderr(log);
    let keeper = tokio::process::Command::from(command).spawn().context("cannot start PostgreSQL")?;
    Ok((port, keeper))
}

fn lock(folder: &Path) -> Result<File> {
    let lock = File::create(folder.join("lock")).context("cannot write the lock")?;
    lock.try_lock().map_err(|_| {
        anyhow!("another `cargo xtask` of this checkout uses the database in {}: stop it first", folder.display())
    })?;
    Ok(lock)
}

/// Waits for a server whose process was killed: it is shutting down. A mark without a process is PostgreSQL's business.
async fn wait_for_previous(data: &Path) {
    let is_alive = || {
        let mark = fs::read_to_string(data.join("postmaster.pid")).unwrap_or_default();
        let Some(process) = mark.lines().next() else { return false };
        let status = Command::new("kill").args(["-0", process]).stderr(Stdio::null()).status();
        status.is_ok_and(|status| status.success())
    };
    let wait = async {
        while is_alive() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let _ = tokio::time::timeout(PREVIOUS_TIMEOUT, wait).await;
}

fn write_private(path: &Path, text: &str) -> Result<()> {
    let _ = fs::remove_file(path);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes()).with_context(|| format!("cannot write {}", path.display()))
}

#[expect(clippy::disallowed_methods, reason = "the machine's randomness, for the machine's own database")]
fn random_hex(bytes: usize) -> String {
    let mut random = vec![0; bytes];
    getrandom::fill(&mut random).expect("the system has randomness");
    random.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// A checkout's own name, kept in its ignored folder: another clone at the same place is another checkout.
fn identity(folder: &Path) -> Result<String> {
    let path = folder.join("identity");
    if !path.exists() {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        write_private(&path, &random_hex(8))?;
    }
    let identity = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    // It becomes part of a path that root uses.
    if identity.is_empty() || !identity.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        bail!("{} is not what was written there: remove it to start from nothing", path.display());
    }
    Ok(identity)
}
