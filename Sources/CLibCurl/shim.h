// What is here: libcurl for Swift. curl_easy_setopt, curl_easy_getinfo and their relatives take "...", which Swift
// cannot call, so each type of argument has a wrapper. No logic. HTTPExchange alone imports this.

#ifndef POSTRIDER_CLIBCURL_SHIM_H
#define POSTRIDER_CLIBCURL_SHIM_H

// The type-checking macros want a literal option name; the wrappers below fix the type instead.
#ifndef CURL_DISABLE_TYPECHECK
#define CURL_DISABLE_TYPECHECK
#endif
#include <curl/curl.h>

// libcurl's sockets are watched with these; Swift's Glibc module does not carry them.
#include <sys/epoll.h>
#include <sys/eventfd.h>
// Swift's Glibc module leaves these out.
#include <sys/epoll.h>
#include <sys/eventfd.h>

#if LIBCURL_VERSION_NUM < 0x075700
#error "Postrider needs libcurl 7.87.0 or newer (CURLOPT_PROTOCOLS_STR, CURLOPT_CA_CACHE_TIMEOUT)"
#endif

// The version of the libcurl that is loaded, as 0xMMmmpp; 0 when it has no HTTP/2.
static inline unsigned int clibcurl_http2_version(void) {
    const curl_version_info_data *info = curl_version_info(CURLVERSION_NOW);
    return info->features & CURL_VERSION_HTTP2 ? info->version_num : 0;
}

// A macro with a cast, which Swift does not import.
static const long clibcurl_auth_basic = (long)CURLAUTH_BASIC;

// curl_easy_setopt, by type of the argument.

static inline CURLcode clibcurl_easy_set_long(CURL *easy, CURLoption option, long value) {
    return curl_easy_setopt(easy, option, value);
}

static inline CURLcode clibcurl_easy_set_offset(CURL *easy, CURLoption option, curl_off_t value) {
    return curl_easy_setopt(easy, option, value);
}

static inline CURLcode clibcurl_easy_set_text(CURL *easy, CURLoption option, const char *value) {
    return curl_easy_setopt(easy, option, value);
}

static inline CURLcode clibcurl_easy_set_pointer(CURL *easy, CURLoption option, void *value) {
    return curl_easy_setopt(easy, option, value);
}

static inline CURLcode clibcurl_easy_set_list(CURL *easy, CURLoption option, struct curl_slist *value) {
    return curl_easy_setopt(easy, option, value);
}


// Copies the bytes; a null pointer takes what was set away.
static inline CURLcode clibcurl_easy_set_blob(CURL *easy, CURLoption option, const void *bytes, size_t length) {
    struct curl_blob blob = {(void *)bytes, length, CURL_BLOB_COPY};
    return curl_easy_setopt(easy, option, bytes ? &blob : (struct curl_blob *)0);
}

typedef size_t (*clibcurl_data_function)(char *bytes, size_t size, size_t count, void *context);
typedef int (*clibcurl_seek_function)(void *context, curl_off_t offset, int origin);
typedef curl_socket_t (*clibcurl_open_function)(void *context, curlsocktype purpose, struct curl_sockaddr *address);
typedef int (*clibcurl_close_function)(void *context, curl_socket_t socket);
typedef int (*clibcurl_resolve_function)(void *resolver, void *reserved, void *context);
typedef CURLcode (*clibcurl_context_function)(CURL *easy, void *tls_context, void *context);
typedef int (*clibcurl_ready_function)(void *context, char *remote, char *local, int remote_port, int local_port);

// CURLOPT_WRITEFUNCTION, CURLOPT_HEADERFUNCTION, CURLOPT_READFUNCTION: one shape for the three.
static inline CURLcode clibcurl_easy_set_data_function(CURL *easy, CURLoption option, clibcurl_data_function value) {
    return curl_easy_setopt(easy, option, value);
}

static inline CURLcode clibcurl_easy_set_seek_function(CURL *easy, clibcurl_seek_function value) {
    return curl_easy_setopt(easy, CURLOPT_SEEKFUNCTION, value);
}

static inline CURLcode clibcurl_easy_set_open_function(CURL *easy, clibcurl_open_function value) {
    return curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, value);
}

static inline CURLcode clibcurl_easy_set_close_function(CURL *easy, clibcurl_close_function value) {
    return curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, value);
}

static inline CURLcode clibcurl_easy_set_resolve_function(CURL *easy, clibcurl_resolve_function value) {
    return curl_easy_setopt(easy, CURLOPT_RESOLVER_START_FUNCTION, value);
}

static inline CURLcode clibcurl_easy_set_ready_function(CURL *easy, clibcurl_ready_function value) {
    return curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, value);
}

static inline CURLcode clibcurl_easy_set_context_function(CURL *easy, clibcurl_context_function value) {
    return curl_easy_setopt(easy, CURLOPT_SSL_CTX_FUNCTION, value);
}

// curl_easy_getinfo, by type of the answer.

static inline CURLcode clibcurl_easy_get_long(CURL *easy, CURLINFO info, long *value) {
    return curl_easy_getinfo(easy, info, value);
}

static inline CURLcode clibcurl_easy_get_offset(CURL *easy, CURLINFO info, curl_off_t *value) {
    return curl_easy_getinfo(easy, info, value);
}

static inline CURLcode clibcurl_easy_get_text(CURL *easy, CURLINFO info, const char **value) {
    return curl_easy_getinfo(easy, info, value);
}

static inline CURLcode clibcurl_easy_get_pointer(CURL *easy, CURLINFO info, void **value) {
    return curl_easy_getinfo(easy, info, value);
}

static inline CURLcode clibcurl_easy_get_tls(CURL *easy, struct curl_tlssessioninfo **value) {
    return curl_easy_getinfo(easy, CURLINFO_TLS_SSL_PTR, value);
}

// curl_multi_setopt, by type of the argument.

typedef int (*clibcurl_socket_function)(CURL *easy, curl_socket_t socket, int what, void *context, void *assigned);
typedef int (*clibcurl_timer_function)(CURLM *multi, long milliseconds, void *context);

static inline CURLMcode clibcurl_multi_set_long(CURLM *multi, CURLMoption option, long value) {
    return curl_multi_setopt(multi, option, value);
}

static inline CURLMcode clibcurl_multi_set_pointer(CURLM *multi, CURLMoption option, void *value) {
    return curl_multi_setopt(multi, option, value);
}

static inline CURLMcode clibcurl_multi_set_socket_function(CURLM *multi, clibcurl_socket_function value) {
    return curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, value);
}

static inline CURLMcode clibcurl_multi_set_timer_function(CURLM *multi, clibcurl_timer_function value) {
    return curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, value);
}

// curl_share_setopt.

static inline CURLSHcode clibcurl_share_data(CURLSH *share, curl_lock_data data) {
    return curl_share_setopt(share, CURLSHOPT_SHARE, data);
}

#endif
