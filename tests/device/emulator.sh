#!/usr/bin/env bash
# Emulated boards: Debian 12 for a Cortex-A9 (armhf) and a Cortex-A53 (arm64), made once and kept. No root, no chroot.
#   emulator.sh build armhf|arm64              make it unless it is there; prints its folder, which holds
#                                                root/       Debian's packages, unpacked
#                                                site/       what a bundle installs there: the interpreter and click
#                                                board.cpio  the root as it boots; vmlinuz (arm64): Debian's kernel
#   emulator.sh python armhf|arm64 ARGUMENT... run its python3.11 in QEMU's user mode, ghost-edge's checkout on its path
# GHOST_EDGE_EMULATOR: the folder to keep them in (0.2 and 0.4 GB). PYTHON: one with pip, which fetches the interpreter.
# Exit code 77: something has to be installed first; the message says what.
set -euo pipefail

repository="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)"
kept="${GHOST_EDGE_EMULATOR:-${XDG_CACHE_HOME:-$HOME/.cache}/ghost-edge/emulator}"
python="${PYTHON:-python3}"
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
packages=(python3 python3-numpy busybox-static libstdc++6) # apt, and so every Debian, has the last

stop() { # EXIT-CODE SENTENCE
  echo "emulator.sh: $2" >&2
  exit "$1"
}

[ $# -ge 2 ] || stop 2 "expected build or python, then armhf or arm64; see its first lines"
command="$1" arch="$2"
shift 2
case "$arch" in
armhf) triplet=arm-linux-gnueabihf qemu=qemu-arm cpu=cortex-a9 target=zynq7000 ;;
arm64) triplet=aarch64-linux-gnu qemu=qemu-aarch64 cpu=cortex-a53 target=zynqmp ;;
*) stop 2 "there is no board for '$arch'; expected armhf or arm64" ;;
esac
# whatever says what is in it has changed: another folder
key="$(cat "${BASH_SOURCE[0]}" "$repository/ghost_edge/device/board.py" | sha256sum | cut -c 1-12)"
folder="$kept/$arch-$key"

find_qemu() { # Debian 12 says qemu-arm-static, later ones qemu-arm
  command -v "$qemu-static" || command -v "$qemu" || stop 77 "no $qemu-static; apt-get install qemu-user-static"
}

run_python() { # FOLDER ARGUMENT...
  local here="$1" emulator
  shift
  emulator="$(find_qemu)"
  ulimit -c 0 # QEMU writes the core of what dies into the current folder
  env -i HOME=/tmp LANG=C.UTF-8 PYTHONDONTWRITEBYTECODE=1 PYTHONPATH="$here/site:$repository" \
    "$emulator" -cpu "$cpu" -L "$here/root" "$here/root/usr/bin/python3.11" "$@"
}

check_tools() {
  local missing=()
  find_qemu >/dev/null
  command -v apt-get >/dev/null || stop 77 "this is no Debian; it takes apt-get and dpkg to make a board"
  command -v cpio >/dev/null || missing+=(cpio)
  [ -e "$keyring" ] || missing+=(debian-archive-keyring)
  [ ${#missing[@]} = 0 ] || stop 77 "apt-get install ${missing[*]}"
  "$python" -m pip --version >/dev/null 2>&1 || stop 77 "$python has no pip; name another with PYTHON"
}

# an apt of the board's architecture, apart from this machine's; armhf's security suite is broken on some mirrors
make_apt() {
  local mirror
  # shellcheck disable=SC2016 # apt's own variable
  mirror="$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Codename: bookworm' | sed -n 1p)"
  [ -n "$mirror" ] || stop 77 "apt knows no mirror of Debian's bookworm; run apt-get update"
  mkdir -p "$work"/apt/{etc/apt/{apt.conf.d,preferences.d,sources.list.d},var/lib/{apt/lists/partial,dpkg}} \
    "$work"/debs/partial
  : >"$work/apt/var/lib/dpkg/status"
  echo "deb [signed-by=$keyring] $mirror bookworm main" \
    >"$work/apt/etc/apt/sources.list"
  options=(
    -qq -o "Dir=$work/apt" -o "Dir::State::status=$work/apt/var/lib/dpkg/status" -o "Dir::Cache::archives=$work/debs"
    -o "APT::Architecture=$arch" -o "APT::Architectures=$arch" -o APT::Install-Recommends=0 -o APT::Sandbox::User=root
  )
  apt-get "${options[@]}" update
}

# without the packages' scripts, so what those would do that matters: the links of BLAS and LAPACK, and the byte code
unpack_packages() {
  local deb
  apt-get "${options[@]}" --yes --download-only install "${packages[@]}" >/dev/null
  mkdir "$work/root"
  for deb in "$work"/debs/*.deb; do
    case "${deb##*/}" in dpkg_* | tar_*) ;; *) dpkg -x "$deb" "$work/root" ;; esac
  done
  ln -s blas/libblas.so.3 lapack/liblapack.so.3 "$work/root/usr/lib/$triplet/"
  rm -rf "$work"/root/usr/share/{doc,man,locale,lintian,info}
  install_interpreter
  run_python "$work" -m compileall -q -j2 "$work/root/usr/lib" "$work/site" || true # some are templates, not Python
}

# what TARGETS pins, but the board's own numpy: it is the oldest that has to do
install_interpreter() {
  local wheels
  wheels="$(PYTHONPATH="$repository" "$python" -c '
import sys
from ghost_edge.device.board import TARGETS
target = TARGETS[sys.argv[1]]
print(*(f"--platform={tag}" for tag in target.platforms), *(p for p in target.packages if not p.startswith("numpy")))
' "$target")"
  # shellcheck disable=SC2086 # words
  PIP_CONSTRAINT="" "$python" -m pip install -qq --disable-pip-version-check --target "$work/site" --no-compile \
    --no-deps --only-binary=:all: --implementation cp --python-version 3.11 $wheels
}

# the root as a machine boots it, and Debian's kernel, which has no support for the Zynq-7000
make_bootable() {
  local kernel
  (cd "$work/root" && find . | sort | cpio --quiet --create --format newc --owner 0:0 >"$work/board.cpio")
  [ "$arch" = arm64 ] || return 0
  kernel="$(apt-cache "${options[@]}" depends linux-image-arm64 | sed -n 's/.*Depends: \(linux-image-\)/\1/p')"
  (cd "$work/debs" && apt-get "${options[@]}" download "$kernel")
  dpkg --fsys-tarfile "$work/debs/$kernel"_*.deb | tar -x -C "$work/debs" --wildcards './boot/vmlinuz-*'
  mv "$work"/debs/boot/vmlinuz-* "$work/vmlinuz"
}

# user mode shows the machine's own /proc/cpuinfo, on which LiteRT crashes; QEMU prefers a file under the root
write_cpuinfo() {
  local part=0xd03 cores=4 features="fp asimd evtstrm aes pmull sha1 sha2 crc32 cpuid" core
  [ "$arch" = arm64 ] || part=0xc09 cores=2 features="half thumb fastmult vfp edsp neon vfpv3 tls vfpd32"
  mkdir -p "$work/root/proc"
  for ((core = 0; core < cores; core++)); do
    printf 'processor\t: %s\nFeatures\t: %s\nCPU implementer\t: 0x41\nCPU part\t: %s\n\n' $core "$features" $part
  done >"$work/root/proc/cpuinfo"
}

build() {
  if [ -d "$folder" ]; then
    touch "$folder" # used today
    return
  fi
  check_tools
  mkdir -p "$kept"
  # what nobody has used for a week, and what is left of builds that were killed
  find "$kept" -maxdepth 1 \( -name 'arm??-????????????' -o -name 'part.??????' \) -mtime +7 -exec rm -rf {} +
  work="$(mktemp -d "$kept/part.XXXXXX")"
  trap 'rm -rf "$work"' EXIT
  make_apt
  unpack_packages
  make_bootable
  write_cpuinfo
  rm -rf "$work/apt" "$work/debs"
  chmod 755 "$work"
  mv -T "$work" "$folder" 2>/dev/null || [ -d "$folder" ] # somebody else was faster
}

case "$command" in
build)
  build # a line of its own: behind it && would have switched set -e off inside
  echo "$folder"
  ;;
python)
  [ -d "$folder" ] || stop 77 "the board is not built; run: bash $0 build $arch"
  run_python "$folder" "$@"
  ;;
*) stop 2 "there is no command '$command'; expected build or python" ;;
esac
