#!/bin/bash
# ext4, xfs and btrfs on loop devices: without a fault, with sectors of 4096 bytes, full, shut down, and with a truncated
# backing file.
. "$(dirname "$0")/lib.sh"

if [ "$(id -u)" != 0 ] || ! have losetup mkfs.ext4 || ! losetup -f >/dev/null 2>&1; then
    echo "skipped: file systems on loop devices needs losetup, loop devices and root"
    exit 0
fi
"$CARGO" test --quiet --locked --test torture_loop --no-run || exit 1
work=$(mktemp -d "$PWD/target/loop.XXXXXX") status=0
device=

detach() {
    # Does not check whether it is mounted: a file system that was shut down does not tell.
    umount "$work/mnt" 2>/dev/null
    [ -z "$device" ] || losetup -d "$device"
    device=
}
trap 'detach; rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

# attach FS SECTOR: makes a new file system and mounts it.
attach() {
    rm -f "$work/disk"
    truncate -s 320M "$work/disk"
    device=$(losetup -f --show --sector-size "$2" "$work/disk") || return
    case $1 in
    ext4) mkfs.ext4 -q -F "$device" ;;
    xfs) mkfs.xfs -q -f -s size="$2" "$device" ;;
    btrfs) mkfs.btrfs -q -f -m single "$device" ;;
    esac >/dev/null && mkdir -p "$work/mnt" && mount "$device" "$work/mnt"
}

try() {
    CAIO_TEST_DIR=$work/mnt CAIO_FS="$1 on a loop device" CAIO_FAULT=$2 rust_test torture_loop --nocapture >"$work/log" 2>&1 || {
        echo "FAILED  loop: $1, $2"
        sed 's/^/        /' "$work/log"
        status=1
    }
}

# first_byte FILE: the byte of the device where the file begins.
first_byte() {
    local byte
    byte=$(filefrag -v -b1 "$1" | awk '$1 == "0:" { sub(/\.\..*/, "", $4); print $4; exit }')
    # btrfs reports logical addresses.
    [ "$fs" != btrfs ] || byte=$(btrfs-map-logical -l "$byte" "$device" | awk '/^mirror 1/ { print $6; exit }')
    echo "$byte"
}

# Makes several copies of a file. The last one on the device becomes "bad": the backing file is truncated before it, so that
# its reads fail with EIO. The first one stays "good".
spoil() {
    cd "$work/mnt" || return
    rm -f new && mv bad copy1 && mv good copy2
    for copy in 3 4 5 6; do
        fallocate -l 30M "between$copy" && cp --reflink=never copy1 "copy$copy"
    done
    sync -f .
    local order end
    order=$(for copy in copy*; do echo "$(first_byte "$copy") $copy"; done | sort -n | awk '{ print $NF }')
    mv "$(echo "$order" | head -n 1)" good
    mv "$(echo "$order" | tail -n 1)" bad
    end=$(first_byte bad)
    sync -f .
    cd "$OLDPWD" || return
    mount -o remount,ro "$work/mnt" && truncate -s "$end" "$work/disk" && losetup -c "$device"
    echo 3 >/proc/sys/vm/drop_caches
}

for fs in ext4 xfs btrfs; do
    if ! have "mkfs.$fs"; then
        echo "skipped: $fs on a loop device needs $([ $fs = xfs ] && echo xfsprogs || echo btrfs-progs)"
        continue
    fi
    for sector in 512 4096; do
        attach $fs $sector || { status=1; break; }
        try "$fs, sectors of $sector" make && try "$fs, sectors of $sector" nothing
        detach
    done
    attach $fs 512 && try $fs make && try $fs full
    detach
    if [ $fs = xfs ]; then
        attach $fs 512 && try $fs make && try $fs shutdown
        detach
    fi
    # mkfs.btrfs -m single keeps one copy of the metadata, near the start.
    attach $fs 512 && try $fs make
    spoil && try $fs eio || status=1
    detach
done
exit $status
