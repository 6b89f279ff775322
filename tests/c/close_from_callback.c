/*
 * Everything that may be closed, closed from a callback: on a libchat thread a close only starts
 * it and returns, so nothing waits for itself. Points 9 and 10 of the contract from inside.
 */
#include "support.h"

enum what { WATCH_CLOSE, MANAGER_CLOSE, CONN_STOP, CONN_CLOSE, WHATS };
enum where { ON_EVENT, ON_DONE, ON_SENT, ON_REQUEST, WHERES };

struct host {
    enum what what;
    enum where where;
    libchat_conn conn;
    libchat_manager manager;
    libchat_watch watch;
    bool closed;
    libchat_status why; /* on_done's */
    struct counter ready, acted, watch_done, responder_done;
};

static void act(struct host *host)
{
    double begun = now_ms();

    CHECK(is_callback_thread());
    CHECK(!host->closed);
    host->closed = true;
    switch (host->what) {
    case WATCH_CLOSE:
        OK(libchat_watch_close(host->watch));
        EXPECT(LIBCHAT_ERR_CLOSED, libchat_watch_stop(host->watch));
        OK(libchat_watch_close(host->watch));
        break;
    case MANAGER_CLOSE:
        OK(libchat_manager_close(host->manager, LIBCHAT_INFINITE, ERR));
        EXPECT(LIBCHAT_ERR_CLOSED,
               libchat_send(host->manager, "plan", text("x"), NULL, NULL, ERR));
        OK(libchat_manager_close(host->manager, LIBCHAT_INFINITE, ERR));
        break;
    case CONN_STOP:
        OK(libchat_conn_stop(host->conn, ERR));
        break;
    default:
        OK(libchat_conn_close(host->conn, LIBCHAT_INFINITE, ERR));
        OK(libchat_conn_close(host->conn, LIBCHAT_INFINITE, ERR));
        break;
    }
    CHECK(now_ms() - begun < 1000.0 * (double)slow());
    counter_add(&host->acted, 1);
}

static libchat_flow on_event(libchat_watch watch, const libchat_event *event, void *user_data)
{
    struct host *host = user_data;

    CHECK(watch == host->watch);
    if (host->where == ON_EVENT) {
        CHECK(!host->closed); /* nothing follows */
        if (event->kind == LIBCHAT_EVENT_MESSAGE && number_of(event->message) == 1)
            act(host);
    }
    counter_add(&host->ready, 1);
    return LIBCHAT_CONTINUE;
}

static void on_watch_done(uint64_t watch, libchat_status why, const libchat_error *error,
                          void *user_data)
{
    struct host *host = user_data;

    CHECK(watch == host->watch);
    check_error(why, error);
    host->why = why;
    if (host->where == ON_DONE)
        act(host);
    CHECK_EQ(1, counter_add(&host->watch_done, 1));
}

static void on_sent(libchat_status status, const libchat_receipt *receipt,
                    const libchat_error *error, void *user_data)
{
    (void)receipt;
    check_error(status, error);
    act(user_data);
}

static void on_request(libchat_responder responder, const libchat_incoming *incoming,
                       void *user_data)
{
    (void)responder, (void)incoming;
    act(user_data);
}

static void on_responder_done(uint64_t responder, libchat_status why, const libchat_error *error,
                              void *user_data)
{
    struct host *host = user_data;

    (void)responder;
    check_error(why, error);
    CHECK_EQ(1, counter_add(&host->responder_done, 1));
}

static void start_watch(struct host *host)
{
    libchat_watch_options options = LIBCHAT_INIT(libchat_watch_options);

    options.start = LIBCHAT_START_ALL;
    options.on_event = on_event;
    options.on_done = on_watch_done;
    options.user_data = host;
    OK(libchat_watch_thread(host->manager, "plan", &options, &host->watch, ERR));
}

static void start_responder(struct host *host)
{
    libchat_respond_options options = LIBCHAT_INIT(libchat_respond_options);
    libchat_responder responder;

    options.on_request = on_request;
    options.on_done = on_responder_done;
    options.user_data = host;
    OK(libchat_answer(host->manager, &options, &responder, ERR));
}

/* A request that on_request leaves unanswered: it ends with what is closed, or by its deadline. */
static void ask(struct host *host)
{
    libchat_call_options options = LIBCHAT_INIT(libchat_call_options);
    const libchat_reply *reply;
    libchat_error *error;

    options.timeout_ms = host->what == WATCH_CLOSE ? 300 : 60000;
    CHECK(libchat_ask(host->manager, "ana", text("?"), &options, &reply, &error) != LIBCHAT_OK);
    CHECK(!reply && error);
    libchat_error_free(error);
}

static void provoke(struct host *host)
{
    if (host->where == ON_DONE)
        OK(libchat_watch_stop(host->watch));
    if (host->where == ON_SENT) {
        counter_wait(&host->ready, 4); /* the watch has delivered what there is */
        OK(libchat_send_async(host->manager, "other", text("x"), NULL, on_sent, host, ERR));
    }
    if (host->where == ON_REQUEST)
        ask(host);
}

static void close_there(enum where where, enum what what)
{
    struct host host = {.what = what, .where = where, .ready = COUNTER, .acted = COUNTER,
                        .watch_done = COUNTER, .responder_done = COUNTER};

    host.conn = connect_here();
    host.manager = open_as(host.conn, "ana");
    start_responder(&host);
    start_watch(&host);
    provoke(&host);
    counter_wait(&host.acted, 1);
    if (what == WATCH_CLOSE || where == ON_DONE)
        counter_wait(&host.watch_done, 1);
    close_conn(host.conn); /* closed already, or closed here: it waits for what was started */
    CHECK_EQ(1, counter_value(&host.acted));
    CHECK_EQ(1, counter_value(&host.watch_done));
    CHECK_EQ(1, counter_value(&host.responder_done));
    CHECK_EQ(what == WATCH_CLOSE || where == ON_DONE ? LIBCHAT_END : LIBCHAT_ERR_CLOSED, host.why);
    EXPECT(LIBCHAT_ERR_CLOSED, libchat_watch_stop(host.watch));
}

int main(int argc, char **argv)
{
    begin(argc, argv);
    libchat_conn conn = connect_here();

    send_numbers(open_as(conn, "ben"), "plan", 3);
    close_conn(conn);
    for (int where = 0; where < WHERES; where++)
        for (int what = 0; what < WHATS; what++)
            for (long n = rounds(5); n > 0; n--)
                close_there((enum where)where, (enum what)what);
    return end();
}
