//! What one request carries.

use bytes::Bytes;

use super::body;
use crate::map::Mapped;

/// Messages on their way together; sent again, the key and the body are the same.
pub(crate) struct Batch {
    pub messages: Vec<Mapped>,
    pub key: String,
    pub body: Bytes,
}

impl Batch {
    /// # Errors
    /// The messages have no encoding: they, and why.
    pub fn new(messages: Vec<Mapped>, keys: &mut Keys) -> Result<Self, (Vec<Mapped>, String)> {
        match body::encode(&messages) {
            Ok(body) => Ok(Batch {
                messages,
                key: keys.next(),
                body: body.into(),
            }),
            Err(why) => Err((messages, why)),
        }
    }

    /// The messages in two parts, of which each has one if there are two.
    pub fn halves(mut self) -> [Vec<Mapped>; 2] {
        let second = self.messages.split_off(self.messages.len() / 2);
        [self.messages, second]
    }
}

/// Gives each batch a name that no other has, also not one of another process.
///
/// It does not follow from the content: two batches with the same messages are two.
pub(crate) struct Keys {
    process: u128,
    last: u64,
}

impl Keys {
    /// # Errors
    /// The system has no randomness.
    pub fn new() -> Result<Self, String> {
        let mut random = [0; 16];
        getrandom::fill(&mut random).map_err(|error| format!("no randomness: {error}"))?;
        Ok(Keys {
            process: u128::from_ne_bytes(random),
            last: 0,
        })
    }

    fn next(&mut self) -> String {
        self.last += 1;
        format!("{:032x}-{}", self.process, self.last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_keep_the_order_and_get_keys_of_their_own() {
        let mut keys = Keys::new().unwrap();
        let message = |number: u8| Mapped::new("t".into(), vec![number]);
        let Ok(batch) = Batch::new((0..5).map(message).collect(), &mut keys) else {
            panic!("it has an encoding");
        };
        let whole = batch.key.clone();
        let halves = batch.halves();
        let numbers = halves.each_ref().map(|half| {
            let payloads = half.iter().map(|message| message.payload[0]);
            payloads.collect::<Vec<_>>()
        });
        assert_eq!(numbers, [vec![0, 1], vec![2, 3, 4]]);
        let [first, second] = halves.map(|half| match Batch::new(half, &mut keys) {
            Ok(batch) => batch.key,
            Err((_, why)) => panic!("{why}"),
        });
        assert!(whole != first && first != second && whole != second);
    }
}
