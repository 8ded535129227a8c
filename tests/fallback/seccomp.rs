//! System calls that fail, in this thread and those it starts.

use std::collections::BTreeMap;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    apply_filter,
};

/// The largest allowed value of an argument.
pub struct Above {
    pub argument: u8,
    pub most: u64,
}

/// Each of `calls` fails with `errno` from now on.
pub fn deny(calls: &[i64], errno: i32) {
    install(calls.iter().map(|call| (*call, Vec::new())).collect(), errno);
}

/// `call` fails with `errno` if an argument is too large.
pub fn deny_above(call: i64, Above { argument, most }: Above, errno: i32) {
    let condition =
        SeccompCondition::new(argument, SeccompCmpArgLen::Dword, SeccompCmpOp::Gt, most).expect("a condition");
    install([(call, vec![SeccompRule::new(vec![condition]).expect("a rule")])].into(), errno);
}

fn install(rules: BTreeMap<i64, Vec<SeccompRule>>, errno: i32) {
    let machine = std::env::consts::ARCH.try_into().expect("a machine that seccompiler knows");
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, SeccompAction::Errno(errno as u32), machine);
    let program: BpfProgram = filter.expect("a filter").try_into().expect("its program");
    apply_filter(&program).expect("seccomp");
}
