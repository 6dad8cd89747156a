//! `up --with-monitoring`: Prometheus and Alertmanager of this machine, scraping what `up` serves, so that alerts can be watched for real.

use crate::checkout::checkout;
use anyhow::{Context, Result, bail};
use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tokio::process::{Child, Command};

/// What the programs are called: by their makers, and by Debian.
const PROMETHEUS: [&str; 1] = ["prometheus"];
const ALERTMANAGER: [&str; 2] = ["alertmanager", "prometheus-alertmanager"];

/// Where they usually listen. Another port is taken where one of these is.
const PORTS: [u16; 2] = [9090, 9093];

/// Both, until this is dropped.
pub(crate) struct Monitoring {
    prometheus: SocketAddr,
    alertmanager: SocketAddr,
    _children: [Child; 2],
}

/// Whether both are installed, which is asked before anything that takes minutes.
///
/// # Errors
/// Which is not.
pub(crate) fn check_installed() -> Result<()> {
    find(&PROMETHEUS)?;
    find(&ALERTMANAGER).map(|_| ())
}

impl Monitoring {
    /// Starts both, scraping `functions` with a token.
    ///
    /// # Errors
    /// When one is not installed, or its files cannot be written.
    pub(crate) fn start(functions: SocketAddr, token: &str) -> Result<Self> {
        let folder = checkout().join("target/monitoring");
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let [prometheus, alertmanager] = PORTS.map(free_address);
        let (prometheus, alertmanager) = (prometheus?, alertmanager?);
        let token_file = folder.join("token");
        write_private(&token_file, token)?;
        let rules = checkout().join("deploy/components/monitoring/alerts.yaml");
        let configuration = format!(
            "global: {{scrape_interval: 5s, evaluation_interval: 5s}}\n\
             rule_files: ['{}']\n\
             alerting: {{alertmanagers: [{{static_configs: [{{targets: ['{alertmanager}']}}]}}]}}\n\
             scrape_configs:\n  - job_name: cofrap\n    metrics_path: /metrics\n    \
             authorization: {{credentials_file: '{}'}}\n    static_configs: [{{targets: ['{functions}']}}]\n",
            rules.display(),
            token_file.display()
        );
        let file = folder.join("prometheus.yml");
        fs::write(&file, configuration).with_context(|| format!("cannot write {}", file.display()))?;
        let scraping = run(&folder, "prometheus", find(&PROMETHEUS)?, |command| {
            command.arg(flag("config.file", &file)).arg(flag("storage.tsdb.path", &folder.join("prometheus")));
            command.arg(format!("--web.listen-address={prometheus}"));
        })?;
        let receivers = checkout().join("deploy/components/monitoring/alertmanager.example.yaml");
        let alerting = run(&folder, "alertmanager", find(&ALERTMANAGER)?, |command| {
            command.arg(flag("config.file", &receivers)).arg(flag("storage.path", &folder.join("alertmanager")));
            // Alone: it looks for no others.
            command.arg(format!("--web.listen-address={alertmanager}")).arg("--cluster.listen-address=");
        })?;
        Ok(Self { prometheus, alertmanager, _children: [scraping, alerting] })
    }

    /// Where to look.
    pub(crate) fn places(&self) -> String {
        format!("http://{}/alerts (Prometheus), http://{} (Alertmanager)", self.prometheus, self.alertmanager)
    }
}

fn flag(name: &str, path: &Path) -> String {
    format!("--{name}={}", path.display())
}

fn run(folder: &Path, name: &str, program: PathBuf, configure: impl FnOnce(&mut Command)) -> Result<Child> {
    let log = folder.join(format!("{name}.log"));
    let output = fs::File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
    let mut command = Command::new(program);
    configure(&mut command);
    command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output).kill_on_drop(true);
    command.spawn().with_context(|| format!("cannot start {name}"))
}

/// The first of a program's names that the search path has.
#[expect(clippy::disallowed_methods, reason = "where the shell looks for programs")]
fn find(names: &[&str]) -> Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = names.iter().flat_map(|name| std::env::split_paths(&path).map(move |folder| folder.join(name)));
    match found.into_iter().find(|file| file.is_file()) {
        Some(file) => Ok(file),
        None => bail!(
            "{} is not installed: --with-monitoring needs it (Debian: prometheus, prometheus-alertmanager)",
            names[0]
        ),
    }
}

/// The usual port of this machine, or another one that is free.
fn free_address(usual: u16) -> Result<SocketAddr> {
    let bound = TcpListener::bind(("127.0.0.1", usual)).or_else(|_| TcpListener::bind(("127.0.0.1", 0)));
    bound.and_then(|listener| listener.local_addr()).context("no free port")
}

fn write_private(file: &Path, text: &str) -> Result<()> {
    let _ = fs::remove_file(file);
    let opened = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(file);
    let written = opened.and_then(|mut opened| std::io::Write::write_all(&mut opened, text.as_bytes()));
    written.with_context(|| format!("cannot write {}", file.display()))
}
