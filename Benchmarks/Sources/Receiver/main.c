// bench-receiver: takes webhooks as cheaply as one thread can, counts them and notes when they came.
// The driver starts it for every measurement; it can also be run by hand.

#include "receiver.h"

#include "support.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const char usage[] =
    "bench-receiver: an HTTP/1.1 receiver on 127.0.0.1 that answers every request alike, over TLS if asked.\n"
    "\n"
    "  --port N          first port; 0 (default) lets the kernel choose. The ports are printed as one JSON line.\n"
    "  --ports N         how many ports, each of them one destination; default 1, at most 64\n"
    "  --status N        status of the answer; default 200\n"
    "  --body TEXT       body of the answer; default empty\n"
    "  --delay-ms N      wait before each answer, in milliseconds; default 0\n"
    "  --tls-certificate FILE  serve https with this certificate (PEM, with its chain)\n"
    "  --tls-key FILE    its key (PEM)\n"
    "  --close-after N   close each connection after so many requests; default never\n"
    "  --count N         print the figures when N distinct requests have come\n"
    "  --exit            and end then\n"
    "  --record FILE     note time of arrival, port and webhook-id of each request; written with the figures\n"
    "  --record-limit N  at most so many of them; default 2000000\n"
    "\n"
    "Figures are one JSON line, printed at the count, at SIGUSR1, and at the end (SIGTERM, SIGINT).\n"
    "Distinct means by webhook-id and port; a request without a webhook-id is distinct from all others.\n";

enum { port = 1, ports, status, body, delay, count, exit_at_count, record, record_limit,
       certificate, key, close_after, help };

static const struct option long_options[] = {
    {"port", required_argument, NULL, port},     {"ports", required_argument, NULL, ports},
    {"status", required_argument, NULL, status}, {"body", required_argument, NULL, body},
    {"delay-ms", required_argument, NULL, delay}, {"count", required_argument, NULL, count},
    {"exit", no_argument, NULL, exit_at_count},  {"record", required_argument, NULL, record},
    {"record-limit", required_argument, NULL, record_limit}, {"tls-certificate", required_argument, NULL, certificate},
    {"tls-key", required_argument, NULL, key},   {"close-after", required_argument, NULL, close_after},
    {"help", no_argument, NULL, help},
    {NULL, 0, NULL, 0},
};

static void set_option(struct options *options, int option) {
    switch (option) {
    case port: options->first_port = (int)bench_number("--port", optarg, 0, 65535); break;
    case ports: options->ports = (int)bench_number("--ports", optarg, 1, most_ports); break;
    case status: options->status = (int)bench_number("--status", optarg, 200, 599); break;
    case body: options->body = optarg; break;
    case delay: options->delay_us = bench_number("--delay-ms", optarg, 0, 600000) * 1000; break;
    case count: options->count = bench_number("--count", optarg, 1, 100000000); break;
    case exit_at_count: options->exit_at_count = true; break;
    case record: options->record_path = optarg; break;
    case record_limit: options->record_limit = bench_number("--record-limit", optarg, 1, 100000000); break;
    case certificate: options->certificate = optarg; break;
    case key: options->key = optarg; break;
    case close_after: options->close_after = bench_number("--close-after", optarg, 1, 1000000000); break;
    case help: fputs(usage, stdout); exit(0);
    default: fputs(usage, stderr); exit(64);
    }
}

int main(int argc, char **argv) {
    struct options options = {.ports = 1, .status = 200, .record_limit = 2000000, .body = ""};
    int option;
    while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1) set_option(&options, option);
    if (optind < argc || (options.certificate == NULL) != (options.key == NULL)) {
        fputs(usage, stderr);
        return 64;
    }
    figures_start(&options);
    tls_start(&options);
    serve(&options);
    return 0;
}
