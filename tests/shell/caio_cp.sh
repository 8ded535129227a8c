#!/bin/bash
# What the user of caio-cp sees: the copies, the messages and the files that remain.
suite=caio-cp
. "$(dirname "$0")/lib.sh"

# Describes a tree: names, kinds, modes, times, sizes and link targets.
describe() {
    (cd "$1" && find . \( -type d -printf '%p %y %m %T@\n' \) -o -printf '%p %y %m %T@ %s %l\n' | sort)
}

same_tree() {
    diff -r --no-dereference "$1" "$2" && diff <(describe "$1") <(describe "$2")
}

no_temporary_files() {
    [ -z "$(find "${1:-.}" -name '.*caio-*')" ] || {
        find "${1:-.}" -name '.*caio-*'
        return 1
    }
}

long_name=$(printf 'ü%.0s' {1..127})x # 255 bytes

make_tree() {
    mkdir -p tree/empty tree/a/b/c "tree/with space" tree/closed
    for size in 0 1 4095 4096 131071 131072 131073 262144 5000001; do
        head -c "$size" /dev/urandom >"tree/a/$size"
    done
    for i in {1..300}; do echo "$i" >"tree/a/b/$i"; done
    echo content >"tree/with space/new
line"
    echo content >"tree/$long_name"
    echo content >tree/closed/file
    ln -s ../a/4096 tree/a/b/link
    ln -s nowhere tree/a/dangling
    ln -s "$PWD" tree/a/folder-link
    chmod 0640 tree/a/1
    chmod 0444 tree/a/4095
    chmod 1777 tree/empty
    touch -d '2001-02-03 04:05:06.789' tree/a/0 tree/a/b/c
    touch -h -d '2002-02-03 04:05:06' tree/a/dangling
    chmod 0555 tree/closed
    touch -d '1999-09-09' tree/a tree
}
make_tree

copies_the_tree() {
    rm -rf copy
    exits 0 caio-cp "$@" tree copy && same_tree tree copy && no_temporary_files copy
}

for backend in uring linux thread; do
    if caio-cp -q -b "$backend" tree/a/1 first 2>err; then
        check "copies a tree on $backend" copies_the_tree -b "$backend"
        check "copies a tree on $backend, one operation at a time" copies_the_tree -b "$backend" -j 1
        check "copies a tree on $backend, --direct" copies_the_tree -b "$backend" --direct
        check "copies a tree on $backend, --fsync" copies_the_tree -b "$backend" --fsync -j 1024
    else
        skip "backend $backend" "a kernel and container that allow it ($(cat err))"
    fi
done

summary() {
    exits 0 caio-cp -b thread tree/a/4096 plain && cmp tree/a/4096 plain && expect "" "$(cat err)" &&
        grep -Eq '^1 file, 0 folders, 4\.1 kB in .* s \(.*/s\), thread: [0-9]+ operations? inline, 0 native, [0-9]+ by workers$' out
}
check "a file, and the summary" summary

singular() {
    mkdir -p one counted && exits 0 caio-cp one tree/a/0 tree/a/1 counted && grep -q '^2 files, 1 folder, ' out && ! grep -qw '1 operations' out
}
check "counts one file, two files" singular

full_output() {
    caio-cp tree/a/4096 plain >/dev/full 2>err
    expect 1 $? && says "error writing standard output: No space left on device" || return
    for option in --help --version; do
        caio-cp $option >/dev/full 2>err
        expect 1 $? && says "error writing standard output: No space left on device" || return
    done
}
check "reports output that cannot be written" full_output

# A copied file must not get the number of a standard descriptor: messages would go into it.
closed_output() {
    rm -rf copy && mkdir closed
    caio-cp -q tree copy <&- >&- 2>&- && same_tree tree copy || return
    caio-cp tree/a/4096 closed <&- >&- 2>&-
    expect 1 $? && cmp tree/a/4096 closed/4096 || return
    caio-cp -q /dev/zero tree/a/4096 closed <&- >&- 2>&-
    expect 1 $? && cmp tree/a/4096 closed/4096 && no_temporary_files closed
}
check "writes no message into a file when standard descriptors are closed" closed_output

quiet() {
    exits 0 caio-cp -q tree/a/4096 plain && expect "" "$(cat out err)"
}
check "-q says nothing" quiet

bar() {
    script -qec "caio-cp tree barcopy" /dev/null >shown && grep -q '%' shown && grep -q 'left' shown && same_tree tree barcopy
}
if have script; then check "shows a progress bar on a terminal" bar; else skip "the progress bar" bsdutils; fi

no_bar() {
    rm -rf copy
    exits 0 caio-cp tree copy && expect "" "$(cat err)"
}
check "shows no progress bar if standard error is not a terminal" no_bar

options() {
    exits 0 caio-cp --help && grep -q -- --direct out && exits 0 caio-cp --version && grep -q '^caio-cp [0-9.]* (libcaio [0-9.]*)$' out &&
        exits 1 caio-cp && says "missing file operand" && says "Try 'caio-cp --help'" &&
        exits 1 caio-cp tree && says "missing destination file operand after 'tree'" &&
        exits 1 caio-cp -x tree x && says "Try 'caio-cp --help'" &&
        exits 0 caio-cp --backend=thread --depth 2 --quiet tree/a/1 long && expect "" "$(cat out err)" &&
        exits 1 caio-cp --depth=0 tree x && exits 1 caio-cp -j 0 tree x && exits 1 caio-cp -j 9x tree x && exits 1 caio-cp -b other tree x && says "unknown backend 'other'"
}
check "accepts its options and reports usage errors" options

# The destination of a copy is the same as with cp.

into() {
    mkdir into && exits 0 caio-cp tree/a/1 tree/a/b into && cmp tree/a/1 into/1 && same_tree tree/a/b into/b &&
        exits 0 caio-cp tree/. into && cmp tree/a/4096 into/a/4096 &&
        exits 0 caio-cp tree/a/1 into/ && exits 0 caio-cp tree/a/b new/ && same_tree tree/a/b new
}
check "copies into a directory" into

over() {
    echo old >over && ln over other-name && exits 0 caio-cp tree/a/4096 over && cmp tree/a/4096 over && expect old "$(cat other-name)"
}
check "replaces an existing file and does not write into it" over

through_a_link() {
    echo old >pointed && ln -s pointed pointer && exits 0 caio-cp tree/a/4096 pointer && cmp tree/a/4096 pointed && [ -L pointer ] &&
        ln -s nowhere dangling && exits 1 caio-cp tree/a/1 dangling && says "not writing through dangling symlink 'dangling'"
}
check "replaces the file that a symbolic link points to" through_a_link

refused() {
    mkdir -p refused/sub && echo x >refused/file && echo y >refused/other &&
        exits 1 caio-cp refused/file refused/other nowhere && says "target 'nowhere': No such file or directory" &&
        exits 1 caio-cp refused/other refused/sub refused/file && says "target 'refused/file': Not a directory" &&
        exits 1 caio-cp refused/file refused/file && says "'refused/file' and 'refused/file' are the same file" &&
        exits 1 caio-cp refused refused && says "cannot copy a directory, 'refused', into itself, 'refused/refused'" &&
        exits 1 caio-cp refused refused/sub/new && says "into itself" &&
        exits 1 caio-cp refused/sub refused/file && says "cannot create directory 'refused/file': File exists" &&
        mkdir -p there/file && exits 1 caio-cp refused/file there && says "cannot overwrite directory 'there/file' with non-directory" &&
        exits 1 caio-cp refused/file /dev/null && says "cannot overwrite special file '/dev/null'" && [ -c /dev/null ] &&
        exits 1 caio-cp refused/file new/ghost/ && exits 1 caio-cp refused/file nothing/ && says "Not a directory" &&
        expect x "$(cat refused/file)" && no_temporary_files .
}
check "refuses a copy that would destroy a source or a special file" refused

goes_on() {
    mkdir -p b1 b2 both && echo 1 >b1/n && echo 2 >b2/n &&
        exits 1 caio-cp missing b1/n b2/n tree/a/1 both && says "cannot stat 'missing': No such file or directory" &&
        says "will not overwrite just-created 'both/n' with 'b2/n'" && expect 1 "$(cat both/n)" && cmp tree/a/1 both/1
}
check "continues after a source that it cannot copy" goes_on

# Kinds of files.

sparse() {
    truncate -s 3G sparse && echo data | dd of=sparse bs=1 seek=1500000001 conv=notrunc status=none && rm -f sparse-copy &&
        exits 0 caio-cp "$@" sparse sparse-copy && expect "$(stat -c %s sparse)" "$(stat -c %s sparse-copy)" &&
        [ "$(stat -c %b sparse-copy)" -le $(($(stat -c %b sparse) + 64)) ] &&
        cmp -i 1499990000 -n 20000 sparse sparse-copy && expect data "$(tail -c +1500000002 sparse-copy | head -c 4)"
}
check "a sparse file stays sparse" sparse
check "a sparse file stays sparse, --direct" sparse --direct

all_hole() {
    truncate -s 1000001 hole && exits 0 caio-cp hole hole-copy && cmp hole hole-copy && expect 0 "$(stat -c %b hole-copy)"
}
check "copies a file that is one hole" all_hole

no_size() {
    exits 0 caio-cp /proc/version version && [ -s version ] && cmp /proc/version version &&
        exits 0 caio-cp /proc/kallsyms kallsyms && cmp /proc/kallsyms kallsyms
}
check "copies a file whose size reads as 0" no_size

fifo() {
    mkfifo -m 0620 fifo && touch -d 2003-03-03 fifo && exits 0 caio-cp fifo fifo-copy && expect "p 620 $(stat -c %Y fifo)" \
        "$(find fifo-copy -printf '%y %m ')$(stat -c %Y fifo-copy)"
}
check "copies a FIFO as a FIFO" fifo

special() {
    mkdir special && exits 1 caio-cp /dev/zero tree/a/1 special && says "cannot copy special file '/dev/zero'" && cmp tree/a/1 special/1
}
check "reports a device and does not copy it" special

# With -a, a copy is what cp -a makes of it.

# Names, kinds, modes, owners, times, sizes, devices, link targets, numbers of links; which names are one file; the
# contents and the attributes.
describe_all() {
    (cd "$1" && find . \( -type d -printf '%p %y %m %U %G %T@\n' \) -o \( -type b -o -type c \) -exec stat -c '%n %F %a %u %g %Y %t:%T' {} + -o \
        -printf '%p %y %m %U %G %T@ %s %l %n\n' | sort && find . ! -type d -links +1 -printf '%i %p\n' | sort -k2 | awk '!($1 in id) { id[$1] = ++n } { print id[$1], $2 }' &&
        find . -type f -exec cksum {} + | sort &&
        if have getfattr; then getfattr -R -P -d -m - . 2>/dev/null | sort; fi)
}

make_archive() {
    mkdir -p archive/sub archive/set-group && cp -a tree/a/1 tree/a/4096 tree/a/131073 tree/a/dangling archive && ln archive/1 archive/sub/one && ln archive/1 archive/again &&
        ln archive/131073 archive/sub/large && ln archive/dangling archive/sub/dangling && mkfifo archive/fifo && ln archive/fifo archive/sub/fifo && cp -a "$SCRATCH_SOCKET" archive/socket &&
        chmod 2775 archive/set-group && echo program >archive/program && chmod 4755 archive/program || return
    if have setfattr; then
        for file in archive/4096 archive/131073 archive/sub; do setfattr -n user.colour -v red "$file" && setfattr -n user.size -v 7 "$file" || return; done
    fi
    if have setfacl; then setfacl -m u:1234:rw archive/4096 archive/fifo && setfacl -d -m g:77:rx archive/sub || return; fi
    [ "$(id -u)" != 0 ] || {
        chown 12:34 archive/4096 archive/sub && chown -h 56:78 archive/dangling && chown 90:12 archive/program && chmod 6755 archive/program &&
            mknod -m 0640 archive/null c 1 3 && { mknod archive/block b 7 200 || true; }
    }
}

archived() {
    rm -rf archived by-cp && exits 0 caio-cp "$@" archive archived && cp -a archive by-cp && expect "" "$(cat err)" &&
        diff <(describe_all by-cp) <(describe_all archived) && no_temporary_files archived
}

archived_again() {
    exits 0 caio-cp -a archive/. archived && diff <(describe_all by-cp) <(describe_all archived) && no_temporary_files archived
}

linked_to_the_rest() {
    mkdir -p links && echo x >links/a && ln links/a links/b && mkdir -p there-is/links/a && exits 1 caio-cp -a links there-is &&
        says "cannot overwrite directory" && [ -f there-is/links/b ] && no_temporary_files there-is
}

SCRATCH_SOCKET=$work/socket
python3 -c 'import socket, sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])' socket
make_archive || exit 1
check "-a keeps what cp -a keeps" archived -a
check "-a keeps what cp -a keeps, one operation at a time" archived -a -j 1
check "-a keeps what cp -a keeps, --fsync on the thread backend" archived -a --fsync -b thread
check "-a over an earlier copy" archived_again
check "-a copies the next link of a file whose first one fails" linked_to_the_rest
check "ignores -r and -R" archived -raR

slash_follows() {
    ln -s tree/a/b folder && exits 0 caio-cp folder as-link && [ -L as-link ] && exits 0 caio-cp folder/ as-folder && same_tree tree/a/b as-folder
}
check "copies a symbolic link as a link, and with a trailing slash its target" slash_follows

set_user_id() {
    cp tree/a/1 program && chown 12345 program && chmod 4755 program && exits 0 caio-cp program program-copy && expect 755 "$(stat -c %a program-copy)" &&
        chown 0 program && chmod 4755 program && exits 0 caio-cp program program-copy && expect 4755 "$(stat -c %a program-copy)"
}
if [ "$(id -u)" = 0 ]; then check "set-user-ID is kept only with its owner" set_user_id; fi

# Access control lists, as with cp -p.

acl_of() { getfacl -n -p "$1" | grep -v '^# file:'; }
same_acl() { diff <(acl_of "$1") <(acl_of "$2"); }
same_acls() {
    for path in . file plain folder folder/file folder/later fifo; do same_acl "$1/$path" "$2/$path" || return; done
}

# In the mode of acls/file, the group's bits are the mask, rw; the owning group may do nothing.
make_acls() {
    mkdir -p acls/folder && echo file | tee acls/file acls/plain acls/folder/file >/dev/null && mkfifo acls/fifo && chmod 600 acls/file acls/fifo &&
        setfacl -m u:1234:rw acls/file acls/fifo acls/folder/file && setfacl -m u:1234:rwx,d:u:1234:rwx,d:g:77:rx acls/folder && touch acls/folder/later
}
keeps_acls() { make_acls && exits 0 caio-cp acls acls-copy && same_acls acls acls-copy && diff <(describe acls) <(describe acls-copy); }
into_inherited() {
    mkdir inherits && setfacl -d -m u:99:rwx inherits && exits 0 caio-cp acls inherits && same_acls acls inherits/acls &&
        exits 0 caio-cp acls/plain acls/fifo inherits && same_acl acls/plain inherits/plain && same_acl acls/fifo inherits/fifo
}
# ramfs has no ACLs.
without_acls() {
    unshare -m sh -ec 'mkdir -p no-acls && mount -t ramfs none no-acls && ! caio-cp acls/file acls/fifo acls/plain no-acls 2>err &&
        [ "$(stat -c %a no-acls/file no-acls/fifo no-acls/plain | xargs)" = "600 600 $(stat -c %a acls/plain)" ] && cmp acls/file no-acls/file' &&
        says "preserving permissions for 'no-acls/file': Operation not supported" && says "'no-acls/fifo'" && ! says "plain"
}

if have setfacl getfacl; then
    check "keeps access control lists" keeps_acls
    check "the copies inherit no access control list" into_inherited
    if unshare -m true 2>/dev/null; then
        check "gives the group no more rights where access control lists are not supported" without_acls
    fi
else
    skip "access control lists" acl
fi

# After an error: the message, the rest of the copy, and no incomplete file under a final name.

# Runs a command as a user to whom file modes apply: root without the capability to bypass them.
unprivileged() {
    if [ "$(id -u)" = 0 ]; then setpriv --bounding-set -dac_override,-dac_read_search "$@"; else "$@"; fi
}

unreadable() {
    mkdir -p un/ok un/closed && echo 1 >un/ok/1 && echo 2 >un/secret && echo 3 >un/closed/3 && chmod 000 un/secret un/closed &&
        exits 1 unprivileged caio-cp un un-copy && says "cannot open 'un/secret' for reading: Permission denied" &&
        says "cannot access 'un/closed': Permission denied" && expect 1 "$(cat un-copy/ok/1)" && [ ! -e un-copy/secret ] && no_temporary_files un-copy
}

unwritable() {
    mkdir shut && chmod 555 shut && exits 1 unprivileged caio-cp tree/a/1 shut/x && says "cannot create regular file 'shut/x': Permission denied"
}
if unprivileged true 2>/dev/null; then
    check "reports unreadable files and directories, and copies the rest" unreadable
    check "reports a directory that is not writable" unwritable
else
    skip "unreadable files" "the right to drop capabilities, or not to be root"
fi

too_large() {
    rm -rf limited && mkdir limited
    exits 1 bash -c 'ulimit -f 200; exec caio-cp tree/a/5000001 tree/a/4096 tree/a/131073 limited' &&
        says "error writing 'limited/5000001': File too large" && cmp tree/a/4096 limited/4096 && cmp tree/a/131073 limited/131073 &&
        expect "131073 4096" "$(echo $(ls -A limited))"
}
check "reports a file above RLIMIT_FSIZE, and copies the rest" too_large

disk_full() {
    unshare -m sh -ec '
        mkdir -p small && mount -t tmpfs -o size=1m none small && echo old >small/5000001
        caio-cp -j 1 "$@" tree/a/5000001 tree/a/4096 small 2>err && exit 1
        grep -F "error writing '\''small/5000001'\'': No space left on device" err
        cmp tree/a/4096 small/4096 && [ "$(cat small/5000001)" = old ] && [ "$(echo $(ls -A small))" = "4096 5000001" ]' - "$@"
}
ramfs() {
    unshare -m sh -ec 'mkdir -p ram && mount -t ramfs none ram && caio-cp --direct tree ram && diff -r --no-dereference tree ram/tree'
}

no_direct() {
    exits 0 caio-cp --direct /proc/version tree/a/5000001 into && cmp /proc/version into/version && cmp tree/a/5000001 into/5000001
}
check "--direct copies from a file system without O_DIRECT" no_direct

if unshare -m sh -c 'mkdir -p probe && mount -t tmpfs none probe' 2>/dev/null; then
    check "reports a full disk, and copies the rest" disk_full
    check "reports a full disk, and copies the rest, --direct" disk_full --direct
    check "--direct copies to a file system without O_DIRECT" ramfs
else
    skip "a full disk" "root and the right to mount"
fi

few_descriptors() {
    rm -rf many many-copy && mkdir many && (cd many && seq -f 'd%g/e/f' 300 | xargs mkdir -p && seq -f 'd%g/e/f/file' 300 | xargs touch && seq -f 'g%g' 2000 | xargs touch) &&
        for limit in 64 16; do
            rm -rf many-copy
            exits 0 bash -c "ulimit -n $limit; exec caio-cp many many-copy" && same_tree many many-copy || return
        done
}
check "a tree larger than the limit of descriptors" few_descriptors

# 40 descriptors are open already: 16 are left.
inherited_descriptors() {
    rm -rf many-copy && exits 0 bash -c 'for i in {1..40}; do exec {fd}</dev/null; done; ulimit -n 56; exec caio-cp many many-copy' && same_tree many many-copy
}
check "counts the descriptors that are open already" inherited_descriptors

deep() {
    local top=$PWD level
    mkdir deep && cd deep && for level in {1..30}; do mkdir "$long_name" && cd "$long_name" && echo "$level" >file || return; done
    cd "$top" && exits 0 bash -c 'ulimit -n 16; exec caio-cp deep deep-copy' && cd deep-copy &&
        for level in {1..30}; do cd "$long_name" && expect "$level" "$(cat file)" || return; done
}
check "copies paths longer than PATH_MAX" deep
rm -rf deep deep-copy

# strace injects errors and delays.

inject() {
    local fault=$1
    shift
    strace -f -qq -o trace --inject="$fault" "$@"
}

# A small file in a new folder gets its only name when it is complete. Where that is refused, all are copied in another way.
unnamed() {
    local number
    mkdir small-ones && for number in {1..200}; do echo "$number" >"small-ones/$number"; done
    strace -f -qq -o trace -e trace=openat,linkat,renameat2 caio-cp -q small-ones ones-copy && diff -r small-ones ones-copy &&
        ! grep -F '.caio-' trace && [ "$(grep -c 'linkat(' trace)" -ge 200 ] &&
        exits 0 inject linkat:error=EPERM caio-cp -q small-ones ones-named && diff -r small-ones ones-named && no_temporary_files ones-named
}

# Injects an error into the reads of one file, in every thread and with every call, from the third read of a thread on.
inject_reads() {
    local fault=$1
    shift
    strace -f -qq -o trace -P "$PWD/tree/a/5000001" --inject="pread64,preadv,preadv2,copy_file_range:$fault:when=3+" caio-cp -b thread -j 1 tree/a/5000001 "$@"
}

read_error() {
    mkdir -p read-error && exits 1 inject_reads error=EIO read-error &&
        says "error reading 'tree/a/5000001': Input/output error" && expect "" "$(ls -A read-error)"
}

shrinking() {
    local size
    exits 0 inject_reads retval=0 shrunk && size=$(stat -c %s shrunk) && [ "$size" -gt 0 ] && [ "$size" -lt 5000001 ] &&
        cmp -n "$size" tree/a/5000001 shrunk
}

no_uring() {
    exits 1 inject io_uring_setup:error=EPERM caio-cp -b uring tree/a/1 no-uring && says "uring" && [ ! -e no-uring ] &&
        exits 0 inject io_uring_setup:error=EPERM caio-cp tree/a/1 no-uring && ! grep -q uring out
}

# slow_copy FOLDER [PREFIX...]: a write takes seconds, so that a signal comes while the temporary file exists. By default
# no signal is ignored, though a shell lets what it starts in the background ignore some.
slow_copy() {
    [ $# -gt 1 ] || set -- "$1" env --default-signal
    rm -rf "$1" && mkdir "$1" && echo old >"$1/5000001"
    "${@:2}" strace -f -qq -o "$1.trace" --inject=pwrite64,pwritev2,copy_file_range:delay_enter=2000000 caio-cp -b thread tree/a/5000001 "$1" 2>"$1.err" &
    copier=$!
    until [ -n "$(find "$1" -name '.*.caio-*')" ]; do kill -0 $copier || return; done
}

# ended STATUS FOLDER: the target is unchanged, and no temporary file is left.
ended() {
    local got=0
    wait $copier || got=$?
    expect "$1" "$got" && expect old "$(cat "$2/5000001")" && no_temporary_files "$2"
}

interrupted() {
    local signal=$1 status=$((128 + $(kill -l "$1")))
    slow_copy "stopped-$signal" && pkill "-$signal" -P $copier && ended $status "stopped-$signal" && grep -qx 'caio-cp: interrupted' "stopped-$signal.err"
}

# twice SIGNAL SECONDS FOLDER: tries again if the first signal came before a write began, as that copy ends at once.
twice() {
    until slow_copy "$3" && pkill "-$1" -P $copier && sleep "$2" && pkill "-$1" -P $copier; do wait $copier || true; done
}

hung_up_twice() {
    twice HUP 0.2 hung-up && ended 129 hung-up
}

impatient() {
    twice INT 1.1 impatient && ended 130 impatient && ! grep 'caio-cp: interrupted' impatient.err
}

ignored_hangup() {
    slow_copy ignored env --ignore-signal=HUP && pkill -HUP -P $copier && wait $copier && cmp tree/a/5000001 ignored/5000001 && no_temporary_files ignored
}

# all_of FUNCTION ARGUMENT...: side by side, as each takes seconds.
all_of() {
    local argument pid status=0 pids=()
    for argument in "${@:2}"; do "$1" "$argument" & pids+=($!); done
    for pid in "${pids[@]}"; do wait "$pid" || status=1; done
    return $status
}

# The message is written while the temporary file exists, into a pipe without a reader.
no_reader() {
    local got=0
    mkdir -p no-reader && exec 3> >(:) && wait $! || true
    inject_reads error=EIO no-reader 2>&3 || got=$?
    exec 3>&-
    expect 141 $got && expect "" "$(ls -A no-reader)"
}

goes_direct() {
    exits 0 strace -f -qq -e trace=fcntl -o trace caio-cp --direct tree/a/131073 directly && expect 2 "$(grep -c 'F_SETFL.*O_DIRECT.* = 0' trace)" &&
        expect 2 "$(grep F_SETFL trace | grep -vc 'F_SETFL, O_RDONLY) ')" && cmp tree/a/131073 directly # and not taken back for the tail
}

no_seek_data() {
    truncate -s 5000000 zeros && cat tree/a/4096 >>zeros &&
        exits 0 inject lseek:error=EINVAL caio-cp zeros zeros-copy && cmp zeros zeros-copy && [ "$(stat -c %b zeros-copy)" -lt 1000 ]
}

synced_before_renamed() {
    exits 0 strace -f -qq -e trace=fsync,fdatasync,rename,renameat,renameat2 -o trace caio-cp -b thread --fsync tree/a/1 synced &&
        expect "fsync rename fsync" "$(sed -E 's/^[0-9]+ +//; /resumed|syscall_/d; s/renameat2?/rename/; s/^([a-z]+)\(.*/\1/' trace | xargs)"
}

# The thread of the loop is the one that calls epoll_wait. The library reads a file of /proc or /sys. Submit itself opens and examines what is cached, with openat2 and statx.
waits_nowhere_else() {
    local loop
    rm -rf archived && exits 0 strace -f -qq -o trace caio-cp -a archive archived && loop=$(awk '/epoll_wait/ { print $1; exit }' trace) &&
        sed -n '/epoll_create/,$p' trace | grep "^$loop " >loop-trace && grep -q epoll_wait loop-trace &&
        ! grep -E '^[0-9]+ +(openat|readlinkat|readlink|symlinkat|linkat|mkdirat|mknodat|getdents64|lseek|f?chmod(at)?2?|f?chown(at)?|utimensat|rename(at2?)?|unlink(at)?|flistxattr|f(get|set|remove)xattr|p?write(64|v|v2)?|copy_file_range|f(data)?sync|newfstatat|lstat)\(' loop-trace |
            grep -vE 'write\([0-9]+, "\\1\\0|write\(1, |newfstatat\(1, |lseek\([0-9]+, 0, SEEK_CUR|openat\(.*"/(proc|sys|etc)/'
}

if have strace; then
    check "the thread of the loop makes no system call that may wait for a disk" waits_nowhere_else
    check "a small file in a new folder has no name until it is complete" unnamed
    check "reports a read error" read_error
    check "copies what remains of a file that shrinks during the copy" shrinking
    check "reports a named backend that is not available" no_uring
    check "--direct uses O_DIRECT on both sides" goes_direct
    check "keeps a file sparse without SEEK_DATA" no_seek_data
    check "no signal leaves a temporary file" all_of interrupted HUP INT QUIT PIPE ALRM TERM USR1 USR2 XCPU PROF VTALRM IO
    check "leaves no temporary file when nothing reads its messages" no_reader
    check "takes two SIGHUP in a row as one interruption" hung_up_twice
    check "exits at once on a second SIGINT, without temporary files" impatient
    check "ignores a signal that was ignored at the start" ignored_hangup
    check "--fsync: file, rename, folder" synced_before_renamed
else
    skip "faults and interruption" strace
fi

check "leaves no temporary file" no_temporary_files .
finish
