//! A proxy before the functions: nginx, with the configuration that `deploy/nginx` recommends.

use crate::checkout::checkout;
use crate::folder::{Folder, Server, free_port, listening};
use std::net::SocketAddr;
use std::process::{Command, Stdio};

/// nginx of Debian.
pub struct Proxy {
    address: SocketAddr,
    _server: Server,
    _folder: Folder,
}

impl Proxy {
    /// Starts one before functions, with some words of its configuration replaced.
    pub async fn before(functions: SocketAddr, replaced: &[(&str, &str)]) -> Self {
        let (folder, port, plain) = (Folder::new("proxy"), free_port(), free_port());
        let file = checkout().join("deploy/nginx/cofrap.conf");
        let mut text = std::fs::read_to_string(file).expect("the configuration");
        let (listen, listen_plain, functions) = (
            format!("listen 127.0.0.1:{port};"),
            format!("listen 127.0.0.1:{plain} default_server;"),
            functions.to_string(),
        );
        let places = [
            ("listen 443 ssl http2;", listen.as_str()),
            ("listen 80 default_server;", &listen_plain),
            ("127.0.0.1:3000", &functions),
        ];
        for (from, to) in places.iter().chain(replaced) {
            assert!(text.contains(from), "the configuration has no {from}");
            text = text.replace(from, to);
        }
        // Certificates are another test's.
        let lines = text.lines().filter(|line| !line.trim_start().starts_with("ssl_"));
        let server = lines.collect::<Vec<_>>().join("\n");
        let at = |name: &str| folder.path().join(name).display().to_string();
        let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|kind| format!("{kind}_temp_path {};\n", at(kind)))
            .concat();
        let whole = format!(
            "daemon off; master_process off; pid {}; error_log stderr crit;\nevents {{}}\nhttp {{\naccess_log off;\n{temporary}{server}\n}}\n",
            at("pid")
        );
        std::fs::write(at("nginx.conf"), whole).expect("a configuration");
        let mut command = Command::new("/usr/sbin/nginx");
        command.args(["-e", "stderr", "-c", &at("nginx.conf")]).stdout(Stdio::null());
        let server = Server::start(&mut command);
        listening(port).await;
        Self { address: SocketAddr::from(([127, 0, 0, 1], port)), _server: server, _folder: folder }
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }
}
