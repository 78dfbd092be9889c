#!/usr/bin/env bash
# `latchkey-device check` as the service would run: the same user, the same credentials. Arguments are handed on.
set -euo pipefail

((EUID == 0)) || {
  echo "Run this as root: sudo latchkey-check" >&2
  exit 2
}
unit=/etc/systemd/system/latchkey-device.service
dropin=$unit.d/credentials.conf
options=()
while IFS= read -r line; do
  options+=(-p "$line")
done < <(grep -hE '^(Load|Set)Credential(Encrypted)?=.' "$([[ -f $dropin ]] && echo "$dropin" || echo "$unit")")
exec systemd-run --quiet --pipe --wait --collect -p User=latchkey -p StateDirectory=latchkey \
  -p CacheDirectory=latchkey "${options[@]}" -E ORT_DISABLE_TELEMETRY=1 /opt/latchkey/bin/latchkey-device check "$@"
