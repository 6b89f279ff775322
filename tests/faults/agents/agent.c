/*
 * An agent of the fault harness, in C: agent send|watch|call NAME ARGS...
 *
 * README.md, beside this, says what it is told and what it prints. It runs until its input ends.
 */
#define _POSIX_C_SOURCE 200809L
#include <libchat.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { CALL_MS = 5000, GRACE_MS = 500, CLOSE_MS = 2000, REPEATS_MAX = 5 };

static const char *name;
static char **args;
static int64_t started_ms;
static libchat_conn conn;
static libchat_manager manager;

/* Ends the calls that are under way a moment after the input has ended. */
static libchat_cancel cancel;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t ended;
static bool has_ended; /* the input, under the lock */

static void die(int status, const char *what, const char *why)
{
    fprintf(stderr, "agent %s: %s: %s\n", name, what, why);
    exit(status);
}

/* Time, and the end. */

static int64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static bool is_ending(void)
{
    bool answer;

    pthread_mutex_lock(&lock);
    answer = has_ended;
    pthread_mutex_unlock(&lock);
    return answer;
}

/* Waits so long, at most until the input ends. */
static void pause_ms(int64_t ms)
{
    int64_t until_ms = now_ms() + ms;
    struct timespec until = { (time_t)(until_ms / 1000), (long)(until_ms % 1000) * 1000000 };

    if (ms == 0)
        return;
    pthread_mutex_lock(&lock);
    while (!has_ended && pthread_cond_timedwait(&ended, &lock, &until) == 0)
        ;
    pthread_mutex_unlock(&lock);
}

static void wait_for_end(void)
{
    pthread_mutex_lock(&lock);
    while (!has_ended)
        pthread_cond_wait(&ended, &lock);
    pthread_mutex_unlock(&lock);
}

static void *end_with_input(void *unused)
{
    while (getchar() != EOF)
        ;
    pthread_mutex_lock(&lock);
    has_ended = true;
    pthread_cond_broadcast(&ended);
    pthread_mutex_unlock(&lock);
    nanosleep(&(struct timespec){ 0, GRACE_MS * 1000000L }, NULL);
    libchat_cancel_fire(cancel);
    return unused;
}

static void start_thread(pthread_t *thread, void *(*run)(void *), void *argument)
{
    if (pthread_create(thread, NULL, run, argument) != 0)
        die(1, "start", "there is no thread left");
}

static const char *code(libchat_status status)
{
    return libchat_status_name(status);
}

static long long since(int64_t begin_ms)
{
    return (long long)(now_ms() - begin_ms);
}

/* Says that something failed before `ready`, or why it was not closed in time. */
static void say_failed(const char *what, libchat_status status, int64_t begin_ms)
{
    printf("err %s 0 %s %lld\n", what, code(status), since(begin_ms));
}

static void say_ready(void)
{
    printf("ready %lld\n", since(started_ms));
}

/* Opens what every role has. Says false if the input ends before. */
static bool open_manager(void)
{
    libchat_conn_options connecting = LIBCHAT_INIT(libchat_conn_options);
    libchat_manager_options opening = LIBCHAT_INIT(libchat_manager_options);

    connecting.cancel = opening.cancel = cancel;
    opening.project = "demo";
    opening.agent_id = name;
    while (!is_ending()) {
        int64_t begin_ms = now_ms();
        libchat_status status = LIBCHAT_OK;

        if (conn == 0) /* one that was made reconnects by itself */
            status = libchat_connect(&connecting, &conn, NULL);
        if (status == LIBCHAT_OK)
            status = libchat_open(conn, &opening, &manager, NULL);
        if (status == LIBCHAT_OK)
            return true;
        say_failed("open", status, begin_ms);
        pause_ms(100);
    }
    return false;
}

/* send PREFIX THREADS COUNT PAUSE_MS SIZE REPEAT FIRST */

struct flow {
    pthread_t runs;
    char thread[128];
};

static libchat_status send_once(const char *thread, uint64_t n, libchat_bytes body)
{
    libchat_send_options options = LIBCHAT_INIT(libchat_send_options);
    int64_t begin_ms = now_ms();
    char id[LIBCHAT_ID_MAX + 1];
    libchat_receipt receipt;
    libchat_status status;

    snprintf(id, sizeof id, "%s-%s-%llu", name, thread, (unsigned long long)n);
    options.id = id;
    options.cancel = cancel;
    printf("try %s %llu\n", thread, (unsigned long long)n);
    status = libchat_send(manager, thread, body, &options, &receipt, NULL);
    if (status == LIBCHAT_OK)
        printf("ok %s %llu %llu %d %lld\n", thread, (unsigned long long)n,
               (unsigned long long)receipt.cursor.seq, receipt.duplicate, since(begin_ms));
    else
        printf("err %s %llu %s %lld\n", thread, (unsigned long long)n, code(status),
               since(begin_ms));
    return status;
}

/* Sends message `n`, again under the same id while nobody knows whether it is stored. */
static void send_message(const char *thread, uint64_t n, libchat_bytes body)
{
    int repeats = strcmp(args[5], "1") == 0 ? REPEATS_MAX : 0;
    libchat_status status = send_once(thread, n, body);

    while (status == LIBCHAT_ERR_OUTCOME_UNKNOWN && repeats-- > 0 && !is_ending())
        status = send_once(thread, n, body);
    if (status != LIBCHAT_OK)
        pause_ms(100);
}

static void *send_flow(void *argument)
{
    const char *thread = argument;
    uint64_t count = strtoull(args[2], NULL, 10), first = strtoull(args[6], NULL, 10);
    int64_t pause = atoll(args[3]);
    size_t size = strtoull(args[4], NULL, 10);
    char *body = malloc(size + 32);

    if (body == NULL)
        die(1, "send", "there is no memory left");
    for (uint64_t n = first; (count == 0 || n < first + count) && !is_ending(); n++) {
        size_t len = (size_t)sprintf(body, size ? "%llu " : "%llu", (unsigned long long)n);

        memset(body + len, 'x', size);
        send_message(thread, n, (libchat_bytes){ (const uint8_t *)body, len + size });
        pause_ms(pause);
    }
    free(body);
    return NULL;
}

static void send_role(void)
{
    size_t count = strtoull(args[1], NULL, 10);
    struct flow *flows = calloc(count + 1, sizeof *flows);

    if (flows == NULL)
        die(1, "send", "there is no memory left");
    say_ready();
    for (size_t k = 0; k < count; k++) {
        snprintf(flows[k].thread, sizeof flows[k].thread, "%s%zu", args[0], k);
        start_thread(&flows[k].runs, send_flow, flows[k].thread);
    }
    for (size_t k = 0; k < count; k++)
        pthread_join(flows[k].runs, NULL);
    free(flows);
    wait_for_end();
}

/* watch THREAD PAUSE_MS QUEUE START */

static void say_got(const libchat_message *message)
{
    libchat_bytes thread = libchat_message_thread(message);
    libchat_bytes sender = libchat_message_sender(message);
    libchat_bytes id = libchat_message_id(message);
    const char *body = (const char *)libchat_message_body(message).data;
    libchat_cursor place = libchat_message_cursor(message);
    char cursor[LIBCHAT_CURSOR_SIZE];

    libchat_cursor_format(place, cursor, sizeof cursor, NULL); /* fails for lack of room only */
    printf("got %s %.*s %s %llu %s %s\n", thread.len ? (const char *)thread.data : "-",
           (int)strcspn(body, " "), body, (const char *)sender.data, (unsigned long long)place.seq,
           cursor, (const char *)id.data);
}

static void tell(const libchat_event *event)
{
    switch (event->kind) {
    case LIBCHAT_EVENT_MESSAGE:
        say_got(event->message);
        pause_ms(atoll(args[1]));
        break;
    case LIBCHAT_EVENT_CAUGHT_UP:
        puts("caughtup");
        break;
    case LIBCHAT_EVENT_GAP:
        printf("gap %llu %llu\n", (unsigned long long)event->after.seq,
               (unsigned long long)event->cursor.seq);
        break;
    case LIBCHAT_EVENT_RESET:
        puts("reset");
        break;
    case LIBCHAT_EVENT_MALFORMED:
        printf("malformed %llu\n", (unsigned long long)event->cursor.seq);
        break;
    case LIBCHAT_EVENT_STALLED:
        puts("stalled");
        break;
    case LIBCHAT_EVENT_RESUMED:
        puts("resumed");
        break;
    }
}

static libchat_flow on_event(libchat_watch watch, const libchat_event *event, void *setting_up)
{
    (void)watch;
    /* It may be called before the watch is said to be ready. */
    pthread_mutex_lock(setting_up);
    pthread_mutex_unlock(setting_up);
    tell(event);
    return LIBCHAT_CONTINUE;
}

/* Our own close comes after the input's end. */
static void say_over(libchat_status status)
{
    if (!is_ending())
        printf("over %s\n", code(status));
}

static void on_done(uint64_t watch, libchat_status status, const libchat_error *err, void *unused)
{
    (void)watch, (void)err, (void)unused;
    say_over(status);
}

/* Takes events in this thread, which looks now and then whether the input has ended. */
static void pull(libchat_watch watch)
{
    libchat_status status = LIBCHAT_OK;

    while (!is_ending() && (status == LIBCHAT_OK || status == LIBCHAT_EMPTY)) {
        const libchat_events *events;

        status = libchat_watch_take(watch, 64, 100, &events, NULL);
        for (size_t i = 0; i < libchat_events_len(events) && !is_ending(); i++)
            tell(libchat_events_get(events, i));
        libchat_events_release(events);
    }
    if (status != LIBCHAT_OK && status != LIBCHAT_EMPTY)
        say_over(status);
}

static void start_at(libchat_watch_options *options, const char *start)
{
    if (strcmp(start, "new") == 0) {
        options->start = LIBCHAT_START_NEW;
    } else if (strcmp(start, "all") == 0) {
        options->start = LIBCHAT_START_ALL;
    } else {
        options->start = LIBCHAT_START_AFTER;
        if (libchat_cursor_parse(start, &options->cursor, NULL) != LIBCHAT_OK)
            die(2, start, "no place to start at");
    }
}

/* Sets up the watch; 0 if the input ends before. */
static libchat_watch watch_thread(const libchat_watch_options *options)
{
    libchat_watch watch = 0;

    while (watch == 0 && !is_ending()) {
        int64_t begin_ms = now_ms();
        libchat_status status = strcmp(args[0], "*") == 0
                                    ? libchat_watch_all(manager, options, &watch, NULL)
                                    : libchat_watch_thread(manager, args[0], options, &watch, NULL);

        if (status == LIBCHAT_OK)
            break;
        say_failed("open", status, begin_ms);
        pause_ms(100);
    }
    return watch;
}

static void watch_role(void)
{
    libchat_watch_options options = LIBCHAT_INIT(libchat_watch_options);
    pthread_mutex_t setting_up = PTHREAD_MUTEX_INITIALIZER;
    const char *wanted = getenv("FAULTS_PULL");
    bool pulls = wanted != NULL && strcmp(wanted, "1") == 0;
    libchat_watch watch;

    start_at(&options, args[3]);
    options.queue = (uint32_t)strtoul(args[2], NULL, 10);
    options.cancel = cancel;
    if (!pulls) {
        options.on_event = on_event;
        options.on_done = on_done;
        options.user_data = &setting_up;
    }
    pthread_mutex_lock(&setting_up);
    watch = watch_thread(&options);
    if (watch != 0)
        say_ready();
    pthread_mutex_unlock(&setting_up);
    if (watch != 0 && pulls)
        pull(watch);
    wait_for_end();
    libchat_watch_close(watch);
}

/* call VERB PAUSE_MS */

static uint64_t call_count; /* of what the call under way has found */

static libchat_call_options in_time(void)
{
    libchat_call_options options = LIBCHAT_INIT(libchat_call_options);

    options.timeout_ms = CALL_MS;
    options.cancel = cancel;
    return options;
}

static libchat_status call_open(void)
{
    libchat_manager_options options = LIBCHAT_INIT(libchat_manager_options);
    libchat_manager other;
    libchat_status status;

    options.project = "demo";
    options.agent_id = name;
    options.timeout_ms = CALL_MS;
    options.cancel = cancel;
    status = libchat_open(conn, &options, &other, NULL);
    return status == LIBCHAT_OK ? libchat_manager_close(other, CLOSE_MS, NULL) : status;
}

static libchat_status call_list(void)
{
    libchat_call_options options = in_time();
    const libchat_threads *threads;
    libchat_status status = libchat_list_threads(manager, &options, &threads, NULL);

    for (size_t i = 0; i < libchat_threads_len(threads); i++) {
        libchat_thread_summary summary = LIBCHAT_INIT(libchat_thread_summary);

        libchat_threads_get(threads, i, &summary); /* fails past the end only */
        call_count += summary.message_count;
    }
    libchat_threads_release(threads);
    return status;
}

static libchat_status call_history(void)
{
    libchat_history_options options = LIBCHAT_INIT(libchat_history_options);
    libchat_status status;
    bool has_more;

    options.timeout_ms = CALL_MS;
    options.cancel = cancel;
    do {
        const libchat_events *page;

        status = libchat_history(manager, "t0", &options, &page, NULL);
        for (size_t i = 0; i < libchat_events_len(page); i++)
            call_count += libchat_events_get(page, i)->kind == LIBCHAT_EVENT_MESSAGE;
        has_more = status == LIBCHAT_OK && libchat_events_truncated(page, &options.cursor);
        options.start = LIBCHAT_START_AFTER;
        libchat_events_release(page);
    } while (has_more && !is_ending());
    return status;
}

static libchat_status call_agent(void)
{
    libchat_call_options options = in_time();
    const libchat_threads *threads;
    libchat_status status =
        libchat_threads_for_agent(manager, "ben", 1000, &options, &threads, NULL);

    call_count = libchat_threads_len(threads);
    libchat_threads_release(threads);
    return status;
}

static const char *own_subject(void)
{
    static char subject[256];

    snprintf(subject, sizeof subject, "jobs.%s", name);
    return subject;
}

static libchat_status call_request(void)
{
    static unsigned long long number;
    libchat_call_options options = in_time();
    const libchat_reply *reply;
    char text[32];
    size_t len = (size_t)snprintf(text, sizeof text, "job %llu", ++number);
    libchat_bytes payload = { (const uint8_t *)text, len }, answer;
    libchat_status status =
        libchat_request(manager, own_subject(), payload, &options, &reply, NULL);

    answer = libchat_reply_payload(reply);
    call_count = status == LIBCHAT_OK && answer.len == len && memcmp(answer.data, text, len) == 0;
    libchat_reply_release(reply);
    return status;
}

static void on_request(libchat_responder responder, const libchat_incoming *incoming, void *unused)
{
    (void)responder, (void)unused;
    /* An answer that cannot be given is missed by the one who asked, which is told below. */
    libchat_request_reply(incoming->id, incoming->payload, NULL);
}

/* Says false if the input ends before it is set up. */
static bool respond(void)
{
    libchat_respond_options options = LIBCHAT_INIT(libchat_respond_options);
    libchat_responder responder; /* lives as long as the manager */

    options.on_request = on_request;
    options.cancel = cancel;
    while (!is_ending()) {
        int64_t begin_ms = now_ms();
        libchat_status status =
            libchat_respond(manager, own_subject(), &options, &responder, NULL);

        if (status == LIBCHAT_OK)
            return true;
        say_failed("open", status, begin_ms);
        pause_ms(100);
    }
    return false;
}

static const struct verb {
    const char *name;
    libchat_status (*call)(void);
} verbs[] = {
    { "open", call_open },   { "list", call_list },       { "history", call_history },
    { "agent", call_agent }, { "request", call_request }, { NULL, NULL },
};

static void call_role(void)
{
    const struct verb *verb = verbs;

    while (verb->name != NULL && strcmp(verb->name, args[0]) != 0)
        verb++;
    if (verb->name == NULL)
        die(2, args[0], "no such verb");
    if (verb->call == call_request && !respond())
        return;
    say_ready();
    while (!is_ending()) {
        int64_t begin_ms = now_ms();
        libchat_status status;

        call_count = 0;
        printf("begin %s\n", verb->name);
        status = verb->call();
        printf("did %s %s %lld %llu\n", verb->name, code(status), since(begin_ms),
               (unsigned long long)call_count);
        pause_ms(atoll(args[1]));
    }
}

/* The end. */

static void say_stats(void)
{
    libchat_stats stats = LIBCHAT_INIT(libchat_stats);

    libchat_manager_stats(manager, &stats, NULL); /* all 0 if it was never opened */
    printf("stats sent=%llu resent=%llu duplicates=%llu delivered=%llu gaps=%llu resets=%llu "
           "detaches=%llu reopens=%llu reconnects=%llu\n",
           (unsigned long long)stats.sent, (unsigned long long)stats.resent,
           (unsigned long long)stats.duplicates, (unsigned long long)stats.delivered,
           (unsigned long long)stats.gaps, (unsigned long long)stats.resets,
           (unsigned long long)stats.detaches, (unsigned long long)stats.reopens,
           (unsigned long long)stats.reconnects);
}

static void close_all(void)
{
    int64_t begin_ms = now_ms();
    libchat_status status = libchat_manager_close(manager, CLOSE_MS, NULL);

    if (status == LIBCHAT_OK)
        status = libchat_conn_close(conn, CLOSE_MS, NULL);
    if (status != LIBCHAT_OK)
        say_failed("close", status, begin_ms);
}

static const struct role {
    const char *name;
    int args;
    void (*run)(void);
} roles[] = { { "send", 7, send_role }, { "watch", 4, watch_role }, { "call", 2, call_role } };

static const struct role *role_of(int argc, char **argv)
{
    for (size_t i = 0; i < sizeof roles / sizeof *roles; i++)
        if (argc == roles[i].args + 3 && strcmp(argv[1], roles[i].name) == 0)
            return &roles[i];
    fprintf(stderr, "usage: agent send|watch|call NAME ARGS..., as README.md says\n");
    exit(2);
}

int main(int argc, char **argv)
{
    const struct role *role = role_of(argc, argv);
    pthread_condattr_t monotonic;
    pthread_t input;

    name = argv[2];
    args = argv + 3;
    started_ms = now_ms();
    setvbuf(stdout, NULL, _IOLBF, 1 << 16); /* each line is written whole, at once */
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&ended, &monotonic);
    if (libchat_cancel_new(&cancel, NULL) != LIBCHAT_OK)
        die(1, "start", "there is no cancel token");
    start_thread(&input, end_with_input, NULL);
    if (open_manager())
        role->run();
    say_stats();
    close_all();
    puts("end");
    return 0;
}
