//! Rows of figures beside their comparisons, as text.

/// A table that is printed when it is complete.
pub struct Table {
    heads: Vec<&'static str>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// With these column heads; the first column is left-aligned.
    pub fn new(heads: &[&'static str]) -> Self {
        Self { heads: heads.to_vec(), rows: Vec::new() }
    }

    /// Adds a row.
    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// Prints it.
    pub fn print(&self) {
        let width = |column: usize| {
            let cells = self.rows.iter().map(|row| row.get(column).map_or(0, |cell| cell.chars().count()));
            cells.chain([self.heads[column].chars().count()]).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..self.heads.len()).map(width).collect();
        let line = |cells: Vec<&str>| {
            let mut text = String::new();
            for (column, (cell, width)) in cells.iter().zip(&widths).enumerate() {
                let gap = if column == 0 { "" } else { "  " };
                // Words to the left, figures to the right.
                let is_figure = cell.starts_with(|c: char| c.is_ascii_digit() || c == '-');
                match is_figure && column > 0 {
                    true => text.push_str(&format!("{gap}{cell:>width$}")),
                    false => text.push_str(&format!("{gap}{cell:<width$}")),
                }
            }
            println!("  {}", text.trim_end());
        };
        line(self.heads.clone());
        line(
            widths
                .iter()
                .map(|width| "-".repeat(*width))
                .collect::<Vec<_>>()
                .iter()
                .map(String::as_str)
                .collect(),
        );
        for row in &self.rows {
            line(row.iter().map(String::as_str).collect());
        }
    }
}
