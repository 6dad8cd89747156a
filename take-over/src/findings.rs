//! What a take-over says: row by row, and of the whole.

use std::collections::HashSet;
use std::fmt;

/// What was found, or will be done: by table and row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The table.
    pub table: &'static str,
    /// The row's `id`.
    pub id: i64,
    /// What about it.
    pub what: What,
}

/// What there is to say about a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// The account is taken over.
    TakenOver,
    /// Its password was in clear.
    PasswordInClear,
    /// Its second factor was in clear.
    SecondFactorInClear,
    /// Its password was longer than bcrypt reads, or than any request may give.
    LongPassword,
    /// It has no second factor.
    NotEnrolled,
    /// It has no password.
    NoPassword,
    /// No key opens its password, or it is no hash that can be verified.
    UnreadablePassword,
    /// No key opens its second factor, or it is no base32, or it is too long.
    UnreadableSecondFactor,
    /// Its hash costs more than those of others.
    CostlyHash,
    /// It does not say when its password was made.
    NoBirth,
    /// Its password was made in the future.
    FutureBirth,
    /// Its name has more than 50 characters.
    LongName,
    /// It has no name.
    NoName,
    /// An account has its very name.
    Duplicate,
    /// A row of its number was taken over before, under another name.
    OtherName,
    /// Its name differs from another's only in case.
    SameNameButForCase,
    /// No request can give its name.
    UnreachableName,
}

/// What a take-over found and did, or would do.
#[derive(Debug, Default)]
pub struct TakenOver {
    /// Row by row.
    pub findings: Vec<Finding>,
    /// Rows of `users` that were taken over before.
    pub before: u64,
    /// Accounts that must renew at their next complete login, because that was asked for.
    pub expired: u64,
    /// What there is to say about all of it.
    pub remarks: Vec<Remark>,
}

/// What there is to say about a database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remark {
    /// Some passwords are bcrypt hashes.
    Hashes,
    /// API version 2's tokens are opened by no key: then nothing is taken over.
    WrongKeys,
    /// The sealed secrets of `users` are opened by no key: they are taken over, and nobody can read them yet.
    UnreadableSource,
    /// There is a table `users` of another program.
    ForeignUsers,
}

impl TakenOver {
    /// Whether there is this to say.
    #[must_use]
    pub fn has(&self, remark: Remark) -> bool {
        self.remarks.contains(&remark)
    }

    /// Rows that nobody logs in with until somebody looks after them.
    #[must_use]
    pub fn rows_in_need(&self) -> usize {
        let needs = |what| {
            matches!(
                what,
                What::NoPassword
                    | What::UnreadablePassword
                    | What::UnreadableSecondFactor
                    | What::LongName
                    | What::NoName
                    | What::Duplicate
                    | What::OtherName
                    | What::UnreachableName
            )
        };
        let in_need =
            self.findings.iter().filter(|finding| finding.table != "password_history_v2" && needs(finding.what));
        in_need.map(|finding| (finding.table, finding.id)).collect::<HashSet<_>>().len()
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TakenOver => "taken over into users_v2",
            Self::PasswordInClear => "the password was in clear; it is protected",
            Self::SecondFactorInClear => "the second factor was in clear; it is protected",
            Self::LongPassword => {
                "the password has more than the 72 bytes that bcrypt reads, or more characters than a request may give (its \
                 first 100 do); its owner must renew it"
            }
            Self::NotEnrolled => "no second factor; its owner enrols with the current password",
            Self::NoPassword => "no password; the operator gives it one",
            Self::UnreadablePassword => {
                "no key opens the password, or it is another program's hash, or bcrypt of a cost over 14; it stays as it is, and nobody \
                 logs in until encryption_key has its key or the operator gives it another"
            }
            Self::UnreadableSecondFactor => {
                "nobody can read the second factor: no key opens it, or it is no base32 of at most 127 characters; nobody logs in \
                 until encryption_key has its key or the operator resets it"
            }
            Self::CostlyHash => {
                "the hash costs more than those of others: how long a login takes tells that there is such an account, until \
                 its password is replaced"
            }
            Self::FutureBirth => {
                "its gendate lies in the future, or is not in seconds: it counts as expired"
            }
            Self::NoBirth => "it has no gendate; its owner renews at the first complete login",
            Self::LongName => "the name has more than 50 characters; not taken over",
            Self::NoName => "it has no name; not taken over",
            Self::Duplicate => "an account of that name is there already; not taken over",
            Self::OtherName => {
                "a row of this number was taken over before under another name; not taken over (give it another number if it is \
                 somebody else)"
            }
            Self::SameNameButForCase => "the name is the same as another's to people (its case, or the form of its letters); both stay",
            Self::UnreachableName => "no request can give the name: nobody logs in by it; it stays",
        })
    }
}
