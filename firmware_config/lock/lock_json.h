// JSON of bounded size, read without a heap: RFC 8259, plus the NaN and Infinity that the door's parser reads too.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace latchkey {

// Containers inside one another: as deep as the door's own parser goes. One byte of stack each.
constexpr size_t NESTING_MAX = 200;

// A decoded string in UTF-8: the first `room` bytes of it, and how long the whole is.
struct Text {
  char *to;
  size_t room;
  size_t bytes = 0;
  size_t characters = 0;

  bool whole() const { return this->bytes <= this->room; }
  bool is(const char *other) const {
    return this->whole() && this->bytes == strlen(other) && memcmp(this->to, other, this->bytes) == 0;
  }
};

// Goes through one text from front to back. Each step returns false where the text is not JSON; then all is refused.
class JsonReader {
 public:
  JsonReader(const char *text, size_t length) : at_(text), end_(text + length) {}

  // The next thing after white space, if it is `wanted`.
  bool take(char wanted) {
    this->space_();
    return this->eat_(wanted);
  }
  bool at_end() {
    this->space_();
    return this->at_ == this->end_;
  }
  char peek() {
    this->space_();
    return this->at_ == this->end_ ? '\0' : *this->at_;
  }

  bool string(Text &into) {
    if (!this->take('"'))
      return false;
    while (this->at_ != this->end_) {
      const auto byte = static_cast<uint8_t>(*this->at_);
      if (byte == '"') {
        this->at_++;
        return true;
      }
      if (byte < 0x20)
        return false;
      if (!(byte == '\\' ? this->escape_(into) : this->character_(into)))
        return false;
    }
    return false;
  }

  // `value` stops growing at a billion: more than any number we ask for.
  bool number(bool &whole, bool &negative, uint32_t &value) {
    this->space_();
    whole = true;
    value = 0;
    negative = this->eat_('-');
    const bool zero = this->at_ != this->end_ && *this->at_ == '0';
    const char *first = this->at_;
    while (this->digit_()) {
      value = value >= 100000000 ? 1000000000 : value * 10 + static_cast<uint32_t>(*this->at_ - '0');
      this->at_++;
    }
    if (this->at_ == first || (zero && this->at_ - first > 1))
      return false;
    if (this->eat_('.')) {
      whole = false;
      if (!this->digits_())
        return false;
    }
    if (this->eat_('e') || this->eat_('E')) {
      whole = false;
      if (!this->eat_('+'))
        this->eat_('-');
      return this->digits_();
    }
    return true;
  }

  // Any value, unread: fields that a newer sender may add.
  bool skip() {
    char open[NESTING_MAX];
    size_t depth = 0;
    while (true) {
      const char next = this->peek();
      bool ended = true;
      if (next == '[' || next == '{') {
        if (depth == NESTING_MAX)
          return false;
        this->at_++;
        if (!this->take(next == '[' ? ']' : '}')) {
          open[depth++] = next;
          ended = false;
          if (next == '{' && !this->skip_key_())
            return false;
        }
      } else if (!this->skip_scalar_(next)) {
        return false;
      }
      while (ended && depth > 0) {
        if (this->take(',')) {
          if (open[depth - 1] == '{' && !this->skip_key_())
            return false;
          ended = false;
        } else if (this->take(open[depth - 1] == '[' ? ']' : '}')) {
          depth--;
        } else {
          return false;
        }
      }
      if (ended)
        return true;
    }
  }

 private:
  void space_() {
    while (this->at_ != this->end_ && *this->at_ != '\0' && strchr(" \t\n\r", *this->at_) != nullptr)
      this->at_++;
  }
  bool eat_(char wanted) {
    if (this->at_ == this->end_ || *this->at_ != wanted)
      return false;
    this->at_++;
    return true;
  }
  bool digit_() const { return this->at_ != this->end_ && *this->at_ >= '0' && *this->at_ <= '9'; }
  bool digits_() {
    const char *first = this->at_;
    while (this->digit_())
      this->at_++;
    return this->at_ != first;
  }
  bool word_(const char *word) {
    const size_t length = strlen(word);
    if (static_cast<size_t>(this->end_ - this->at_) < length || memcmp(this->at_, word, length) != 0)
      return false;
    this->at_ += length;
    return true;
  }
  bool skip_key_() {
    Text nowhere{nullptr, 0};
    return this->string(nowhere) && this->take(':');
  }
  bool skip_scalar_(char next) {
    Text nowhere{nullptr, 0};
    bool whole, negative;
    uint32_t value;
    if (next == '"')
      return this->string(nowhere);
    return this->word_("true") || this->word_("false") || this->word_("null") || this->word_("NaN") ||
           this->word_("Infinity") || this->word_("-Infinity") || this->number(whole, negative, value);
  }

  void put_(Text &into, uint32_t point) {
    if (point < 0x80) {
      this->byte_(into, point);
    } else if (point < 0x800) {
      this->byte_(into, 0xC0 | point >> 6);
      this->byte_(into, 0x80 | (point & 0x3F));
    } else if (point < 0x10000) {
      this->byte_(into, 0xE0 | point >> 12);
      this->byte_(into, 0x80 | (point >> 6 & 0x3F));
      this->byte_(into, 0x80 | (point & 0x3F));
    } else {
      this->byte_(into, 0xF0 | point >> 18);
      this->byte_(into, 0x80 | (point >> 12 & 0x3F));
      this->byte_(into, 0x80 | (point >> 6 & 0x3F));
      this->byte_(into, 0x80 | (point & 0x3F));
    }
    into.characters++;
  }
  void byte_(Text &into, uint32_t byte) {
    if (into.bytes < into.room)
      into.to[into.bytes] = static_cast<char>(byte);
    into.bytes++;
  }
  // One character of UTF-8: no overlong form, no surrogate, nothing above U+10FFFF (Unicode 15, table 3-7).
  bool character_(Text &into) {
    const auto first = static_cast<uint8_t>(*this->at_++);
    if (first < 0x80) {
      this->put_(into, first);
      return true;
    }
    const int more = first < 0xE0 ? 1 : first < 0xF0 ? 2 : 3;
    if (first < 0xC2 || first > 0xF4 || this->end_ - this->at_ < more)
      return false;
    uint32_t point = first & (0x3F >> more);
    for (int i = 0; i < more; i++) {
      const auto next = static_cast<uint8_t>(*this->at_++);
      if ((next & 0xC0) != 0x80)
        return false;
      point = point << 6 | (next & 0x3F);
    }
    if ((more == 2 && (point < 0x800 || (point >= 0xD800 && point <= 0xDFFF))) ||
        (more == 3 && (point < 0x10000 || point > 0x10FFFF)))
      return false;
    this->put_(into, point);
    return true;
  }
  bool escape_(Text &into) {
    static const char *const LETTERS = "\"\\/bfnrt";
    static const char *const MEANT = "\"\\/\b\f\n\r\t";
    this->at_++;
    if (this->at_ == this->end_)
      return false;
    const char letter = *this->at_++;
    uint32_t point, low;
    if (letter != 'u') {
      const char *found = letter == '\0' ? nullptr : strchr(LETTERS, letter);
      if (found == nullptr)
        return false;
      this->put_(into, static_cast<uint8_t>(MEANT[found - LETTERS]));
      return true;
    }
    if (!this->hex_(point) || (point >= 0xDC00 && point <= 0xDFFF))
      return false;
    if (point >= 0xD800 && point <= 0xDBFF) {
      if (!this->word_("\\u") || !this->hex_(low) || low < 0xDC00 || low > 0xDFFF)
        return false;
      point = 0x10000 + ((point - 0xD800) << 10) + (low - 0xDC00);
    }
    this->put_(into, point);
    return true;
  }
  bool hex_(uint32_t &point) {
    point = 0;
    if (this->end_ - this->at_ < 4)
      return false;
    for (int i = 0; i < 4; i++) {
      const char digit = *this->at_++;
      const int value = digit >= '0' && digit <= '9'   ? digit - '0'
                        : digit >= 'a' && digit <= 'f' ? digit - 'a' + 10
                        : digit >= 'A' && digit <= 'F' ? digit - 'A' + 10
                                                       : -1;
      if (value < 0)
        return false;
      point = point << 4 | static_cast<uint32_t>(value);
    }
    return true;
  }

  const char *at_;
  const char *end_;
};

}  // namespace latchkey
