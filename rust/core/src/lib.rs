//! Sans-IO media plane.
