//! Colours and dashes of plots.

use std::fmt::Write as _;

/// Number of colours.
pub(super) const COLOURS: usize = 7;

/// Line colours on white, distinguishable with any colour vision (Okabe and Ito 2008).
pub(super) const LIGHT: [&str; COLOURS] = [
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#8a6d00", "#4f94c4", "#555555",
];

/// Line colours on black.
const DARK: [&str; COLOURS] = [
    "#56b4e9", "#ff8c42", "#2fc79c", "#e6a0c8", "#e8c84a", "#9ccbea", "#bbbbbb",
];

/// Dash patterns, so that lines are distinguishable in black and white.
const DASHES: [&str; 4] = ["", "7 3", "2 3", "9 3 2 3"];

/// The number of lines that are distinguishable by colour and dash pattern. The lines of a plot with more lines are numbered.
pub(super) const DISTINCT: usize = 12;

/// The dash pattern of line `k`. Lines with the same colour have different patterns: the numbers of colours and of patterns
/// have no common divisor.
pub(super) fn dashes(k: usize) -> &'static str {
    DASHES[k % DASHES.len()]
}

/// The style sheet that all plots of a page share, for light, dark and printed pages.
pub fn style() -> String {
    let colours = |colours: [&str; COLOURS]| -> String {
        let colour = |(k, colour): (usize, &&str)| format!("--c{k}:{colour};");
        colours.iter().enumerate().map(colour).collect()
    };
    let mut style = format!(
        ":root{{--ink:#1b1f24;--faint:#d9dde2;--paper:#ffffff;{}}}\n\
         @media (prefers-color-scheme:dark){{:root{{--ink:#e6e8eb;--faint:#3a4048;--paper:#15181c;{}}}}}\n\
         @media print{{:root{{--ink:#000000;--faint:#cccccc;--paper:#ffffff;{}}}}}\n",
        colours(LIGHT),
        colours(DARK),
        colours(LIGHT)
    );
    for k in 0..COLOURS {
        let _ = writeln!(
            style,
            ".s{k}{{stroke:var(--c{k})}}.f{k}{{fill:var(--c{k})}}"
        );
    }
    style
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_have_different_colours_or_dashes() {
        let looks = (0..DISTINCT).map(|k| (k % COLOURS, dashes(k)));
        let looks: std::collections::BTreeSet<_> = looks.collect();
        assert_eq!(looks.len(), DISTINCT);
    }
}
