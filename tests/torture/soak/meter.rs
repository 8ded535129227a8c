//! Memory, descriptors and threads of this process over time.

use super::support::*;
use std::fmt::Write;
use std::path::Path;

#[derive(Default)]
pub struct Meter {
    samples: Vec<Sample>,
}

struct Sample {
    seconds: f64,
    /// In the order of [`NAMES`].
    values: [f64; 3],
}

const NAMES: [&str; 3] = ["memory/KiB", "descriptors", "threads"];
/// How much more the last third may have than the middle one, for the allocator, worker threads and open files. A leak
/// would soon exceed this: five contexts a second are freed and created, with thousands of operations.
const SLACK: [fn(f64) -> f64; 3] = [|kib| kib / 10.0 + 1024.0, |_| 16.0, |threads| threads / 2.0];

fn resident_kib() -> f64 {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("/proc/self/statm");
    let pages: f64 = statm.split(' ').nth(1).and_then(|pages| pages.parse().ok()).expect("a number");
    pages * (sys::PAGE / 1024) as f64
}

fn entries(folder: &str) -> f64 {
    std::fs::read_dir(folder).expect(folder).count() as f64
}

impl Meter {
    /// Takes samples for this long, at most twice a second.
    pub fn watch(&mut self, time: Duration) {
        let begun = Instant::now();
        while begun.elapsed() < time {
            std::thread::sleep(Duration::from_millis(500));
            let values = [resident_kib(), entries("/proc/self/fd"), entries("/proc/self/task")];
            self.samples.push(Sample { seconds: begun.elapsed().as_secs_f64(), values });
        }
    }

    /// The medians of the second and the last third; the first is for warming up.
    fn medians(&self, which: usize) -> (f64, f64) {
        let third = self.samples.len() / 3;
        let median = |samples: &[Sample]| {
            let mut values: Vec<f64> = samples.iter().map(|sample| sample.values[which]).collect();
            values.sort_by(f64::total_cmp);
            values[values.len() / 2]
        };
        (median(&self.samples[third..2 * third]), median(&self.samples[2 * third..]))
    }

    pub fn summary(&self) -> String {
        let of = |which| {
            let (middle, last) = self.medians(which);
            format!("{} {middle} then {last}", NAMES[which])
        };
        [of(0), of(1), of(2)].join(", ")
    }

    pub fn assert_flat(&self) {
        for (which, slack) in SLACK.into_iter().enumerate() {
            let (middle, last) = self.medians(which);
            assert!(last <= middle + slack(middle), "{} grow from {middle} to {last}", NAMES[which]);
        }
    }

    /// `soak.csv`, and `soak.svg` of it.
    pub fn write(&self, folder: &Path) {
        let mut csv = format!("seconds,{}\n", NAMES.join(","));
        for Sample { seconds, values: [memory, descriptors, threads] } in &self.samples {
            writeln!(csv, "{seconds:.1},{memory},{descriptors},{threads}").expect("a string");
        }
        std::fs::write(folder.join("soak.csv"), csv).expect("soak.csv");
        let panels: String = (0..NAMES.len()).map(|which| self.panel(which)).collect();
        let head = r#"<svg xmlns="http://www.w3.org/2000/svg" width="840" height="520" font-family="sans-serif" font-size="12">"#;
        let svg = format!("{head}<rect width=\"840\" height=\"520\" fill=\"white\"/>{panels}</svg>\n");
        std::fs::write(folder.join("soak.svg"), svg).expect("soak.svg");
    }

    /// One value over time, from zero.
    fn panel(&self, which: usize) -> String {
        const WIDTH: f64 = 700.0;
        const HEIGHT: f64 = 120.0;
        let (left, bottom) = (110.0, 140.0 + which as f64 * 165.0);
        let end = self.samples.last().map_or(1.0, |sample| sample.seconds);
        let most = self.samples.iter().map(|sample| sample.values[which]).fold(1.0, f64::max);
        let mut points = String::new();
        for sample in &self.samples {
            let (x, y) = (left + sample.seconds / end * WIDTH, bottom - sample.values[which] / most * HEIGHT);
            write!(points, "{x:.1},{y:.1} ").expect("a string");
        }
        let (name, top, right, below) = (NAMES[which], bottom - HEIGHT, left + WIDTH, bottom + 16.0);
        format!(
            r##"<g><path d="M{left},{top} V{bottom} H{right}" fill="none" stroke="#888"/>
<polyline points="{points}" fill="none" stroke="#06c"/><text x="10" y="{bottom}">0</text>
<text x="10" y="{top}">{most:.0}</text><text x="10" y="{}">{name}</text><text x="{}" y="{below}">{end:.0} s</text></g>"##,
            (top + bottom) / 2.0,
            right - 40.0
        )
    }
}
