//! What follows the question mark of the audit's route.

#![no_main]

use cofrap_accounts::Bearer;
use cofrap_api::{Call, Endpoint, audit_log};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|query: &str| {
    match audit_log::Request::read(Call { method: "GET", query, bearer: Bearer::default(), body: b"" }) {
        Ok(command) => assert!((1..=500).contains(&command.limit)),
        Err(problem) => assert_eq!(problem.code().status(), 400),
    }
});
