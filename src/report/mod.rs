//! What people look at: tables, plots, the report of runs.

mod comparison;
mod page;
mod plot;
mod run;
mod table;

pub use comparison::{comparison, comparison_csv};
pub use page::{page, plots};
pub use plot::{Axis, Plot, Series, Unit};
pub use run::{Compared, RunData, compared};
pub use table::{Column, Table};

/// Text without what terminals obey.
pub fn printable(text: &str) -> String {
    text.replace(char::is_control, "\u{fffd}")
}

/// Text as HTML and SVG take it.
pub fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            // XML has no way to write other control characters.
            c if c.is_control() && !matches!(c, '\n' | '\t') => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}
