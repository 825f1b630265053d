//! How often tests do what they do often.

/// The count of a loop: `small` times `DUNLIN_TEST_SCALE`, which is 1 when unset.
pub fn scaled(small: usize) -> usize {
    match std::env::var("DUNLIN_TEST_SCALE") {
        Ok(scale) => small * scale.parse::<usize>().expect("DUNLIN_TEST_SCALE: a number"),
        Err(_) => small,
    }
}
