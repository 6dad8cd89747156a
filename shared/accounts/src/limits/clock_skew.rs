//! Stored times that lie in the future: a clock was ahead when they were written. They are ignored, so that after the clock is corrected
//! nobody is locked out for longer than an ordinary lock, and nothing is permitted for longer than it would have been.
//!
//! The database's functions apply the same rule to counts and time steps.

use crate::limits::rate_limit::{LONGEST_LOCK, RateLimitCounts, Window};
use crate::types::account::{Account, Expiry, PreviousPassword};
use crate::types::time::UnixTime;
use cofrap_crypto::TotpStep;

/// By how many seconds the clocks of two machines that run the functions may differ.
pub(crate) const CLOCK_SKEW: i64 = 30;

/// For how many seconds after an operator's reset a second factor may be enrolled with the password alone.
const ENROLMENT: i64 = 24 * 3600;

/// Seconds of a time step. RFC 6238, section 5.2.
const STEP: i64 = 30;

fn is_possible_at(now: UnixTime, time: UnixTime) -> bool {
    time <= now.plus(CLOCK_SKEW)
}

impl RateLimitCounts {
    /// Removes counts and locks from the future.
    pub(crate) fn ignore_future_times(&mut self, now: UnixTime) {
        let is_possible = |window: &Window| is_possible_at(now, window.since);
        self.address = self.address.filter(is_possible);
        self.issuances = self.issuances.filter(is_possible);
        self.name_locked_until = self.name_locked_until.filter(|until| is_possible_at(now, until.plus(-LONGEST_LOCK)));
    }
}

impl Account {
    /// Treats issue times from the future as very old, permissions as over, and the time step of a code as the present one.
    pub(crate) fn ignore_future_times(&mut self, now: UnixTime) {
        let long_ago = UnixTime::from_seconds(0);
        if !is_possible_at(now, self.password_issued_at) {
            self.password_issued_at = long_ago;
        }
        if let Some(factor) = &mut self.second_factor {
            factor.issued_at =
                factor.issued_at.map(|issued_at| if is_possible_at(now, issued_at) { issued_at } else { long_ago });
        }
        self.pending = self.pending.take().filter(|pending| is_possible_at(now, pending.issued_at));
        self.enrolment_ends =
            self.enrolment_ends.map(|end| if is_possible_at(now, end.plus(-ENROLMENT)) { end } else { long_ago });
        let is_possible =
            |previous: &PreviousPassword| is_possible_at(now, previous.ends.plus(-PreviousPassword::PATIENCE));
        self.previous = self.previous.take().filter(is_possible);
        self.last_issuance = self.last_issuance.take().filter(|(at, _)| is_possible_at(now, *at));
        if let Expiry::Marked { since } = &mut self.expiry {
            *since = since.filter(|since| is_possible_at(now, *since));
        }
        // The next step's code may have been used already.
        let present = now.seconds().div_euclid(STEP);
        self.last_step =
            self.last_step.map(|last| if last.number() > present + 1 { TotpStep::new(present) } else { last });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::account::PendingSecondFactor;
    use crate::types::account::tests::account;
    use cofrap_crypto::Sealed;

    const NOW: i64 = 1_000_000;

    fn at(seconds: i64) -> UnixTime {
        UnixTime::from_seconds(NOW + seconds)
    }

    #[test]
    fn what_could_have_been_written_by_now_stays_and_what_could_not_does_not_count() {
        for (ahead, is_possible) in [(0, true), (30, true), (31, false), (31_536_000, false)] {
            let mut counts = RateLimitCounts {
                address: Some(Window { count: 30, since: at(ahead) }),
                issuances: Some(Window { count: 100, since: at(ahead) }),
                name_locked_until: Some(at(ahead + 900)),
                name_has_failures: false,
                known_address: false,
            };
            counts.ignore_future_times(at(0));
            assert_eq!(counts.address.is_some(), is_possible, "{ahead}");
            assert_eq!(counts.issuances.is_some(), is_possible, "{ahead}");
            assert_eq!(counts.name_locked_until.is_some(), is_possible, "{ahead}");

            let sealed = || Sealed::from_stored("x".to_owned(), None, None);
            let mut account = account();
            account.password_issued_at = at(ahead);
            account.pending = Some(PendingSecondFactor { secret: sealed(), issued_at: at(ahead) });
            account.enrolment_ends = Some(at(ahead + 24 * 3600));
            account.previous = Some(PreviousPassword { secret: sealed(), ends: at(ahead + 900) });
            account.last_issuance = Some((at(ahead), "place".to_owned()));
            account.expiry = Expiry::Marked { since: Some(at(ahead)) };
            account.ignore_future_times(at(0));
            assert_eq!(account.password_issued_at == at(ahead), is_possible, "{ahead}");
            assert_eq!(account.pending.is_some(), is_possible, "{ahead}");
            assert_eq!(account.enrolment_ends.is_some_and(|end| end >= at(0)), is_possible, "{ahead}");
            assert_eq!(account.previous.is_some(), is_possible, "{ahead}");
            assert_eq!(account.last_issuance.is_some(), is_possible, "{ahead}");
            assert_eq!(matches!(account.expiry, Expiry::Marked { since: Some(_) }), is_possible, "{ahead}");
        }
    }

    #[test]
    fn a_step_from_the_future_is_the_present_one() {
        let present = NOW.div_euclid(STEP);
        for (ahead, counts_as) in [(-5, -5), (0, 0), (1, 1), (2, 0), (1_000_000, 0)] {
            let mut account = account();
            account.last_step = Some(TotpStep::new(present + ahead));
            account.ignore_future_times(at(0));
            assert_eq!(account.last_step.map(TotpStep::number), Some(present + counts_as), "{ahead}");
        }
    }
}
