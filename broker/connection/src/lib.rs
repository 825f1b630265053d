//! The driver of one connection: select, then apply
