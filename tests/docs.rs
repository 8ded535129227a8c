//! The documents match the header: `man/` describes every function, constant and field. The pages are well-formed,
//! their programs compile, and the README shows the program that is built.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The header without comments and preprocessor lines.
fn header() -> String {
    without_comments(&read("include/caio.h"))
        .lines()
        .filter(|line| !line.starts_with('#'))
        .collect::<Vec<_>>()
        .join("\n")
}

fn without_comments(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, comment)) = rest.split_once("/*") {
        out.push_str(before);
        rest = comment.split_once("*/").expect("a comment ends").1;
    }
    out + rest
}

/// Removes white space, so that layout does not matter.
fn squeezed(text: &str) -> String {
    text.replace("struct ", "").split_whitespace().collect()
}

/// The header's function declarations, each as one string without line breaks.
fn declarations() -> Vec<String> {
    let header = header();
    header
        .split([';', '{', '}'])
        .map(|part| part.trim().to_string())
        .filter(|part| part.contains("caio_") && part.ends_with(')'))
        .collect()
}

fn function_name(declaration: &str) -> &str {
    let head = declaration.split('(').next().expect("split yields one part");
    head.rsplit([' ', '*']).next().expect("split yields one part")
}

/// The names of the header's `#define` lines.
fn constants() -> Vec<String> {
    let header = read("include/caio.h");
    let names = header.lines().filter_map(|line| line.strip_prefix("#define CAIO_")?.split_whitespace().next());
    names.filter(|name| !["H", "POINTER_32"].contains(name)).map(|name| format!("CAIO_{name}")).collect()
}

/// The fields of a struct, in order, as `type name`.
fn fields(text: &str, of: &str) -> Vec<String> {
    let text = without_comments(text);
    let Some((_, body)) = text.split_once(&format!("typedef struct {of} {{")) else { return Vec::new() };
    let body = body.split_once('}').expect("a struct ends").0;
    let mut unconditional = true;
    let mut kept = String::new();
    for line in body.lines() {
        unconditional |= line.starts_with("#endif");
        unconditional &= !line.starts_with("#if");
        if unconditional && !line.starts_with('#') {
            kept.push_str(line);
        }
    }
    kept.split(';')
        .map(|field| field.split_whitespace().collect::<Vec<_>>().join(" "))
        .filter(|f| !f.is_empty())
        .collect()
}

/// The files of the manual. An alias is a page of one line: `.so man3/page.3`.
fn pages() -> Vec<PathBuf> {
    let files = fs::read_dir(root().join("man")).expect("man/").map(|entry| entry.expect("man/").path());
    let mut files: Vec<_> = files.collect();
    files.sort();
    files
}

fn alias_of(text: &str) -> Option<&str> {
    text.strip_prefix(".so man3/").map(str::trim_end)
}

/// The page that describes `name`. Follows an alias.
fn page_of(name: &str) -> String {
    let text = read(format!("man/{name}.3"));
    alias_of(&text).map(|page| read(format!("man/{page}"))).unwrap_or(text)
}

/// The text of a section (`.SH`).
fn section<'a>(page: &'a str, name: &str) -> &'a str {
    let start = page.split_once(&format!("\n.SH {name}\n")).unwrap_or_else(|| panic!("no section {name}")).1;
    start.split("\n.SH ").next().expect("split yields one part")
}

/// Page source with code and names as the reader sees them.
fn plain(source: &str) -> String {
    source.replace("\\-", "-").replace("\\e", "\\").replace("\\&", "").replace("\\[lq]", "\"").replace("\\[rq]", "\"")
}

/// A synopsis without its macros: `.BI "int f(int " a );` is `int f(int a);`.
fn declared(synopsis: &str) -> String {
    let lines = synopsis.lines().filter_map(|line| line.strip_prefix(".BI ").or(line.strip_prefix(".B ")));
    squeezed(&lines.map(|line| line.replace('"', " ")).collect::<Vec<_>>().join(" "))
}

/// The programs in a text: the parts between two lines.
fn blocks(text: &str, start: &str, end: &str) -> Vec<String> {
    let (start, end) = (format!("\n{start}\n"), format!("\n{end}\n"));
    let starts = text.match_indices(&start).map(|(at, _)| at + start.len());
    starts.map(|at| format!("{}\n", text[at..].split(&end).next().expect("split yields one part"))).collect()
}

#[test]
fn the_readme_shows_the_program_that_is_built() {
    let program = read("c-examples/readme.c");
    let shown = blocks(&read("README.md"), "```c", "```");
    assert_eq!(shown, [program], "the README's C block is not c-examples/readme.c");
}

#[test]
fn every_function_has_a_page_with_its_declaration() {
    let declarations = declarations();
    assert!(declarations.len() >= 18, "found only {declarations:?}");
    for declaration in declarations {
        let name = function_name(&declaration);
        let page = page_of(name);
        let named: BTreeSet<_> = section(&page, "NAME").split([',', ' ']).collect();
        assert!(named.contains(name), "{name} is not named by its page");
        let expected = squeezed(&declaration) + ";";
        assert!(declared(section(&page, "SYNOPSIS")).contains(&expected), "its page does not declare: {expected}");
    }
}

#[test]
fn every_constant_is_in_the_manual() {
    let constants = constants();
    assert!(constants.contains(&"CAIO_OP_MKDIRAT".to_string()));
    let manual: String = pages().iter().map(|page| plain(&read(page))).collect();
    let words: BTreeSet<_> = manual.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').collect();
    for name in constants {
        assert!(words.contains(name.as_str()), "no page mentions {name}");
    }
}

#[test]
fn every_struct_is_shown_as_it_is() {
    let header = read("include/caio.h");
    for name in ["caio_options", "caio_op", "caio_event", "caio_stats"] {
        let expected = fields(&header, name);
        assert!(!expected.is_empty(), "the header has no {name}");
        assert_eq!(fields(&page_of(name), name), expected, "{name}");
    }
}

#[test]
fn every_alias_leads_to_a_page() {
    for path in pages() {
        if let Some(page) = alias_of(&read(&path)) {
            assert!(alias_of(&read(format!("man/{page}"))).is_none(), "{} leads to an alias", path.display());
        }
    }
}

#[test]
fn every_page_carries_its_name_and_the_version() {
    for path in pages() {
        let text = plain(&read(&path));
        if alias_of(&text).is_none() {
            let (name, part) = (path.file_stem().expect("a name"), path.extension().expect("a section"));
            let title = format!(".TH {} {} ", name.to_string_lossy(), part.to_string_lossy());
            let heading = text.lines().find(|line| line.starts_with(".TH")).expect("a heading");
            assert!(heading.starts_with(&title), "{}: {heading}", path.display());
            assert!(heading.contains(concat!("\"libcaio ", env!("CARGO_PKG_VERSION"), "\"")), "{heading}");
        }
    }
}

#[test]
fn the_pages_lint_clean() {
    for path in pages() {
        if alias_of(&read(&path)).is_some() {
            continue;
        }
        let mut groff = Command::new("groff");
        let Ok(output) = groff.args(["-man", "-ww", "-z"]).arg(&path).env("LC_ALL", "C").output() else {
            println!("skipped: lint of the manual needs groff");
            return;
        };
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && said.is_empty(), "{}: {said}", path.display());
    }
}

#[test]
fn the_programs_in_the_pages_compile() {
    let mut seen = 0;
    for path in pages() {
        let programs = blocks(&read(&path), ".EX", ".EE");
        for program in programs.iter().filter(|text| text.starts_with("#include")) {
            compile(&path, &plain(program));
            seen += 1;
        }
    }
    assert!(seen >= 6, "only {seen} programs found");
}

fn compile(page: &Path, program: &str) {
    let compiler = std::env::var_os("CC");
    let mut cc = Command::new(compiler.as_deref().unwrap_or(OsStr::new("cc")));
    cc.args(["-std=c11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fsyntax-only", "-xc", "-"]);
    cc.arg("-I").arg(root().join("include")).stdin(Stdio::piped()).stderr(Stdio::piped());
    let mut child = cc.spawn().expect("a C compiler");
    child.stdin.take().expect("piped").write_all(program.as_bytes()).expect("write to the compiler");
    let output = child.wait_with_output().expect("wait for the compiler");
    assert!(output.status.success(), "{}: {}", page.display(), String::from_utf8_lossy(&output.stderr));
}

/// `TABLE=write make check-targets` writes both.
#[test]
fn the_table_of_systems_is_the_same_in_readme_and_manual() {
    let table = |document: &str, end: &str| {
        let text = read(document).replace("\\-", "-");
        let lines = text.lines().skip_while(|line| !line.starts_with("target  ")).take_while(|line| *line != end);
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    let (readme, manual) = (table("README.md", "```"), table("man/caio-systems.7", ".EE"));
    assert_eq!(readme, manual);
    let script = read("tests/shell/targets.sh");
    let targets = script.split_once("\ntargets='").and_then(|(_, rest)| rest.split_once('\'')).expect("the targets").0;
    let first = |line: &str| line.split(' ').next().expect("split yields one part").to_owned();
    assert_eq!(
        readme.iter().skip(1).map(|line| first(line)).collect::<Vec<_>>(),
        targets.lines().map(first).collect::<Vec<_>>()
    );
}

#[test]
fn the_documents_link_to_files_that_exist() {
    for document in ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"] {
        let text = read(document);
        let targets = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        for target in targets.filter(|target| !target.starts_with("http")) {
            assert!(root().join(target).exists(), "{document} links to {target}");
        }
    }
}
