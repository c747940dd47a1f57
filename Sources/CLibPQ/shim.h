// What the Postgres module sees of C: libpq's public header, and epoll and eventfd, which Swift's Glibc module leaves
// out.
#include <libpq-fe.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
