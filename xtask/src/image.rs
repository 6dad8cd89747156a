//! `image push`: the application as an OCI artifact, the same that `spin registry push` makes, without Spin's command line.
//!
//! The same sources give the same digest wherever they are built: paths of the machine are mapped away (`components::build_command`), and
//! nothing in the artifact tells when it was made.

mod application;
mod artifact;

use crate::checkout::checkout;
use crate::components;
use anyhow::{Context, Result, anyhow};
use artifact::Artifact;
use clap::Subcommand;
use cofrap_database::say;
use docker_credential::{CredentialRetrievalError, DockerCredential};
use oci_client::Reference;
use oci_client::RegistryOperation;
use oci_client::client::{Client, ClientConfig, ClientProtocol};
use oci_client::manifest::OCI_IMAGE_MEDIA_TYPE;
use oci_client::secrets::RegistryAuth;
use std::io::Write;
use std::path::PathBuf;

#[derive(Subcommand)]
pub(crate) enum ImageCommand {
    /// Builds the components, makes the artifact and pushes it; prints its name with its digest
    Push {
        /// Where to: registry/repository:tag. A registry on loopback is spoken to without TLS; credentials are those of `docker login`
        reference: String,
        /// Prints the digest that would be pushed, and pushes nothing
        #[arg(long)]
        dry_run: bool,
        /// Another checkout, whose components are built there: to see that it comes to the same digest
        #[arg(long, hide = true)]
        source: Option<PathBuf>,
    },
}

pub(crate) async fn run(command: ImageCommand) -> Result<()> {
    let ImageCommand::Push { reference, dry_run, source } = command;
    let reference: Reference = reference
        .parse()
        .map_err(|error| anyhow!("{reference} is no place of an image ({error}): write registry/repository:tag"))?;
    let folder = source.as_deref().unwrap_or(checkout());
    components::build_in(folder)?;
    let artifact = Artifact::assemble(folder)?;
    say(&format!("{} layers, {} bytes", artifact.layers().len(), artifact.size()));
    if !dry_run {
        push(&reference, &artifact).await.with_context(|| format!("cannot push {reference}"))?;
    }
    let name = format!("{}/{}", reference.registry(), reference.repository());
    writeln!(std::io::stdout(), "{name}@{}", artifact.digest())?;
    Ok(())
}

async fn push(reference: &Reference, artifact: &Artifact) -> Result<()> {
    // Two libraries of ours speak TLS; this one wants the process's provider.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let registry = reference.resolve_registry();
    let protocol = if is_loopback(registry) { ClientProtocol::Http } else { ClientProtocol::Https };
    let client = Client::new(ClientConfig { protocol, ..ClientConfig::default() });
    client.auth(reference, &credentials(registry)?, RegistryOperation::Push).await.context("the registry refuses")?;
    for layer in artifact.layers() {
        client.push_blob(reference, layer.data.clone(), &layer.sha256_digest()).await?;
    }
    let config = artifact.config();
    client.push_blob(reference, config.data.clone(), &config.sha256_digest()).await?;
    let media_type = OCI_IMAGE_MEDIA_TYPE.parse().context("a media type is a header's value")?;
    client.push_manifest_raw(reference, artifact.manifest().to_vec(), media_type).await?;
    Ok(())
}

/// `localhost:5000`, `127.0.0.1:5000`.
fn is_loopback(registry: &str) -> bool {
    let host = registry.rsplit_once(':').map_or(registry, |(host, _)| host);
    host == "localhost" || host.parse().is_ok_and(|address: std::net::IpAddr| address.is_loopback())
}

/// What `docker login`, or the credential helper of a cloud, has for a registry; nobody's where it has nothing.
fn credentials(registry: &str) -> Result<RegistryAuth> {
    match docker_credential::get_credential(registry) {
        Ok(DockerCredential::UsernamePassword(user, password)) => Ok(RegistryAuth::Basic(user, password)),
        Ok(DockerCredential::IdentityToken(_)) => {
            Err(anyhow!("an identity token cannot be used: log in to {registry} with a user and a password"))
        }
        Err(
            CredentialRetrievalError::NoCredentialConfigured
            | CredentialRetrievalError::ConfigNotFound
            | CredentialRetrievalError::ConfigReadError,
        ) => Ok(RegistryAuth::Anonymous),
        Err(error) => Err(error).context("Docker's configuration"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tls_is_left_out_on_loopback_alone() {
        for registry in ["localhost:5000", "127.0.0.1:5000", "127.9.9.9"] {
            assert!(is_loopback(registry), "{registry}");
        }
        for registry in ["registry.example:5000", "10.0.0.1:5000", "localhost.example", "127.0.0.1.example:80"] {
            assert!(!is_loopback(registry), "{registry}");
        }
    }
}
