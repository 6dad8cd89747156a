//! The platform's and the proxies' word on where a request comes from.

#![no_main]

use cofrap_edge::client_address;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|parts: (&str, Vec<&str>, u8)| {
    let (peer, forwarded, hops) = parts;
    let forwarded: Vec<_> = forwarded.into_iter().map(str::to_owned).collect();
    let direct = client_address(Some(peer), &[], 0);
    assert_eq!(client_address(Some(peer), &forwarded, 0), direct);
    let _ = client_address(Some(peer), &forwarded, hops.into());
});
