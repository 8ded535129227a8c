//! The page: about the machine, the plots, the tables. One file that needs no other.

use std::error::Error;
use std::fmt::Write;

use plotters::style::RGBColor;

use crate::data::Run;
use crate::plot::{ENGINES, panel};
use crate::table::Table;

const STYLE: &str = "\
body{font:15px/1.5 system-ui,sans-serif;color:#222;max-width:1180px;margin:2rem auto;padding:0 1rem}
h1{font-size:1.6rem;margin-bottom:.2rem}h2{font-size:1.2rem;margin:2rem 0 .3rem}
pre{color:#555;font-size:.85rem;margin:0 0 1rem;white-space:pre-wrap}
.legend span{display:inline-block;margin:0 1.1rem .3rem 0}
.legend i{display:inline-block;width:1.4rem;height:.3rem;margin-right:.4rem;
vertical-align:middle}
.plots{display:grid;grid-template-columns:repeat(auto-fill,minmax(500px,1fr));gap:.5rem}
.plots svg{width:100%;height:auto}
.wide{overflow-x:auto}table{border-collapse:collapse;font-size:.85rem;font-variant-numeric:tabular-nums}
th,td{padding:.15rem .7rem;text-align:left;border-bottom:1px solid #e5e5e5;white-space:nowrap}th{background:#f5f5f5}
.ok{color:#1a7f37}.missed{color:#c8102e;font-weight:600}details{margin:.5rem 0}
summary{cursor:pointer;font-weight:600}p{margin:.2rem 0 .5rem}";

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn legend(page: &mut String) -> std::fmt::Result {
    write!(page, "<p class=legend>")?;
    for (engine, RGBColor(red, green, blue), _) in ENGINES {
        write!(page, "<span><i style=\"background:rgb({red},{green},{blue})\"></i>{engine}</span>")?;
    }
    writeln!(page, "</p>")
}

fn plots(page: &mut String, run: &Run) -> Result<(), Box<dyn Error>> {
    let measure = &run.closed_loop;
    if measure.rows.is_empty() {
        return Ok(());
    }
    writeln!(page, "<h2>Throughput and tail latency against depth</h2>")?;
    writeln!(
        page,
        "<p>Medians. Both axes are logarithmic. The thin line is the plain loop, one system call at a time.</p>"
    )?;
    legend(page)?;
    writeln!(page, "<div class=plots>")?;
    for row in &measure.rows {
        writeln!(page, "{}", panel(measure, row, "thousand operations per second", |turn| turn.kops)?)?;
        writeln!(page, "{}", panel(measure, row, "p99 latency, microseconds", |turn| turn.p99)?)?;
    }
    writeln!(page, "</div>")?;
    Ok(())
}

fn line(page: &mut String, cells: &[String], tag: &str) -> std::fmt::Result {
    write!(page, "<tr>")?;
    for cell in cells {
        let class = match cell.as_str() {
            "ok" => " class=ok",
            "MISSED" => " class=missed",
            _ => "",
        };
        write!(page, "<{tag}{class}>{}</{tag}>", escape(cell))?;
    }
    writeln!(page, "</tr>")
}

fn table(page: &mut String, table: &Table) -> std::fmt::Result {
    let open = if table.lines.iter().flatten().any(|cell| cell == "ok" || cell == "MISSED") { " open" } else { "" };
    writeln!(
        page,
        "<details{open}><summary>{}</summary><p>{}</p><div class=wide><table>",
        table.title,
        escape(&table.note).replace('`', "")
    )?;
    line(page, &table.head, "th")?;
    for cells in &table.lines {
        line(page, cells, "td")?;
    }
    writeln!(page, "</table></div></details>")
}

pub fn page(run: &Run, tables: &[Table]) -> Result<String, Box<dyn Error>> {
    let mut page = String::new();
    writeln!(page, "<!doctype html><html lang=en><meta charset=utf-8><title>libcaio and its peers</title>")?;
    writeln!(page, "<meta name=viewport content=\"width=device-width\"><style>{STYLE}</style>")?;
    writeln!(page, "<h1>libcaio and its peers</h1><pre>{}</pre>", escape(&run.about))?;
    plots(&mut page, run)?;
    writeln!(page, "<h2>Tables</h2>")?;
    for one in tables {
        table(&mut page, one)?;
    }
    writeln!(page, "</html>")?;
    Ok(page)
}
