use super::*;

/// The opcodes that `capi` exports: name and number.
fn exported() -> impl Iterator<Item = (String, u8)> {
    let lines = include_str!("../capi/types.rs").lines().filter_map(|line| line.strip_prefix("pub const CAIO_OP_"));
    lines.map(|line| {
        let (name, number) = line.split_once(": u8 = ").unwrap();
        (name.replace('_', ""), number.trim_end_matches(';').parse().unwrap())
    })
}

#[test]
fn each_exported_opcode_has_its_row() {
    for (name, number) in exported() {
        let code = Code::from_number(number).expect(&name);
        assert_eq!(code.to_string(), name);
    }
    assert_eq!(exported().count(), Code::ALL.len());
    assert_eq!(Code::from_number(Code::ALL.len() as u8), None);
}

#[test]
fn each_row_is_complete() {
    for code in Code::ALL {
        let Spec { fields, paths, input, class: _, uses_fd, opens_fd, transfers, copies, reads, .. } = *code.spec();
        let Spec { vectored, syncs, may_time_out: _, .. } = *code.spec();
        let has = |field: u8| fields & field != 0;
        assert!(
            paths <= 2 && (paths < 1 || has(BUF)) && (paths < 2 || has(BUF2)),
            "{code:?}: paths are in buf and buf2"
        );
        assert!(!transfers || has(BUF) && has(LEN) && has(OFFSET) && paths == 0, "{code:?}: what a transfer needs");
        assert!(!copies || has(MODE) && has(LEN) && has(OFFSET) && !transfers, "{code:?}: what a copy needs");
        assert!(input == Input::None || has(BUF2) && paths < 2, "{code:?}: buf2 is one thing");
        assert!(has(FULL) == (transfers || copies), "{code:?}: only what moves bytes can be full");
        assert!(!has(DIR2) || paths == 2 && !has(OFFSET), "{code:?}: the directory of a second path");
        assert!(transfers || !reads && !vectored, "{code:?}: only transfers read or take iovecs");
        assert!(!transfers || !opens_fd && !syncs, "{code:?}: one kind of result");
        assert!(!opens_fd || paths > 0, "{code:?}: an open takes a path");
        assert!(uses_fd || fields == 0, "{code:?}: fields without a descriptor");
    }
}

#[test]
fn only_writes_that_wait_for_the_device_are_slow_transfers() {
    let write = Op { code: Code::Write, ..Op::nop(0) };
    let synced = flags::SYNCED;
    assert_eq!(write.class(), Class::Fast);
    assert_eq!(Op { sys_flags: synced, ..write }.class(), Class::Slow);
    assert_eq!(Op { direct: true, ..write }.class(), Class::Slow);
    assert_eq!(Op { code: Code::Read, sys_flags: synced, ..write }.class(), Class::Fast);
}

#[test]
fn a_directory_is_an_int_with_or_without_its_sign() {
    let linked = |offset| Op { code: Code::Linkat, dir2: true, offset, fd: 7, ..Op::nop(0) }.second_directory();
    assert_eq!([linked(3), linked(-100i64 as u64), linked(-100i32 as u32 as u64)], [3, -100, -100]);
    assert_eq!([linked(1 << 32 | 3), linked(1 << 63)], [-1, -1]);
    assert_eq!(Op { code: Code::Linkat, fd: 7, offset: 3, ..Op::nop(0) }.second_directory(), 7);
}

#[test]
fn the_opened_descriptor_is_found_in_each_field() {
    let used = |op: Op| {
        let mut after = op;
        after.use_opened(7);
        (op.uses_opened(), after.fd, after.mode, after.offset)
    };
    let op = Op { mode: OPENED as u32, offset: OPENED as u64, ..Op::nop(0) };
    assert_eq!(used(Op { code: Code::Read, fd: OPENED, ..op }), (true, 7, OPENED as u32, OPENED as u64));
    assert_eq!(used(Op { code: Code::Sendfile, ..op }), (true, -1, 7, OPENED as u64));
    assert_eq!(used(Op { code: Code::Linkat, dir2: true, ..op }), (true, -1, OPENED as u32, 7));
    assert!(!Op { code: Code::Statx, ..op }.uses_opened() && !Op { fd: OPENED, ..op }.uses_opened());
}

#[test]
fn an_operation_stays_small() {
    assert!(size_of::<Op>() <= 72);
}
