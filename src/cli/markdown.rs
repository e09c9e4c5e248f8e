//! Help topics on a terminal: renders the part of Markdown that they use.
//!
//! It supports headings, paragraphs, lists, fenced code and tables. Inline markup stays as it is, except emphasis.

use super::wrap::wrap;

/// The least columns of the last column of a table; with fewer, it goes below the others.
const MIN_COLUMN: usize = 24;

/// Renders a text in lines of at most `width` columns. Code is not wrapped.
pub(super) fn render(markdown: &str, width: usize) -> String {
    let mut blocks = Vec::new();
    let mut lines = markdown.lines().peekable();
    while let Some(line) = lines.next() {
        if line.is_empty() {
            continue;
        }
        if line.starts_with("```") {
            let code = lines.by_ref().take_while(|line| !line.starts_with("```"));
            let code: Vec<String> = code.map(indented).collect();
            blocks.push(code.join("\n"));
        } else if let Some(heading) = line.strip_prefix("# ") {
            blocks.push(heading.to_uppercase());
        } else {
            let mut block = vec![line];
            while let Some(next) = lines.next_if(|next| !next.is_empty()) {
                block.push(next);
            }
            blocks.push(match line.split(' ').next() {
                Some("|") => table(&block, width),
                Some("-") => list(&block, width),
                _ => wrap(&plain(&block.join(" ")), width),
            });
        }
    }
    blocks.join("\n\n") + "\n"
}

fn indented(line: &str) -> String {
    format!("    {line}").trim_end().to_owned()
}

/// Text without the marks of emphasis and of links that show their address.
fn plain(text: &str) -> String {
    let mut plain = String::new();
    for (k, part) in text.split('`').enumerate() {
        if k > 0 {
            plain.push('`');
        }
        // Between an even and an odd mark there is code.
        if k % 2 == 0 {
            let without_marks = part.replace("<http", "http").replace(['*', '>'], "");
            plain.push_str(&without_marks);
        } else {
            plain.push_str(part);
        }
    }
    plain
}

fn list(block: &[&str], width: usize) -> String {
    let mut items: Vec<String> = Vec::new();
    for line in block {
        match line.strip_prefix("- ") {
            Some(text) => items.push(text.to_owned()),
            None => {
                if let Some(item) = items.last_mut() {
                    *item += &format!(" {}", line.trim_start());
                }
            }
        }
    }
    let items = items.iter().map(|item| hanging("- ", &plain(item), width));
    items.collect::<Vec<_>>().join("\n")
}

/// `text` after `first`, wrapped, with continuation lines indented to where it begins.
fn hanging(first: &str, text: &str, width: usize) -> String {
    let indent = first.chars().count();
    let wrapped = wrap(text, width.saturating_sub(indent));
    let rest = format!("\n{}", " ".repeat(indent));
    format!("{first}{}", wrapped.replace('\n', &rest))
}

/// A table in aligned columns, the last one wrapped. Where it has no room, each row becomes a list of its cells.
fn table(block: &[&str], width: usize) -> String {
    let mut rows: Vec<Vec<String>> = block.iter().map(|line| cells(line)).collect();
    // Below the names of the columns.
    let rule = rows.remove(1);
    let names = &rows[0];
    let last = names.len() - 1;
    let widths: Vec<usize> = (0..last)
        .map(|k| rows.iter().map(|row| row[k].chars().count()).max())
        .map(Option::unwrap_or_default)
        .collect();
    let before: usize = widths.iter().map(|width| width + 2).sum();
    if before + MIN_COLUMN > width {
        let rows = rows.iter().skip(1).map(|row| record(names, row, width));
        return rows.collect::<Vec<_>>().join("\n\n");
    }
    let row = |row: &Vec<String>| {
        let mut first = String::new();
        for ((cell, &width), rule) in row.iter().zip(&widths).zip(&rule) {
            first += &if rule.ends_with(':') {
                format!("{cell:>width$}  ")
            } else {
                format!("{cell:<width$}  ")
            };
        }
        hanging(&first, &row[last], width).trim_end().to_owned()
    };
    rows.iter().map(row).collect::<Vec<_>>().join("\n")
}

/// A row as lines `name: cell`.
fn record(names: &[String], row: &[String], width: usize) -> String {
    let lines = names.iter().zip(row).enumerate().map(|(k, (name, cell))| {
        let indent = if k == 0 { "" } else { "  " };
        hanging(&format!("{indent}{name}: "), cell, width)
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// The cells of a row of a table.
fn cells(line: &str) -> Vec<String> {
    let line = line.trim().trim_start_matches('|').trim_end_matches('|');
    let cell = |cell: &str| plain(cell.trim());
    line.split('|').map(cell).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_wrapped_and_code_is_not() {
        let text = "One *two* three\nfour `*five*` six.\n\n# Head\n\n- first item\n  goes on\n- second\n\n```text\na  long line of code stays\n```\n";
        let shown = "One two three four\n`*five*` six.\n\nHEAD\n\n- first item goes on\n- second\n\n    a  long line of code stays\n";
        assert_eq!(render(text, 20), shown);
    }

    #[test]
    fn tables_are_aligned_and_their_last_column_is_wrapped() {
        let text = "| code | meaning |\n|---:|---|\n| 0 | done |\n| 130 | interrupted by a signal, and saved |\n";
        let shown = "code  meaning\n   0  done\n 130  interrupted by a signal,\n      and saved\n";
        assert_eq!(render(text, 32), shown);
    }

    #[test]
    fn tables_without_room_become_lists() {
        let text = "| name | text |\n|---|---|\n| a name of some length | a text |\n";
        assert_eq!(
            render(text, 40),
            "name: a name of some length\n  text: a text\n"
        );
    }
}
