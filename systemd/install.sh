#!/usr/bin/env bash
# Puts Latchkey on this machine, from the checkout that this file lies in. Run it again to upgrade: data stays.
#
#   install.sh device|lock|admin ...   what this machine is; several may be named
#     --wheels DIR     take every Python package from this folder and none from a package index
#     --broker         install Mosquitto as well
#   install.sh --uninstall             remove everything: programs, users, settings, keys, people, records
#     --keep-data      leave /etc/latchkey*, /var/lib/latchkey* and the users that own them
#     --yes            do not ask first
set -euo pipefail
umask 022

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
CHECKOUT=$(dirname "$HERE")
PREFIX=/opt/latchkey
UNITS=/etc/systemd/system
PROGRAMS=(latchkey-device latchkey-admin)
HELPERS=(latchkey-pair latchkey-door)
MADE_GPIO=/etc/latchkey/made-group-gpio
DATA=(/etc/latchkey /etc/latchkey-admin /var/lib/latchkey /var/lib/latchkey-admin)

say() { printf '%s\n' "$*"; }
stop_with() {
  printf '%s\n' "$*" >&2
  exit 2
}
usage() { sed -n '2,10s/^# \?//p' "${BASH_SOURCE[0]}"; }

roles=()
wheels="" broker=false uninstall=false keep_data=false sure=false
while (($#)); do
  case $1 in
    device | lock | admin) roles+=("$1") ;;
    --wheels)
      [[ -d ${2:-} ]] || stop_with "--wheels needs a folder with wheels."
      wheels=$(cd "$2" && pwd)
      shift
      ;;
    --broker) broker=true ;;
    --uninstall) uninstall=true ;;
    --keep-data) keep_data=true ;;
    --yes) sure=true ;;
    -h | --help)
      usage
      exit 0
      ;;
    *) stop_with "There is no role or option $1."$'\n'"$(usage)" ;;
  esac
  shift
done

((EUID == 0)) || stop_with "Run this as root: sudo $0 ..."
[[ -d /run/systemd/system ]] || stop_with "This machine was not started by systemd, which Latchkey's services need."

install_packages() {
  local package missing=() wanted=(python3-venv)
  # OpenCV's wheel links to these two. A lock has no OpenCV.
  [[ " ${roles[*]} " =~ \ (device|admin)\  ]] && wanted+=(libgl1 libglib2.0-0)
  $broker && wanted+=(mosquitto)
  for package in "${wanted[@]}"; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
  done
  ((${#missing[@]})) || return 0
  say "Installing from Debian: ${missing[*]}"
  export DEBIAN_FRONTEND=noninteractive
  apt-get -qq update
  apt-get -qq install -y --no-install-recommends "${missing[@]}" >/dev/null
}

install_programs() {
  local role extras="" source offline=()
  for role in "${roles[@]}"; do
    [[ $role == device ]] && role=device,gpio
    extras+="${extras:+,}$role"
  done
  # What an earlier run put here for another role stays usable.
  [[ -x $PREFIX/bin/python ]] || python3 -m venv "$PREFIX"
  [[ -n $wheels ]] && offline=(--no-index --find-links "$wheels")
  # Built from a copy: the checkout may be read-only, and a build leaves files behind.
  source=$(mktemp -d)
  # shellcheck disable=SC2064 # the folder of now
  trap "rm -rf '$source'" EXIT
  (cd "$CHECKOUT" && cp -r pyproject.toml README.md LICENSE firmware_config device admin_ui trainer "$source")
  say "Installing Latchkey ($extras) into $PREFIX. This takes a minute or two."
  "$PREFIX/bin/python" -m pip install --quiet --disable-pip-version-check --no-warn-script-location \
    ${offline[@]+"${offline[@]}"} "${source}[$extras]"
  install -m 755 "$HERE/pair.sh" "$PREFIX/bin/latchkey-pair"
  install -m 755 "$HERE/door.sh" "$PREFIX/bin/latchkey-door"
  local program
  for program in "${PROGRAMS[@]}" "${HELPERS[@]}"; do
    ln -sfn "$PREFIX/bin/$program" "/usr/local/bin/$program"
  done
}

install_units() {
  local role version
  install -D -m 644 "$HERE/latchkey.sysusers.conf" /etc/sysusers.d/latchkey.conf
  install -D -m 644 "$HERE/latchkey.tmpfiles.conf" /etc/tmpfiles.d/latchkey.conf
  install -D -m 644 "$HERE/latchkey.rules" /etc/udev/rules.d/90-latchkey.rules
  # Debian has no group gpio, Raspberry Pi OS has: what is made here goes with --uninstall.
  getent group gpio >/dev/null || install -D -m 644 /dev/null "$MADE_GPIO"
  systemd-sysusers /etc/sysusers.d/latchkey.conf
  systemd-tmpfiles --create /etc/tmpfiles.d/latchkey.conf
  install -D -m 644 "$HERE/latchkey-.service.d/hardening.conf" "$UNITS/latchkey-.service.d/hardening.conf"
  version=$(systemctl --version | sed -n '1s/^systemd \([0-9]*\).*/\1/p')
  if ((version >= 254)); then
    install -m 644 "$HERE/systemd-254/backoff.conf" "$UNITS/latchkey-.service.d/backoff.conf"
  fi
  for role in "${roles[@]}"; do
    install -m 644 "$HERE/latchkey-$role.service" "$UNITS/latchkey-$role.service"
  done
  systemctl daemon-reload
  systemctl --quiet enable "${roles[@]/#/latchkey-}"
}

board() {
  local model=/proc/device-tree/model
  case $([[ -r $model ]] && tr -d '\0' <"$model") in
    *"Raspberry Pi 5"*) echo raspberry-pi-5 ;;
    *"Orin Nano"*) echo jetson-orin-nano ;;
    *) echo workstation ;;
  esac
}

prepare() { # the settings and the face detector of one role, where they are missing
  local role=$1 cache owner
  case $role in
    device) cache=/var/cache/latchkey owner=latchkey ;;
    admin) cache=/var/cache/latchkey-admin owner=latchkey-admin ;;
    *) return 0 ;;
  esac
  if [[ $role == device && ! -e /etc/latchkey/door.toml ]]; then
    # A camera's address may hold its password; latchkey.tmpfiles.conf sees to a file that was there before.
    install -m 640 -o root -g latchkey /dev/null /etc/latchkey/door.toml.new
    sed "s/BOARD/$(board)/" "$HERE/examples/door.toml" >/etc/latchkey/door.toml.new
    mv /etc/latchkey/door.toml.new /etc/latchkey/door.toml
  fi
  install -d -o "$owner" -g "$owner" -m 755 "$cache"
  [[ -n $wheels ]] && export PIP_NO_INDEX=1 PIP_FIND_LINKS=$wheels
  LATCHKEY_CACHE=$cache runuser -u "$owner" -- "$PREFIX/bin/latchkey-device" fetch >/dev/null ||
    say "latchkey-$role cannot fetch the face detector itself: connect this machine and run install.sh again," \
      "or put the file in its place by hand."
}

restart_running() { # after an upgrade; what does not run stays as it is
  systemctl try-restart "${roles[@]/#/latchkey-}"
}

next_steps() {
  local role
  say "Latchkey $("$PREFIX/bin/python" -c 'from importlib.metadata import version; print(version("latchkey"))') is installed."
  for role in "${roles[@]}"; do
    systemctl --quiet is-active "latchkey-$role" && continue
    case $role in
      admin) say "Next: runuser -u latchkey-admin -- latchkey-admin init --site NAME; systemctl start latchkey-admin" ;;
      *) say "Next: latchkey-pair FOLDER, with the $role folder that \`latchkey-admin door add\` made." ;;
    esac
  done
}

remove() {
  local answer role user made_gpio=false
  if ! $sure; then
    [[ -t 0 ]] || stop_with "Nothing was removed: without a terminal to ask on, --uninstall needs --yes."
    $keep_data || say "This also removes settings, keys, people and records on this machine; --keep-data keeps them."
    read -r -p 'Remove Latchkey? Type "remove": ' answer
    [[ $answer == remove ]] || stop_with "Nothing was removed."
  fi
  for role in device lock admin; do
    systemctl --quiet disable --now "latchkey-$role" 2>/dev/null || true
    rm -rf "$UNITS/latchkey-$role.service" "$UNITS/latchkey-$role.service.d"
  done
  [[ -e $MADE_GPIO ]] && made_gpio=true
  rm -rf "$UNITS/latchkey-.service.d" "$PREFIX" /var/cache/latchkey /var/cache/latchkey-admin
  rm -f /etc/sysusers.d/latchkey.conf /etc/tmpfiles.d/latchkey.conf /etc/udev/rules.d/90-latchkey.rules
  rm -f "${PROGRAMS[@]/#//usr/local/bin/}" "${HELPERS[@]/#//usr/local/bin/}"
  systemctl daemon-reload
  systemctl reset-failed 'latchkey-*' 2>/dev/null || true
  if $keep_data; then
    say "Latchkey is removed. Kept, with the users that own them: ${DATA[*]}"
    return
  fi
  rm -rf "${DATA[@]}"
  for user in latchkey latchkey-admin; do
    getent passwd "$user" >/dev/null && userdel "$user"
    getent group "$user" >/dev/null && groupdel "$user"
  done
  $made_gpio && groupdel gpio
  say "Latchkey is removed. Debian's packages stay: python3-venv, libgl1, libglib2.0-0, mosquitto."
}

if $uninstall; then
  remove
  exit 0
fi
((${#roles[@]})) || stop_with "Say what this machine is: device, lock, admin."$'\n'"$(usage)"
# One environment serves all roles: what is here already is upgraded and restarted with the rest.
for role in device lock admin; do
  [[ -e $UNITS/latchkey-$role.service && " ${roles[*]} " != *" $role "* ]] && roles+=("$role")
done
install_packages
install_programs
install_units
for role in "${roles[@]}"; do prepare "$role"; done
restart_running
next_steps
