/*
 * A callback that blocks holds up nobody else: other watches, responders, completions, sends and
 * the connection's heartbeat go on until the others are through. Where the host caps the callback
 * threads, the cap holds and nothing is lost by it. Points 2 and 3 of the contract.
 */
#include "support.h"

/* What watches block on. Thread "blocked" has two messages when they begin. */
struct gate {
    struct counter entered, released;
};
#define GATE {COUNTER, COUNTER}

static struct counter heard = COUNTER, sent = COUNTER;

static libchat_flow block(libchat_watch watch, const libchat_event *event, void *user_data)
{
    struct gate *gate = user_data;

    (void)watch;
    if (event->kind == LIBCHAT_EVENT_MESSAGE) {
        counter_add(&gate->entered, 1);
        counter_wait(&gate->released, 1);
    }
    return LIBCHAT_CONTINUE;
}

static libchat_flow hear(libchat_watch watch, const libchat_event *event, void *user_data)
{
    (void)watch, (void)user_data;
    if (event->kind == LIBCHAT_EVENT_MESSAGE)
        counter_add(&heard, 1);
    return LIBCHAT_CONTINUE;
}

static void on_request(libchat_responder responder, const libchat_incoming *incoming,
                       void *user_data)
{
    (void)responder, (void)user_data;
    OK(libchat_request_reply(incoming->id, incoming->payload, ERR));
}

static libchat_watch watch_all_of(libchat_manager manager, const char *thread, struct gate *gate)
{
    libchat_watch_options options = LIBCHAT_INIT(libchat_watch_options);
    libchat_watch watch;

    options.start = LIBCHAT_START_ALL;
    options.on_event = gate ? block : hear;
    options.user_data = gate;
    OK(libchat_watch_thread(manager, thread, &options, &watch, ERR));
    return watch;
}

static void others_go_on(libchat_manager manager, int blocking)
{
    struct gate gate = GATE;
    libchat_respond_options responding = LIBCHAT_INIT(libchat_respond_options);
    libchat_responder responder;
    const libchat_reply *reply;
    long messages = rounds(1000);

    libchat_watch blocked[8];

    for (int n = 0; n < blocking; n++)
        blocked[n] = watch_all_of(manager, "blocked", &gate);
    counter_wait(&gate.entered, blocking);
    watch_all_of(manager, "plan", NULL);
    responding.on_request = on_request;
    OK(libchat_answer(manager, &responding, &responder, ERR));
    for (long n = 0; n < messages; n++) {
        OK(libchat_send_async(manager, "plan", text("x"), NULL, count_sent, &sent, ERR));
        counter_wait(&sent, n - 500);
    }
    counter_wait(&sent, messages);
    counter_wait(&heard, messages);
    for (long n = rounds(50); n > 0; n--) {
        OK(libchat_ask(manager, "ana", text("?"), NULL, &reply, ERR));
        libchat_reply_release(reply);
    }
    CHECK_EQ(blocking, counter_value(&gate.entered)); /* each is inside its first one */
    counter_add(&gate.released, 1);
    counter_wait(&gate.entered, 2 * blocking);
    for (int n = 0; n < blocking; n++)
        OK(libchat_watch_close(blocked[n]));
}

/* More blocked callbacks than there may be threads: the rest wait, and come to their turn. */
static void the_cap_holds(uint32_t threads, long watches)
{
    libchat_conn_options options = LIBCHAT_INIT(libchat_conn_options);
    struct gate gate = GATE;
    long cap = threads ? threads : 16;
    libchat_conn conn;

    options.servers = url;
    options.dispatch_threads = threads;
    OK(libchat_connect(&options, &conn, ERR));
    libchat_manager manager = open_as(conn, "ana");
    for (long n = 0; n < watches; n++)
        watch_all_of(manager, "blocked", &gate);
    counter_wait(&gate.entered, cap);
    send_text(manager, "other", "sends do not wait for callback threads");
    CHECK_EQ(cap, counter_value(&gate.entered));
    counter_add(&gate.released, 1);
    counter_wait(&gate.entered, 2 * watches);
    close_conn(conn);
}

/* Long enough for the connection to miss its heartbeats, if a callback could keep them. */
static void a_long_block_keeps_the_connection(libchat_manager manager)
{
    libchat_stats before = LIBCHAT_INIT(libchat_stats), after = before;
    double until = now_ms() + (is_long() ? 40000 : 11000);
    struct gate gate = GATE;

    OK(libchat_manager_stats(manager, &before, ERR));
    libchat_watch blocked = watch_all_of(manager, "blocked", &gate);
    counter_wait(&gate.entered, 1);
    while (now_ms() < until) {
        long so_far = counter_value(&heard);
        send_text(manager, "plan", "x");
        counter_wait(&heard, so_far + 1);
        usleep(100000); /* it is time itself that is waited for */
    }
    OK(libchat_manager_stats(manager, &after, ERR));
    CHECK_EQ(before.reconnects, after.reconnects);
    CHECK_EQ(1, after.connected);
    CHECK_EQ(1, counter_value(&gate.entered));
    counter_add(&gate.released, 1);
    counter_wait(&gate.entered, 2);
    OK(libchat_watch_close(blocked));
}

int main(int argc, char **argv)
{
    begin(argc, argv);
    libchat_conn conn = connect_here();
    libchat_manager manager = open_as(conn, "ana");

    send_numbers(manager, "blocked", 2);
    others_go_on(manager, 3);
    a_long_block_keeps_the_connection(manager);
    close_conn(conn);
    the_cap_holds(0, 20);
    the_cap_holds(2, 5);
    the_cap_holds(1, 3);
    return end();
}
