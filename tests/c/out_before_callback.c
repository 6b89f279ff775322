/*
 * `*out` is written before the first callback can run, and never touched afterwards: a callback
 * that runs before the call has returned finds its own handle there. Point 4 of the contract.
 */
#include "support.h"

enum { TAKEN = 0x7a6e };

/* The callbacks of a round are its own; they compare their handle with what `*out` holds. */
struct round {
    libchat_watch watch;
    libchat_responder responder;
    libchat_status why;
    struct counter first, done;
};

static libchat_flow on_event(libchat_watch watch, const libchat_event *event, void *user_data)
{
    struct round *round = user_data;

    (void)event;
    if (counter_value(&round->first))
        return LIBCHAT_CONTINUE;
    CHECK(round->watch == watch);
    /* The host has taken its handle and uses the place for something else. */
    round->watch = TAKEN;
    OK(libchat_watch_stop(watch));
    counter_add(&round->first, 1);
    return LIBCHAT_CONTINUE;
}

static void on_done(uint64_t handle, libchat_status why, const libchat_error *error,
                    void *user_data)
{
    struct round *round = user_data;

    CHECK(handle != 0 && handle != TAKEN);
    check_error(why, error);
    counter_add(&round->done, 1);
}

static void on_request(libchat_responder responder, const libchat_incoming *incoming,
                       void *user_data)
{
    struct round *round = user_data;

    CHECK(round->responder == responder);
    round->responder = TAKEN;
    OK(libchat_request_reply(incoming->id, text("here"), ERR));
    OK(libchat_responder_stop(responder));
}

static void watch_once(libchat_manager manager)
{
    struct round round = {.first = COUNTER, .done = COUNTER};
    libchat_watch_options options = LIBCHAT_INIT(libchat_watch_options);

    options.start = LIBCHAT_START_ALL;
    options.on_event = on_event;
    options.on_done = on_done;
    options.user_data = &round;
    OK(libchat_watch_thread(manager, "plan", &options, &round.watch, ERR));
    counter_wait(&round.done, 1);
    CHECK(round.watch == TAKEN);
}

static atomic_bool asking;

/* Asks as fast as it can, so that a request is there the moment somebody answers. */
static void *ask_all_the_time(void *argument)
{
    libchat_call_options options = LIBCHAT_INIT(libchat_call_options);
    libchat_manager manager = *(libchat_manager *)argument;
    const libchat_reply *reply;

    options.timeout_ms = 100; /* what reaches a responder as it stops is not answered */
    while (atomic_load(&asking)) {
        libchat_error *error;
        libchat_ask(manager, "ana", text("?"), &options, &reply, &error);
        libchat_reply_release(reply);
        libchat_error_free(error);
    }
    return NULL;
}

static void answer_once(libchat_manager manager)
{
    struct round round = {.first = COUNTER, .done = COUNTER};
    libchat_respond_options options = LIBCHAT_INIT(libchat_respond_options);

    options.on_request = on_request;
    options.on_done = on_done;
    options.user_data = &round;
    OK(libchat_answer(manager, &options, &round.responder, ERR));
    counter_wait(&round.done, 1);
    CHECK(round.responder == TAKEN);
}

int main(int argc, char **argv)
{
    begin(argc, argv);
    libchat_conn conn = connect_here(), elsewhere = connect_here();
    libchat_manager manager = open_as(conn, "ana"), asker = open_as(elsewhere, "ben");

    send_numbers(manager, "plan", 3);
    for (long n = rounds(300); n > 0; n--)
        watch_once(manager);
    atomic_store(&asking, true);
    pthread_t thread = thread_start(ask_all_the_time, &asker);
    for (long n = rounds(100); n > 0; n--)
        answer_once(manager);
    atomic_store(&asking, false);
    thread_join(thread);
    close_conn(conn);
    close_conn(elsewhere);
    return end();
}
