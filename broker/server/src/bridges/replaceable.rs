//! The map of a bridge, which a reload replaces while the bridge goes on.

use std::sync::Arc;

use arc_swap::ArcSwap;
use dunlin_bridge::{Fault, Identity, Map, Mapped};

/// Maps as whichever map it has at the time.
pub struct Replaceable(ArcSwap<Arc<dyn Map>>);

impl Replaceable {
    /// With this map, or none.
    pub fn new(map: Option<Arc<dyn Map>>) -> Self {
        let map = map.unwrap_or_else(|| Arc::new(Identity));
        Replaceable(ArcSwap::from_pointee(map))
    }

    /// Goes on with the map of another.
    pub fn replace(&self, other: &Replaceable) {
        self.0.store(other.0.load_full());
    }
}

impl Map for Replaceable {
    fn egress(&self, batch: &mut Vec<Mapped>) -> Result<(), Fault> {
        self.0.load_full().egress(batch)
    }

    fn ingress(&self, batch: &mut Vec<Mapped>) -> Result<(), Fault> {
        self.0.load_full().ingress(batch)
    }
}
