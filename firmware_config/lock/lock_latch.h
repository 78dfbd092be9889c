// When the strike lets go, and what may be said about it. No I/O; time and pin levels are handed in.
#pragma once
#include <cstdint>

namespace latchkey {

constexpr uint64_t DEBOUNCE_MS = 30;      // a push button's contacts bounce for 5 to 20 ms
constexpr uint64_t EXIT_AGAIN_MS = 1000;  // a button held down is told again: EXIT_AGAIN_S in device/contact.py
constexpr uint64_t SETTLE_MS = 500;       // relay and strike take 20 to 100 ms to follow

// Rules:
// - the strike lets go while a grant or the exit button says so, and goes back by itself;
// - the exit button asks nobody: it works while there is no network, and no command cuts it short;
// - it counts once it was seen up: down since before the first look is a short circuit, which must not open the door at
//   every start (device/lockset.py has the same);
// - a second grant begins the time anew.
class Latch {
 public:
  explicit Latch(uint32_t exit_hold_ms) : exit_hold_ms_(exit_hold_ms) {}

  void open(uint32_t hold_ms, uint64_t now_ms) { this->granted_until_ms_ = now_ms + hold_ms; }
  void shut() { this->granted_until_ms_ = 0; }

  // Every few milliseconds. True: let go.
  bool step(bool exit_pressed, uint64_t now_ms) {
    if (exit_pressed != this->exit_level_ || !this->exit_read_) {
      this->exit_read_ = true;
      this->exit_level_ = exit_pressed;
      this->exit_since_ms_ = now_ms;
    }
    const bool settled = now_ms - this->exit_since_ms_ >= DEBOUNCE_MS;
    if (settled && !exit_pressed)
      this->exit_was_up_ = true;
    if (settled && exit_pressed && this->exit_was_up_) {
      if (this->exit_until_ms_ <= now_ms || now_ms - this->exit_told_ms_ >= EXIT_AGAIN_MS) {
        this->exits_++;
        this->exit_told_ms_ = now_ms;
      }
      this->exit_until_ms_ = now_ms + this->exit_hold_ms_;
    }
    return now_ms < this->granted_until_ms_ || now_ms < this->exit_until_ms_;
  }

  // How often somebody asked to be let out, so far.
  uint32_t exits() const { return this->exits_; }

 private:
  uint32_t exit_hold_ms_;
  uint64_t granted_until_ms_ = 0;
  uint64_t exit_until_ms_ = 0;
  bool exit_read_ = false;
  bool exit_was_up_ = false;
  bool exit_level_ = false;
  uint64_t exit_since_ms_ = 0;
  uint64_t exit_told_ms_ = 0;
  uint32_t exits_ = 0;
};

// What lock/state says, from what can be read back and never from what was commanded. Rules, in this order:
// - JAMMED: for SETTLE_MS the strike has not been where it was told to be, by its supply;
// - LOCKED: the strike holds, and the contact says that the leaf is closed;
// - UNLOCKED: anything else.
class StateWatch {
 public:
  const char *state(bool told_to_let_go, bool lets_go, bool leaf_open, uint64_t now_ms) {
    if (told_to_let_go != this->told_) {
      this->told_ = told_to_let_go;
      this->told_since_ms_ = now_ms;
    }
    if (lets_go == told_to_let_go)
      this->followed_ms_ = now_ms;
    const uint64_t since_ms = this->followed_ms_ > this->told_since_ms_ ? this->followed_ms_ : this->told_since_ms_;
    if (now_ms - since_ms >= SETTLE_MS)
      return "JAMMED";
    return lets_go || leaf_open ? "UNLOCKED" : "LOCKED";
  }

 private:
  bool told_ = false;
  uint64_t told_since_ms_ = 0;
  uint64_t followed_ms_ = 0;
};

}  // namespace latchkey
