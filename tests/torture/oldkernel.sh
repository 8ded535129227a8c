#!/bin/bash
# The conformance suite on older kernels: Debian's, downloaded as packages and booted in qemu with a busybox initramfs that
# holds the test program. OLD_KERNELS names the packages, OLD_TESTS (with commas) the tests; emulation has time for some.
. "$(dirname "$0")/lib.sh"
# Downloads kernels, and emulation takes minutes: in full only.
[ "$TORTURE" = full ] || exit 0
for tool in qemu-system-x86_64 busybox cpio dpkg-deb apt-get; do
    have $tool || {
        echo "skipped: older kernels needs $tool (Debian: qemu-system-x86 busybox-static cpio kmod)"
        exit 0
    }
done
status=0
work=$(mktemp -d "$PWD/target/oldkernel.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
kernels=${OLD_KERNELS:-$(apt-cache --names-only search '^linux-image-6\.1\.0-[0-9]+-cloud-amd64$' | awk '{ print $1 }' | sort -V | head -n 1)}
# There is no C compiler there, with which some tests hold a system call up.
compiled=--skip,stop_what_has_not_begun,--skip,leave_a_close_alone,--skip,leave_a_running_disk_operation_alone
tests=${OLD_TESTS-exactly_once,links,timeouts,$compiled}

# Paths of the program and of what it is linked with, as the initramfs has them.
put_program() {
    local program=$1 root=$2 library
    install -D "$program" "$root/bin/conformance" && strip "$root/bin/conformance"
    for library in $(ldd "$program" | grep -o '/[^ ]*'); do
        install -D "$library" "$root$library"
    done
}

# put_modules KERNEL ROOT: what a disk needs, uncompressed, in the order of their loading.
put_modules() {
    local tree=$1 root=$2 module file n=0
    mkdir -p "$root/modules"
    depmod -b "$tree" "$(ls "$tree/lib/modules")"
    for module in virtio_blk virtio_pci ext4 fuse; do
        modprobe -d "$tree" -S "$(ls "$tree/lib/modules")" --show-depends $module 2>/dev/null |
            awk '$1 == "insmod" { print $2 }'
    done | awk '!seen[$0]++' >"$work/list"
    while read -r file; do
        n=$((n + 1))
        cp "$file" "$root/modules/$(printf %02d $n)-$(basename "$file")"
    done <"$work/list"
}

make_init() {
    cat >"$1/init" <<'INIT'
#!/bin/sh
/bin/busybox --install -s /bin
mount -t proc proc /proc && mount -t sysfs sys /sys && mount -t devtmpfs dev /dev
mkdir -p /dev/shm /dev/pts /tmp /disk && mount -t tmpfs shm /dev/shm && mount -t tmpfs tmp /tmp && mount -t devpts pts /dev/pts
for module in /modules/*; do insmod $module 2>/dev/null; done
mount -t ext4 /dev/vda /disk || echo "no disk"
ip link set lo up
uname -r
export CAIO_TEST_DIR=/disk TMPDIR=/disk RUST_BACKTRACE=0
/bin/conformance --test-threads=2 $(sed -n 's/.*caio_tests=\([^ ]*\).*/\1/p' /proc/cmdline | tr , ' ')
echo "ended: $?"
poweroff -f
INIT
    chmod +x "$1/init"
}

program=$("$CARGO" test --locked --test conformance --no-run 2>&1 | sed -n 's/.*Executable.*(\(.*\))/\1/p')
for kernel in $kernels; do
    rm -rf "$work"/* && mkdir -p "$work/root/bin" "$work/root/proc" "$work/root/sys" "$work/root/dev"
    if ! (cd "$work" && apt-get download -qq "$kernel" >/dev/null 2>&1); then
        echo "skipped: $kernel needs a Debian mirror"
        continue
    fi
    dpkg-deb -x "$work"/linux-image-*.deb "$work/package"
    # Where /usr is merged modules lie there; modprobe looks in /lib.
    [ -d "$work/package/lib/modules" ] || ln -s usr/lib "$work/package/lib"
    cp "$(command -v busybox)" "$work/root/bin/busybox" && ln -s busybox "$work/root/bin/sh"
    put_program "$program" "$work/root"
    put_modules "$work/package" "$work/root"
    make_init "$work/root"
    (cd "$work/root" && find . | cpio -o -H newc 2>/dev/null | gzip -1) >"$work/initramfs"
    truncate -s 1G "$work/disk" && mkfs.ext4 -q -F "$work/disk"
    timeout 1500 qemu-system-x86_64 -accel tcg -m 2G -smp 2 -nographic -no-reboot -monitor none \
        -kernel "$work"/package/boot/vmlinuz-* -initrd "$work/initramfs" \
        -drive "file=$work/disk,format=raw,if=virtio" \
        -append "console=ttyS0 panic=-1 quiet caio_tests=$tests" </dev/null >"$work/log" 2>&1
    passed=$(tr -d '\r' <"$work/log" | sed -n 's/^test result: ok\. \([0-9]*\) passed.*/\1/p')
    if grep -q '^ended: 0' "$work/log" && [ -n "$passed" ]; then
        tr -d '\r' <"$work/log" | grep -a -e '^skipped' -e '^no disk' | sed "s/^/on $kernel: /"
        tried "$passed" "tests of the conformance suite on $kernel (qemu)"
    else
        echo "FAILED  older kernels: $kernel"
        tail -n 60 "$work/log"
        status=1
    fi
done
exit $status
