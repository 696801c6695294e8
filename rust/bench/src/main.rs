//! Reference loops for `make bench`.
fn main() {}
