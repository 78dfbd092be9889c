// The lock on an ESP32: the rule and the latch, tied to pins, clock, random numbers and the broker.
#pragma once
#include <driver/gpio.h>
#include <esp_random.h>
#include <esp_timer.h>

#include <cstdio>
#include <functional>
#include <mutex>
#include <string>

#include "esphome/components/mqtt/mqtt_client.h"
#include "esphome/core/log.h"
#include "lock_latch.h"
#include "lock_rule.h"

namespace latchkey {

constexpr const char *TAG = "latchkey";
constexpr uint64_t BEAT_US = 10000;  // a third of the button's debouncing

inline uint64_t now_ms() { return static_cast<uint64_t>(esp_timer_get_time()) / 1000; }

// 64 hex digits -> 32 bytes. False where it is anything else.
inline bool read_key(const char *hex, uint8_t *key) {
  char digits[2 * KEY_BYTES + 1];
  char text[2 * KEY_BYTES];
  if (strlen(hex) != sizeof(text))
    return false;
  memcpy(text, hex, sizeof(text));
  if (!take_hex(Text{text, sizeof(text), sizeof(text), sizeof(text)}, sizeof(text), digits))
    return false;
  for (size_t i = 0; i < KEY_BYTES; i++) {
    unsigned value;
    sscanf(digits + 2 * i, "%2x", &value);
    key[i] = static_cast<uint8_t>(value);
  }
  return true;
}

// Two threads: the timer's, which does nothing but button and strike and waits for nobody, and ESPHome's loop, which
// speaks to the broker and may hang for seconds while a network is half gone. What both touch is under `guard_`.
class DoorLock {
 public:
  struct Wiring {
    std::function<void(bool)> let_go;  // drives the strike; inverted for fail-safe by the pin's setting
    gpio_num_t exit_pin;               // low while the button is pressed
    uint32_t exit_hold_ms;
  };

  // key: 64 hex digits. door: "site/door". Without a good key nothing is ever obeyed; the way out works.
  DoorLock(const char *key, const char *door, Wiring wiring)
      : wiring_(std::move(wiring)),
        latch_(wiring_.exit_hold_ms),
        door_(door),
        prefix_("latchkey/" + door_ + "/lock/"),
        keyed_(read_key(key, key_)),
        rule_(key_, door_.c_str(), esp_fill_random) {
    if (!this->keyed_)
      ESP_LOGE(TAG, "lock_key in secrets.yaml is not 64 hex digits; no command will be obeyed. Pair this lock again.");
    const esp_timer_create_args_t beat = {.callback = [](void *self) { static_cast<DoorLock *>(self)->beat(); },
                                          .arg = this,
                                          .dispatch_method = ESP_TIMER_TASK,
                                          .name = "latchkey",
                                          .skip_unhandled_events = true};
    esp_timer_handle_t timer;
    // A lock without its beat neither opens nor shuts: better to start again than to stand there.
    ESP_ERROR_CHECK(esp_timer_create(&beat, &timer));
    ESP_ERROR_CHECK(esp_timer_start_periodic(timer, BEAT_US));
  }

  // The timer's thread.
  void beat() {
    const bool pressed = gpio_get_level(this->wiring_.exit_pin) == 0;
    bool let_go;
    {
      const std::lock_guard<std::mutex> hold(this->guard_);
      let_go = this->lets_go_ = this->latch_.step(pressed, now_ms());
    }
    this->wiring_.let_go(let_go);
  }

  // A connection has begun, its subscriptions not yet: all challenges are void until they have.
  void connected() {
    this->rule_.book.forget();
    this->said_challenge_.clear();
    this->greeted_ = false;
  }

  // lock/command.
  void obey(const std::string &payload) {
    Command command;
    const Verdict verdict =
        this->keyed_ ? this->rule_.judge(payload.data(), payload.size(), now_ms(), command) : Verdict::NO_COMMAND;
    if (verdict == Verdict::NO_COMMAND) {
      ESP_LOGW(TAG, "What came on lock/command is no command; it is ignored.");
      return;
    }
    if (verdict == Verdict::OBEY) {
      const std::lock_guard<std::mutex> hold(this->guard_);
      if (command.unlock)
        this->latch_.open(command.hold_ms, now_ms());
      else
        this->latch_.shut();
    } else {
      ESP_LOGW(TAG, "Refused a command: %s", reason(verdict));
    }
    char result[CHALLENGE_DIGITS + 96];
    snprintf(result, sizeof(result), R"({"challenge":"%s","accepted":%s,"reason":"%s"})", command.challenge,
             verdict == Verdict::OBEY ? "true" : "false", reason(verdict));
    this->say_("result", result, false);
    this->say_challenge_();
  }

  // ESPHome's loop, ten times a second, with what the pins say.
  void loop(bool strike_lets_go, bool leaf_open) {
    bool told;
    uint32_t exits;
    {
      const std::lock_guard<std::mutex> hold(this->guard_);
      told = this->lets_go_;
      exits = this->latch_.exits();
    }
    const char *state = this->watch_.state(told, strike_lets_go, leaf_open, now_ms());
    const char *contact = leaf_open ? "OPEN" : "CLOSED";
    if (!esphome::mqtt::global_mqtt_client->is_connected()) {
      this->exits_told_ = exits;  // old news by the time anybody hears it
      return;
    }
    const bool greet = !this->greeted_;
    if (greet) {
      // is_connected() turns true together with the SUBSCRIBE on its way, so the first challenge comes after it.
      this->greeted_ = true;
      this->rule_.book.begin(now_ms());
    } else if (this->rule_.book.due(now_ms())) {
      this->rule_.book.rotate(now_ms());
    }
    if (exits != this->exits_told_ && !greet)
      this->say_("exit", "PRESSED", false);  // before the contact: the door then knows why the leaf opens
    this->exits_told_ = exits;
    if (greet)
      this->said_contact_ = this->said_state_ = "";
    this->say_news_("contact", contact, this->said_contact_);
    this->say_news_("state", state, this->said_state_);
    this->say_challenge_();
  }

 private:
  // False: the queue to the broker is full.
  bool say_(const char *leaf, const std::string &payload, bool retain) {
    return esphome::mqtt::global_mqtt_client->publish(this->prefix_ + leaf, payload, 1, retain);
  }
  // What has been said stays said; what found the queue full is said the next time.
  void say_news_(const char *leaf, const char *news, std::string &said) {
    if (said != news && this->say_(leaf, news, true))
      said = news;
  }
  // A spent challenge is replaced at once: the next person must not wait for the period to end.
  void say_challenge_() {
    const std::string current = this->rule_.book.current();
    if (this->said_challenge_ != current && this->say_("challenge", R"({"challenge":")" + current + R"("})", true))
      this->said_challenge_ = current;
  }

  Wiring wiring_;
  std::mutex guard_;
  Latch latch_;
  bool lets_go_ = false;

  std::string door_;
  std::string prefix_;
  uint8_t key_[KEY_BYTES]{};
  bool keyed_;
  LockRule rule_;
  StateWatch watch_;
  bool greeted_ = false;
  uint32_t exits_told_ = 0;
  std::string said_challenge_, said_contact_, said_state_;
};

// Made at boot by esphome.yaml, never unmade.
inline DoorLock *the_lock = nullptr;

}  // namespace latchkey
