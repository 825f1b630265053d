//! Sessions, their queues and retained messages
