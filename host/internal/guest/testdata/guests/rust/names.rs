//! Names, label values and checksums, as the Go SDK makes them.

use crate::json::Writer;
use std::borrow::Cow;

const MAX_LABEL: usize = 63;
const HASH_DIGITS: usize = 10;

/// Joins two parts to a child's name, a valid DNS label. Where that takes changing characters, a hash makes it unique.
pub fn name(prefix: &str, view: &str) -> String {
    let joined = format!("{}-{}", prefix, view);
    let mapped: String = joined
        .chars()
        .map(|c| match c {
            'a'..='z' | '0'..='9' => c,
            'A'..='Z' => c.to_ascii_lowercase(),
            _ => '-',
        })
        .collect();
    let label = mapped.trim_matches('-');
    if label == joined && label.len() <= MAX_LABEL {
        return joined;
    }
    shorten(label, &joined)
}

/// Returns text as a label's value: as it is if it is short enough, else shortened, with a hash.
pub fn label_value(text: &str) -> Cow<'_, str> {
    if text.len() <= MAX_LABEL {
        return Cow::Borrowed(text);
    }
    Cow::Owned(shorten(text, text))
}

fn shorten(text: &str, original: &str) -> String {
    let keep = text.len().min(MAX_LABEL - HASH_DIGITS - 1);
    let prefix = text[..keep].trim_end_matches(|c| matches!(c, '-' | '.' | '_'));
    format!("{}-{}", prefix, &hash(original.as_bytes())[..HASH_DIGITS]).trim_start_matches('-').to_string()
}

/// Returns a short hash of the texts' JSON encoding.
pub fn checksum(markdowns: &[(&str, &str)]) -> String {
    let mut w = Writer { out: Vec::new(), html: true };
    w.object(|w| markdowns.iter().for_each(|(key, text)| w.field(key, text)));
    hash(&w.out)
}

/// FNV-1a with a last mixing step.
fn hash(data: &[u8]) -> String {
    let mut sum = data.iter().fold(0xcbf29ce484222325u64, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x100000001b3));
    sum = (sum ^ sum >> 33).wrapping_mul(0xff51afd7ed558ccd);
    sum = (sum ^ sum >> 33).wrapping_mul(0xc4ceb9fe1a85ec53);
    format!("{:016x}", sum ^ sum >> 33)
}
