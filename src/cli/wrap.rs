//! Line wrapping for terminals.

/// The indentation of a command.
const COMMAND: &str = "    ";

/// Breaks lines at spaces to at most `width` columns; a word that is longer stays whole. Continuation lines are indented to
/// where the text of the line began; in a line of a list, to where its description began, after two spaces. A command, which
/// begins with four spaces, is never broken, so that it can be copied.
pub(super) fn wrap(text: &str, width: usize) -> String {
    let lines = text.split('\n').map(|line| {
        if line.starts_with(COMMAND) {
            return line.to_owned();
        }
        let start = line.len() - line.trim_start().len();
        let name = line[start..].find("  ").map(|end| start + end);
        let behind = name.map(|end| line.len() - line[end..].trim_start().len());
        let indent = behind.filter(|&at| at <= width / 2).unwrap_or(start);
        let indent = " ".repeat(console::measure_text_width(&line[..indent]));
        let options = textwrap::Options::new(width.max(20))
            .break_words(false)
            .word_splitter(textwrap::WordSplitter::NoHyphenation)
            .wrap_algorithm(textwrap::WrapAlgorithm::FirstFit)
            .subsequent_indent(&indent);
        textwrap::wrap(line, options).join("\n")
    });
    lines.collect::<Vec<String>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_break_at_spaces_and_continue_where_the_text_began() {
        for (text, wrapped) in [
            ("short", "short"),
            ("", ""),
            ("ends\n", "ends\n"),
            (
                "Using the checkpoint `runs/a/b-c/long`.",
                "Using the checkpoint\n`runs/a/b-c/long`.",
            ),
            (
                "  because: it is not there at all",
                "  because: it is not\n  there at all",
            ),
            (
                "go on with\n    wlstm train a-long-path/config.toml --resume",
                "go on with\n    wlstm train a-long-path/config.toml --resume",
            ),
            ("  gpu  the best adapter", "  gpu  the best\n       adapter"),
            (
                "/a/path/without/any/space/at/all is long",
                "/a/path/without/any/space/at/all\nis long",
            ),
        ] {
            assert_eq!(wrap(text, 22), wrapped);
        }
    }
}
