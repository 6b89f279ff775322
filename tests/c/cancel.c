/*
 * A token fired from another thread ends every call that takes one. The server is frozen meanwhile,
 * so that each of them would wait for its deadline of a minute and more.
 */
#include "verbs.h"

enum { AIM_MS = 50, ALLOWED_MS = 20 * AIM_MS, LONG_MS = 100000, MOST = 1024 };

static libchat_conn conn;
static libchat_manager manager;
static double latency[MOST];
static int latencies;

/* A call under way in a thread of its own. */
struct attempt {
    libchat_status (*call)(libchat_cancel cancel);
    libchat_cancel cancel;
    atomic_int thread;
    libchat_status status;
    double returned;
};

/* Each gives the status, after looking at what else was given. */
#define CALL(name, type, options_type, invocation)                                                \
    static libchat_status name(libchat_cancel cancel)                                             \
    {                                                                                             \
        options_type options = LIBCHAT_INIT(options_type);                                        \
        type out = (type)1;                                                                       \
        libchat_status status;                                                                    \
        options.cancel = cancel;                                                                  \
        options.timeout_ms = LONG_MS;                                                             \
        status = (invocation);                                                                    \
        expect(__FILE__, __LINE__, #name, status, status);                                        \
        CHECK(!out);                                                                              \
        return status;                                                                            \
    }

static libchat_status connect_(libchat_cancel cancel)
{
    libchat_conn_options options = LIBCHAT_INIT(libchat_conn_options);
    libchat_conn out = 1;
    libchat_status status;

    options.servers = url;
    options.cancel = cancel;
    options.timeout_ms = LONG_MS;
    status = libchat_connect(&options, &out, ERR);
    expect(__FILE__, __LINE__, "connect", status, status);
    CHECK(out == 0);
    return status;
}

static libchat_status open_(libchat_cancel cancel)
{
    libchat_manager_options options = verb_opening;
    libchat_manager out = 1;
    libchat_status status;

    options.cancel = cancel;
    options.timeout_ms = LONG_MS;
    status = libchat_open(conn, &options, &out, ERR);
    expect(__FILE__, __LINE__, "open", status, status);
    CHECK(out == 0);
    return status;
}

static libchat_status send_to(const char *thread, libchat_cancel cancel)
{
    libchat_send_options options = LIBCHAT_INIT(libchat_send_options);
    libchat_receipt out;
    libchat_status status;

    options.cancel = cancel;
    options.timeout_ms = LONG_MS;
    status = libchat_send(manager, thread, text("x"), &options, &out, ERR);
    expect(__FILE__, __LINE__, "send", status, status);
    CHECK(strlen(out.id) == 32 && !strcmp(out.id, failure.id));
    CHECK(out.cursor.seq == 0);
    return status;
}

/* Written at once: what became of it is not known. */
static libchat_status send_written(libchat_cancel cancel)
{
    return send_to("written", cancel);
}

/* Behind another send to the same thread: not written, and never will be. */
static libchat_status send_in_line(libchat_cancel cancel)
{
    return send_to("line", cancel);
}

struct completion {
    struct counter done;
    libchat_status status;
};

static void on_sent(libchat_status status, const libchat_receipt *receipt,
                    const libchat_error *error, void *user_data)
{
    struct completion *completion = user_data;

    check_error(status, error);
    CHECK(receipt->id[0] != 0);
    completion->status = status;
    counter_add(&completion->done, 1);
}

static libchat_status send_async_in_line(libchat_cancel cancel)
{
    struct completion completion = {.done = COUNTER};
    libchat_send_options options = LIBCHAT_INIT(libchat_send_options);

    options.cancel = cancel;
    options.timeout_ms = LONG_MS;
    OK(libchat_send_async(manager, "line", text("x"), &options, on_sent, &completion, ERR));
    counter_wait(&completion.done, 1);
    return completion.status;
}

CALL(history, const libchat_events *, libchat_history_options,
     libchat_history(manager, "plan", &options, &out, ERR))
CALL(list_threads, const libchat_threads *, libchat_call_options,
     libchat_list_threads(manager, &options, &out, ERR))
CALL(threads_for_agent, const libchat_threads *, libchat_call_options,
     libchat_threads_for_agent(manager, "ana", 10, &options, &out, ERR))
CALL(request, const libchat_reply *, libchat_call_options,
     libchat_request(manager, "demo.somewhere", text("x"), &options, &out, ERR))
CALL(ask, const libchat_reply *, libchat_call_options,
     libchat_ask(manager, "ben", text("x"), &options, &out, ERR))

static libchat_status watch_by(int how, libchat_cancel cancel)
{
    libchat_watch_options options = verb_watching;
    libchat_watch out = 1;
    libchat_status status;

    options.cancel = cancel;
    options.timeout_ms = LONG_MS;
    status = how == 0   ? libchat_watch_thread(manager, "plan", &options, &out, ERR)
             : how == 1 ? libchat_watch_all(manager, &options, &out, ERR)
                        : libchat_watch_pattern(manager, "*", &options, &out, ERR);
    expect(__FILE__, __LINE__, "watch", status, status);
    CHECK(out == 0);
    return status;
}

static libchat_status watch_thread(libchat_cancel cancel)
{
    return watch_by(0, cancel);
}

static libchat_status watch_all(libchat_cancel cancel)
{
    return watch_by(1, cancel);
}

static libchat_status watch_pattern(libchat_cancel cancel)
{
    return watch_by(2, cancel);
}

static libchat_status respond_by(bool answers, libchat_cancel cancel)
{
    libchat_respond_options options = verb_responding;
    libchat_responder out = 1;
    libchat_status status;

    options.cancel = cancel;
    options.timeout_ms = LONG_MS;
    status = answers ? libchat_answer(manager, &options, &out, ERR)
                     : libchat_respond(manager, "demo.place", &options, &out, ERR);
    expect(__FILE__, __LINE__, "respond", status, status);
    CHECK(out == 0);
    return status;
}

static libchat_status respond(libchat_cancel cancel)
{
    return respond_by(false, cancel);
}

static libchat_status answer(libchat_cancel cancel)
{
    return respond_by(true, cancel);
}

static const struct {
    const char *name;
    libchat_status (*call)(libchat_cancel cancel);
    libchat_status wanted;
} calls[] = {
    {"connect", connect_, LIBCHAT_ERR_CANCELLED},
    {"open", open_, LIBCHAT_ERR_CANCELLED},
    {"send, written", send_written, LIBCHAT_ERR_OUTCOME_UNKNOWN},
    {"send, in line", send_in_line, LIBCHAT_ERR_CANCELLED},
    {"send_async, in line", send_async_in_line, LIBCHAT_ERR_CANCELLED},
    {"history", history, LIBCHAT_ERR_CANCELLED},
    {"list_threads", list_threads, LIBCHAT_ERR_CANCELLED},
    {"threads_for_agent", threads_for_agent, LIBCHAT_ERR_CANCELLED},
    {"request", request, LIBCHAT_ERR_CANCELLED},
    {"ask", ask, LIBCHAT_ERR_CANCELLED},
    {"watch_thread", watch_thread, LIBCHAT_ERR_CANCELLED},
    {"watch_all", watch_all, LIBCHAT_ERR_CANCELLED},
    {"watch_pattern", watch_pattern, LIBCHAT_ERR_CANCELLED},
    {"respond", respond, LIBCHAT_ERR_CANCELLED},
    {"answer", answer, LIBCHAT_ERR_CANCELLED},
};
enum { CALLS = sizeof calls / sizeof *calls };

static void check_status(int n, libchat_status status, libchat_status wanted)
{
    char why[100];

    snprintf(why, sizeof why, "%s, not %s", libchat_status_name(status),
             libchat_status_name(wanted));
    if (status != wanted)
        fail(__FILE__, __LINE__, calls[n].name, why);
}

static void *run(void *argument)
{
    struct attempt *attempt = argument;

    atomic_store(&attempt->thread, gettid());
    attempt->status = attempt->call(attempt->cancel);
    attempt->returned = now_ms();
    return NULL;
}

/* So many threads in the same call, all with one token. */
static void cancel_under_way(int n, int threads)
{
    /* More than a heartbeat, and less than a message. */
    long written = server_unread() + (calls[n].call == send_written ? 100 : 0);
    struct attempt attempts[4];
    pthread_t ids[4];
    libchat_cancel cancel;

    OK(libchat_cancel_new(&cancel, ERR));
    for (int i = 0; i < threads; i++) {
        attempts[i] = (struct attempt){.call = calls[n].call, .cancel = cancel};
        ids[i] = thread_start(run, &attempts[i]);
    }
    for (int i = 0; i < threads; i++) {
        while (!atomic_load(&attempts[i].thread))
            sched_yield();
        wait_until_asleep(atomic_load(&attempts[i].thread));
    }
    while (server_unread() < written)
        sched_yield();
    double fired = now_ms();
    OK(libchat_cancel_fire(cancel));
    for (int i = 0; i < threads; i++) {
        thread_join(ids[i]);
        check_status(n, attempts[i].status, calls[n].wanted);
        if (latencies < MOST)
            latency[latencies++] = attempts[i].returned - fired;
    }
    OK(libchat_cancel_close(cancel));
}

/* Fired before the call: nothing is begun, so nothing can be unknown. */
static void cancelled_before(int n)
{
    libchat_cancel cancel;

    OK(libchat_cancel_new(&cancel, ERR));
    OK(libchat_cancel_fire(cancel));
    double begun = now_ms();
    check_status(n, calls[n].call(cancel), LIBCHAT_ERR_CANCELLED);
    CHECK(now_ms() - begun < ALLOWED_MS * (double)slow());
    OK(libchat_cancel_close(cancel));
}

static int by_size(const void *left, const void *right)
{
    double a = *(const double *)left, b = *(const double *)right;

    return (a > b) - (a < b);
}

static void print_latencies(void)
{
    qsort(latency, (size_t)latencies, sizeof *latency, by_size);
    figure("cancel p50/max %.2f/%.2f ms over %d calls", latency[latencies / 2],
           latency[latencies - 1], latencies);
    CHECK(latency[latencies - 1] < ALLOWED_MS * (double)slow());
}

int main(int argc, char **argv)
{
    libchat_send_options options = LIBCHAT_INIT(libchat_send_options);
    libchat_stats stats = LIBCHAT_INIT(libchat_stats);
    struct completion first = {.done = COUNTER};

    begin(argc, argv);
    conn = connect_here();
    manager = open_as(conn, "ana");
    send_text(manager, "plan", "x");
    server_signal(SIGSTOP);
    options.timeout_ms = LONG_MS;
    OK(libchat_send_async(manager, "line", text("the first"), &options, on_sent, &first, ERR));
    for (int n = 0; n < CALLS; n++) {
        cancelled_before(n);
        for (long i = rounds(10); i > 0; i--)
            cancel_under_way(n, 1);
        if (calls[n].call != send_written) /* one of a thread is written, the others wait */
            cancel_under_way(n, 4);
    }
    server_signal(SIGCONT);
    print_latencies();

    /* What was cancelled left nothing behind, and everything works. */
    counter_wait(&first.done, 1);
    CHECK_EQ(LIBCHAT_OK, first.status);
    send_text(manager, "line", "the second");
    CHECK_EQ(2, stored(manager, "line"));
    CHECK((long)stored(manager, "written") <= rounds(10));
    OK(libchat_manager_stats(manager, &stats, ERR));
    CHECK_EQ(0, stats.watches);
    close_conn(conn);
    return end();
}
