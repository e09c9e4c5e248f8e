//! Finds the known name that is closest to a misspelt one.

/// The candidate with the smallest edit distance; empty if there are no candidates.
pub fn nearest<'a>(given: &str, candidates: impl Iterator<Item = &'a str>) -> &'a str {
    candidates
        .min_by_key(|candidate| {
            // Abbreviations and suffixes come before any other mistake.
            let is_start = given.len() >= 3 && candidate.starts_with(given);
            let is_end = !given.is_empty() && given.ends_with(candidate);
            (
                !is_start && !is_end,
                strsim::damerau_levenshtein(given, candidate),
            )
        })
        .unwrap_or("")
}

/// Like [`nearest`], but `None` if the names have so little in common that one is unlikely to be a misspelling of the
/// other, for example `f16` and `f32`.
pub fn near<'a>(given: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let near = nearest(given, candidates);
    let distance = strsim::damerau_levenshtein(given, near);
    (2 * distance <= near.len().max(given.len())).then_some(near)
}
