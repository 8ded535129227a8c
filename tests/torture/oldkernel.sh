#!/bin/bash
# The tests on older kernels. The script downloads kernels of Debian releases from apt's mirror, and boots them in qemu with a
# busybox initramfs that contains the test programs. It runs the conformance suite, then tests on disks that fail or lose data.
#   OLD_RELEASES   the releases: bullseye has 5.10, the oldest on the mirrors; bookworm has 6.1
#   OLD_JOBS       conformance, disks
#   OLD_TESTS      tests of the conformance suite; empty runs all of them, which takes long in emulation
#   OLD_LOG        keeps the machines' output in files of this name, followed by the release and the job
. "$(dirname "$0")/lib.sh"
# Only in full, because emulation takes long.
[ "$TORTURE" = full ] || exit 0
for tool in qemu-system-x86_64 busybox cpio dpkg-deb apt-get modprobe dmsetup mkfs.ext4 mkfs.xfs cc; do
    have $tool || {
        echo "skipped: older kernels needs $tool (Debian: qemu-system-x86 busybox-static cpio kmod dmsetup e2fsprogs xfsprogs)"
        exit 0
    }
done
status=0
here=$PWD/tests/torture/oldkernel
work=$(mktemp -d "$PWD/target/oldkernel.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
tests=${OLD_TESTS-exactly_once links timeouts blocking cancel stats errno::memory}
mirror=$(apt-get indextargets --format '$(COMPONENT) $(LABEL) $(REPO_URI)' 'Created-By: Packages' | awk '$1 == "main" && $2 == "Debian" { print $3; exit }')

# fetch RELEASE: downloads its oldest kernel to $work/package. apt's state on this machine does not change.
fetch() {
    local own=(-o "Dir::Etc::SourceList=$work/apt/sources.list" -o Dir::Etc::SourceParts=/dev/null
        -o "Dir::State::Lists=$work/apt/lists" -o "Dir::Cache=$work/apt/cache" -o APT::Sandbox::User=root
        -o Acquire::Languages=none -o Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false) kernel
    mkdir -p "$work/apt/lists" "$work/apt/cache"
    echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $1 main" >"$work/apt/sources.list"
    apt-get "${own[@]}" -qq update >/dev/null 2>&1 || return
    kernel=$(apt-cache "${own[@]}" --names-only search '^linux-image-[0-9.]*-[0-9]*-cloud-amd64$' | awk '{ print $1 }' | sort -V | head -n 1)
    (cd "$work" && apt-get "${own[@]}" -qq download "$kernel" >/dev/null 2>&1) || return
    dpkg-deb -x "$work"/linux-image-*.deb "$work/package"
    # With a merged /usr, the package has its modules in /usr/lib, but modprobe reads /lib.
    [ -d "$work/package/lib/modules" ] || ln -s usr/lib "$work/package/lib"
}

# put_program NAME PROGRAM: copies a program and its shared libraries to the initramfs.
put_program() {
    local library
    install -D "$2" "$work/root/bin/$1" && strip "$work/root/bin/$1"
    for library in $(ldd "$2" | grep -o '/[^ ]*'); do
        install -D "$library" "$work/root$library"
    done
}

# put_modules NAME...: copies kernel modules and their dependencies, numbered in the order of loading.
put_modules() {
    local tree=$work/package version module file n=0
    version=$(ls "$tree/lib/modules")
    mkdir -p "$work/root/modules"
    depmod -b "$tree" "$version"
    for module; do
        modprobe -d "$tree" -S "$version" --show-depends "$module" 2>/dev/null | awk '$1 == "insmod" { print $2 }'
    done | awk '!seen[$0]++' >"$work/list"
    while read -r file; do
        n=$((n + 1))
        cp "$file" "$work/root/modules/$(printf %02d $n)-$(basename "$file")"
    done <"$work/list"
}

make_initramfs() {
    local name
    mkdir -p "$work"/root/{bin,proc,sys,dev}
    cp "$(command -v busybox)" "$work/root/bin/busybox" && ln -s busybox "$work/root/bin/sh"
    for name in conformance torture_loop torture_crash; do
        put_program $name "$("$CARGO" test --locked --test $name --no-run 2>&1 | sed -n 's/.*Executable.*(\(.*\))/\1/p')"
    done
    cc -O1 -pthread -o "$work/fuse_gate" tests/c/fuse_gate.c && put_program fuse_gate "$work/fuse_gate"
    for name in dmsetup mkfs.ext4 mkfs.xfs filefrag; do
        put_program $name "$(command -v $name)"
    done
    put_modules virtio_blk virtio_pci ext4 xfs fuse sd_mod scsi_debug dm_mod dm_flakey
    cp "$here/init" "$work/root/init"
    cp "$here/disks" "$here/flaky" "$work/root/bin"
    (cd "$work/root" && find . | cpio -o -H newc 2>/dev/null | gzip -1) >"$work/initramfs"
}

# boot JOB ARGUMENTS: boots the machine; its output is in $work/log.
boot() {
    rm -f "$work/disk" && truncate -s 1G "$work/disk" && mkfs.ext4 -q -F "$work/disk"
    timeout 1500 qemu-system-x86_64 -accel tcg -m 2G -smp 2 -nographic -no-reboot -monitor none \
        -kernel "$work"/package/boot/vmlinuz-* -initrd "$work/initramfs" \
        -drive "file=$work/disk,format=raw,if=virtio" \
        -append "console=ttyS0 panic=-1 loglevel=1 caio_job=$1 caio_arguments=$2" </dev/null >"$work/log" 2>&1
    sed -i 's/\r//g' "$work/log"
}

for release in ${OLD_RELEASES:-bullseye bookworm}; do
    rm -rf "${work:?}"/*
    if ! fetch "$release"; then
        echo "skipped: the kernel of $release needs a Debian mirror that has it"
        continue
    fi
    version=$(ls "$work/package/lib/modules")
    make_initramfs
    for job in ${OLD_JOBS:-conformance disks}; do
        boot "$job" "${tests// /,}"
        [ -z "${OLD_LOG:-}" ] || cp "$work/log" "$OLD_LOG-$release-$job"
        if ! grep -q '^ended: 0' "$work/log"; then
            echo "FAILED  older kernels: $job on $version"
            tail -n 100 "$work/log"
            status=1
            continue
        fi
        grep -a -e '^skipped' -e '^no disk' "$work/log" | sed "s/^/on $version: /"
        [ "$job" = disks ] || sed -i 's/^test result: ok\. \([0-9]*\) passed.*/tally: \1\ttests of the conformance suite/' "$work/log"
        sed -n 's/^tally: //p' "$work/log" | while IFS=$'\t' read -r count what; do
            tried "$count" "$what, on $version (qemu)"
        done
    done
done
exit $status
