//! What is kept about packets received: the packets themselves for a while, what is missing, and what to report.

pub mod clock;
pub mod frames;
pub mod history;
pub mod nack;
pub mod remb;
pub mod report;
pub mod rtx;
pub mod twcc;
