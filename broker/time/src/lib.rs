//! Time as a value, and the timer wheel
