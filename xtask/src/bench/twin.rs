//! The functions' native twin, in a process of its own: `bench/twin`.

use super::process::{Host, free_address};
use crate::cargo::{cargo, run};
use crate::checkout::checkout;
use anyhow::Result;
use cofrap_database::say;
use cofrap_host::VariableSource;
use std::net::SocketAddr;
use std::process::{Command, Stdio};

pub(crate) struct Twin {
    pub(crate) address: SocketAddr,
    /// Ends with this.
    _process: Host,
}

impl Twin {
    /// Builds it and starts it on the functions' database.
    pub(crate) fn start(variables: &VariableSource) -> Result<Self> {
        say("building the native twin");
        run(cargo().args(["build", "--release", "--package", "cofrap-bench-twin"]))?;
        let address = free_address()?;
        let mut command = Command::new(checkout().join("target/release/cofrap-bench-twin"));
        command.arg(address.to_string()).stdout(Stdio::null());
        let mut process = Host::spawn(command, variables)?;
        process.wait(address)?;
        Ok(Self { address, _process: process })
    }

    /// Whether it has a function.
    pub(crate) fn has(title: &str) -> bool {
        ["authenticate-user-v2", "generate-password-v2", "generate-2fa-v2"].contains(&title)
    }
}
