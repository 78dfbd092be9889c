// Host double of the chip's random numbers: 1, 2, 3 ... in 16 bytes, so that both rules can be given the same ones.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstring>
inline uint32_t drawn = 0;
inline void esp_fill_random(void *to, size_t bytes) {
  memset(to, 0, bytes);
  drawn++;
  for (size_t i = 0; i < 4; i++)
    static_cast<uint8_t *>(to)[bytes - 1 - i] = static_cast<uint8_t>(drawn >> 8 * i);
}
