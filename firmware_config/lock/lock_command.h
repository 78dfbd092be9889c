// lock/command: the payload as the door writes it (LockCommand in messages.py), read or refused as a whole.
#pragma once
#include "lock_json.h"

namespace latchkey {

constexpr size_t PAYLOAD_MAX = 1024;      // bytes; LockCommand.max_bytes
constexpr size_t DOOR_MAX = 127;          // characters: two names of 63 and a slash
constexpr uint32_t HOLD_MIN_MS = 200;     // HoldMs: below, no strike moves
constexpr uint32_t HOLD_MAX_MS = 60000;   // HoldMs: above, the door stands open
constexpr uint32_t GOOD_MAX_MS = 4000;    // LockCommand.good_ms: as long as a challenge lives
constexpr size_t CHALLENGE_DIGITS = 32;   // hex: 128 bits
constexpr size_t MAC_DIGITS = 64;         // hex: HMAC-SHA256

struct Command {
  char door[4 * DOOR_MAX];  // UTF-8, not terminated: `door_bytes` long
  size_t door_bytes;
  bool unlock;
  char challenge[CHALLENGE_DIGITS + 1];
  uint32_t hold_ms;
  bool hurried;      // it has a good_ms
  uint32_t good_ms;  // the challenge's age at which it is too late
  char mac[MAC_DIGITS + 1];
};

// `digits` lower-case hex digits, or nothing.
inline bool take_hex(const Text &text, size_t digits, char *to) {
  if (text.bytes != digits || !text.whole())
    return false;
  for (size_t i = 0; i < digits; i++) {
    const char digit = text.to[i];
    if (!((digit >= '0' && digit <= '9') || (digit >= 'a' && digit <= 'f')))
      return false;
  }
  memcpy(to, text.to, digits);
  to[digits] = '\0';
  return true;
}

// False: no command. A field that comes twice counts as it came last; fields that we do not know are passed over.
inline bool read_command(const char *payload, size_t length, Command &command) {
  if (length > PAYLOAD_MAX)
    return false;
  JsonReader reader(payload, length);
  bool door = false, action = false, challenge = false, hold = false, mac = false, good = true;
  command.hurried = false;
  if (!reader.take('{'))
    return false;
  bool more = !reader.take('}');
  while (more) {
    char name_room[16], value_room[sizeof(command.door)];
    Text name{name_room, sizeof(name_room)}, value{value_room, sizeof(value_room)};
    if (!reader.string(name) || !reader.take(':'))
      return false;
    const bool text = reader.peek() == '"';
    const bool digits = reader.peek() >= '0' && reader.peek() <= '9';
    const bool nothing = reader.peek() == 'n';
    bool whole = false, negative = false;
    uint32_t number = 0;
    if (!(text ? reader.string(value) : digits ? reader.number(whole, negative, number) : reader.skip()))
      return false;
    if (name.is("door")) {
      door = text && value.characters <= DOOR_MAX;
      if (door)
        memcpy(command.door, value_room, command.door_bytes = value.bytes);
    } else if (name.is("action")) {
      command.unlock = text && value.is("unlock");
      action = command.unlock || (text && value.is("lock"));
    } else if (name.is("challenge")) {
      challenge = text && take_hex(value, CHALLENGE_DIGITS, command.challenge);
    } else if (name.is("hold_ms")) {
      hold = digits && whole && number >= HOLD_MIN_MS && number <= HOLD_MAX_MS;
      command.hold_ms = number;
    } else if (name.is("good_ms")) {
      good = nothing || (digits && whole && number <= GOOD_MAX_MS);
      command.hurried = digits;
      command.good_ms = number;
    } else if (name.is("mac")) {
      mac = text && take_hex(value, MAC_DIGITS, command.mac);
    }
    more = reader.take(',');
    if (!more && !reader.take('}'))
      return false;
  }
  return reader.at_end() && door && action && challenge && hold && mac && good;
}

}  // namespace latchkey
