//! Any path under `/function/` and `/f/` that no function has.

use crate::{Code, Problem};

/// What it answers, whatever the request.
#[must_use]
pub const fn problem() -> Problem {
    Problem::new(Code::NotFound)
}
