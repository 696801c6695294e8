//! From a burst of received packets to one run of datagrams per viewer.

pub mod burst;
