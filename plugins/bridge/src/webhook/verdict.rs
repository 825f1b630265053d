//! What a server's answer means for a batch.

use std::time::Duration;

/// The longest pause that a server may ask for.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(600);

/// How a request ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The server has it.
    Taken,
    /// The server may take it another time.
    Later {
        why: String,
        /// As the server wishes: at most ten minutes.
        after: Option<Duration>,
    },
    /// The server will not take it.
    Refused {
        status: u16,
        /// It may be the fault of one message, or of their number.
        divisible: bool,
    },
}

impl Verdict {
    /// From the status of an answer and its Retry-After (RFC 9110, sections 15 and 10.2.3). A date
    /// in Retry-After is passed over: our own pause stands in for it.
    pub fn new(status: u16, retry_after: Option<&str>) -> Self {
        match status {
            200..=299 => Verdict::Taken,
            408 | 425 | 429 | 500..=599 => Verdict::Later {
                why: format!("the server answered {status}"),
                after: retry_after.and_then(seconds),
            },
            _ => Verdict::Refused {
                status,
                divisible: matches!(status, 400 | 413 | 422),
            },
        }
    }

    /// There was no answer.
    pub fn unanswered(why: String) -> Self {
        Verdict::Later { why, after: None }
    }
}

fn seconds(text: &str) -> Option<Duration> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    // What is too long for a number is too long to wait.
    let seconds = digits.then(|| text.parse().unwrap_or(u64::MAX))?;
    Some(Duration::from_secs(seconds).min(MAX_RETRY_AFTER))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_status_has_its_meaning() {
        for status in [200, 201, 202, 204, 299] {
            assert_eq!(Verdict::new(status, None), Verdict::Taken, "{status}");
        }
        for status in [408, 425, 429, 500, 502, 503, 504, 599] {
            let verdict = Verdict::new(status, None);
            assert!(matches!(verdict, Verdict::Later { .. }), "{status}");
        }
        for (status, expected) in [
            (301, false),
            (304, false),
            (308, false),
            (400, true),
            (401, false),
            (404, false),
            (413, true),
            (422, true),
            (431, false),
            (600, false),
        ] {
            let divisible = expected;
            assert_eq!(
                Verdict::new(status, Some("1")),
                Verdict::Refused { status, divisible }
            );
        }
    }

    #[test]
    fn the_server_may_ask_for_a_pause_within_bounds() {
        for (text, expected) in [
            ("0", Some(0)),
            ("7", Some(7)),
            ("86400", Some(600)),
            ("99999999999999999999999", Some(600)),
            ("+7", None),
            ("", None),
            ("Sun, 06 Nov 1994 08:49:37 GMT", None),
        ] {
            let Verdict::Later { after, .. } = Verdict::new(503, Some(text)) else {
                panic!("503 is worth another attempt");
            };
            assert_eq!(after, expected.map(Duration::from_secs), "{text}");
        }
    }
}
