//! The best model of a comparison.

use super::measure::Measure;
use super::row::ComparisonRow;

/// The number by which all rows can be compared.
pub fn common_measure(rows: &[ComparisonRow]) -> Measure {
    if rows.iter().all(|row| row.perplexity_is_comparable) {
        Measure::Perplexity
    } else {
        Measure::BitsPerByte
    }
}

/// The number by which a row is ranked, lower is better. `None` if it was not measured, if its run is not complete, or if it is a lower
/// bound of bits per byte: the exact number may be above that of every other model.
pub fn rank(row: &ComparisonRow, measure: Measure) -> Option<f64> {
    // A row over several seeds has the means of its complete runs.
    if !row.complete && row.over_seeds.is_none() {
        return None;
    }
    match measure {
        Measure::Perplexity => row.perplexity,
        Measure::BitsPerByte if row.bits_per_byte_is_lower_bound => None,
        Measure::BitsPerByte => row.bits_per_byte,
    }
}

/// The row with the lowest rank.
pub fn best_row<'a>(
    rows: impl IntoIterator<Item = &'a ComparisonRow>,
    measure: Measure,
) -> Option<&'a ComparisonRow> {
    let ranked = rows
        .into_iter()
        .filter_map(|row| Some((row, rank(row, measure)?)));
    let best = ranked.min_by(|(_, x), (_, y)| x.total_cmp(y));
    best.map(|(row, _)| row)
}
