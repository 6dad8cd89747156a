//! The functions' log as people read it: `up` shows it like this, clusters keep the JSON.

use serde_json::Value;
use std::fmt::Write as _;

/// A line as it is read; one that is no line of the functions' log stays as it is.
pub(crate) fn readable(line: &str) -> String {
    let json = line.split_once("] ").map_or(line, |(_, json)| json);
    match serde_json::from_str::<Value>(json) {
        Ok(entry) if entry["route"].is_string() && entry["status"].is_u64() => describe(&entry),
        _ => line.to_owned(),
    }
}

fn describe(entry: &Value) -> String {
    let text = |name: &str| entry[name].as_str().unwrap_or_default();
    // 2026-11-27T12:00:00.123Z
    let time = text("time").get(11..23).unwrap_or_default();
    let mut line = format!("{time} {} {} {}", text("method"), text("route"), entry["status"]);
    if let Some(action) = entry["action"].as_str() {
        let _ = write!(line, " {action}");
    }
    for name in ["reason", "code"] {
        if let Some(why) = entry[name].as_str() {
            let _ = write!(line, " {why}");
            break;
        }
    }
    if let Some(account) = entry["account"].as_i64() {
        let _ = write!(line, ", account {account}");
    }
    if let Some(client) = entry["client"].as_str() {
        let _ = write!(line, ", from {client}");
    }
    let milliseconds = entry["duration_us"].as_u64().unwrap_or(0).div_ceil(100);
    let _ = write!(line, ", {}.{} ms", milliseconds / 10, milliseconds % 10);
    for name in ["cause", "notice"] {
        if let Some(why) = entry[name].as_str() {
            let _ = write!(line, "\n    {name}: {why}");
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_in_a_glance_who_asked_for_what_and_what_it_came_to() {
        let line = r#"[authenticate-user-v2] {"time":"2026-11-27T12:00:00.123Z","level":"info","request_id":"7e15","route":"/function/authenticate-user-v2","method":"POST","status":401,"code":"invalid_credentials","action":"login","outcome":"refused","reason":"wrong_password","account":7,"client":"127.0.0.1","duration_us":3210,"cause":null}"#;
        assert_eq!(
            readable(line),
            "12:00:00.123 POST /function/authenticate-user-v2 401 login wrong_password, account 7, from 127.0.0.1, 3.3 ms"
        );
        let broken = r#"{"time":"2026-11-27T12:00:00.123Z","route":"/function/health","method":"GET","status":503,"code":"unavailable","cause":"database: gone"}"#;
        assert_eq!(
            readable(broken),
            "12:00:00.123 GET /function/health 503 unavailable, 0.0 ms\n    cause: database: gone"
        );
        for other in ["", "[x] a trap", "{}", "[x] {\"a\": 1}"] {
            assert_eq!(readable(other), other);
        }
    }
}
