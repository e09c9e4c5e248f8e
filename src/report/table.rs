//! Tables, as text for terminals of any width, Markdown, CSV and HTML.

use unicode_width::UnicodeWidthStr;

use super::text::escaped;

/// A table.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<String>>,
}

/// A column of a [`Table`].
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    name: String,
    is_number: bool,
    is_optional: bool,
}

impl Column {
    /// A column of words, aligned left.
    pub fn words(name: impl Into<String>) -> Column {
        Column {
            name: name.into(),
            is_number: false,
            is_optional: false,
        }
    }

    /// A column of numbers, aligned right.
    pub fn numbers(name: impl Into<String>) -> Column {
        Column {
            is_number: true,
            ..Column::words(name)
        }
    }

    /// The same column, left out where the terminal is too narrow.
    pub fn optional(self) -> Column {
        Column {
            is_optional: true,
            ..self
        }
    }
}

/// Spaces between columns.
const GAP: usize = 2;

impl Table {
    /// A table with these columns and no rows.
    pub fn new(columns: impl IntoIterator<Item = Column>) -> Table {
        Table {
            columns: columns.into_iter().collect(),
            rows: Vec::new(),
        }
    }

    /// Adds a row.
    ///
    /// # Panics
    ///
    /// If the number of cells is not that of the columns.
    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        let cells: Vec<String> = cells.into_iter().collect();
        assert_eq!(cells.len(), self.columns.len(), "cells of a row");
        self.rows.push(cells);
    }

    /// The same table with these columns moved after the first one. Unknown names are ignored.
    pub fn with_first(mut self, names: &[&str]) -> Table {
        let mut to = 1;
        for name in names {
            let Some(from) = self.columns.iter().position(|column| column.name == *name) else {
                continue;
            };
            if from > to {
                self.columns[to..=from].rotate_right(1);
                for row in &mut self.rows {
                    row[to..=from].rotate_right(1);
                }
            }
            to += 1;
        }
        self
    }

    /// The table as lines of text, at most `width` characters wide if that is given. A table that is too wide
    /// loses its optional columns, from the last on. If that is not enough, it is transposed, or written with
    /// one cell per line.
    pub fn text(&self, width: Option<usize>) -> String {
        let Some(width) = width else {
            return self.lines();
        };
        let mut table = self.clone();
        loop {
            if table.width() <= width {
                return table.lines();
            }
            match table.columns.iter().rposition(|column| column.is_optional) {
                Some(k) => table.drop_column(k),
                None => break,
            }
        }
        let transposed = table.transposed();
        if transposed.width() <= width {
            transposed.lines()
        } else {
            table.records()
        }
    }

    fn drop_column(&mut self, k: usize) {
        self.columns.remove(k);
        for row in &mut self.rows {
            row.remove(k);
        }
    }

    fn widths(&self) -> Vec<usize> {
        let of_column = |(k, column): (usize, &Column)| {
            let cells = self.rows.iter().map(|row| row[k].width());
            cells.max().unwrap_or(0).max(column.name.width())
        };
        self.columns.iter().enumerate().map(of_column).collect()
    }

    fn width(&self) -> usize {
        let widths = self.widths();
        widths.iter().sum::<usize>() + GAP * widths.len().saturating_sub(1)
    }

    fn lines(&self) -> String {
        let widths = self.widths();
        let names = self.columns.iter().map(|column| column.name.clone());
        let head: Vec<String> = names.collect();
        let mut text = String::new();
        for row in std::iter::once(&head).chain(&self.rows) {
            let mut line = String::new();
            for ((cell, column), width) in row.iter().zip(&self.columns).zip(&widths) {
                let space = " ".repeat(width - cell.width());
                if column.is_number {
                    line += &format!("{space}{cell}");
                } else {
                    line += &format!("{cell}{space}");
                }
                line += &" ".repeat(GAP);
            }
            text += line.trim_end();
            text.push('\n');
        }
        text
    }

    /// The table with rows and columns exchanged.
    fn transposed(&self) -> Table {
        let mut names = self.columns.iter().map(|column| column.name.clone());
        let first = names.next().unwrap_or_default();
        let heads = self.rows.iter().map(|row| Column::numbers(&*row[0]));
        let mut transposed = Table::new(std::iter::once(Column::words(first)).chain(heads));
        for (k, name) in names.enumerate() {
            let cells = self.rows.iter().map(|row| row[k + 1].clone());
            transposed.row(std::iter::once(name).chain(cells));
        }
        transposed
    }

    /// One cell per line, an empty line between rows.
    fn records(&self) -> String {
        let names = self.columns.iter().map(|column| column.name.width());
        let widest = names.max().unwrap_or(0);
        let rows = self.rows.iter().map(|row| {
            let line = |(column, cell): (&Column, &String)| {
                let space = " ".repeat(widest - column.name.width() + GAP);
                format!("{}{space}{cell}\n", column.name)
            };
            self.columns.iter().zip(row).map(line).collect::<String>()
        });
        rows.collect::<Vec<String>>().join("\n")
    }

    /// A table in GitHub's Markdown.
    pub fn markdown(&self) -> String {
        let cell = |text: &str| {
            let escape = |letter: char| match letter {
                '\\' | '|' | '`' | '*' | '_' | '<' | '[' => format!("\\{letter}"),
                '\n' => " ".to_owned(),
                letter => letter.to_string(),
            };
            text.chars().map(escape).collect::<String>()
        };
        let line = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
        let mut text = line(self.columns.iter().map(|c| cell(&c.name)).collect());
        let rule = |column: &Column| if column.is_number { "---:" } else { "---" };
        text += &line(self.columns.iter().map(|c| rule(c).to_owned()).collect());
        for row in &self.rows {
            text += &line(row.iter().map(|text| cell(text)).collect());
        }
        text
    }

    /// Comma-separated values (RFC 4180).
    pub fn csv(&self) -> String {
        let cell = |text: &String| {
            if text.contains(['"', ',', '\n', '\r']) {
                format!("\"{}\"", text.replace('"', "\"\""))
            } else {
                text.clone()
            }
        };
        let line = |cells: Vec<String>| cells.join(",") + "\r\n";
        let names: Vec<String> = self.columns.iter().map(|c| c.name.clone()).collect();
        let rows = std::iter::once(&names).chain(&self.rows);
        rows.map(|row| line(row.iter().map(cell).collect()))
            .collect()
    }

    /// An HTML `<table>`.
    pub fn html(&self) -> String {
        let class = |column: &Column| {
            if column.is_number {
                " class=\"number\""
            } else {
                ""
            }
        };
        let mut text = String::from("<table>\n<thead><tr>");
        for column in &self.columns {
            text += &format!("<th{}>{}</th>", class(column), escaped(&column.name));
        }
        text += "</tr></thead>\n<tbody>\n";
        for row in &self.rows {
            text += "<tr>";
            for (column, cell) in self.columns.iter().zip(row) {
                text += &format!("<td{}>{}</td>", class(column), escaped(cell));
            }
            text += "</tr>\n";
        }
        text + "</tbody>\n</table>\n"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let columns = [
            Column::words("model"),
            Column::numbers("words/s"),
            Column::words("note").optional(),
        ];
        let mut table = Table::new(columns);
        let row = |cells: [&str; 3]| cells.map(str::to_owned);
        table.row(row(["lstmp", "5,856", "first, and \"best\""]));
        table.row(row(["glstm | 4", "11,901", "ü"]));
        table
    }

    #[test]
    fn text_fits_the_width() {
        let table = table();
        let wide = "model      words/s  note\n\
                    lstmp        5,856  first, and \"best\"\n\
                    glstm | 4   11,901  ü\n";
        assert_eq!(table.text(None), wide);
        assert_eq!(table.text(Some(37)), wide);
        let narrow = "model      words/s\n\
                      lstmp        5,856\n\
                      glstm | 4   11,901\n";
        assert_eq!(table.text(Some(36)), narrow);
        assert_eq!(table.text(Some(18)), narrow);
        // Transposed, it would be wider still.
        let records = "model    lstmp\nwords/s  5,856\n\nmodel    glstm | 4\nwords/s  11,901\n";
        assert_eq!(table.text(Some(17)), records);
    }

    #[test]
    fn wide_tables_are_transposed() {
        let columns = ["model", "a", "b", "c", "d", "e"];
        let mut table = Table::new(columns.map(Column::numbers));
        table.row(["x", "10", "20", "30", "40", "50"].map(str::to_owned));
        let transposed = "model   x\na      10\nb      20\nc      30\nd      40\ne      50\n";
        assert_eq!(table.text(Some(12)), transposed);
    }

    #[test]
    fn columns_move_to_the_front() {
        let mut table = Table::new(["model", "a", "b", "c"].map(Column::numbers));
        table.row(["x", "1", "2", "3"].map(str::to_owned));
        let moved = table.with_first(&["c", "none", "b"]);
        assert_eq!(moved.csv(), "model,c,b,a\r\nx,3,2,1\r\n");
    }

    #[test]
    fn markdown_csv_and_html_escape_cells() {
        let table = table();
        assert_eq!(
            table.markdown(),
            "| model | words/s | note |\n| --- | ---: | --- |\n\
             | lstmp | 5,856 | first, and \"best\" |\n| glstm \\| 4 | 11,901 | ü |\n"
        );
        assert_eq!(
            table.csv(),
            "model,words/s,note\r\nlstmp,\"5,856\",\"first, and \"\"best\"\"\"\r\nglstm | 4,\"11,901\",ü\r\n"
        );
        assert!(
            table
                .html()
                .contains("<td>first, and &quot;best&quot;</td>")
        );
    }
}
