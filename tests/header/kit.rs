//! The files of the binding kit: caio.json, caio.cdef.h, and a C program that checks both.

use std::fmt::Write;
use std::mem::{offset_of, size_of};

use crate::api::{Api, Field, Function};

/// `enum` constants cannot have this value; see caio-bindings(7).
const LARGE: i128 = 1 << 53;

macro_rules! offsets {
    ($of:ty: $($name:ident $kind:literal),*) => {
        vec![$((stringify!($name), $kind, offset_of!($of, $name))),*]
    };
}

/// The fields of `struct statx` that have the same place on every system.
fn statx() -> Vec<(&'static str, &'static str, usize)> {
    offsets!(libc::statx: stx_mask "uint32_t", stx_blksize "uint32_t", stx_attributes "uint64_t", stx_nlink "uint32_t",
        stx_uid "uint32_t", stx_gid "uint32_t", stx_mode "uint16_t", stx_ino "uint64_t", stx_size "uint64_t",
        stx_blocks "uint64_t", stx_attributes_mask "uint64_t", stx_atime "statx_timestamp", stx_btime "statx_timestamp",
        stx_ctime "statx_timestamp", stx_mtime "statx_timestamp", stx_rdev_major "uint32_t", stx_rdev_minor "uint32_t",
        stx_dev_major "uint32_t", stx_dev_minor "uint32_t")
}

fn statx_timestamp() -> Vec<(&'static str, &'static str, usize)> {
    offsets!(libc::statx_timestamp: tv_sec "int64_t", tv_nsec "uint32_t")
}

/// A text as a JSON string.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}

/// JSON numbers above 2^53 lose digits in many languages.
fn value(number: i128) -> String {
    if number < LARGE { number.to_string() } else { quoted(&number.to_string()) }
}

/// The parts of a comment: the text, and the paragraphs that begin with a word such as "Threads:".
fn parts(doc: &str) -> Vec<(String, String)> {
    let mut parts = vec![("text".to_string(), String::new())];
    for line in doc.lines().filter(|line| !line.starts_with("See ")) {
        let key = ["Ownership", "Threads", "Blocks", "Units", "Errors", "Uses", "Result"].iter().find_map(|key| {
            let rest = line.strip_prefix(key)?;
            let rest = if *key == "Uses" { rest.strip_prefix(' ') } else { rest.strip_prefix(':') };
            rest.map(|rest| (key.to_lowercase(), rest.trim().to_string()))
        });
        match key {
            Some(part) => parts.push(part),
            None => {
                let text = &mut parts.last_mut().expect("a part").1;
                text.push('\n');
                text.push_str(line);
            }
        }
    }
    /* "Uses ... . Result: ..." is often one line. */
    let mut split = Vec::new();
    for (key, text) in parts {
        match text.split_once("Result: ") {
            Some((before, after)) if key == "uses" => {
                split.push((key, before.trim().to_string()));
                split.push(("result".to_string(), after.trim().to_string()));
            }
            _ => split.push((key, text.trim().to_string())),
        }
    }
    split.retain(|(_, text)| !text.is_empty());
    split
}

fn doc(doc: &str) -> String {
    let members = parts(doc).into_iter().map(|(key, text)| format!("{}: {}", quoted(&key), quoted(&text)));
    format!("\"doc\": {{{}}}", members.collect::<Vec<_>>().join(", "))
}

fn field(field: &Field) -> String {
    let count = field.count.map(|count| format!(", \"count\": {count}")).unwrap_or_default();
    format!(
        "{{\"name\": {}, \"type\": {}{count}, \"offset\": {}, \"size\": {}, {}}}",
        quoted(&field.name),
        quoted(&field.kind),
        field.offset,
        field.size,
        doc(&field.doc)
    )
}

fn function(function: &Function) -> String {
    let parameters = function.parameters.iter();
    let parameters = parameters.map(|p| format!("{{\"name\": {}, \"type\": {}}}", quoted(&p.name), quoted(&p.kind)));
    format!(
        "{{\"returns\": {}, \"parameters\": [{}], {}}}",
        quoted(&function.returns),
        parameters.collect::<Vec<_>>().join(", "),
        doc(&function.doc)
    )
}

fn plain_struct(name: &str, size: usize, fields: &[(&str, &str, usize)]) -> String {
    let fields = fields
        .iter()
        .map(|(name, kind, offset)| format!("{{\"name\": \"{name}\", \"type\": \"{kind}\", \"offset\": {offset}}}"));
    let fields = fields.collect::<Vec<_>>().join(",\n      ");
    format!("    \"{name}\": {{\"size\": {size}, \"fields\": [\n      {fields}\n    ]}}")
}

/// caio.json: one line for each constant, field and function.
pub fn json(api: &Api) -> String {
    let constants = api.constants.iter();
    let constants =
        constants.map(|c| format!("    {}: {{\"value\": {}, {}}}", quoted(&c.name), value(c.value), doc(&c.doc)));
    let mut structs: Vec<_> = api
        .structs
        .iter()
        .map(|s| {
            let fields = s.fields.iter().map(field).collect::<Vec<_>>().join(",\n      ");
            let (name, text) = (quoted(&s.name), doc(&s.doc));
            format!("    {name}: {{\"size\": {}, {text}, \"fields\": [\n      {fields}\n    ]}}", s.size)
        })
        .collect();
    structs.push(plain_struct("statx", size_of::<libc::statx>(), &statx()));
    structs.push(plain_struct("statx_timestamp", size_of::<libc::statx_timestamp>(), &statx_timestamp()));
    let functions = api.functions.iter().map(|f| format!("    {}: {}", quoted(&f.name), function(f)));
    format!(
        "{{\n  \"library\": \"libcaio.so.0\",\n  \"version\": \"{}\",\n  \"constants\": {{\n{}\n  }},\n  \"structs\": {{\n{}\n  }},\n  \"functions\": {{\n{}\n  }}\n}}\n",
        env!("CARGO_PKG_VERSION"),
        constants.collect::<Vec<_>>().join(",\n"),
        structs.join(",\n"),
        functions.collect::<Vec<_>>().join(",\n")
    )
}

/// caio.cdef.h: declarations without a preprocessor, for cffi, LuaJIT and the like.
pub fn cdef(api: &Api) -> String {
    let mut out = format!(
        "/* caio.cdef.h - the declarations of libcaio {} without a preprocessor, for cffi, LuaJIT and the like
 * SPDX-License-Identifier: Apache-2.0
 *
 * `make header` generates this file. For 64-bit systems. CAIO_OFFSET_CURRENT is 2^64 - 1. See caio-bindings(7). */

typedef struct caio_ctx caio_ctx;

enum {{
",
        env!("CARGO_PKG_VERSION")
    );
    for constant in api.constants.iter().filter(|constant| constant.value < LARGE) {
        writeln!(out, "    {} = {},", constant.name, constant.value).expect("write to a string");
    }
    out.truncate(out.len() - 2);
    out.push_str("\n};\n");
    for s in &api.structs {
        write!(out, "\ntypedef struct {} {{\n", s.name).expect("write to a string");
        for field in &s.fields {
            let array = field.count.map(|count| format!("[{count}]")).unwrap_or_default();
            writeln!(out, "    {}{}{array};", spaced(&field.kind), field.name).expect("write to a string");
        }
        writeln!(out, "}} {};", s.name).expect("write to a string");
    }
    out.push('\n');
    for f in &api.functions {
        let parameters = f.parameters.iter().map(|p| format!("{}{}", spaced(&p.kind), p.name)).collect::<Vec<_>>();
        let parameters = if parameters.is_empty() { "void".to_string() } else { parameters.join(", ") };
        writeln!(out, "{}{}({parameters});", spaced(&f.returns), f.name).expect("write to a string");
    }
    out
}

fn spaced(kind: &str) -> String {
    if kind.ends_with('*') { kind.to_string() } else { format!("{kind} ") }
}

/// A C program that compiles if the sizes, offsets and values are right.
pub fn assertions(api: &Api) -> String {
    let mut out = "#include <caio.h>\n#include <sys/stat.h>\n".to_string();
    let mut assert = |what: String| writeln!(out, "_Static_assert({what}, \"\");").expect("write to a string");
    for c in &api.constants {
        let suffix = if c.value >= LARGE { "u" } else { "" };
        assert(format!("{} == {}{suffix}", c.name, c.value));
    }
    for s in &api.structs {
        assert(format!("sizeof({}) == {}", s.name, s.size));
        for field in &s.fields {
            assert(format!("offsetof({}, {}) == {}", s.name, field.name, field.offset));
            assert(format!("sizeof((({} *)0)->{}) == {}", s.name, field.name, field.size));
        }
    }
    for (name, size, fields) in [
        ("statx", size_of::<libc::statx>(), statx()),
        ("statx_timestamp", size_of::<libc::statx_timestamp>(), statx_timestamp()),
    ] {
        assert(format!("sizeof(struct {name}) == {size}"));
        for (field, _, offset) in fields {
            assert(format!("offsetof(struct {name}, {field}) == {offset}"));
        }
    }
    out
}
