//! A wire between the functions and PostgreSQL that counts what goes over it.

use std::sync::{Arc, Mutex};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

/// A wire; the functions find PostgreSQL at its port.
pub struct Wire {
    port: u16,
    statements: Arc<Mutex<Vec<String>>>,
}

impl Wire {
    /// Lays a wire to the server's port on this machine.
    pub async fn to(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let statements = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&statements);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(("127.0.0.1", server)).await.expect("PostgreSQL answers");
                let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
                tokio::spawn(watch(from_client, to_server, Arc::clone(&seen)));
                tokio::spawn(copy(from_server, to_client));
            }
        });
        Self { port, statements }
    }

    /// Where it begins.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The statements since the last call, in order.
    pub fn take_statements(&self) -> Vec<String> {
        std::mem::take(&mut *self.statements.lock().expect("no watcher panicked"))
    }
}

async fn copy(mut from: OwnedReadHalf, mut to: OwnedWriteHalf) {
    let _ = tokio::io::copy(&mut from, &mut to).await;
}

/// Notes the text of every Parse message. PostgreSQL documentation, "Message Formats".
async fn watch(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, seen: Arc<Mutex<Vec<String>>>) -> Option<()> {
    // The first message has no type.
    relay(&mut from, &mut to).await?;
    loop {
        let kind = from.read_u8().await.ok()?;
        to.write_u8(kind).await.ok()?;
        let body = relay(&mut from, &mut to).await?;
        if kind == b'P' {
            // The statement's name, its text, its parameters' types.
            let text = body.split(|byte| *byte == 0).nth(1).unwrap_or_default();
            seen.lock().expect("no watcher panicked").push(String::from_utf8_lossy(text).into_owned());
        }
    }
}

/// Passes a message's length and body on.
async fn relay(from: &mut (impl AsyncRead + Unpin), to: &mut (impl AsyncWrite + Unpin)) -> Option<Vec<u8>> {
    let length = from.read_u32().await.ok()?;
    let mut body = vec![0; length.checked_sub(4)? as usize];
    from.read_exact(&mut body).await.ok()?;
    to.write_u32(length).await.ok()?;
    to.write_all(&body).await.ok()?;
    Some(body)
}
