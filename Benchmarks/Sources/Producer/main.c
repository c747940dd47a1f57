// bench-producer: commits single statements, at a fixed rate or flat out, and notes when each commit was acknowledged.
// The driver starts it and gives it the statement; it knows no table.

#include "producer.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

static const char usage[] =
    "bench-producer: runs one statement again and again, each in its own transaction.\n"
    "\n"
    "  --statement SQL   takes $1::bigint, a number that ascends by one; may return an id as its first column\n"
    "  --connections N   clients, one statement in flight on each; default 16, at most 64\n"
    "  --rate N          statements a second on a schedule that no answer delays (open loop);\n"
    "                    0 (default) for each client's next as soon as the last is answered (closed loop)\n"
    "  --seconds N       for how long; default 5\n"
    "  --first N         first number; default 1\n"
    "  --record FILE     note number, times and id of each commit\n"
    "\n"
    "The database is DATABASE_URL. A line {\"ready\":true} says that the clients are connected; the figures are one\n"
    "JSON line at the end. SIGTERM ends the run early.\n";

enum { statement = 1, connections, rate, seconds, first, record, help };

static const struct option long_options[] = {
    {"statement", required_argument, NULL, statement}, {"connections", required_argument, NULL, connections},
    {"rate", required_argument, NULL, rate},           {"seconds", required_argument, NULL, seconds},
    {"first", required_argument, NULL, first},         {"record", required_argument, NULL, record},
    {"help", no_argument, NULL, help},                 {NULL, 0, NULL, 0},
};

static void set_option(struct options *options, int option) {
    switch (option) {
    case statement: options->statement = optarg; break;
    case connections: options->connections = (int)bench_number("--connections", optarg, 1, most_connections); break;
    case rate: options->rate = bench_number("--rate", optarg, 0, 1000000); break;
    case seconds: options->seconds = bench_number("--seconds", optarg, 1, 3600); break;
    case first: options->first = bench_number("--first", optarg, 0, INT64_MAX / 2); break;
    case record: options->record_path = optarg; break;
    case help: fputs(usage, stdout); exit(0);
    default: fputs(usage, stderr); exit(64);
    }
}

int main(int argc, char **argv) {
    struct options options = {.connections = 16, .seconds = 5, .first = 1, .database = getenv("DATABASE_URL")};
    int option;
    while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1) set_option(&options, option);
    if (optind < argc || options.statement == NULL || options.database == NULL) {
        fputs(usage, stderr);
        return 64;
    }
    // Flat out no more than about 60,000 commits a second are to be expected of one thread.
    samples_reserve((size_t)((options.rate == 0 ? 60000 : options.rate) * options.seconds + 1000));
    samples_print(&options, produce(&options));
    return 0;
}
