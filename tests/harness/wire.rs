//! A wire between the functions and PostgreSQL that counts what goes over it, and can hold a statement up.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

/// How long a request may take until it is held up and after.
const PATIENCE: Duration = Duration::from_mins(1);

/// A wire; the functions find PostgreSQL at its port.
pub struct Wire {
    port: u16,
    seen: Arc<Seen>,
}

#[derive(Default)]
struct Seen {
    statements: Mutex<Vec<String>>,
    /// The text of the statements to hold up, if any.
    hold: Mutex<Option<&'static str>>,
    /// The text of a statement whose answer is to be lost, if any.
    lose: Mutex<Option<&'static str>>,
    losing: AtomicBool,
    held: Notify,
    release: Notify,
}

impl Wire {
    /// Lays a wire to the server's port on this machine.
    pub async fn to(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let seen = Arc::new(Seen::default());
        let watched = Arc::clone(&seen);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(("127.0.0.1", server)).await.expect("PostgreSQL answers");
                let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
                tokio::spawn(watch(from_client, to_server, Arc::clone(&watched)));
                tokio::spawn(copy(from_server, to_client, Arc::clone(&watched)));
            }
        });
        Self { port, seen }
    }

    /// Where it begins.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The statements since the last call, in order.
    pub fn take_statements(&self) -> Vec<String> {
        std::mem::take(&mut *self.seen.statements.lock().expect("no watcher panicked"))
    }

    /// Has the answer to the first statement with `text` in it lost, and the wire with it.
    pub fn lose_answer_to(&self, text: &'static str) {
        *self.seen.lose.lock().expect("no watcher panicked") = Some(text);
    }

    /// Runs `request`; when it sends the first statement with `text` in it, `meanwhile` runs before that goes on.
    pub async fn interrupt<R>(
        &self,
        text: &'static str,
        request: impl Future<Output = R>,
        meanwhile: impl Future,
    ) -> R {
        *self.seen.hold.lock().expect("no watcher panicked") = Some(text);
        let interruption = async {
            self.seen.held.notified().await;
            meanwhile.await;
            self.seen.release.notify_one();
        };
        let both = async { tokio::join!(request, interruption).0 };
        tokio::time::timeout(PATIENCE, both).await.expect("the request sends such a statement")
    }
}

/// Passes on what the server says, until an answer is to be lost.
async fn copy(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, seen: Arc<Seen>) -> Option<()> {
    let mut chunk = vec![0; 64 * 1024];
    loop {
        let length = from.read(&mut chunk).await.ok().filter(|length| *length > 0)?;
        if seen.losing.load(Ordering::SeqCst) {
            return None;
        }
        to.write_all(&chunk[..length]).await.ok()?;
    }
}

/// Notes the text of every Parse message. PostgreSQL documentation, "Message Formats".
async fn watch(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, seen: Arc<Seen>) -> Option<()> {
    // The first message has no type.
    let startup = receive(&mut from).await?;
    send(&mut to, &startup).await?;
    let mut is_next = false;
    loop {
        let kind = from.read_u8().await.ok()?;
        let message = receive(&mut from).await?;
        if kind == b'P' {
            // The statement's name, its text, its parameters' types.
            let text = message.split(|byte| *byte == 0).nth(1).unwrap_or_default();
            let text = String::from_utf8_lossy(text).into_owned();
            // Before it is held up: the request may be over before this goes on.
            seen.statements.lock().expect("no watcher panicked").push(text.clone());
            if seen.hold.lock().expect("no watcher panicked").take_if(|hold| text.contains(*hold)).is_some() {
                seen.held.notify_one();
                seen.release.notified().await;
            }
            if seen.lose.lock().expect("no watcher panicked").take_if(|lose| text.contains(*lose)).is_some() {
                is_next = true;
            }
        }
        // It is carried out once its values are bound; that it was parsed was answered before.
        if kind == b'B' && is_next {
            seen.losing.store(true, Ordering::SeqCst);
        }
        to.write_u8(kind).await.ok()?;
        send(&mut to, &message).await?;
    }
}

/// A message's body, behind its length.
async fn receive(from: &mut OwnedReadHalf) -> Option<Vec<u8>> {
    let length = from.read_u32().await.ok()?;
    let mut body = vec![0; length.checked_sub(4)? as usize];
    from.read_exact(&mut body).await.ok()?;
    Some(body)
}

async fn send(to: &mut OwnedWriteHalf, body: &[u8]) -> Option<()> {
    to.write_u32(u32::try_from(body.len() + 4).ok()?).await.ok()?;
    to.write_all(body).await.ok()
}
