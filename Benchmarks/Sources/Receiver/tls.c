// TLS of the receiver, by OpenSSL on non-blocking sockets: TLS 1.2 and 1.3, session tickets, no HTTP/2.

#include "receiver.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

static SSL_CTX *context;

static void fail(const char *what) {
    fprintf(stderr, "%s: ", what);
    ERR_print_errors_fp(stderr);
    exit(64);
}

void tls_start(const struct options *options) {
    if (options->certificate == NULL) return;
    context = SSL_CTX_new(TLS_server_method());
    if (context == NULL) fail("OpenSSL has no memory");
    SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
    if (SSL_CTX_use_certificate_chain_file(context, options->certificate) != 1) fail(options->certificate);
    if (SSL_CTX_use_PrivateKey_file(context, options->key, SSL_FILETYPE_PEM) != 1) fail(options->key);
    if (SSL_CTX_check_private_key(context) != 1) fail("The key is not that of the certificate");
    // An answer that found no room is taken up by the next call, perhaps with more answers behind it.
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    // One read for a record instead of one for its head and one for the rest, as nginx does it.
    SSL_CTX_set_read_ahead(context, 1);
    // Sessions of TLS 1.3 travel in tickets; those of 1.2 are kept here as well, for libcurl asks for no tickets there.
    SSL_CTX_set_session_id_context(context, (const unsigned char *)"bench", 5);
    // OpenSSL writes without MSG_NOSIGNAL.
    signal(SIGPIPE, SIG_IGN);
}

struct ssl_st *tls_open(int fd) {
    SSL *tls = context == NULL ? NULL : SSL_new(context);
    if (tls == NULL || SSL_set_fd(tls, fd) != 1) {
        SSL_free(tls);
        return NULL;
    }
    SSL_set_accept_state(tls);
    return tls;
}

bool tls_is_wanted(void) { return context != NULL; }

// The outcome of a call as recv and send tell it: -1 with EAGAIN, EPIPE, 0 at the end.
static ssize_t outcome(SSL *tls, int done) {
    if (done > 0) return done;
    int error = SSL_get_error(tls, done);
    ERR_clear_error();
    if (error == SSL_ERROR_ZERO_RETURN) return 0;
    errno = error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE ? EAGAIN : EPIPE;
    return -1;
}

bool tls_wants_room(struct ssl_st *tls) { return SSL_want_write(tls); }

int tls_shake(struct ssl_st *tls) {
    ssize_t done = outcome(tls, SSL_do_handshake(tls));
    if (done > 0) {
        if (SSL_session_reused(tls)) {
            figures.resumed++;
        } else {
            figures.handshakes++;
        }
        return 1;
    }
    if (done < 0 && errno == EAGAIN) return 0;
    figures.handshakes_failed++;
    return -1;
}

ssize_t tls_receive(struct ssl_st *tls, void *bytes, size_t room) {
    return outcome(tls, SSL_read(tls, bytes, (int)room));
}

bool tls_has_more(struct ssl_st *tls) { return SSL_has_pending(tls); }

ssize_t tls_send(struct ssl_st *tls, const void *bytes, size_t length) {
    return outcome(tls, SSL_write(tls, bytes, (int)length));
}

void tls_end(struct ssl_st *tls) {
    // Only the alert: nobody waits for that of the other side.
    SSL_shutdown(tls);
    ERR_clear_error();
}

void tls_free(struct ssl_st *tls) { SSL_free(tls); }
