#!/usr/bin/env bash
# Boots a whole Zynq machine in QEMU, without a network, with a bundle in its memory, and runs its run.sh there.
#   boot.sh zynqmp|zynq7000 BUNDLE.tar.gz RESULTS.json [OPTION-OF-RUN.SH...]
# The console goes to stderr, results.json comes back over it, and the exit code is that of run.sh; 125: no answer from
# the machine; 77: something has to be installed first. The machine has busybox and what emulator.sh gets from Debian.
# GHOST_EDGE_ZYNQ: folder of zcu102-qemu.dtb, zImage, zynq-zc702.dtb and their SHA256SUMS. BOOT_TIMEOUT_S: limit.
set -euo pipefail

here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
machines="${GHOST_EDGE_ZYNQ:-$here/../../../shared/zynq/kernel}"

stop() { # EXIT-CODE SENTENCE
  echo "boot.sh: $2" >&2
  exit "$1"
}

[ $# -ge 3 ] || stop 2 "expected zynqmp or zynq7000, a bundle, and where to write the results; see its first lines"
target="$1" bundle="$2" results="$3"
shift 3
[ -f "$bundle" ] || stop 2 "$bundle is not there; ghost-edge bundle makes it"
case "$target" in
# the console is the first UART here; in zynq-zc702.dtb it is QEMU's second
zynqmp) arch=arm64 qemu=qemu-system-aarch64 machine=(-M xlnx-zcu102 -m 1G -smp 4) tree=zcu102-qemu.dtb ;;
zynq7000) arch=armhf qemu=qemu-system-arm machine=(-M xilinx-zynq-a9 -m 1G -smp 1 -serial null) tree=zynq-zc702.dtb ;;
*) stop 2 "there is no machine for '$target'; expected zynqmp or zynq7000" ;;
esac
[ -f "$machines/SHA256SUMS" ] || stop 77 "$machines/SHA256SUMS is not there; name the folder with GHOST_EDGE_ZYNQ"
(cd "$machines" && sha256sum --quiet --check SHA256SUMS >&2) || stop 125 "$machines is damaged; copy it again"
command -v "$qemu" >/dev/null || stop 77 "no $qemu; apt-get install qemu-system-arm"
root="$(bash "$here/emulator.sh" build "$arch")"
kernel="$machines/zImage"
[ "$arch" = armhf ] || kernel="$root/vmlinuz"

work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT

# Lines that begin with @ are for this script: the console carries the kernel's and run.sh's words as well, and what is
# sent must not depend on one long line.
mkdir "$work/added"
cat >"$work/added/init" <<'INIT'
#!/bin/busybox sh
/bin/busybox mkdir -p /proc /sys /dev /tmp
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sysfs /sys
/bin/busybox mount -t devtmpfs dev /dev
/bin/busybox --install -s /bin
exec </dev/null >/dev/console 2>&1
export PATH=/usr/bin:/bin HOME=/tmp LANG=C.UTF-8
cd /tmp
echo "Linux is up after $(cut -d ' ' -f 1 /proc/uptime) s"
tar -xzf /bundle.tar.gz
cd */
set --
while IFS= read -r option; do set -- "$@" "$option"; done </options
sh run.sh "$@"
code=$?
echo "run.sh ended with $code after $(cut -d ' ' -f 1 /proc/uptime) s"
if [ -e results.json ]; then
  gzip -c results.json | base64 | sed 's/^/@ /'
  sha256sum <results.json | sed 's/^/@sum /'
fi
echo "@exit $code"
sync
sleep 1
case $(uname -m) in aarch64) poweroff -f ;; *) reboot -f ;; esac
INIT
chmod +x "$work/added/init"
cp "$bundle" "$work/added/bundle.tar.gz"
printf '%s\n' "$@" | sed '/^$/d' >"$work/added/options"
cp "$root/board.cpio" "$work/initrd" # the kernel unpacks one archive after the other
(cd "$work/added" && find . | cpio --quiet --create --format newc --owner 0:0) >>"$work/initrd"

timeout "${BOOT_TIMEOUT_S:-600}" "$qemu" "${machine[@]}" -serial stdio -nic none -no-reboot \
  -display none -monitor none -audiodev none,id=silent \
  -kernel "$kernel" -dtb "$machines/$tree" -initrd "$work/initrd" \
  -append "console=ttyPS0,115200 loglevel=1 panic=-1 rdinit=/init" </dev/null |
  sed -u 's/\r//g' | tee "$work/console" | sed -u '/^@ /d' >&2 ||
  stop 125 "$qemu ended with an error, or was still running after ${BOOT_TIMEOUT_S:-600} s"

code="$(sed -n 's/^@exit //p' "$work/console")"
[ -n "$code" ] || stop 125 "the machine stopped before run.sh had ended, see above"
if grep -q '^@sum ' "$work/console"; then
  sed -n 's/^@ //p' "$work/console" | base64 -d | gzip -d >"$work/results.json" ||
    stop 125 "the console lost a part of results.json"
  (cd "$work" && sed -n 's/^@sum \([0-9a-f]*\) .*/\1  results.json/p' console | sha256sum --status --check) ||
    stop 125 "results.json is not what the machine sent"
  mv "$work/results.json" "$results"
fi
exit "$code"
