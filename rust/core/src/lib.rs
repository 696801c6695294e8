//! Sans-IO media plane.

#![deny(unsafe_code)]

pub mod codec;
pub mod command;
pub mod egress;
pub mod event;
pub mod fuzz;
pub mod ice;
pub mod receive;
pub mod relay;
pub mod rtcp;
pub mod rtp;
pub mod srtp;
pub mod stats;
pub mod stun;
pub mod worker;
