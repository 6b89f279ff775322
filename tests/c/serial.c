/*
 * Callbacks of one watch, of one responder, and the completions of one manager come one by one and
 * in order; those of different objects run side by side. Point 3 of the contract.
 */
#include "support.h"

enum { WATCHES = 4, CONCURRENCY = 3 };

static libchat_manager manager;

/* One watch, or the completions of one manager. */
struct line {
    atomic_bool inside;
    struct counter next;
};
#define LINE {.next = COUNTER}
static struct line watches[WATCHES] = {LINE, LINE, LINE, LINE}, completions = LINE, requests = LINE;

/* Where all watches meet, inside their callbacks. */
static struct counter meeting = COUNTER;

static void enter(struct line *line)
{
    CHECK(!atomic_exchange(&line->inside, true));
}

static void leave(struct line *line)
{
    atomic_store(&line->inside, false);
    counter_add(&line->next, 1);
}

static libchat_flow on_event(libchat_watch watch, const libchat_event *event, void *user_data)
{
    struct line *line = user_data;

    (void)watch;
    enter(line);
    if (event->kind != LIBCHAT_EVENT_MESSAGE) {
        atomic_store(&line->inside, false);
        return LIBCHAT_CONTINUE;
    }
    CHECK_EQ(counter_value(&line->next), number_of(event->message));
    if (number_of(event->message) == 7) {
        /* Nobody gets out until all are in: they run side by side, or this hangs. */
        counter_add(&meeting, 1);
        counter_wait(&meeting, WATCHES);
    }
    leave(line);
    return LIBCHAT_CONTINUE;
}

static void on_sent(libchat_status status, const libchat_receipt *receipt,
                    const libchat_error *error, void *user_data)
{
    (void)receipt, (void)user_data;
    enter(&completions);
    check_error(status, error);
    CHECK_EQ(LIBCHAT_OK, status);
    leave(&completions);
}

static libchat_request_id open_requests[CONCURRENCY];

/* With room for three unanswered ones: three callbacks, one after the other, and no fourth. */
static void on_request(libchat_responder responder, const libchat_incoming *incoming,
                       void *user_data)
{
    (void)responder, (void)user_data;
    enter(&requests);
    long n = counter_value(&requests.next);
    if (n < CONCURRENCY)
        open_requests[n] = incoming->id;
    else
        OK(libchat_request_reply(incoming->id, text("later"), ERR));
    leave(&requests);
}

static void *ask(void *argument)
{
    const libchat_reply *reply;

    (void)argument;
    OK(libchat_ask(manager, "ana", text("?"), NULL, &reply, ERR));
    libchat_reply_release(reply);
    return NULL;
}

static void watches_meet(long messages)
{
    libchat_watch_options options = LIBCHAT_INIT(libchat_watch_options);
    libchat_watch watch;
    char body[24];

    options.start = LIBCHAT_START_ALL;
    options.on_event = on_event;
    for (int n = 0; n < WATCHES; n++) {
        options.user_data = &watches[n];
        OK(libchat_watch_thread(manager, "plan", &options, &watch, ERR));
    }
    for (long n = 0; n < messages; n++) {
        snprintf(body, sizeof body, "%ld", n);
        OK(libchat_send_async(manager, "plan", text(body), NULL, on_sent, NULL, ERR));
        counter_wait(&completions.next, n - 500);
    }
    counter_wait(&completions.next, messages);
    for (int n = 0; n < WATCHES; n++)
        counter_wait(&watches[n].next, messages);
}

static void requests_come_one_by_one(void)
{
    enum { ASKS = 12 };
    libchat_respond_options options = LIBCHAT_INIT(libchat_respond_options);
    pthread_t threads[ASKS];
    libchat_responder responder;

    options.on_request = on_request;
    options.concurrency = CONCURRENCY;
    OK(libchat_answer(manager, &options, &responder, ERR));
    for (int n = 0; n < ASKS; n++)
        threads[n] = thread_start(ask, NULL);
    counter_wait(&requests.next, CONCURRENCY);
    send_text(manager, "other", "time for a fourth to come, if it could");
    CHECK_EQ(CONCURRENCY, counter_value(&requests.next));
    for (int n = 0; n < CONCURRENCY; n++)
        OK(libchat_request_reply(open_requests[n], text("now"), ERR));
    for (int n = 0; n < ASKS; n++)
        thread_join(threads[n]);
    counter_wait(&requests.next, ASKS); /* the last has answered, but perhaps not returned */
    CHECK_EQ(ASKS, counter_value(&requests.next));
}

int main(int argc, char **argv)
{
    begin(argc, argv);
    libchat_conn conn = connect_here();

    manager = open_as(conn, "ana");
    watches_meet(rounds(2000) + 10);
    requests_come_one_by_one();
    close_conn(conn);
    return end();
}
