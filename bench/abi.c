/* The C side of the bench: reads or sends COUNT messages, and prints the seconds that took.
 *
 * usage: abi URL PROJECT callback|pull|send COUNT */
#define _POSIX_C_SOURCE 200809L
#include <libchat.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { BATCH = 256, BODY = 300 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static unsigned long left;

static void must(libchat_status status, libchat_error **err)
{
    if (status == LIBCHAT_OK)
        return;
    fprintf(stderr, "%s: %s\n", libchat_status_name(status), libchat_error_message(*err));
    exit(1);
}

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static libchat_flow on_event(libchat_watch watch, const libchat_event *event, void *data)
{
    (void)watch;
    (void)data;
    if (event->kind != LIBCHAT_EVENT_MESSAGE || libchat_message_body(event->message).len == 0 ||
        --left > 0)
        return LIBCHAT_CONTINUE;
    return LIBCHAT_STOP;
}

static void by_callback(libchat_manager manager)
{
    libchat_watch_options options = LIBCHAT_INIT(libchat_watch_options);
    libchat_error *err = NULL;
    libchat_watch watch;
    options.start = LIBCHAT_START_ALL;
    options.on_event = on_event;
    must(libchat_watch_all(manager, &options, &watch, &err), &err);
    must(libchat_watch_join(watch, LIBCHAT_INFINITE, &err), &err);
}

static void by_pull(libchat_manager manager)
{
    libchat_watch_options options = LIBCHAT_INIT(libchat_watch_options);
    const libchat_events *events;
    libchat_error *err = NULL;
    libchat_watch watch;
    size_t i;
    options.start = LIBCHAT_START_ALL;
    must(libchat_watch_all(manager, &options, &watch, &err), &err);
    while (left > 0) {
        must(libchat_watch_take(watch, BATCH, LIBCHAT_INFINITE, &events, &err), &err);
        for (i = 0; i < libchat_events_len(events); i++) {
            const libchat_event *event = libchat_events_get(events, i);
            if (event->kind == LIBCHAT_EVENT_MESSAGE && libchat_message_body(event->message).len > 0)
                left--;
        }
        libchat_events_release(events);
    }
}

static void on_sent(libchat_status status, const libchat_receipt *receipt,
                    const libchat_error *error, void *data)
{
    (void)receipt;
    (void)data;
    if (status != LIBCHAT_OK) {
        fprintf(stderr, "%s: %s\n", libchat_status_name(status), libchat_error_message(error));
        exit(1);
    }
    pthread_mutex_lock(&lock);
    left--;
    pthread_cond_signal(&changed);
    pthread_mutex_unlock(&lock);
}

/* As many under way as libchat takes. */
static void by_send(libchat_manager manager, unsigned long count)
{
    static uint8_t text[BODY];
    libchat_send_options options = LIBCHAT_INIT(libchat_send_options);
    libchat_bytes body = {text, BODY};
    libchat_error *err = NULL;
    memset(text, 'x', BODY);
    options.flags = LIBCHAT_UNORDERED;
    while (count > 0) {
        libchat_status status =
            libchat_send_async(manager, "bulk", body, &options, on_sent, NULL, &err);
        if (status == LIBCHAT_OK) {
            count--;
            continue;
        }
        if (status != LIBCHAT_ERR_BUSY)
            must(status, &err);
        libchat_error_free(err);
        pthread_mutex_lock(&lock);
        if (left > count)
            pthread_cond_wait(&changed, &lock);
        pthread_mutex_unlock(&lock);
    }
    pthread_mutex_lock(&lock);
    while (left > 0)
        pthread_cond_wait(&changed, &lock);
    pthread_mutex_unlock(&lock);
}

int main(int argc, char **argv)
{
    libchat_conn_options options = LIBCHAT_INIT(libchat_conn_options);
    libchat_manager_options who = LIBCHAT_INIT(libchat_manager_options);
    libchat_error *err = NULL;
    libchat_manager manager;
    libchat_conn conn;
    double begun;
    if (argc != 5)
        return fprintf(stderr, "usage: abi URL PROJECT callback|pull|send COUNT\n"), 2;
    options.servers = argv[1];
    who.project = argv[2];
    who.agent_id = "bench";
    left = strtoul(argv[4], NULL, 10);
    must(libchat_connect(&options, &conn, &err), &err);
    must(libchat_open(conn, &who, &manager, &err), &err);
    begun = now();
    if (strcmp(argv[3], "callback") == 0)
        by_callback(manager);
    else if (strcmp(argv[3], "pull") == 0)
        by_pull(manager);
    else
        by_send(manager, left);
    printf("%.6f\n", now() - begun);
    must(libchat_conn_close(conn, LIBCHAT_INFINITE, &err), &err);
    return 0;
}
