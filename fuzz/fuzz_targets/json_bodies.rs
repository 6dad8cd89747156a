//! The body of every function that takes JSON: a command or a problem, never a panic.

#![no_main]

use cofrap_accounts::Bearer;
use cofrap_api::{
    Call, Endpoint, administer_account, authenticate_user_v2, authentication, create_account_secure, generate_mfa,
    generate_mfa_v2, generate_password, generate_password_v2, rotate_keys, verify_mfa,
};
use libfuzzer_sys::fuzz_target;

fn read<R: Endpoint>(body: &[u8]) {
    if let Err(problem) = R::read(Call { method: "POST", query: "", bearer: Bearer::default(), body }) {
        assert_eq!(problem.code().status(), 400);
    }
}

fuzz_target!(|body: &[u8]| {
    read::<authenticate_user_v2::Request>(body);
    read::<generate_password_v2::Request>(body);
    read::<generate_mfa_v2::Request>(body);
    read::<create_account_secure::Request>(body);
    read::<authentication::Request>(body);
    read::<verify_mfa::Request>(body);
    read::<generate_password::Request>(body);
    read::<generate_mfa::Request>(body);
    read::<administer_account::Request>(body);
    read::<rotate_keys::Request>(body);
});
