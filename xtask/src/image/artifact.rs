//! The artifact: layers, configuration and manifest, byte for byte.

use super::application::Application;
use anyhow::{Context, Result};
use cofrap_host::Manifest;
use oci_client::client::{Config, ImageLayer};
use oci_client::manifest::{IMAGE_CONFIG_MEDIA_TYPE, OCI_IMAGE_MEDIA_TYPE, OciImageManifest, WASM_LAYER_MEDIA_TYPE};
use serde_json::json;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// Spin's name for the layer that describes the application.
const APPLICATION_MEDIA_TYPE: &str = "application/vnd.fermyon.spin.application.v1+config";

/// When every artifact was made: another time would be another digest.
const CREATED: &str = "1970-01-01T00:00:00Z";

pub(super) struct Artifact {
    layers: Vec<ImageLayer>,
    config: Config,
    manifest: Vec<u8>,
}

impl Artifact {
    /// Puts together what `spin.toml` in a folder names. The components are built.
    pub(super) fn assemble(folder: &Path) -> Result<Self> {
        let manifest = folder.join("spin.toml");
        // Whatever Spin or the local host would refuse is refused now.
        Manifest::read(&manifest)?;
        let mut application = Application::read(&manifest)?;
        let mut layers = Vec::new();
        for mut component in application.components_mut() {
            let file = folder.join(component.source()?);
            let bytes = fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
            let layer = ImageLayer::new(bytes, WASM_LAYER_MEDIA_TYPE.to_owned(), None);
            component.lock(&layer.sha256_digest());
            if !layers.contains(&layer) {
                layers.push(layer);
            }
        }
        let locked = ImageLayer::new(application.to_json()?, APPLICATION_MEDIA_TYPE.to_owned(), None);
        let config = config(&locked.sha256_digest())?;
        layers.push(locked);
        let annotations = BTreeMap::from([
            ("org.opencontainers.image.created".to_owned(), CREATED.to_owned()),
            ("org.opencontainers.image.title".to_owned(), application.name()?.to_owned()),
            ("org.opencontainers.image.version".to_owned(), application.version()?.to_owned()),
        ]);
        let manifest = OciImageManifest::build(&layers, &config, Some(annotations));
        Ok(Self { layers, config, manifest: serde_json::to_vec(&manifest)? })
    }

    pub(super) fn layers(&self) -> &[ImageLayer] {
        &self.layers
    }

    pub(super) const fn config(&self) -> &Config {
        &self.config
    }

    pub(super) fn manifest(&self) -> &[u8] {
        &self.manifest
    }

    /// What the whole of it is known by.
    pub(super) fn digest(&self) -> String {
        ImageLayer::new(self.manifest.clone(), OCI_IMAGE_MEDIA_TYPE.to_owned(), None).sha256_digest()
    }

    /// In bytes.
    pub(super) fn size(&self) -> usize {
        self.layers.iter().map(|layer| layer.data.len()).sum()
    }
}

/// The label makes the configuration another one for another application: container runtimes take its digest for the image's identity.
fn config(application: &str) -> Result<Config> {
    let config = json!({
        "architecture": "wasm",
        "os": "wasip1",
        "config": {"Labels": {"com.fermyon.spin.lockedAppDigest": application}},
        "rootfs": {"type": "layers", "diff_ids": []}
    });
    Ok(Config::new(serde_json::to_vec(&config)?, IMAGE_CONFIG_MEDIA_TYPE.to_owned(), None))
}
