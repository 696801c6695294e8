//! Reference loops and load for `make bench`; each prints one JSON document.
//!
//! * `live777-bench raw RECEIVERS ROUNDS`: what the kernel charges for the datagrams alone, by `sendto` and by GSO.
//! * `live777-bench publish PROFILE KEY_HEX SALT_HEX TO FIRST_SEQUENCE BURST BURSTS`: sends SRTP video from the socket
//!   that is its standard input, and reads it back there.
//! * `live777-bench latency PROFILE TO BURST SECONDS STREAM...`: plays many cameras, and looks when their packets come to
//!   some of the viewers.

mod clock;
mod latency;
mod publish;
mod raw;
mod segmented;
mod stamped;
mod video;

use std::io;
use std::process::ExitCode;
use std::str::FromStr;

/// Command line arguments, in order.
struct Arguments(std::vec::IntoIter<String>);

impl Arguments {
    fn next<T: FromStr>(&mut self, name: &str) -> io::Result<T> {
        let text = self.0.next().ok_or_else(|| invalid(&format!("{name} is missing")))?;
        text.parse().map_err(|_| invalid(&format!("{name}: {text:?} is not understood")))
    }
}

fn invalid(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, why)
}

fn main() -> ExitCode {
    let mut arguments = Arguments(std::env::args().skip(1).collect::<Vec<_>>().into_iter());
    let result = arguments.next::<String>("command").and_then(|command| match command.as_str() {
        "raw" => raw::run(&mut arguments),
        "latency" => latency::run(&mut arguments),
        "publish" => publish::run(&mut arguments),
        other => Err(invalid(&format!("{other:?} is not a command"))),
    });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("live777-bench: {error}");
            ExitCode::FAILURE
        }
    }
}
