// Host double of ESP-IDF's GPIO: one input, whose level the test sets.
#pragma once
enum gpio_num_t { GPIO_NUM_32 = 32 };
inline int exit_level = 1;
inline int gpio_get_level(gpio_num_t pin) { return pin == GPIO_NUM_32 ? exit_level : 1; }
