//! How many connections there may be.

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Bounds that all listeners share. A reload may change them; connections that are there stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AdmissionLimits {
    /// Connections in all.
    pub connections: u32,
    /// Connections from one address; a unix socket has none.
    pub connections_per_address: Option<u32>,
}

/// Counts the connections of all listeners.
#[derive(Debug)]
pub struct Admissions {
    connections: AtomicU32,
    // Locked when a connection begins and ends, if there is a limit for each address.
    addresses: Mutex<HashMap<IpAddr, u32>>,
}

/// A counted connection: counted until dropped.
#[derive(Debug)]
pub struct Admission {
    listener: Arc<ListenerAdmissions>,
    address: Option<IpAddr>,
}

/// Counts the connections of one listener among those of all.
#[derive(Debug)]
pub struct ListenerAdmissions {
    all: Arc<Admissions>,
    connections: AtomicU32,
}

/// Which limit is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// Of all connections.
    Total,
    /// Of the listener.
    Listener,
    /// Of the address.
    Address,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Refused::Total => "limits.connections is reached",
            Refused::Listener => "the listener's max_connections is reached",
            Refused::Address => "limits.connections_per_address is reached",
        })
    }
}

impl Admissions {
    /// Without connections.
    pub fn new() -> Arc<Self> {
        Arc::new(Admissions {
            connections: AtomicU32::new(0),
            addresses: Mutex::default(),
        })
    }

    /// Connections of all listeners, also those that have no session yet.
    pub fn connections(&self) -> u32 {
        self.connections.load(Ordering::Relaxed)
    }

    /// For one more listener.
    pub fn listener(self: &Arc<Self>) -> Arc<ListenerAdmissions> {
        Arc::new(ListenerAdmissions {
            all: self.clone(),
            connections: AtomicU32::new(0),
        })
    }

    fn addresses(&self) -> std::sync::MutexGuard<'_, HashMap<IpAddr, u32>> {
        self.addresses
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl ListenerAdmissions {
    /// Connections of this listener.
    pub fn connections(&self) -> u32 {
        self.connections.load(Ordering::Relaxed)
    }

    /// Counts one more connection of this listener.
    ///
    /// # Errors
    /// The limit that is reached.
    pub fn admit(
        self: &Arc<Self>,
        limits: AdmissionLimits,
        listener_limit: Option<u32>,
        address: Option<IpAddr>,
    ) -> Result<Admission, Refused> {
        if !increment(&self.all.connections, limits.connections) {
            return Err(Refused::Total);
        }
        // From here on the guard takes back what was counted.
        let mut admission = Admission {
            listener: self.clone(),
            address: None,
        };
        let before = self.connections.fetch_add(1, Ordering::Relaxed);
        if listener_limit.is_some_and(|limit| before >= limit) {
            return Err(Refused::Listener);
        }
        if let (Some(address), Some(limit)) = (address, limits.connections_per_address) {
            let mut addresses = self.all.addresses();
            let count = addresses.entry(address).or_insert(0);
            if *count >= limit {
                return Err(Refused::Address);
            }
            *count += 1;
            admission.address = Some(address);
        }
        Ok(admission)
    }
}

fn increment(counter: &AtomicU32, limit: u32) -> bool {
    counter
        .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |count| {
            (count < limit).then_some(count + 1)
        })
        .is_ok()
}

impl Drop for Admission {
    fn drop(&mut self) {
        let ListenerAdmissions { all, connections } = &*self.listener;
        connections.fetch_sub(1, Ordering::Relaxed);
        all.connections.fetch_sub(1, Ordering::Relaxed);
        let Some(address) = self.address else { return };
        let mut addresses = all.addresses();
        if let Some(count) = addresses.get_mut(&address) {
            *count -= 1;
            if *count == 0 {
                addresses.remove(&address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_limit_refuses_and_a_dropped_connection_makes_room() {
        let admissions = Admissions::new();
        let limits = AdmissionLimits {
            connections: 3,
            connections_per_address: Some(1),
        };
        let (one, other) = (admissions.listener(), admissions.listener());
        let address = |n: u8| Some(IpAddr::from([127, 0, 0, n]));
        let admit = |listener: &Arc<ListenerAdmissions>, limit, n| {
            listener.admit(limits, limit, address(n))
        };
        let first = admit(&one, None, 1).unwrap();
        assert_eq!(admit(&one, None, 1).unwrap_err(), Refused::Address);
        assert_eq!(admit(&one, Some(1), 2).unwrap_err(), Refused::Listener);
        let _second = admit(&other, Some(1), 2).unwrap();
        let _third = admit(&one, None, 3).unwrap();
        assert_eq!(admit(&one, None, 4).unwrap_err(), Refused::Total);
        drop(first);
        assert_eq!(admissions.connections(), 2);
        let _again = admit(&one, None, 1).unwrap();
    }
}
