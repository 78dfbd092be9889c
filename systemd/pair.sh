#!/usr/bin/env bash
# Gives this machine the pairing folder that `latchkey-admin door add` made, and keeps its keys encrypted.
#
#   latchkey-pair [--plain] FOLDER
#     --plain     keep the keys as files that only root can read
#
# Encrypted means: with a key in this machine's TPM where there is one (systemd-creds), so that a copied disk or SD
# card opens nothing; without a TPM the key lies on the same disk, and this only keeps keys out of copies of /etc.
set -euo pipefail
umask 077

SECRETS=(site.pub door.key lock.key mqtt.password mqtt.crt mqtt.key ca.crt)

stop_with() {
  printf '%s\n' "$*" >&2
  exit 2
}

plain=false
[[ ${1:-} == --plain ]] && plain=true && shift
(($# == 1)) || stop_with "$(sed -n '2,8s/^# \?//p' "${BASH_SOURCE[0]}")"
folder=$1
((EUID == 0)) || stop_with "Run this as root: sudo latchkey-pair $folder"
[[ -f $folder/pairing.toml && -f $folder/lock.key ]] ||
  stop_with "$folder is no pairing folder: it has no pairing.toml or no lock.key."

if [[ -f $folder/door.key ]]; then
  target=/etc/latchkey/pairing service=latchkey-device
else
  target=/etc/latchkey/lock service=latchkey-lock
fi
[[ -f /etc/systemd/system/$service.service ]] ||
  stop_with "This machine has no $service: install it first (install.sh ${service#latchkey-})."
dropin=/etc/systemd/system/$service.service.d/credentials.conf

version=$(systemctl --version | sed -n '1s/^systemd \([0-9]*\).*/\1/p')
if ! $plain && ((version < 250)); then
  echo "systemd $version cannot encrypt credentials (250 can): the keys stay files that only root can read."
  plain=true
fi

# A folder of its own, put in place at the end: a key that cannot be encrypted leaves the old pairing as it was.
# After a power cut between the steps below the service does not start; running this again mends it.
fresh=$(mktemp -d "$target.XXXXXX")
trap 'rm -rf "$fresh"' EXIT
install -m 644 "$folder/pairing.toml" "$fresh/pairing.toml"
lines=()
for name in "${SECRETS[@]}"; do
  [[ -f $folder/$name ]] || continue
  if $plain; then
    install -m 600 "$folder/$name" "$fresh/$name"
  else
    systemd-creds encrypt --with-key=auto --name="$name" "$folder/$name" "$fresh/$name.cred" 2>/dev/null ||
      stop_with "systemd-creds could not encrypt $name; with --plain the keys stay files that only root can read."
    lines+=("LoadCredentialEncrypted=$name:$target/$name.cred")
  fi
done
chgrp latchkey "$fresh"
chmod 750 "$fresh"
sync -f "$fresh"

systemctl stop "$service"
rm -rf "$target.old"
[[ -d $target ]] && mv "$target" "$target.old"
mv "$fresh" "$target"
if $plain; then
  rm -f "$dropin"
else
  install -d -m 755 "$(dirname "$dropin")"
  { # The empty line forgets the unit's own list: what is not there is not looked for.
    printf '# Written by latchkey-pair.\n[Service]\nLoadCredential=\n'
    printf '%s\n' "${lines[@]}"
  } >"$dropin.new"
  chmod 644 "$dropin.new"
  mv "$dropin.new" "$dropin"
fi
rm -rf "$target.old"
sync -f "$target"
systemctl daemon-reload

if $plain; then
  echo "The keys lie in $target, readable by root only. Whoever copies this disk has them."
elif systemd-creds has-tpm2 --quiet 2>/dev/null; then
  echo "The keys are encrypted for this machine's TPM. A copy of this disk opens nothing elsewhere."
else
  echo "This machine has no TPM that systemd can use: the keys are encrypted, but the key to them lies on the same disk"
  echo "(/var/lib/systemd/credential.secret). Whoever copies the whole disk has them; see \"When a door is lost\"."
fi
systemctl start "$service"
echo "$service is paired and runs. Erase the copy: rm -r $folder"
