//! What a take-over found, said.

use crate::say::say;
use cofrap_crypto::PasswordHash;
use cofrap_take_over::{Finding, Remark, TakenOver, What};

/// What was found row by row, by number only, and what it comes to.
pub(crate) fn say_taken_over(report: &TakenOver) {
    for Finding { table, id, what } in &report.findings {
        say(&format!("{table}:{id}: {what}"));
    }
    let count =
        |what| report.findings.iter().filter(|finding| finding.table == "users" && finding.what == what).count();
    let taken = count(What::TakenOver);
    let left = count(What::LongName) + count(What::NoName) + count(What::Duplicate);
    if taken + left > 0 || report.before > 0 {
        say(&format!(
            "API version 1: {taken} accounts to take over, {} taken over before, {left} left; its table stays as it is",
            report.before
        ));
    }
    if report.has(Remark::UnreadableSource) && taken > 0 {
        say(
            "warning: no key of encryption_key opens any sealed secret of users: is it the key of the functions before?",
        );
    }
    match report.rows_in_need() {
        0 => {}
        rows => say(&format!("rows that need somebody before anybody logs in with them: {rows}")),
    }
    if report.has(Remark::Hashes) {
        say(&format!(
            "bcrypt reads {} bytes of a password: whoever had a longer one logs in with it as before, and then must renew",
            PasswordHash::MAX_BYTES
        ));
    }
    if report.expired > 0 {
        say(&format!("{} accounts of API version 1 must renew at their next complete login", report.expired));
    }
    if report.has(Remark::ForeignUsers) {
        say("the table users is another program's: it has not the columns of API version 1");
    }
}
