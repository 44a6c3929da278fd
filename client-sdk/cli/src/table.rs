//! Tables for people.

use unicode_width::UnicodeWidthStr as _;

use crate::style::{Style, Tone};

/// One entry of a table.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cell {
    pub(crate) text: String,
    pub(crate) tone: Option<Tone>,
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Self {
        // What comes from a provider must not move the cursor.
        let text = text
            .into()
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .collect();
        Self { text, tone: None }
    }
}

impl Cell {
    pub(crate) fn toned(text: impl Into<String>, tone: Tone) -> Self {
        Self {
            tone: Some(tone),
            ..Self::from(text)
        }
    }
}

/// Columns as wide as their widest entry; the last one runs free.
pub(crate) fn render(header: &[&str], rows: &[Vec<Cell>], style: Style) -> String {
    let mut all: Vec<Vec<Cell>> = Vec::with_capacity(rows.len() + 1);
    all.push(header.iter().map(|title| Cell::from(*title)).collect());
    all.extend_from_slice(rows);
    let width = |column: usize| {
        all.iter()
            .filter_map(|row| row.get(column))
            .map(|cell| cell.text.width())
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<usize> = (0..header.len()).map(width).collect();
    let mut text = String::new();
    for row in &all {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            line += &style.paint(cell.tone, &cell.text);
            line += &" ".repeat(width - cell.text.width() + 2);
        }
        text += line.trim_end();
        text.push('\n');
    }
    text
}

/// Names and values, one line each; empty values are left out.
pub(crate) fn details(facts: &[(&str, Cell)], style: Style) -> String {
    let known = facts.iter().filter(|(_, cell)| !cell.text.is_empty());
    let width = known
        .clone()
        .map(|(name, _)| name.width())
        .max()
        .unwrap_or(0);
    known
        .map(|(name, cell)| {
            let gap = " ".repeat(width - name.width() + 1);
            format!("{name}:{gap}{}\n", style.paint(cell.tone, &cell.text))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{Cell, render};
    use crate::style::Style;

    /// Wide and accented letters do not shift columns, and control characters do nothing.
    #[test]
    fn columns_stay_in_line() {
        let style = Style::of(&std::fs::File::open("/dev/null").unwrap());
        let rows = [["日本", "x"], ["é", "y"], ["a\x1b[2J", "z"]];
        let rows = rows.map(|row| row.map(Cell::from).to_vec());
        let expected = "A      B\n日本   x\né      y\na [2J  z\n";
        assert_eq!(render(&["A", "B"], &rows, style), expected);
    }
}
