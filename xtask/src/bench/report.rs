//! What a benchmark says: a table as it goes, then JSON and a plot.

use super::client::Round;
use anyhow::Result;
use cofrap_database::say;
use serde_json::{Value, json};
use std::fmt::{self, Write as _};
use std::fs;
use std::path::Path;

/// One after the other: the function, the floor, and the function's native twin where there is one.
pub(crate) struct Turn {
    pub(crate) ours: Round,
    pub(crate) floor: Round,
    pub(crate) twin: Option<Round>,
}

/// One function at one number of connections beside the floor, as medians of the turns.
pub(crate) struct Line {
    title: &'static str,
    clients: usize,
    per_second: f64,
    /// Of the floor's requests per second.
    ratio: f64,
    /// The native twin's requests per second.
    twin_per_second: Option<f64>,
    p50_ms: f64,
    p99_ms: f64,
    /// Milliseconds per request: the function's and the floor's.
    host_cpu: Option<[f64; 2]>,
    database_cpu: Option<[f64; 2]>,
}

impl Line {
    pub(crate) fn of(title: &'static str, clients: usize, turns: &[Turn]) -> Self {
        let of = |value: fn(&Round) -> f64| median(turns.iter().map(|turn| value(&turn.ours)));
        let cpu = |value: fn(&Round) -> Option<f64>| -> Option<[f64; 2]> {
            let function: Vec<f64> = turns.iter().map(|turn| value(&turn.ours)).collect::<Option<_>>()?;
            let floor: Vec<f64> = turns.iter().map(|turn| value(&turn.floor)).collect::<Option<_>>()?;
            Some([median(function.into_iter()), median(floor.into_iter())])
        };
        let twin: Option<Vec<f64>> = turns.iter().map(|turn| Some(turn.twin.as_ref()?.per_second)).collect();
        Self {
            title,
            clients,
            per_second: of(|round| round.per_second),
            ratio: median(turns.iter().map(|turn| turn.ours.per_second / turn.floor.per_second)),
            twin_per_second: twin.map(|twin| median(twin.into_iter())),
            p50_ms: of(|round| round.p50.as_secs_f64() * 1000.0),
            p99_ms: of(|round| round.p99.as_secs_f64() * 1000.0),
            host_cpu: cpu(|round| round.host_cpu),
            database_cpu: cpu(|round| round.database_cpu),
        }
    }

    fn json(&self) -> Value {
        json!({
            "function": self.title, "connections": self.clients, "requests_per_second": self.per_second,
            "of_the_floor": self.ratio, "native_twin_requests_per_second": self.twin_per_second, "p50_ms": self.p50_ms, "p99_ms": self.p99_ms,
            "host_cpu_ms": self.host_cpu.map(|[function, _]| function), "floor_host_cpu_ms": self.host_cpu.map(|[_, floor]| floor),
            "database_cpu_ms": self.database_cpu.map(|[function, _]| function),
            "floor_database_cpu_ms": self.database_cpu.map(|[_, floor]| floor),
        })
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cpu = |cpu: Option<[f64; 2]>| {
            cpu.map_or_else(|| "-".to_owned(), |[function, floor]| format!("{function:.2} / {floor:.2}"))
        };
        write!(
            f,
            "{:<24} {:>3} connections  {:>6.0}/s  {:.2} of the floor  p50 {:>6.2} ms  p99 {:>6.2} ms  CPU ms, ours / floor's: host {}, database {}{}",
            self.title,
            self.clients,
            self.per_second,
            self.ratio,
            self.p50_ms,
            self.p99_ms,
            cpu(self.host_cpu),
            cpu(self.database_cpu),
            self.twin_per_second.map_or_else(String::new, |twin| format!("  native twin {twin:.0}/s"))
        )
    }
}

/// Writes `bench.json` and `bench.svg` into a folder.
pub(crate) fn write(lines: &[Line], folder: &Path) -> Result<()> {
    let json: Vec<_> = lines.iter().map(Line::json).collect();
    fs::write(folder.join("bench.json"), serde_json::to_string_pretty(&json)? + "\n")?;
    fs::write(folder.join("bench.svg"), svg(lines))?;
    say(&format!("wrote bench.json and bench.svg into {}", folder.display()));
    Ok(())
}

/// A bar for each line: its part of the floor's requests per second. The floor's own is the line at 1.
fn svg(lines: &[Line]) -> String {
    const ROW: usize = 24;
    const LEFT: u16 = 260;
    const WIDTH: f64 = 400.0;
    let height = ROW * (lines.len() + 2);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"760\" height=\"{height}\" font-family=\"sans-serif\" font-size=\"13\">\n\
         <text x=\"8\" y=\"16\">Requests per second, as a part of the floor's</text>\n"
    );
    for (number, line) in (1..).zip(lines) {
        let y = ROW * number;
        let width = line.ratio.min(1.2) * WIDTH / 1.2;
        let _ = writeln!(
            svg,
            "<text x=\"8\" y=\"{}\">{} at {}</text><rect x=\"{LEFT}\" y=\"{y}\" width=\"{width:.0}\" height=\"18\" fill=\"#36c\"/>\
             <text x=\"{}\" y=\"{}\">{:.2}</text>",
            y + 14,
            line.title,
            line.clients,
            LEFT + 410,
            y + 14,
            line.ratio
        );
    }
    let floor = f64::from(LEFT) + WIDTH / 1.2;
    let _ =
        writeln!(svg, "<line x1=\"{floor:.0}\" y1=\"20\" x2=\"{floor:.0}\" y2=\"{height}\" stroke=\"#c33\"/>\n</svg>");
    svg
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<_> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
