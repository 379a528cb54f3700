//! The table that is printed: one row per measurement, each with its comparison.

use std::fmt;

/// One measurement.
#[derive(Default)]
pub struct Row {
    /// What was measured, with its unit.
    pub what: String,
    /// Our figure.
    pub ours: String,
    /// The figure of what we are compared with.
    pub theirs: String,
    /// Ours over theirs, or theirs over ours where less is better: above 1 is good.
    pub ratio: Option<f64>,
    /// What the ratio ought to be at least.
    pub aim: Option<f64>,
    /// What else is worth knowing: CPU use, losses.
    pub note: String,
}

/// All of them, and those that were skipped.
#[derive(Default)]
pub struct Table {
    rows: Vec<Row>,
    skipped: Vec<String>,
}

impl Table {
    /// Adds a row, and shows it at once for people who wait.
    pub fn add(&mut self, row: Row) {
        eprintln!("  {}: {} against {} ({})", row.what, row.ours, row.theirs, verdict(&row));
        self.rows.push(row);
    }

    /// Says which measurement could not be had, and why.
    pub fn skip(&mut self, what: &str, why: &str) {
        eprintln!("  SKIPPED {what}: {why}");
        self.skipped.push(format!("{what}: {why}"));
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut lines = vec![["measured", "dialtone", "compared with", "ratio", "note"].map(str::to_owned)];
        lines.extend(self.rows.iter().map(|row| {
            [row.what.clone(), row.ours.clone(), row.theirs.clone(), verdict(row), row.note.clone()]
        }));
        let widths: [usize; 5] = std::array::from_fn(|column| {
            lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0)
        });
        for (at, line) in lines.iter().enumerate() {
            write!(f, "|")?;
            for (cell, width) in line.iter().zip(widths) {
                write!(f, " {cell:<width$} |")?;
            }
            writeln!(f)?;
            if at == 0 {
                write!(f, "|")?;
                widths.iter().try_for_each(|width| write!(f, "{}|", "-".repeat(width + 2)))?;
                writeln!(f)?;
            }
        }
        for skipped in &self.skipped {
            writeln!(f, "SKIPPED {skipped}")?;
        }
        Ok(())
    }
}

fn verdict(row: &Row) -> String {
    match (row.ratio, row.aim) {
        (Some(ratio), Some(aim)) => {
            format!("{ratio:.2} (aim {aim:.2}, {})", if ratio >= aim { "met" } else { "MISSED" })
        }
        (Some(ratio), None) => format!("{ratio:.2}"),
        (None, _) => "–".to_owned(),
    }
}
