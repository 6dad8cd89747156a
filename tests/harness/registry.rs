//! A registry of images on this machine.

use crate::folder::{Folder, Server, free_port, listening};
use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use std::process::{Command, Stdio};

/// `docker-registry` of Debian, with nothing in it.
pub struct Registry {
    place: String,
    _server: Server,
    _folder: Folder,
}

impl Registry {
    /// Starts one.
    pub async fn start() -> Self {
        let (folder, port) = (Folder::new("registry"), free_port());
        let place = format!("127.0.0.1:{port}");
        let file = folder.path().join("config.yml");
        let text = format!(
            "version: 0.1\nlog: {{level: error}}\nhttp: {{addr: '{place}'}}\nstorage:\n  filesystem:\n    rootdirectory: {}\n",
            folder.path().join("blobs").display()
        );
        std::fs::write(&file, text).expect("a configuration");
        let mut command = Command::new("docker-registry");
        command.arg("serve").arg(&file).stdout(Stdio::null()).stderr(Stdio::null());
        let server = Server::start(&mut command);
        listening(port).await;
        Self { place, _server: server, _folder: folder }
    }

    /// Its `host:port`.
    pub fn place(&self) -> &str {
        &self.place
    }

    /// Something of an image's: `repository/manifests/tag`, `repository/blobs/digest`.
    pub async fn get(&self, path: &str) -> Vec<u8> {
        let client: Client<_, Empty<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
        let request = http::Request::get(format!("http://{}/v2/{path}", self.place))
            .header("accept", "application/vnd.oci.image.manifest.v1+json")
            .body(Empty::new())
            .expect("a request");
        let answer = client.request(request).await.expect("the registry answers");
        assert_eq!(answer.status(), 200, "{path}");
        answer.into_body().collect().await.expect("a body").to_bytes().to_vec()
    }
}
