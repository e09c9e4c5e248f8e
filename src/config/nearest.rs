//! Finds the known name that is closest to a misspelt one.

/// The candidate with the smallest edit distance to `given`. Ignores candidates of which `given` cannot be a misspelling or an
/// abbreviation.
pub fn near<'a>(given: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let close = candidates.filter(|candidate| is_close(given, candidate));
    close.min_by_key(|candidate| {
        // Prefixes and suffixes are preferred to other misspellings.
        let is_end = !given.is_empty() && given.ends_with(candidate);
        (
            !is_start(given, candidate) && !is_end,
            strsim::damerau_levenshtein(given, candidate),
        )
    })
}

/// Whether `given` can be a misspelling or an abbreviation of `known`. Names such as `f16` and `f32` have too little in common.
pub fn is_close(given: &str, known: &str) -> bool {
    // A misspelling is not much longer than the name, and the edit distance takes time in proportion to both lengths.
    if given.len() > 2 * known.len() + 16 {
        return false;
    }
    let distance = strsim::damerau_levenshtein(given, known);
    is_start(given, known) || 2 * distance <= known.len().max(given.len())
}

fn is_start(given: &str, known: &str) -> bool {
    given.len() >= 3 && known.starts_with(given)
}
