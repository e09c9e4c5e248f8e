//! Finds the known name that is closest to a misspelt one.

/// The candidate with the smallest edit distance, of those that the given name can be a misspelling or an abbreviation of.
pub fn near<'a>(given: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let close = candidates.filter(|candidate| is_close(given, candidate));
    close.min_by_key(|candidate| {
        // Abbreviations and suffixes come before any other mistake.
        let is_end = !given.is_empty() && given.ends_with(candidate);
        (
            !is_start(given, candidate) && !is_end,
            strsim::damerau_levenshtein(given, candidate),
        )
    })
}

/// Whether one name can be a misspelling or an abbreviation of the other. Names such as `f16` and `f32` have too little in
/// common.
pub fn is_close(given: &str, known: &str) -> bool {
    // No misspelling is much longer than what it means, and the distance takes time in proportion to both.
    if given.len() > 2 * known.len() + 16 {
        return false;
    }
    let distance = strsim::damerau_levenshtein(given, known);
    is_start(given, known) || 2 * distance <= known.len().max(given.len())
}

fn is_start(given: &str, known: &str) -> bool {
    given.len() >= 3 && known.starts_with(given)
}
