// bench-bare: the least program that does the job, as the ceiling to compare workers with in the same run. It claims a
// batch, signs and posts it, and writes one row for the batch. No attempts, no retries, no lease: a crash loses the
// batch in flight, and a failed request is only counted. Not for use.

#include "bare.h"

#include "support.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static const char usage[] =
    "bench-bare: moves bare.queue to a receiver, the shortest way, and ends when the queue is empty.\n"
    "\n"
    "  --url URL       of the receiver\n"
    "  --batch N       events of one claim; default 1000\n"
    "  --in-flight N   requests at once; default 32\n"
    "\n"
    "The database is DATABASE_URL. The figures are one JSON line.\n";

int main(int argc, char **argv) {
    struct options options = {.database = getenv("DATABASE_URL"), .batch = 1000, .in_flight = 32};
    static const struct option names[] = {{"url", required_argument, NULL, 'u'},
                                          {"batch", required_argument, NULL, 'b'},
                                          {"in-flight", required_argument, NULL, 'f'},
                                          {"help", no_argument, NULL, 'h'},
                                          {NULL, 0, NULL, 0}};
    int option;
    while ((option = getopt_long(argc, argv, "", names, NULL)) != -1) {
        switch (option) {
        case 'u': options.url = optarg; break;
        case 'b': options.batch = (int)bench_number("--batch", optarg, 1, 10000); break;
        case 'f': options.in_flight = (int)bench_number("--in-flight", optarg, 1, 1000); break;
        case 'h': fputs(usage, stdout); return 0;
        default: fputs(usage, stderr); return 64;
        }
    }
    if (options.database == NULL || options.url == NULL || optind < argc) {
        fputs(usage, stderr);
        return 64;
    }
    struct event *events = calloc((size_t)options.batch, sizeof *events);
    if (events == NULL) return 71;
    outbox_open(&options);
    sender_open(&options);
    int64_t delivered = 0, failed = 0;
    for (int count; (count = outbox_claim(&options, events)) > 0;) {
        int succeeded = sender_post(events, count);
        outbox_record();
        delivered += succeeded;
        failed += count - succeeded;
    }
    printf("{\"delivered\":%" PRId64 ",\"failed\":%" PRId64 ",\"cpu_us\":%" PRId64 "}\n", delivered, failed,
           bench_cpu_us());
    return 0;
}
