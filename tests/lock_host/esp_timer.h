// Host double of ESP-IDF's timer: the test sets the clock and fires the one periodic timer there is.
#pragma once
#include <cstdint>
#include <cstdlib>
using esp_err_t = int;
using esp_timer_cb_t = void (*)(void *);
enum esp_timer_dispatch_t { ESP_TIMER_TASK };
struct esp_timer_create_args_t {
  esp_timer_cb_t callback;
  void *arg;
  esp_timer_dispatch_t dispatch_method;
  const char *name;
  bool skip_unhandled_events;
};
using esp_timer_handle_t = void *;
inline esp_timer_create_args_t timer{};
inline int64_t clock_us = 0;
inline int64_t esp_timer_get_time() { return clock_us; }
inline esp_err_t esp_timer_create(const esp_timer_create_args_t *args, esp_timer_handle_t *) {
  timer = *args;
  return 0;
}
inline esp_err_t esp_timer_start_periodic(esp_timer_handle_t, uint64_t period_us) { return period_us > 0 ? 0 : 1; }
#define ESP_ERROR_CHECK(expression) \
  do { \
    if ((expression) != 0) \
      abort(); \
  } while (false)
