//! The API, read from the generated header.

/// A macro with a number.
pub struct Constant {
    pub name: String,
    pub value: i128,
    pub doc: String,
}

pub struct Field {
    pub name: String,
    pub kind: String,
    /// The number of elements, if it is an array.
    pub count: Option<usize>,
    pub offset: usize,
    pub size: usize,
    pub doc: String,
}

pub struct Struct {
    pub name: String,
    pub fields: Vec<Field>,
    pub size: usize,
    pub doc: String,
}

pub struct Parameter {
    pub name: String,
    pub kind: String,
}

pub struct Function {
    pub name: String,
    pub returns: String,
    pub parameters: Vec<Parameter>,
    pub doc: String,
}

#[derive(Default)]
pub struct Api {
    pub constants: Vec<Constant>,
    pub structs: Vec<Struct>,
    pub functions: Vec<Function>,
}

/// Reads the header. The layout is that of 64-bit systems; the reserved fields of 32-bit systems make it the same there.
pub fn parse(header: &str) -> Api {
    let mut api = Api::default();
    let mut lines = header.lines();
    let mut doc = String::new();
    while let Some(line) = lines.next() {
        if line.starts_with("/**") {
            doc = comment(&mut lines);
            continue;
        }
        // Structures that other systems have in headers of their own.
        if line == "#if defined(_WIN32)" {
            lines.find(|line| *line == "#endif");
            continue;
        }
        if let Some(constant) = line.strip_prefix("#define CAIO_").and_then(|rest| rest.split_once(' ')) {
            if let Some(value) = number(constant.1).filter(|_| constant.0 != "POINTER_32") {
                let name = format!("CAIO_{}", constant.0);
                api.constants.push(Constant { name, value, doc: doc.clone() });
            }
        } else if let Some(name) = line.strip_prefix("typedef struct ").and_then(|rest| rest.strip_suffix(" {")) {
            api.structs.push(structure(name, doc.clone(), &mut lines));
        } else if line.contains("caio_") && line.contains('(') && !line.starts_with('#') && !line.starts_with("/*") {
            let mut declaration = line.to_string();
            while !declaration.ends_with(';') {
                declaration += lines.next().expect("a declaration ends").trim();
            }
            api.functions.extend(function(&declaration, doc.clone()));
        }
        doc.clear();
    }
    api
}

/// The text of a comment whose first line was taken.
fn comment<'a>(lines: &mut impl Iterator<Item = &'a str>) -> String {
    let text = lines.take_while(|line| line.trim() != "*/").map(|line| line.trim().trim_start_matches('*').trim());
    text.collect::<Vec<_>>().join("\n")
}

fn number(text: &str) -> Option<i128> {
    match text.trim_matches(['(', ')']) {
        "UINT64_MAX" => Some(u64::MAX.into()),
        digits => digits.parse().ok(),
    }
}

fn structure<'a>(name: &str, doc: String, lines: &mut impl Iterator<Item = &'a str>) -> Struct {
    let mut fields: Vec<Field> = Vec::new();
    let (mut end, mut align, mut skipping, mut field_doc) = (0usize, 1, false, String::new());
    while let Some(line) = lines.next() {
        let line = line.trim();
        if line.starts_with('}') {
            break;
        } else if line.starts_with("/**") {
            field_doc = comment(lines);
        } else if line.starts_with("#if") {
            skipping = true;
        } else if line == "#endif" {
            skipping = false;
        } else if !skipping {
            let mut field = declared(line.trim_end_matches(';'));
            let unit = field.size / field.count.unwrap_or(1);
            align = align.max(unit);
            field.offset = end.next_multiple_of(unit);
            end = field.offset + field.size;
            field.doc = std::mem::take(&mut field_doc);
            fields.push(field);
        }
    }
    Struct { name: name.to_string(), fields, size: end.next_multiple_of(align), doc }
}

/// `uint64_t reserved[5]` or `void *buf`.
fn declared(text: &str) -> Field {
    let (kind, name) = split(text);
    let (name, count) = match name.split_once('[') {
        Some((name, count)) => {
            (name.to_string(), Some(count.trim_end_matches(']').parse().expect("an array's length")))
        }
        None => (name, None),
    };
    let size = count.unwrap_or(1) * size_of_type(&kind);
    Field { name, kind, count, offset: 0, size, doc: String::new() }
}

fn size_of_type(kind: &str) -> usize {
    match kind {
        _ if kind.ends_with('*') => 8,
        "uint64_t" | "int64_t" => 8,
        "uint32_t" | "int32_t" => 4,
        "uint16_t" => 2,
        "uint8_t" => 1,
        _ => panic!("the size of {kind}"),
    }
}

/// Splits a declaration into type and name: `const char *why` has the type `const char *`.
fn split(text: &str) -> (String, String) {
    let at = text.rfind([' ', '*']).expect("a type and a name") + 1;
    (text[..at].trim().replace("struct ", ""), text[at..].to_string())
}

fn function(declaration: &str, doc: String) -> Option<Function> {
    let (head, rest) = declaration.split_once('(')?;
    let (returns, name) = split(head);
    let list = rest.trim_end_matches([')', ';']);
    let parameters = list.split(',').map(str::trim).filter(|text| *text != "void").map(|text| {
        let (kind, name) = split(text);
        Parameter { name, kind }
    });
    Some(Function { name, returns, parameters: parameters.collect(), doc })
}
