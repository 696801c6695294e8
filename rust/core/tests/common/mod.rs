//! Two or three peers, a virtual clock and a seeded bad network.
#![allow(dead_code, reason = "each test uses a part")]

pub mod frames;
pub mod net;
pub mod publisher;
pub mod scalable;
pub mod scene;
pub mod session;
pub mod viewer;
pub mod wire;
