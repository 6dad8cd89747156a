//! What components print, line by line, each behind its component's name.

use bytes::Bytes;
use std::sync::Arc;
use tokio::io::AsyncWrite;
use wasmtime_wasi::async_trait;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};

/// Takes each finished line.
pub type OutputSink = Arc<dyn Fn(&str) + Send + Sync>;

/// Bytes that a component may write at once.
const CHUNK: usize = 64 * 1024;

/// One component's standard output or error.
#[derive(Clone)]
pub(crate) struct ComponentOutput {
    pub(crate) component: Arc<str>,
    pub(crate) sink: OutputSink,
}

struct Lines {
    output: ComponentOutput,
    pending: Vec<u8>,
}

impl Lines {
    fn emit(&self, line: &[u8]) {
        (self.output.sink)(&format!("[{}] {}", self.output.component, String::from_utf8_lossy(line)));
    }
}

impl OutputStream for Lines {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.pending.extend_from_slice(&bytes);
        while let Some(end) = self.pending.iter().position(|byte| *byte == b'\n') {
            let rest = self.pending.split_off(end + 1);
            let line = std::mem::replace(&mut self.pending, rest);
            self.emit(&line[..end]);
        }
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(CHUNK)
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        if !self.pending.is_empty() {
            self.emit(&self.pending);
        }
    }
}

#[async_trait]
impl Pollable for Lines {
    async fn ready(&mut self) {}
}

impl IsTerminal for ComponentOutput {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for ComponentOutput {
    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(Lines { output: self.clone(), pending: Vec::new() })
    }

    /// Only WASI 0.3 takes it, which this host does not offer.
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(tokio::io::sink())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    #[test]
    fn lines_come_whole_and_named_however_they_were_written() {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let sink: OutputSink = {
            let lines = Arc::clone(&lines);
            Arc::new(move |line| lines.lock().unwrap().push(line.to_owned()))
        };
        let mut stream = ComponentOutput { component: "door".into(), sink }.p2_stream();
        for part in ["one\ntw", "o\n", "three"] {
            stream.write(Bytes::from_static(part.as_bytes())).unwrap();
        }
        drop(stream);
        assert_eq!(*lines.lock().unwrap(), ["[door] one", "[door] two", "[door] three"]);
    }
}
