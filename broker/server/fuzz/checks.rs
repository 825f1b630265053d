//! What must hold for any input. Run by the fuzz targets, and on the seed corpus by the tests.

#![allow(dead_code, reason = "each target uses one of them")]

use dunlin::config::load::{from_mosquitto, from_toml};
use dunlin::config::{Invalid, Loaded, print};

/// A mosquitto.conf: see [`reads_or_says_why`].
pub fn mosquitto_conf(input: &[u8]) {
    check(input, from_mosquitto);
}

/// A dunlin.toml: see [`reads_or_says_why`].
pub fn toml(input: &[u8]) {
    check(input, from_toml);
}

fn check(input: &[u8], read: fn(&str) -> Result<Loaded, Invalid>) {
    if let Ok(text) = std::str::from_utf8(input) {
        reads_or_says_why(read(text));
    }
}

/// What is accepted is printed as TOML that means the same; what is refused is
/// refused with words, each of one line.
fn reads_or_says_why(read: Result<Loaded, Invalid>) {
    match read {
        Ok(Loaded { config, .. }) => {
            let printed = print::toml(&config);
            let again = from_toml(&printed).expect("printed TOML is good").config;
            assert_eq!(again, config, "{printed}");
        }
        Err(Invalid(problems)) => {
            assert!(!problems.is_empty(), "refused without a word");
            for problem in problems {
                assert!(
                    !problem.text.is_empty() && !problem.text.contains('\n'),
                    "{problem}"
                );
            }
        }
    }
}
