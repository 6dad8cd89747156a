//! The platform's own stack, which the functions do with less than.

fn main() {
    println!("cargo::rustc-link-arg=-zstack-size=1048576");
}
