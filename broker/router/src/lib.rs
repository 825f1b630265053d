//! From a message to the inboxes that want it
