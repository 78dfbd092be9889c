#!/usr/bin/env bash
# make test-arm64: the door on Debian 12 and 13 for ARM, emulated. Builds a root for each, installs latchkey[device] from
# aarch64 wheels only, runs the device's tests there, and replays the same frames on both processors.
#
#   tests/arm64/run.sh [SUITE ...]     bookworm and trixie when none is named
#   PYTHON=...                         of an environment with latchkey[device]: replays on this machine, fetches wheels
#   ROOTS=DIR                          where roots are kept, so that the next run has them (2 GB)
#   TESTS="..."                        for pytest, instead of all of the device's tests that need nothing but it
#
# Needs root, and from Debian: mmdebstrap arch-test file qemu-user-static binfmt-support. Slow: qemu runs every instruction.
set -euo pipefail
cd "$(dirname "$0")/../.."

python=${PYTHON:-.venv-test/bin/python}
roots=${ROOTS:-${XDG_CACHE_HOME:-$HOME/.cache}/latchkey/arm64}
suites=("$@")
((${#suites[@]})) || suites=(bookworm trixie)
declare -A python_of=([bookworm]=3.11 [trixie]=3.13)
declare -A libraries_of=([bookworm]="libgl1,libglib2.0-0" [trixie]="libgl1,libglib2.0-0t64")

complain() {
  echo "test-arm64: $*" >&2
  exit 1
}

((EUID == 0)) || complain "building and entering a root needs root."
for program in mmdebstrap arch-test file qemu-aarch64-static; do
  command -v "$program" >/dev/null || complain "apt-get install mmdebstrap arch-test file qemu-user-static binfmt-support"
done
mountpoint -q /proc/sys/fs/binfmt_misc || mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc ||
  complain "this kernel has no binfmt_misc, so it cannot hand ARM programs to qemu."
[[ -e /proc/sys/fs/binfmt_misc/qemu-aarch64 ]] || update-binfmts --enable qemu-aarch64 ||
  complain "qemu-aarch64 is not registered: apt-get install --reinstall qemu-user-static"

# $1: suite. A root without apt's lists, kept once it is whole.
build() {
  local root=$roots/$1
  [[ -e $root/ready ]] && return
  echo "test-arm64: building Debian $1 for arm64 in $root"
  rm -rf "$root"
  mkdir -p "$roots"
  # Unpacked, not installed: packages' scripts do nothing that a test needs, and compile all of Python's library, which
  # took qemu an hour on a busy machine.
  mmdebstrap --quiet --variant=extract --architectures=arm64 \
    --include="base-files,coreutils,dash,libc-bin,media-types,python3,${libraries_of[$1]}" "$1" "$root"
  mkdir -p "$root/proc" "$root/tmp"
  chmod 1777 "$root/tmp"
  touch "$root/ready"
}

# $1: suite. The package and what it needs, as wheels for that Python on ARM; pip refuses to compile.
install() {
  local root=$roots/$1 version=${python_of[$1]} work
  work=$(mktemp -d)
  # From a copy: setuptools leaves a build folder behind.
  mkdir "$work/source"
  cp -r LICENSE README.md pyproject.toml firmware_config device trainer admin_ui "$work/source"
  "$python" -m pip wheel --quiet --no-deps --wheel-dir "$work" "$work/source"
  rm -rf "$root/opt/latchkey"
  "$python" -m pip install --quiet --no-compile --target "$root/opt/latchkey" --only-binary=:all: \
    --implementation cp --python-version "$version" --abi "cp${version/./}" --abi abi3 --abi none \
    --platform manylinux_2_36_aarch64 --platform manylinux_2_35_aarch64 --platform manylinux_2_34_aarch64 \
    --platform manylinux_2_31_aarch64 --platform manylinux_2_28_aarch64 --platform manylinux_2_27_aarch64 \
    --platform manylinux_2_26_aarch64 --platform manylinux_2_17_aarch64 --platform manylinux2014_aarch64 \
    --find-links "$work" 'latchkey[device]' gpiozero hypothesis jinja2 pytest pytest-randomly pytest-timeout
  rm -rf "$work"
  local foreign
  foreign=$(find "$root/opt/latchkey" -name '*.so' -exec sh -c 'file -b "$1" | grep -q aarch64 || echo "$1"' _ {} \;)
  [[ -z $foreign ]] || complain "these are not for ARM: $foreign"
}

# $1: suite, the rest: a command. Inside the root, with this tree at /work and the fetched assets.
inside() {
  local root=$roots/$1
  shift
  mkdir -p "$root/work" "$root/assets" "$root/scenes"
  # shellcheck disable=SC2016 # expanded by the inner shell
  unshare --mount bash -c '
    set -e
    root=$1; shift
    mount --bind "$PWD" "$root/work"
    mount --bind "$SCENES" "$root/scenes"
    mount --bind "$ASSETS" "$root/assets"
    # No /sys: onnxruntime reads the hosts processors there and crashes on what qemu says of them.
    mount -t proc proc "$root/proc"
    exec chroot "$root" /usr/bin/env -i PATH=/usr/bin:/bin HOME=/tmp LC_ALL=C.UTF-8 LATCHKEY_CACHE=/assets \
      PYTHONPATH=/work:/opt/latchkey PYTHONDONTWRITEBYTECODE=1 "$@"' _ "$root" "$@"
}

SCENES=$(mktemp -d)
ASSETS=$("$python" -c 'from firmware_config.assets import default_cache; print(default_cache())')
export SCENES ASSETS
trap 'rm -rf "$SCENES"' EXIT

"$python" -m tests.arm64.scenes "$SCENES"
"$python" -m device replay --frames "$SCENES/frames" --roster "$SCENES/roster.json" --fps 8 --json >"$SCENES/here.jsonl"

# What needs neither a broker nor the page, nor a processor's own speed. More waiting: an emulated second is many, and
# Hypothesis' profile for CI complains of no slowness.
mapfile -t modules < <(grep -LE 'admin_ui|trainer|brokers|houses' tests/device/test_*.py)
for suite in "${suites[@]}"; do
  [[ -n ${python_of[$suite]:-} ]] || complain "Debian $suite is not known; bookworm and trixie are."
  build "$suite"
  install "$suite"
  echo "test-arm64: replay on $suite"
  inside "$suite" python3 -m device replay --frames /scenes/frames --roster /scenes/roster.json --fps 8 --json \
    >"$SCENES/$suite.jsonl"
  "$python" -m tests.arm64.compare "$SCENES/here.jsonl" "$SCENES/$suite.jsonl"
  echo "test-arm64: the device's tests on $suite"
  # shellcheck disable=SC2086 # TESTS is words
  inside "$suite" sh -c 'cd /work && exec python3 -m pytest -q -p no:cacheprovider --timeout 900 -m "not timed" \
    --hypothesis-profile=ci "$@"' _ ${TESTS:-"${modules[@]}" tests/replay}
done
