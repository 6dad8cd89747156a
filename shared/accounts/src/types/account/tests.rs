//! When an account expires, and an account for other tests.

use super::*;

const MAX_AGE: Age = Age::from_seconds(100);

pub(crate) fn account() -> Account {
    Account {
        id: AccountId(1),
        row_version: None,
        username: "michel.ranu".to_owned(),
        status: AccountStatus::of_new(Origin::SelfRegistered, AdminIntervention::Never),
        status_mac: None,
        password: sealed(),
        password_issued_at: UnixTime::from_seconds(1000),
        previous: None,
        second_factor: None,
        pending: None,
        enrolment_ends: None,
        expiry: Expiry::Unmarked,
        counters: Counters {
            password_version: 1,
            mfa_version: 0,
            login: 0,
            security: 0,
            session_epoch: 0,
            identity: None,
        },
        last_step: None,
        otp_failures: 0,
        last_issuance: None,
    }
}

pub(crate) fn sealed() -> Sealed {
    Sealed::from_stored(String::new(), None, None)
}

pub(crate) fn second_factor(issued_at: Option<i64>) -> SecondFactor {
    SecondFactor { secret: sealed(), issued_at: issued_at.map(UnixTime::from_seconds) }
}

#[test]
fn an_account_expires_strictly_past_the_maximum_age_of_its_older_factor() {
    let check = |factor, now, expected| {
        let account = Account { second_factor: factor, ..account() };
        assert_eq!(account.has_expired(UnixTime::from_seconds(now), MAX_AGE), expected, "at {now}");
    };
    check(None, 1100, false);
    check(None, 1101, true);
    check(Some(second_factor(None)), 1100, false);
    check(Some(second_factor(None)), 1101, true);
    check(Some(second_factor(Some(900))), 1000, false);
    check(Some(second_factor(Some(900))), 1001, true);
    check(Some(second_factor(Some(1050))), 1101, true);
    check(None, 10, false);
}

#[test]
fn a_mark_holds_until_both_factors_were_issued_after_it() {
    let check = |since, password, factor, expected| {
        let expiry = Expiry::Marked { since };
        let account = Account { expiry, second_factor: Some(second_factor(Some(1000))), ..account() };
        let [password, factor, now] = [password, factor, 1050].map(UnixTime::from_seconds);
        assert_eq!(account.would_have_expired(password, factor, now, MAX_AGE), expected, "{password:?} {factor:?}");
    };
    let by_the_operator = Some(UnixTime::from_seconds(1040));
    check(by_the_operator, 1000, 1000, true);
    check(by_the_operator, 1050, 1000, true);
    check(by_the_operator, 1050, 1040, true);
    check(by_the_operator, 1041, 1050, false);
    // Made by hand: met now, so it is as old as the second before.
    check(None, 1000, 1000, true);
    check(None, 1050, 1000, true);
    check(None, 1050, 1050, false);
}

#[test]
fn a_mark_that_only_says_what_the_age_says_ends_with_it() {
    let expiry = Expiry::Marked { since: None };
    let account = Account { expiry, second_factor: Some(second_factor(Some(1150))), ..account() };
    let now = UnixTime::from_seconds(1200);
    assert!(account.has_expired(now, MAX_AGE));
    assert!(!account.would_have_expired(now, UnixTime::from_seconds(1150), now, MAX_AGE));
}

#[test]
fn a_pending_second_factor_waits_for_an_hour() {
    let pending = PendingSecondFactor { secret: sealed(), issued_at: UnixTime::from_seconds(1000) };
    assert!(pending.is_alive(UnixTime::from_seconds(4600)) && !pending.is_alive(UnixTime::from_seconds(4601)));
}
