//! What a log line says besides the answer: ids, times, durations.

use crate::headers::RequestHeaders;
use cofrap_accounts::UnixTime;
use getrandom::SysRng;
use rand_core::{Rng, UnwrapErr};
use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant, SystemTime};

/// The most characters of an id from a client.
const MAX_ID: usize = 64;

thread_local! {
    /// How long each statement of the request took. An instance serves one request on one thread.
    static STATEMENTS: RefCell<Vec<Duration>> = const { RefCell::new(Vec::new()) };

    /// The recorded attempt of this request.
    static ATTEMPTED: Cell<Option<Attempted>> = const { Cell::new(None) };
}

/// An attempt as the audit records it.
#[derive(Clone, Copy)]
pub(crate) struct Attempted {
    /// The action.
    pub(crate) action: &'static str,
    /// The account's number.
    pub(crate) account: Option<i64>,
    /// The real reason of a refusal, which the caller does not learn.
    pub(crate) reason: Option<&'static str>,
}

/// Records the attempt; the last call counts.
pub(crate) fn note_attempt(attempted: Attempted) {
    ATTEMPTED.set(Some(attempted));
}

/// The recorded attempt, if there was one.
pub(crate) fn attempted() -> Option<Attempted> {
    ATTEMPTED.get()
}

/// The ids and the time of a request.
pub(crate) struct Trace {
    /// The client's id, if it is well-formed.
    pub(crate) given: Option<String>,
    own: Option<String>,
    /// The trace id of its `traceparent` header (W3C Trace Context).
    pub(crate) parent: Option<String>,
    started: Instant,
}

impl Trace {
    #[expect(clippy::disallowed_methods, reason = "how long things take is for the log alone")]
    pub(crate) fn of(headers: &RequestHeaders) -> Self {
        let started = Instant::now();
        // A host that reuses an instance would leave the previous request's here.
        STATEMENTS.take();
        ATTEMPTED.take();
        let given = headers.last("x-request-id").filter(|id| is_id(id));
        let own = given.is_none().then(|| format!("{:016x}", UnwrapErr(SysRng).next_u64()));
        let parent = headers.last("traceparent").and_then(|parent| trace_id(&parent).map(str::to_owned));
        Self { given, own, parent, started }
    }

    /// The request's id.
    pub(crate) fn id(&self) -> &str {
        self.given.as_deref().or(self.own.as_deref()).unwrap_or_default()
    }

    /// Microseconds since its arrival.
    pub(crate) fn microseconds(&self) -> u64 {
        microseconds(self.started.elapsed())
    }
}

/// Measures a statement.
#[expect(clippy::disallowed_methods, reason = "how long things take is for the log alone")]
pub(crate) fn timed<T>(statement: impl FnOnce() -> T) -> T {
    let started = Instant::now();
    let done = statement();
    STATEMENTS.with_borrow_mut(|statements| statements.push(started.elapsed()));
    done
}

/// Microseconds that each statement took, in order.
pub(crate) fn statements() -> Vec<u64> {
    STATEMENTS.with_borrow(|statements| statements.iter().copied().map(microseconds).collect())
}

/// Whole microseconds: formatting fractions would add more code than this module has.
fn microseconds(duration: Duration) -> u64 {
    duration.as_secs() * 1_000_000 + u64::from(duration.subsec_micros())
}

/// Now, as RFC 3339 writes it: `2026-11-27T02:00:00.123Z`.
#[expect(clippy::disallowed_methods, reason = "the log's own time")]
pub(crate) fn now() -> String {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let seconds = UnixTime::from_seconds(now.as_secs().try_into().unwrap_or(i64::MAX));
    rfc_3339(seconds, now.subsec_millis())
}

fn rfc_3339(time: UnixTime, milliseconds: u32) -> String {
    let (day, second) = (time.seconds().div_euclid(86_400), time.seconds().rem_euclid(86_400));
    let (year, month, day) = civil(day);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milliseconds:03}Z")
}

/// The date of a day since 1970-01-01: years that begin in March have their leap day at the end.
const fn civil(day: i64) -> (i64, i64, i64) {
    let day = day + 719_468;
    let (era, of_era) = (day.div_euclid(146_097), day.rem_euclid(146_097));
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let is_next = month >= 10;
    (year + era * 400 + is_next as i64, if is_next { month - 9 } else { month + 3 }, day)
}

/// Whether a text is safe in a log line and in a header.
fn is_id(text: &str) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    (1..=MAX_ID).contains(&text.len()) && text.bytes().all(is_letter)
}

/// The second part of a `traceparent`: 32 digits, not all of them 0.
fn trace_id(parent: &str) -> Option<&str> {
    let mut parts = parent.split('-');
    let (version, id, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let is_hex = |text: &str, length| {
        text.len() == length && text.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'a'..=b'f'))
    };
    // Version 00 has four parts; later ones may have more.
    let has_its_parts = version != "00" || parts.next().is_none();
    let is_some = |text: &str| text.bytes().any(|byte| byte != b'0');
    let is_whole = is_hex(version, 2) && version != "ff" && is_hex(id, 32) && is_hex(span, 16) && is_hex(flags, 2);
    (is_whole && has_its_parts && is_some(id) && is_some(span)).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_the_calendar() {
        for (seconds, written) in [
            (0, "1970-01-01T00:00:00.007Z"),
            (951_782_399, "2000-02-28T23:59:59.007Z"),
            (951_782_400, "2000-02-29T00:00:00.007Z"),
            (1_709_251_199, "2024-02-29T23:59:59.007Z"),
            (1_709_251_200, "2024-03-01T00:00:00.007Z"),
            (4_107_542_400, "2100-03-01T00:00:00.007Z"),
        ] {
            assert_eq!(rfc_3339(UnixTime::from_seconds(seconds), 7), written);
        }
    }

    #[test]
    fn ids_are_short_and_plain() {
        for id in ["a", "7f3e.A_b-c", &"x".repeat(64)] {
            assert!(is_id(id), "{id}");
        }
        for id in ["", &"x".repeat(65), "a b", "a\"b", "a\nb", "é", "a/b"] {
            assert!(!is_id(id), "{id:?}");
        }
    }

    #[test]
    fn a_trace_is_what_the_w3c_says() {
        let id = "4bf92f3577b34da6a3ce929d0e0e4736";
        assert_eq!(trace_id(&format!("00-{id}-00f067aa0ba902b7-01")), Some(id));
        for parent in [
            format!("ff-{id}-00f067aa0ba902b7-01"),
            format!("00-{}-00f067aa0ba902b7-01", "0".repeat(32)),
            format!("00-{}-00f067aa0ba902b7-01", id.to_uppercase()),
            format!("00-{id}-01"),
            format!("00-{id}-00f067aa0ba902b7-01-more"),
            format!("00-{id}-0000000000000000-01"),
            "00".to_owned(),
            String::new(),
        ] {
            assert_eq!(trace_id(&parent), None, "{parent}");
        }
    }
}
