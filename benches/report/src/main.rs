//! Tables, ratios and plots from the tab-separated values that `benches/run.sh` collected in one folder.
//!
//! Prints the tables, and writes `tables.md`, `summary.md` and `report.html` beside the values.

mod data;
mod html;
mod plot;
mod ratio;
mod table;
mod targets;

use std::io::Write;
use std::{env, error::Error, fs, io, path::PathBuf, process::ExitCode};

fn run() -> Result<(), Box<dyn Error>> {
    let folder = PathBuf::from(env::args_os().nth(1).ok_or("usage: caio-bench-report FOLDER")?);
    let run = data::Run::load(&folder)?;
    let (mut tables, summary) = (table::details(&run), table::summary(&run));
    let markdown = |tables: &[table::Table]| {
        format!("{}\n\n{}", run.about, tables.iter().map(table::Table::markdown).collect::<String>())
    };
    fs::write(folder.join("summary.md"), markdown(&summary))?;
    tables.extend(summary);
    let text: String = tables.iter().map(table::Table::text).collect();
    fs::write(folder.join("tables.md"), markdown(&tables))?;
    fs::write(folder.join("report.html"), html::page(&run, &tables)?)?;
    let (page, markdown) = (folder.join("report.html"), folder.join("tables.md"));
    writeln!(io::stdout(), "{text}\nwith plots: {}\nas Markdown: {}", page.display(), markdown.display())?;
    Ok(())
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("caio-bench-report: {error}");
            ExitCode::FAILURE
        }
    }
}
