#include "support.h"

#include <stdarg.h>
#include <time.h>

enum { PATIENCE_S = 120 };

const char *folder;
char url[512];
_Thread_local struct failure failure;

static _Thread_local libchat_error *error_slot;
static _Thread_local bool error_is_fresh;
static char unwritten;
#define UNWRITTEN ((libchat_error *)(void *)&unwritten)

/* For whoever wonders where a program hangs: the alarm comes to the main thread. */
static _Thread_local char last_place[256];

void note_place(const char *file, int line, const char *what)
{
    snprintf(last_place, sizeof last_place, "%s:%d: %.200s", file, line, what);
}

static void on_alarm(int number)
{
    static const char text[] = "hangs; the last call that returned was at ";
    (void)number;
    if (write(2, text, sizeof text - 1) < 0 || write(2, last_place, strlen(last_place)) < 0 ||
        write(2, "\n", 1) < 0)
        _exit(1);
    _exit(1);
}

void begin_without_server(int argc, char **argv)
{
    struct sigaction action = {.sa_handler = on_alarm};

    if (argc < 2) {
        fprintf(stderr, "usage: %s FOLDER\n", argv[0]);
        exit(2);
    }
    folder = argv[1];
    CHECK(sigaction(SIGALRM, &action, NULL) == 0);
    alarm((unsigned)(PATIENCE_S * slow()));
    CHECK(libchat_abi_compatible(LIBCHAT_ABI));
}

void begin(int argc, char **argv)
{
    begin_without_server(argc, argv);
    OK(libchat_local_server_start(folder, url, sizeof url, ERR));
}

int end(void)
{
    wait_until_threads(0);
    OK(libchat_local_server_stop(folder, ERR));
    fflush(stdout);
    return 0;
}

/* Checks. */

void fail(const char *file, int line, const char *what, const char *why)
{
    fflush(stdout);
    fprintf(stderr, "%s:%d: %s%s%s\n", file, line, what, why ? ": " : "", why ? why : "");
    _exit(1);
}

void check_eq(const char *file, int line, const char *what, long long wanted, long long found)
{
    char why[64];

    snprintf(why, sizeof why, "is %lld, not %lld", found, wanted);
    if (wanted != found)
        fail(file, line, what, why);
}

void check_text(const char *file, int line, const char *what, const char *wanted,
                libchat_bytes found)
{
    char why[256];

    if (found.data && found.len == strlen(wanted) && !memcmp(found.data, wanted, found.len) &&
        found.data[found.len] == 0)
        return;
    snprintf(why, sizeof why, "is \"%.*s\" (%zu bytes), not \"%s\"",
             (int)(found.len < 80 ? found.len : 80),
             found.data ? (const char *)found.data : "", found.len, wanted);
    fail(file, line, what, why);
}

libchat_error **fresh_error(void)
{
    error_slot = UNWRITTEN;
    error_is_fresh = true;
    return &error_slot;
}

static bool is_failure(libchat_status status)
{
    return status != LIBCHAT_OK && status != LIBCHAT_END && status != LIBCHAT_EMPTY;
}

static void note(const libchat_error *error)
{
    memset(&failure, 0, sizeof failure);
    if (!error)
        return;
    failure.code = libchat_error_code(error);
    snprintf(failure.text, sizeof failure.text, "%s", libchat_error_message(error));
    snprintf(failure.hint, sizeof failure.hint, "%s", libchat_error_hint(error));
    snprintf(failure.id, sizeof failure.id, "%s", libchat_error_id(error));
    snprintf(failure.remote_code, sizeof failure.remote_code, "%s",
             libchat_error_remote_code(error));
    failure.server_code = libchat_error_server_code(error);
    failure.retryable = libchat_error_is_retryable(error);
}

void check_error(libchat_status status, const libchat_error *error)
{
    note(error);
    if (is_failure(status)) {
        CHECK(error != NULL);
        CHECK_EQ(status, failure.code);
        CHECK(failure.text[0] != 0);
        CHECK(!strchr(failure.text, '\n'));
    } else {
        CHECK(error == NULL);
    }
}

libchat_status expect(const char *file, int line, const char *call, libchat_status wanted,
                      libchat_status found)
{
    char why[1280];

    note_place(file, line, call);
    memset(&failure, 0, sizeof failure);
    if (error_is_fresh) {
        error_is_fresh = false;
        if (error_slot == UNWRITTEN)
            fail(file, line, call, "*err was not written");
        note(error_slot);
        if (is_failure(found) != (error_slot != NULL) || failure.code != (error_slot ? found : 0))
            fail(file, line, call, "*err does not fit the status");
        if (error_slot && !failure.text[0])
            fail(file, line, call, "an error without a text");
        libchat_error_free(error_slot);
    }
    if (found != wanted) {
        snprintf(why, sizeof why, "%s, not %s: %s", libchat_status_name(found),
                 libchat_status_name(wanted), failure.text);
        fail(file, line, call, why);
    }
    return found;
}

/* Waiting. */

long counter_add(struct counter *counter, long more)
{
    long value;

    pthread_mutex_lock(&counter->mutex);
    value = counter->value += more;
    pthread_cond_broadcast(&counter->changed);
    pthread_mutex_unlock(&counter->mutex);
    return value;
}

void counter_wait(struct counter *counter, long at_least)
{
    pthread_mutex_lock(&counter->mutex);
    while (counter->value < at_least)
        pthread_cond_wait(&counter->changed, &counter->mutex);
    pthread_mutex_unlock(&counter->mutex);
}

long counter_value(struct counter *counter)
{
    long value;

    pthread_mutex_lock(&counter->mutex);
    value = counter->value;
    pthread_mutex_unlock(&counter->mutex);
    return value;
}

void count_sent(libchat_status status, const libchat_receipt *receipt, const libchat_error *error,
                void *counter)
{
    (void)receipt;
    check_error(status, error);
    CHECK_EQ(LIBCHAT_OK, status);
    if (counter)
        counter_add(counter, 1);
}

pthread_t thread_start(void *(*run)(void *), void *argument)
{
    pthread_t thread;

    CHECK(pthread_create(&thread, NULL, run, argument) == 0);
    return thread;
}

void thread_join(pthread_t thread)
{
    CHECK(pthread_join(thread, NULL) == 0);
}

bool is_callback_thread(void)
{
    char name[32] = "";

    pthread_getname_np(pthread_self(), name, sizeof name);
    return !strncmp(name, "libchat-call", 12);
}

double now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

long slow(void)
{
    const char *factor = getenv("LIBCHAT_TEST_SLOW");

    return factor && atol(factor) > 0 ? atol(factor) : 1;
}

long rounds(long full)
{
    return full / slow() > 0 ? full / slow() : 1;
}

bool is_long(void)
{
    return getenv("LIBCHAT_TEST_LONG") != NULL;
}

void figure(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    fputs("figure: ", stdout);
    vprintf(format, arguments);
    putchar('\n');
    va_end(arguments);
}

/* What nearly every test does. */

libchat_conn connect_here(void)
{
    libchat_conn_options options = LIBCHAT_INIT(libchat_conn_options);
    libchat_conn conn;

    options.servers = url;
    OK(libchat_connect(&options, &conn, ERR));
    CHECK(conn != 0);
    return conn;
}

libchat_manager open_as(libchat_conn conn, const char *agent)
{
    libchat_manager_options options = LIBCHAT_INIT(libchat_manager_options);
    libchat_manager manager;

    options.agent_id = agent;
    options.project = "demo";
    OK(libchat_open(conn, &options, &manager, ERR));
    CHECK(manager != 0);
    return manager;
}

void close_conn(libchat_conn conn)
{
    OK(libchat_conn_close(conn, LIBCHAT_INFINITE, ERR));
}

libchat_bytes text(const char *body)
{
    return (libchat_bytes){(const uint8_t *)body, strlen(body)};
}

libchat_receipt send_text(libchat_manager manager, const char *thread, const char *body)
{
    libchat_receipt receipt;

    OK(libchat_send(manager, thread, text(body), NULL, &receipt, ERR));
    return receipt;
}

void send_numbers(libchat_manager manager, const char *thread, long count)
{
    char body[24];

    for (long n = 0; n < count; n++) {
        snprintf(body, sizeof body, "%ld", n);
        send_text(manager, thread, body);
    }
}

long number_of(const libchat_message *message)
{
    return atol((const char *)libchat_message_body(message).data);
}

const libchat_events *read_all(libchat_manager manager, const char *thread)
{
    libchat_history_options options = LIBCHAT_INIT(libchat_history_options);
    const libchat_events *events;

    options.limit = 100000;
    OK(libchat_history(manager, thread, &options, &events, ERR));
    CHECK(!libchat_events_truncated(events, NULL));
    return events;
}

size_t stored(libchat_manager manager, const char *thread)
{
    const libchat_events *events = read_all(manager, thread);
    size_t count = libchat_events_len(events);

    libchat_events_release(events);
    return count;
}

const libchat_event *next_of(libchat_watch watch, libchat_event_kind kind,
                             const libchat_events **in)
{
    for (;;) {
        OK(libchat_watch_take(watch, 1, LIBCHAT_INFINITE, in, ERR));
        const libchat_event *event = libchat_events_get(*in, 0);
        if (event->kind == kind)
            return event;
        libchat_events_release(*in);
    }
}
