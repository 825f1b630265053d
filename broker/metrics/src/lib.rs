//! Per-worker counting cells
