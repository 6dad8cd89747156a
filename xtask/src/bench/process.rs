//! A process that is measured.

use anyhow::{Context, Result, bail};
use cofrap_database::VariableSource;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Another process of this program, which serves.
pub(super) struct Host(Child);

impl Host {
    pub(super) fn start(
        manifest: &Path,
        address: SocketAddr,
        variables: &VariableSource,
        is_profiled: bool,
    ) -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["serve-bench", &address.to_string()]).arg(manifest).stdout(Stdio::null());
        if is_profiled {
            command.arg("--profile");
        }
        Self::spawn(command, variables)
    }

    pub(super) fn spawn(mut command: Command, variables: &VariableSource) -> Result<Self> {
        for (name, value) in variables {
            command.env(format!("SPIN_VARIABLE_{}", name.to_uppercase()), value);
        }
        Ok(Self(command.spawn().context("cannot start what is measured")?))
    }

    /// Its process id.
    pub(super) fn id(&self) -> u32 {
        self.0.id()
    }

    pub(super) fn wait(&mut self, address: SocketAddr) -> Result<()> {
        for _ in 0..600 {
            if std::net::TcpStream::connect(address).is_ok() {
                return Ok(());
            }
            if let Some(status) = self.0.try_wait()? {
                bail!("the host ended: {status}");
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        bail!("the host did not start within a minute")
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// An address of this machine where nobody listens.
pub(super) fn free_address() -> Result<SocketAddr> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}
