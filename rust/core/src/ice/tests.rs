//! Two agents, a virtual clock, a network that loses.
