// An ACL plugin in C: topics that begin with a prefix are denied.
//
// It speaks the canonical ABI of `sdk/wit/0.1.0` itself: a string or a list is a pointer and a length,
// an option or a result a byte that says which. For a larger plugin let `wit-bindgen c` write that.
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EXPORT(name) __attribute__((export_name(name)))
#define ACL "dunlin:plugin/acl@0.1.0"
#define PLUGIN "dunlin:plugin/plugin@0.1.0"

typedef struct {
  const char *bytes;
  size_t length;
} string;

// The world that this implements, for the linker.
__asm__(".section \".custom_section.component-type\",\"\",@\n"
        ".incbin \"../../src/guest/acl-plugin.component-type\"\n");

// What a call needs is taken from here, and free again when the broker has read the answer.
static _Alignas(8) char arena[256 * 1024];
static size_t taken;

static void *take(size_t size, size_t align) {
  size_t start = (taken + align - 1) & ~(align - 1);
  if (size > sizeof arena || start > sizeof arena - size) __builtin_trap();
  taken = start + size;
  return arena + start;
}

static void copy(char *to, const char *from, size_t length) {
  for (size_t at = 0; at < length; at++) to[at] = from[at];
}

EXPORT("cabi_realloc")
void *cabi_realloc(void *old, size_t old_size, size_t align, size_t size) {
  void *place = take(size, align);
  if (old) copy(place, old, old_size < size ? old_size : size);
  return place;
}

static bool starts_with(string text, string prefix) {
  if (text.length < prefix.length) return false;
  for (size_t at = 0; at < prefix.length; at++)
    if (text.bytes[at] != prefix.bytes[at]) return false;
  return true;
}

#define STRING(text) ((string){text, sizeof text - 1})

EXPORT(PLUGIN "#describe")
string *describe(void) {
  static string manifest = STRING(
    "{\"name\":\"acl-c\",\"version\":\"0.1.0\",\"schema\":{\"type\":\"object\",\"required\":[\"prefix\"],"
    "\"additionalProperties\":false,\"properties\":{\"prefix\":{\"type\":\"string\","
    "\"pattern\":\"^[^\\\"\\\\\\\\]*$\",\"maxLength\":255}}}}");
  return &manifest;
}

static char prefix_bytes[1024];
static string prefix = {prefix_bytes, 0};

typedef struct {
  uint32_t is_error;
  string error;
} configured;

// The schema admits `{"prefix": "..."}` without escapes, and nothing else: the prefix is between the
// third quotation mark and the fourth.
EXPORT(PLUGIN "#configure")
configured *configure(const char *config, size_t length) {
  static configured result;
  size_t marks = 0, start = 0;
  for (size_t at = 0; at < length; at++) {
    if (config[at] != '"') continue;
    marks++;
    if (marks == 3) start = at + 1;
    if (marks == 4 && at - start <= sizeof prefix_bytes) {
      prefix.length = at - start;
      copy(prefix_bytes, config + start, prefix.length);
      result = (configured){0};
      return &result;
    }
  }
  result = (configured){1, STRING("the configuration is {\"prefix\": \"...\"}")};
  return &result;
}

enum { ALLOW, DENY, NEXT };

typedef struct {
  uint8_t action;
  string topic;
  uint8_t qos, retain;
  struct { const void *pairs; size_t length; } user_properties;
} question;

typedef struct {
  uint8_t effect;
  uint32_t ttl_ms;
  uint8_t has_scope;
  string scope;
} answer;

typedef struct {
  answer *answers;
  size_t length;
} answers;

_Static_assert(sizeof(question) == 24 && sizeof(answer) == 20, "as the canonical ABI lays them out");

EXPORT(ACL "#authorize")
answers *authorize(const char *client_id, size_t client_id_length,
                   uint32_t has_username, const char *username, size_t username_length,
                   const void *attributes, size_t attributes_length,
                   uint32_t has_address, const char *address, size_t address_length,
                   const char *listener, size_t listener_length,
                   const question *questions, size_t length) {
  static answers result;
  result = (answers){take(length * sizeof(answer), _Alignof(answer)), length};
  for (size_t at = 0; at < length; at++) {
    bool denied = starts_with(questions[at].topic, prefix);
    result.answers[at] = (answer){.effect = denied ? DENY : NEXT, .ttl_ms = 60 * 1000};
  }
  return &result;
}

EXPORT("cabi_post_" ACL "#authorize")
void authorized(answers *result) { taken = 0; }

EXPORT("cabi_post_" PLUGIN "#configure")
void post_configure(configured *result) { taken = 0; }
