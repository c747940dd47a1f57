// As much HTTP/1.1 as framing needs: where a request's head ends, how long its body is, and its webhook-id.

#include "receiver.h"

#include <string.h>
#include <strings.h>

static bool is_header(const char *line, size_t length, const char *name, size_t name_length) {
    return length > name_length && line[name_length] == ':' && strncasecmp(line, name, name_length) == 0;
}

static void trim(const char **value, size_t *length) {
    while (*length > 0 && (**value == ' ' || **value == '\t')) (*value)++, (*length)--;
    while (*length > 0 && ((*value)[*length - 1] == ' ' || (*value)[*length - 1] == '\t')) (*length)--;
}

static bool number(const char *text, size_t length, uint64_t *value) {
    if (length == 0 || length > 15) return false;
    *value = 0;
    for (size_t i = 0; i < length; i++) {
        if (text[i] < '0' || text[i] > '9') return false;
        *value = *value * 10 + (uint64_t)(text[i] - '0');
    }
    return true;
}

#define IS(name) is_header(line, length, name, sizeof name - 1)

static void parse_line(struct head *head, const char *line, size_t length) {
    const char *colon = memchr(line, ':', length);
    if (colon == NULL) return;
    const char *value = colon + 1;
    size_t value_length = length - (size_t)(value - line);
    trim(&value, &value_length);
    if (IS("content-length")) {
        if (!number(value, value_length, &head->body_length)) head->bad = true;
    } else if (IS("webhook-id")) {
        head->id = value;
        head->id_length = value_length;
    } else if (IS("transfer-encoding")) {
        head->bad = true;
    }
}

struct head parse_head(const char *bytes, size_t length, size_t scanned) {
    struct head head = {0};
    size_t from = scanned > 3 ? scanned - 3 : 0;
    const char *end = memmem(bytes + from, length - from, "\r\n\r\n", 4);
    if (end == NULL) return head;
    head.length = (size_t)(end - bytes) + 4;
    const char *line = memchr(bytes, '\n', head.length);
    for (line++; line < end;) {
        const char *next = memchr(line, '\n', (size_t)(end + 2 - line));
        // Only these letters start a header of interest; every other line costs one comparison.
        char first = *line | 0x20;
        if (first == 'c' || first == 'w' || first == 't') parse_line(&head, line, (size_t)(next - line) - 1);
        line = next + 1;
    }
    return head;
}
