//! Why an attempt is refused.

use crate::types::account::AccountId;
use crate::types::audit::Reason;
use cofrap_crypto::TotpStep;

/// Why an attempt is refused, and what it used up.
#[derive(Debug)]
pub struct Refusal {
    /// The account of the given name.
    pub account: Option<AccountId>,
    /// The reason, for the audit.
    pub reason: Reason,
    /// The time step of a right code, which is used up even so.
    pub step: Option<TotpStep>,
    /// Whether the password was right though the code was wrong or missing.
    pub right_password: bool,
    /// Whether the code was wrong and the password right.
    pub wrong_code: bool,
}

impl Refusal {
    /// A refusal that used nothing up.
    #[must_use]
    pub const fn of(account: Option<AccountId>, reason: Reason) -> Self {
        Self { account, reason, step: None, right_password: false, wrong_code: false }
    }
}
