// Which commands this lock takes: LockRule and ChallengeBook of the door's own code, in C++. No I/O; time is handed in.
#pragma once
#include <mbedtls/md.h>

#include <cstdio>

#include "lock_command.h"

namespace latchkey {

constexpr uint64_t CHALLENGE_PERIOD_MS = 2000;  // CHALLENGE_PERIOD_S in keys.py, which says why two seconds
constexpr size_t KEY_BYTES = 32;

// Fills memory with random bytes; esp_fill_random is one.
using Random = void (*)(void *to, size_t bytes);

enum class Verdict : uint8_t {
  OBEY,
  NO_COMMAND,
  FOREIGN_DOOR,
  BAD_MAC,
  SPENT_CHALLENGE,
  STALE_CHALLENGE,
  LATE_COMMAND,
};

// As it stands in LockResult.reason; nobody is answered where there was no command.
inline const char *reason(Verdict verdict) {
  static const char *const REASONS[] = {"",        "no_command",      "foreign_door",
                                        "bad_mac", "spent_challenge", "stale_challenge", "late_command"};
  return REASONS[static_cast<uint8_t>(verdict)];
}

inline void to_hex(const uint8_t *bytes, size_t count, char *to) {
  for (size_t i = 0; i < count; i++) {
    to[2 * i] = "0123456789abcdef"[bytes[i] >> 4];
    to[2 * i + 1] = "0123456789abcdef"[bytes[i] & 15];
  }
  to[2 * count] = '\0';
}

// As long for a wrong first character as for a wrong last one, so that nobody can find a MAC digit by digit.
inline bool same_in_constant_time(const char *one, const char *other, size_t length) {
  volatile uint8_t difference = 0;
  for (size_t i = 0; i < length; i++)
    difference = difference | static_cast<uint8_t>(one[i] ^ other[i]);
  return difference == 0;
}

// Rules:
// - the current challenge is replaced every period; the previous one stays good for one period more;
// - each is taken once, and a spent one is replaced at once;
// - age is judged by the clock, so a lock that was busy still refuses what is old;
// - after `forget` it knows no challenge at all until `begin`: what was on its way is void.
class ChallengeBook {
 public:
  explicit ChallengeBook(Random random) : random_(random) {}

  const char *current() const { return this->current_.digits; }
  void forget() { this->current_ = this->previous_ = Challenge{}; }
  void begin(uint64_t now_ms) {
    this->forget();
    this->renew_(now_ms);
  }
  bool due(uint64_t now_ms) const {
    return this->current_.good && now_ms - this->current_.since_ms >= CHALLENGE_PERIOD_MS;
  }
  void rotate(uint64_t now_ms) {
    this->previous_ = this->current_;
    this->renew_(now_ms);
  }
  // Whoever calls has checked the MAC before.
  Verdict take(const char *challenge, uint64_t now_ms, uint64_t good_ms) {
    Challenge *taken = this->find_(challenge);
    if (taken == nullptr)
      return Verdict::SPENT_CHALLENGE;
    const uint64_t age_ms = now_ms - taken->since_ms;
    taken->good = false;
    if (taken == &this->current_)
      this->renew_(now_ms);
    if (age_ms >= 2 * CHALLENGE_PERIOD_MS)
      return Verdict::STALE_CHALLENGE;
    return age_ms <= good_ms ? Verdict::OBEY : Verdict::LATE_COMMAND;
  }

 private:
  struct Challenge {
    bool good;
    uint64_t since_ms;
    char digits[CHALLENGE_DIGITS + 1];
  };

  Challenge *find_(const char *digits) {
    for (Challenge *known : {&this->current_, &this->previous_})
      if (known->good && memcmp(known->digits, digits, CHALLENGE_DIGITS) == 0)
        return known;
    return nullptr;
  }
  void renew_(uint64_t now_ms) {
    uint8_t bytes[CHALLENGE_DIGITS / 2];
    this->random_(bytes, sizeof(bytes));
    if (this->previous_.good && now_ms - this->previous_.since_ms >= 2 * CHALLENGE_PERIOD_MS)
      this->previous_.good = false;
    this->current_.good = true;
    this->current_.since_ms = now_ms;
    to_hex(bytes, sizeof(bytes), this->current_.digits);
  }

  Random random_;
  Challenge current_{};
  Challenge previous_{};
};

// Rules, in this order: it reads as a command; it is for this door; its MAC over door, action, challenge, hold time
// and good_ms is this lock's (wrong: the challenge is kept, else anybody could spend the challenges of the door); the
// challenge is good, and no older than good_ms where the command has one. There is no rule for retained commands,
// because ESPHome does not say which are: docs/lock.md shows why none can carry a challenge that is good.
class LockRule {
 public:
  // key: KEY_BYTES bytes. door: "site/door". Both outlive this.
  LockRule(const uint8_t *key, const char *door, Random random) : book(random), key_(key), door_(door) {}

  Verdict judge(const char *payload, size_t length, uint64_t now_ms, Command &command) {
    if (!read_command(payload, length, command))
      return Verdict::NO_COMMAND;
    if (command.door_bytes != strlen(this->door_) || memcmp(command.door, this->door_, command.door_bytes) != 0)
      return Verdict::FOREIGN_DOOR;
    char expected[MAC_DIGITS + 1];
    if (!this->mac_(command, expected) || !same_in_constant_time(expected, command.mac, MAC_DIGITS))
      return Verdict::BAD_MAC;
    return this->book.take(command.challenge, now_ms, command.hurried ? command.good_ms : GOOD_MAX_MS);
  }

  ChallengeBook book;

 private:
  // command_text in keys.py, under HMAC-SHA256 (RFC 2104).
  bool mac_(const Command &command, char *to) const {
    char text[DOOR_MAX + CHALLENGE_DIGITS + 64];
    char good[12] = "";
    if (command.hurried)
      snprintf(good, sizeof(good), "|%lu", static_cast<unsigned long>(command.good_ms));
    const int length = snprintf(text, sizeof(text), "latchkey-lock-%c|%s|%s|%s|%lu%s", command.hurried ? '2' : '1',
                                this->door_, command.unlock ? "unlock" : "lock", command.challenge,
                                static_cast<unsigned long>(command.hold_ms), good);
    uint8_t digest[MAC_DIGITS / 2];
    if (length <= 0 || static_cast<size_t>(length) >= sizeof(text) ||
        mbedtls_md_hmac(mbedtls_md_info_from_type(MBEDTLS_MD_SHA256), this->key_, KEY_BYTES,
                        reinterpret_cast<const uint8_t *>(text), static_cast<size_t>(length), digest) != 0)
      return false;
    to_hex(digest, sizeof(digest), to);
    return true;
  }

  const uint8_t *key_;
  const char *door_;
};

}  // namespace latchkey
