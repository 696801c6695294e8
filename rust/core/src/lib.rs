//! Sans-IO media plane.

#![deny(unsafe_code)]

mod bandwidth;
pub mod codec;
pub mod command;
mod depacketise;
mod dump;
mod egress;
pub mod event;
pub mod frame;
pub mod framing;
pub mod fuzz;
pub mod ice;
pub mod layer;
mod notices;
mod objects;
mod packetise;
mod random;
pub mod receive;
pub mod relay;
pub mod rtcp;
pub mod rtp;
pub mod srtp;
pub mod stats;
pub mod stun;
mod subscription;
mod tally;
pub mod tap;
mod timers;
mod track;
mod transport;
pub mod worker;
