/* A small service in C: sessions are opened and, by one path, never closed. Run it with jemalloc preloaded. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Bytes after which the program ends: a leak that was forgotten must not take the whole machine. */
#define MOST (2ull << 30)
/* Answers that the log keeps. */
#define RECENT 256

struct session {
    uint64_t customer;
    size_t size;
    char *basket;
};

static char text[12288];
static char *recent[RECENT];

/* A session with its basket. Whoever opens one has to close it. */
static struct session *open_session(uint64_t customer, size_t size)
{
    struct session *session = malloc(sizeof *session);
    if (session == NULL)
        return NULL;
    session->customer = customer;
    session->size = size;
    session->basket = malloc(size);
    if (session->basket == NULL) {
        free(session);
        return NULL;
    }
    memcpy(session->basket, text, size);
    return session;
}

/* Answers, and forgets the oldest answer. */
static void answer(uint64_t request, size_t size)
{
    char *answer = malloc(size);
    if (answer == NULL)
        return;
    memcpy(answer, text, size);
    snprintf(answer, size, "%llu", (unsigned long long)request);
    free(recent[request % RECENT]);
    recent[request % RECENT] = answer;
}

/* Returns the bytes that it leaks: the session is closed when the customer logs out, and none does. */
static size_t serve(uint64_t request, int logs_out)
{
    size_t size = 4096 + request * 7919 % 8000;
    struct session *session = open_session(request % 1000, size);
    if (session == NULL)
        return 0;
    answer(request, session->size);
    if (logs_out) {
        free(session->basket);
        free(session);
        return 0;
    }
    return size;
}

static double now(void)
{
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return (double)at.tv_sec + (double)at.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
    /* Bytes leaked in a second. */
    double rate = argc > 1 ? strtod(argv[1], NULL) : 20e6;
    double started = now();
    uint64_t leaked = 0, requests = 0;
    struct timespec tick = { 0, 10 * 1000 * 1000 };

    if (!(rate >= 1 && rate <= 1e9)) {
        fprintf(stderr, "usage: %s [BYTES_PER_S]\n", argv[0]);
        return 2;
    }
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = (char)('a' + i % 26);
    while (leaked < MOST) {
        nanosleep(&tick, NULL);
        while ((double)leaked < rate * (now() - started)) {
            leaked += serve(requests, requests % 2 == 0);
            requests++;
        }
    }
    fprintf(stderr, "it has leaked %llu bytes, which is enough: the program ends\n",
            (unsigned long long)leaked);
    return 1;
}
