// libcurl's multi interface with kept connections: a fixed number of requests in flight, each on a handle of its own
// that is used again and again.

#include "bare.h"

#include <curl/curl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct slot {
    CURL *handle;
    struct curl_slist *headers;
    char *body;
    size_t room;
};

static CURLM *multi;
static struct slot *slots, **idle;
static int idle_count, in_flight, succeeded;

static size_t ignore(char *bytes, size_t size, size_t count, void *context) {
    (void)bytes, (void)context;
    return size * count;
}

void sender_open(const struct options *options) {
    curl_global_init(CURL_GLOBAL_DEFAULT);
    multi = curl_multi_init();
    curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, (long)options->in_flight);
    slots = calloc((size_t)options->in_flight, sizeof *slots);
    idle = calloc((size_t)options->in_flight, sizeof *idle);
    if (slots == NULL || idle == NULL) exit(71);
    for (int i = 0; i < options->in_flight; i++) {
        CURL *handle = slots[i].handle = curl_easy_init();
        curl_easy_setopt(handle, CURLOPT_URL, options->url);
        curl_easy_setopt(handle, CURLOPT_POST, 1L);
        curl_easy_setopt(handle, CURLOPT_NOSIGNAL, 1L);
        curl_easy_setopt(handle, CURLOPT_PROXY, "");
        curl_easy_setopt(handle, CURLOPT_TIMEOUT_MS, 30000L);
        curl_easy_setopt(handle, CURLOPT_USERAGENT, "bench-bare");
        curl_easy_setopt(handle, CURLOPT_WRITEFUNCTION, ignore);
        curl_easy_setopt(handle, CURLOPT_PRIVATE, &slots[i]);
        idle[idle_count++] = &slots[i];
    }
}

static size_t envelope(struct slot *slot, const struct event *event, time_t now) {
    size_t needed = (size_t)event->data_length + strlen(event->type) + 80;
    if (needed > slot->room) {
        slot->body = realloc(slot->body, slot->room = needed * 2);
        if (slot->body == NULL) exit(71);
    }
    struct tm utc;
    char time_text[32];
    gmtime_r(&now, &utc);
    strftime(time_text, sizeof time_text, "%Y-%m-%dT%H:%M:%SZ", &utc);
    return (size_t)snprintf(slot->body, slot->room, "{\"type\":\"%s\",\"timestamp\":\"%s\",\"data\":%s}", event->type,
                            time_text, event->data);
}

static void start(struct slot *slot, const struct event *event) {
    char line[128], timestamp[24], signature[signature_room];
    time_t now = time(NULL);
    size_t length = envelope(slot, event, now);
    snprintf(timestamp, sizeof timestamp, "%lld", (long long)now);
    sign(event->id, timestamp, slot->body, length, signature);
    struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/json");
    snprintf(line, sizeof line, "webhook-id: %s", event->id);
    headers = curl_slist_append(headers, line);
    snprintf(line, sizeof line, "webhook-timestamp: %s", timestamp);
    headers = curl_slist_append(headers, line);
    snprintf(line, sizeof line, "webhook-signature: %s", signature);
    slot->headers = curl_slist_append(headers, line);
    curl_easy_setopt(slot->handle, CURLOPT_HTTPHEADER, slot->headers);
    curl_easy_setopt(slot->handle, CURLOPT_POSTFIELDSIZE, (long)length);
    curl_easy_setopt(slot->handle, CURLOPT_POSTFIELDS, slot->body);
    curl_multi_add_handle(multi, slot->handle);
    in_flight++;
}

static void take_answers(void) {
    int left;
    CURLMsg *message;
    while ((message = curl_multi_info_read(multi, &left)) != NULL) {
        struct slot *slot;
        long status = 0;
        CURLcode code = message->data.result;
        CURL *handle = message->easy_handle;
        curl_easy_getinfo(handle, CURLINFO_PRIVATE, &slot);
        curl_easy_getinfo(handle, CURLINFO_RESPONSE_CODE, &status);
        if (code == CURLE_OK && status / 100 == 2) succeeded++;
        curl_multi_remove_handle(multi, handle);
        curl_slist_free_all(slot->headers);
        idle[idle_count++] = slot;
        in_flight--;
    }
}

int sender_post(const struct event *events, int count) {
    int next = 0, running;
    succeeded = 0;
    while (next < count || in_flight > 0) {
        while (next < count && idle_count > 0) start(idle[--idle_count], &events[next++]);
        curl_multi_perform(multi, &running);
        take_answers();
        if (in_flight > 0 && (next == count || idle_count == 0)) curl_multi_poll(multi, NULL, 0, 1000, NULL);
    }
    return succeeded;
}
