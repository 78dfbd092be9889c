// Host double of ESPHome's log: to standard error.
#pragma once
#include <cstdio>
#define ESP_LOGE(tag, ...) (fprintf(stderr, "%s E: ", tag), fprintf(stderr, __VA_ARGS__), fputc('\n', stderr))
#define ESP_LOGW(tag, ...) (fprintf(stderr, "%s W: ", tag), fprintf(stderr, __VA_ARGS__), fputc('\n', stderr))
