//! What a URL says: percent-encoded text, and pairs behind the question mark.

/// Percent-decodes a part of a URL. `None` if it is malformed, or no UTF-8.
pub fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        if *first != b'%' {
            bytes.push(*first);
            rest = tail;
            continue;
        }
        let [high, low, tail @ ..] = tail else {
            return None;
        };
        let digit = |byte: u8| char::from(byte).to_digit(16);
        bytes.push((digit(*high)? * 16 + digit(*low)?) as u8);
        rest = tail;
    }
    String::from_utf8(bytes).ok()
}

/// The value of a key in a query, decoded; a plus is a space there.
pub fn value(query: Option<&str>, key: &str) -> Option<String> {
    let pairs = query?.split('&').filter_map(|pair| pair.split_once('='));
    let (_, value) = pairs.into_iter().find(|(name, _)| *name == key)?;
    decode(&value.replace('+', " "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percent_encoding_is_undone() {
        assert_eq!(decode("a%2Fb%20%C3%A9").as_deref(), Some("a/b é"));
        assert_eq!(decode("100%"), None);
        assert_eq!(decode("%zz"), None);
        assert_eq!(decode("%ff"), None);
    }

    #[test]
    fn pairs_are_found_by_key() {
        let query = Some("limit=10&after=a+%2B&x");
        assert_eq!(value(query, "limit").as_deref(), Some("10"));
        assert_eq!(value(query, "after").as_deref(), Some("a +"));
        assert_eq!(value(query, "x"), None);
        assert_eq!(value(None, "limit"), None);
    }
}
