#!/usr/bin/env bash
# `latchkey-device` with the user and the keys of the service, which a shell does not have.
#
#   latchkey-door check
#   latchkey-door audit verify|export ...
set -euo pipefail

if ((EUID != 0 || $# == 0)); then
  echo "As root: latchkey-door check, or another command of latchkey-device" >&2
  exit 2
fi
unit=/etc/systemd/system/latchkey-device.service
dropin=$unit.d/credentials.conf
options=()
while IFS= read -r line; do
  options+=(-p "$line")
done < <(grep -hE '^(Load|Set)Credential(Encrypted)?=.' "$([[ -f $dropin ]] && echo "$dropin" || echo "$unit")")
# As in the unit: systemd gives the folders the modes that stand here, and a core dump would hold keys.
exec systemd-run --quiet --pipe --wait --collect -p User=latchkey -p UMask=0077 -p LimitCORE=0 \
  -p StateDirectory=latchkey -p StateDirectoryMode=0700 -p CacheDirectory=latchkey -p CacheDirectoryMode=0755 \
  "${options[@]}" -E ORT_DISABLE_TELEMETRY=1 /opt/latchkey/bin/latchkey-device "$@"
