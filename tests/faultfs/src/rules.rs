//! What becomes of requests: rules as they are told, and what they decide.

use std::time::Duration;

/// Kinds of requests, as commands name them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    Read,
    Write,
    Fsync,
    Fsyncdir,
    Open,
    Create,
    Lookup,
    Getattr,
    Setattr,
    Fallocate,
    Mkdir,
    Unlink,
    Rename,
}

pub const KINDS: [(&str, Kind); 13] = [
    ("read", Kind::Read),
    ("write", Kind::Write),
    ("fsync", Kind::Fsync),
    ("fsyncdir", Kind::Fsyncdir),
    ("open", Kind::Open),
    ("create", Kind::Create),
    ("lookup", Kind::Lookup),
    ("getattr", Kind::Getattr),
    ("setattr", Kind::Setattr),
    ("fallocate", Kind::Fallocate),
    ("mkdir", Kind::Mkdir),
    ("unlink", Kind::Unlink),
    ("rename", Kind::Rename),
];

/// How long a request waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    For(Duration),
    ForGo,
}

/// How a request ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum End {
    #[default]
    Well,
    Fails(i32),
    /// A transfer of at most so many bytes.
    Short(usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    Wait(Wait),
    End(End),
}

#[derive(Debug)]
struct Rule {
    /// None: any.
    kind: Option<Kind>,
    action: Action,
    from: u64,
    to: u64,
    skip: u64,
    /// None: always.
    times: Option<u64>,
}

#[derive(Debug, Default)]
pub struct Rules(Vec<Rule>);

impl Rules {
    /// Takes in `KIND ACTION [WHICH...]`; None if it is none.
    pub fn add(&mut self, words: &[&str]) -> Option<()> {
        let (kind, rest) = words.split_first()?;
        let known = KINDS.iter().find(|(name, _)| name == kind).map(|(_, kind)| *kind);
        if known.is_none() && *kind != "any" {
            return None;
        }
        let (action, which) = action(rest)?;
        let mut rule = Rule { kind: known, action, from: 0, to: u64::MAX, skip: 0, times: Some(1) };
        for word in which {
            let (name, value) = word.split_once('=')?;
            match (name, value) {
                ("times", "all") => rule.times = None,
                ("times", value) => rule.times = Some(value.parse().ok()?),
                ("skip", value) => rule.skip = value.parse().ok()?,
                ("from", value) => rule.from = value.parse().ok()?,
                ("to", value) => rule.to = value.parse().ok()?,
                _ => return None,
            }
        }
        self.0.push(rule);
        Some(())
    }

    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// What happens to a request of this kind and these bytes; uses up what it meets. The first rule of each sort counts.
    pub fn decide(&mut self, kind: Kind, bytes: std::ops::Range<u64>) -> (Option<Wait>, End) {
        let (mut wait, mut end) = (None, None);
        for rule in &mut self.0 {
            let taken = match rule.action {
                Action::Wait(_) => wait.is_some(),
                Action::End(_) => end.is_some(),
            };
            if !taken && rule.meets(kind, &bytes) {
                match rule.action {
                    Action::Wait(how) => wait = Some(how),
                    Action::End(how) => end = Some(how),
                }
            }
        }
        self.0.retain(|rule| rule.times != Some(0));
        (wait, end.unwrap_or_default())
    }
}

impl Rule {
    fn meets(&mut self, kind: Kind, bytes: &std::ops::Range<u64>) -> bool {
        let touches = bytes.start < self.to && (bytes.end > self.from || bytes.start >= self.from);
        if self.kind.is_some_and(|wanted| wanted != kind) || !touches {
            return false;
        }
        if self.skip > 0 {
            self.skip -= 1;
            return false;
        }
        match &mut self.times {
            None => true,
            Some(0) => false,
            Some(times) => {
                *times -= 1;
                true
            }
        }
    }
}

fn action<'a>(words: &'a [&'a str]) -> Option<(Action, &'a [&'a str])> {
    match words {
        ["hang", rest @ ..] => Some((Action::Wait(Wait::ForGo), rest)),
        ["slow", time, rest @ ..] => Some((Action::Wait(Wait::For(Duration::from_millis(time.parse().ok()?))), rest)),
        ["short", bytes, rest @ ..] => Some((Action::End(End::Short(bytes.parse().ok()?)), rest)),
        ["fail", errno, rest @ ..] => Some((Action::End(End::Fails(errno_of(errno)?)), rest)),
        _ => None,
    }
}

fn errno_of(name: &str) -> Option<i32> {
    Some(match name {
        "EIO" => libc::EIO,
        "EINTR" => libc::EINTR,
        "ENOSPC" => libc::ENOSPC,
        "EDQUOT" => libc::EDQUOT,
        "EAGAIN" => libc::EAGAIN,
        "ENOMEM" => libc::ENOMEM,
        "EROFS" => libc::EROFS,
        "ESTALE" => libc::ESTALE,
        "EBUSY" => libc::EBUSY,
        "ENOSYS" => libc::ENOSYS,
        "EOPNOTSUPP" => libc::EOPNOTSUPP,
        "ETIMEDOUT" => libc::ETIMEDOUT,
        "EACCES" => libc::EACCES,
        "EPERM" => libc::EPERM,
        _ => name.parse().ok().filter(|errno| *errno > 0)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(text: &str) -> Rules {
        let mut rules = Rules::default();
        for line in text.lines() {
            rules.add(&line.split_whitespace().collect::<Vec<_>>()).expect(line);
        }
        rules
    }

    #[test]
    fn a_rule_serves_its_times_after_its_skips() {
        let mut rules = rules("read fail EIO skip=1 times=2");
        let mut next = || rules.decide(Kind::Read, 0..1).1;
        assert_eq!([next(), next(), next(), next()], [End::Well, End::Fails(5), End::Fails(5), End::Well]);
    }

    #[test]
    fn a_rule_meets_its_kind_and_bytes_only() {
        let mut rules = rules("write fail ENOSPC from=10 to=20 times=all\nany slow 7 times=all");
        let slow = Some(Wait::For(Duration::from_millis(7)));
        assert_eq!(rules.decide(Kind::Read, 10..20), (slow, End::Well));
        assert_eq!(rules.decide(Kind::Write, 0..10), (slow, End::Well));
        assert_eq!(rules.decide(Kind::Write, 20..30), (slow, End::Well));
        assert_eq!(rules.decide(Kind::Write, 5..11), (slow, End::Fails(libc::ENOSPC)));
    }

    #[test]
    fn nonsense_is_refused() {
        for line in ["", "read", "read fail", "read fail NOTHING", "read fail EIO often", "chew hang", "read slow x"] {
            assert!(Rules::default().add(&line.split_whitespace().collect::<Vec<_>>()).is_none(), "{line}");
        }
    }
}
