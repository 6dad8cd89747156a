//! Times that a clock which ran ahead left behind. What no clock of ours could have written by now does not count: a mended clock locks
//! nobody out for longer than the ordinary locks, and permits nothing for longer than it would have.
//!
//! The database's functions judge the same of counts and of steps, since they have the last word.

use crate::{Account, Expiry, Found, LONGEST_LOCK, PreviousPassword, Reading, Throttles, UnixTime, Window};
use cofrap_crypto::TotpStep;

/// How far the clocks of two machines that run the functions may be apart, in seconds.
pub(crate) const CLOCK_SKEW: i64 = 30;

/// How long a second factor may be enrolled with the password alone after the operator's reset, in seconds.
const ENROLMENT: i64 = 24 * 3600;

/// Seconds of a step of a one-time code. RFC 6238, section 5.2.
const STEP: i64 = 30;

impl Reading {
    /// What counts of it at a moment.
    pub(crate) fn at(mut self, now: UnixTime) -> Self {
        self.throttles.forget_implausible(now);
        if let Found::Account(account) = &mut self.found {
            account.forget_implausible(now);
        }
        self
    }
}

fn could_be_written_by(now: UnixTime, time: UnixTime) -> bool {
    time <= now.plus(CLOCK_SKEW)
}

impl Throttles {
    fn forget_implausible(&mut self, now: UnixTime) {
        let is_plausible = |window: &Window| could_be_written_by(now, window.since);
        self.address = self.address.filter(is_plausible);
        self.generations = self.generations.filter(is_plausible);
        self.name_locked_until =
            self.name_locked_until.filter(|until| could_be_written_by(now, until.plus(-LONGEST_LOCK)));
    }
}

impl Account {
    /// Births are of nobody's memory, permissions have ended, a code's step is the present one.
    fn forget_implausible(&mut self, now: UnixTime) {
        let long_ago = UnixTime::from_seconds(0);
        if !could_be_written_by(now, self.password_born) {
            self.password_born = long_ago;
        }
        if let Some(factor) = &mut self.second_factor {
            factor.born = factor.born.map(|born| if could_be_written_by(now, born) { born } else { long_ago });
        }
        self.pending = self.pending.take().filter(|pending| could_be_written_by(now, pending.born));
        self.enrolment_ends =
            self.enrolment_ends.map(|end| if could_be_written_by(now, end.plus(-ENROLMENT)) { end } else { long_ago });
        let is_plausible =
            |previous: &PreviousPassword| could_be_written_by(now, previous.ends.plus(-PreviousPassword::PATIENCE));
        self.previous = self.previous.take().filter(is_plausible);
        self.generated = self.generated.take().filter(|(at, _)| could_be_written_by(now, *at));
        if let Expiry::Marked { since } = &mut self.expiry {
            *since = since.filter(|since| could_be_written_by(now, *since));
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
    use crate::PendingSecondFactor;
    use crate::account::tests::account;
    use cofrap_crypto::Sealed;

    const NOW: i64 = 1_000_000;

    fn at(seconds: i64) -> UnixTime {
        UnixTime::from_seconds(NOW + seconds)
    }

    #[test]
    fn what_could_have_been_written_by_now_stays_and_what_could_not_does_not_count() {
        for (ahead, is_plausible) in [(0, true), (30, true), (31, false), (31_536_000, false)] {
            let mut throttles = Throttles {
                address: Some(Window { count: 30, since: at(ahead) }),
                generations: Some(Window { count: 100, since: at(ahead) }),
                name_locked_until: Some(at(ahead + 900)),
                known_place: false,
            };
            throttles.forget_implausible(at(0));
            assert_eq!(throttles.address.is_some(), is_plausible, "{ahead}");
            assert_eq!(throttles.generations.is_some(), is_plausible, "{ahead}");
            assert_eq!(throttles.name_locked_until.is_some(), is_plausible, "{ahead}");

            let sealed = || Sealed::from_stored("x".to_owned(), None, None);
            let mut account = account();
            account.password_born = at(ahead);
            account.pending = Some(PendingSecondFactor { secret: sealed(), born: at(ahead) });
            account.enrolment_ends = Some(at(ahead + 24 * 3600));
            account.previous = Some(PreviousPassword { secret: sealed(), ends: at(ahead + 900) });
            account.generated = Some((at(ahead), "place".to_owned()));
            account.expiry = Expiry::Marked { since: Some(at(ahead)) };
            account.forget_implausible(at(0));
            assert_eq!(account.password_born == at(ahead), is_plausible, "{ahead}");
            assert_eq!(account.pending.is_some(), is_plausible, "{ahead}");
            assert_eq!(account.enrolment_ends.is_some_and(|end| end >= at(0)), is_plausible, "{ahead}");
            assert_eq!(account.previous.is_some(), is_plausible, "{ahead}");
            assert_eq!(account.generated.is_some(), is_plausible, "{ahead}");
            assert_eq!(matches!(account.expiry, Expiry::Marked { since: Some(_) }), is_plausible, "{ahead}");
        }
    }

    #[test]
    fn a_step_from_the_future_is_the_present_one() {
        let present = NOW.div_euclid(STEP);
        for (ahead, counts_as) in [(-5, -5), (0, 0), (1, 1), (2, 0), (1_000_000, 0)] {
            let mut account = account();
            account.last_step = Some(TotpStep::new(present + ahead));
            account.forget_implausible(at(0));
            assert_eq!(account.last_step.map(TotpStep::number), Some(present + counts_as), "{ahead}");
        }
    }
}
