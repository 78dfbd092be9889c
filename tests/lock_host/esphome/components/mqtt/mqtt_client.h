// Host double of ESPHome's MQTT client: what is published goes to standard output, one line each.
#pragma once
#include <cstdint>
#include <cstdio>
#include <string>
namespace esphome::mqtt {
struct MQTTClientComponent {
  bool up = false;
  bool full = false;
  bool is_connected() { return this->up; }
  bool publish(const std::string &topic, const std::string &payload, uint8_t qos, bool retain) {
    if (this->full)
      return false;
    printf("say %s %d %d %s\n", topic.c_str(), qos, retain ? 1 : 0, payload.c_str());
    return true;
  }
};
inline MQTTClientComponent the_client;
inline MQTTClientComponent *global_mqtt_client = &the_client;
}  // namespace esphome::mqtt
