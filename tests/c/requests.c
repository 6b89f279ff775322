/*
 * What can become of a request: answered in the callback, answered later by another thread, failed,
 * answered late, twice, after a stop, after on_done, never. Whoever asked is always told.
 */
#include "support.h"

enum { SLOTS = 64 };

static libchat_conn conn;
static libchat_manager manager;

/* A responder that keeps what it is asked, or answers at once. */
struct service {
    bool at_once;
    libchat_responder responder;
    libchat_request_id ids[SLOTS];
    struct counter asked, done;
    libchat_status why;
};

static void on_request(libchat_responder responder, const libchat_incoming *incoming,
                       void *user_data)
{
    struct service *service = user_data;

    CHECK(responder == service->responder);
    CHECK(incoming->id != 0 && incoming->payload.data != NULL);
    CHECK(!strcmp(incoming->subject, "demo.ask.ana"));
    CHECK(!counter_value(&service->done));
    service->ids[counter_value(&service->asked) % SLOTS] = incoming->id;
    if (service->at_once) {
        OK(libchat_request_reply(incoming->id, incoming->payload, ERR));
        EXPECT(LIBCHAT_ERR_INVALID_STATE, libchat_request_reply(incoming->id, text("x"), ERR));
        EXPECT(LIBCHAT_ERR_INVALID_STATE, libchat_request_fail(incoming->id, "late", "x", ERR));
    }
    counter_add(&service->asked, 1);
}

static void on_done(uint64_t responder, libchat_status why, const libchat_error *error,
                    void *user_data)
{
    struct service *service = user_data;

    CHECK(responder == service->responder);
    check_error(why, error);
    service->why = why;
    CHECK_EQ(1, counter_add(&service->done, 1));
}

static void serve(libchat_manager of, struct service *service, uint32_t concurrency,
                  uint32_t answer_timeout_ms)
{
    libchat_respond_options options = LIBCHAT_INIT(libchat_respond_options);

    options.on_request = on_request;
    options.on_done = on_done;
    options.user_data = service;
    options.concurrency = concurrency;
    options.answer_timeout_ms = answer_timeout_ms;
    OK(libchat_answer(of, &options, &service->responder, ERR));
}

/* A question asked in a thread of its own, and what it must get. */
struct question {
    libchat_status wanted;
    const char *answer, *code; /* whichever there is */
    pthread_t thread;
};

static void *ask(void *argument)
{
    struct question *question = argument;
    libchat_call_options options = LIBCHAT_INIT(libchat_call_options);
    const libchat_reply *reply;

    options.timeout_ms = 100000;
    EXPECT(question->wanted, libchat_ask(manager, "ana", text("?"), &options, &reply, ERR));
    if (question->wanted == LIBCHAT_OK)
        CHECK_TEXT(question->answer, libchat_reply_payload(reply));
    else
        CHECK(reply == NULL);
    if (question->code)
        CHECK(!strcmp(question->code, failure.remote_code));
    libchat_reply_release(reply);
    return NULL;
}

static struct question *ask_and_expect(struct question *question)
{
    question->thread = thread_start(ask, question);
    return question;
}

static void answered_at_once(void)
{
    struct service service = {.at_once = true, .asked = COUNTER, .done = COUNTER};
    struct question question = {.answer = "?"};

    serve(manager, &service, 0, 0);
    for (int n = 0; n < 10; n++)
        thread_join(ask_and_expect(&question)->thread);
    OK(libchat_responder_close(service.responder));
    CHECK_EQ(1, counter_value(&service.done));
    CHECK_EQ(LIBCHAT_END, service.why);
}

static void answered_later_or_failed_by_another_thread(void)
{
    struct service service = {.asked = COUNTER, .done = COUNTER};
    struct question good = {.answer = "done"};
    struct question bad = {.wanted = LIBCHAT_ERR_REMOTE, .code = "no_disk"};

    serve(manager, &service, 0, 0);
    ask_and_expect(&good);
    counter_wait(&service.asked, 1);
    OK(libchat_request_reply(service.ids[0], text("done"), ERR));
    EXPECT(LIBCHAT_ERR_INVALID_STATE, libchat_request_reply(service.ids[0], text("2"), ERR));
    thread_join(good.thread);
    ask_and_expect(&bad);
    counter_wait(&service.asked, 2);
    /* Words that may not stand there leave the request open. */
    EXPECT(LIBCHAT_ERR_INVALID_ARGUMENT, libchat_request_fail(service.ids[1], "two words", "",
                                                              ERR));
    EXPECT(LIBCHAT_ERR_INVALID_ARGUMENT, libchat_request_fail(service.ids[1], NULL, "", ERR));
    OK(libchat_request_fail(service.ids[1], "no_disk", "the disk is full", ERR));
    EXPECT(LIBCHAT_ERR_INVALID_STATE, libchat_request_fail(service.ids[1], "x", "", ERR));
    thread_join(bad.thread);
    OK(libchat_responder_close(service.responder));
    EXPECT(LIBCHAT_ERR_INVALID_STATE, libchat_request_reply(service.ids[1], text("x"), ERR));
}

/* Never answered, it fails after answer_timeout_ms, and an answer after that is too late. */
static void never_answered_or_late(void)
{
    struct service service = {.asked = COUNTER, .done = COUNTER};
    struct question question = {.wanted = LIBCHAT_ERR_REMOTE};

    serve(manager, &service, 1, 100);
    for (int n = 0; n < 3; n++) {
        double begun = now_ms();
        ask_and_expect(&question);
        counter_wait(&service.asked, n + 1);
        thread_join(question.thread);
        CHECK(now_ms() - begun >= 99.0);
        EXPECT(LIBCHAT_ERR_INVALID_STATE, libchat_request_reply(service.ids[n], text("x"), ERR));
    }
    /* Its place is free again: the next one was taken each time. */
    OK(libchat_responder_close(service.responder));
}

static void *join(void *argument)
{
    struct service *service = argument;

    OK(libchat_responder_join(service->responder, LIBCHAT_INFINITE, ERR));
    CHECK_EQ(1, counter_value(&service->done));
    return NULL;
}

/* After a stop no request comes, but those that are open can be answered until on_done. */
static void answered_after_a_stop(void)
{
    struct service service = {.asked = COUNTER, .done = COUNTER};
    struct question first = {.answer = "one"}, second = {.answer = "two"};
    struct question none = {.wanted = LIBCHAT_ERR_NO_RESPONDERS};

    serve(manager, &service, 2, 0);
    ask_and_expect(&first);
    counter_wait(&service.asked, 1);
    ask_and_expect(&second);
    counter_wait(&service.asked, 2);
    OK(libchat_responder_stop(service.responder));
    EXPECT(LIBCHAT_ERR_TIMEOUT, libchat_responder_join(service.responder, 20, ERR));
    thread_join(ask_and_expect(&none)->thread);
    pthread_t joiner = thread_start(join, &service);
    OK(libchat_request_reply(service.ids[0], text("one"), ERR));
    thread_join(first.thread);
    CHECK_EQ(0, counter_value(&service.done));
    OK(libchat_request_reply(service.ids[1], text("two"), ERR));
    thread_join(second.thread);
    thread_join(joiner);
    CHECK_EQ(2, counter_value(&service.asked));
    CHECK_EQ(LIBCHAT_END, service.why);
    EXPECT(LIBCHAT_ERR_INVALID_STATE, libchat_request_reply(service.ids[0], text("x"), ERR));
    OK(libchat_responder_close(service.responder));
}

/* A stop and nobody who answers: join ends with the answer's deadline. */
static void stopped_and_never_answered(void)
{
    struct service service = {.asked = COUNTER, .done = COUNTER};
    struct question question = {.wanted = LIBCHAT_ERR_REMOTE};

    serve(manager, &service, 1, 200);
    ask_and_expect(&question);
    counter_wait(&service.asked, 1);
    OK(libchat_responder_stop(service.responder));
    OK(libchat_responder_join(service.responder, LIBCHAT_INFINITE, ERR));
    thread_join(question.thread);
    CHECK_EQ(1, counter_value(&service.done));
    OK(libchat_responder_close(service.responder));
}

/* A close fails what is open at once, whoever closes. */
static void closed_while_asked(bool the_manager)
{
    struct service service = {.asked = COUNTER, .done = COUNTER};
    struct question question = {.wanted = LIBCHAT_ERR_REMOTE};
    libchat_manager owner = open_as(conn, "ana");

    serve(owner, &service, 1, 100000);
    ask_and_expect(&question);
    counter_wait(&service.asked, 1);
    if (the_manager)
        OK(libchat_manager_close(owner, LIBCHAT_INFINITE, ERR));
    else
        OK(libchat_responder_close(service.responder));
    CHECK_EQ(1, counter_value(&service.done));
    CHECK_EQ(the_manager ? LIBCHAT_ERR_CLOSED : LIBCHAT_END, service.why);
    thread_join(question.thread);
    EXPECT(LIBCHAT_ERR_INVALID_STATE, libchat_request_reply(service.ids[0], text("x"), ERR));
    OK(libchat_manager_close(owner, LIBCHAT_INFINITE, ERR));
}

static void *answer_one(void *argument)
{
    struct service *service = argument;
    libchat_error *error;
    libchat_status status = libchat_request_reply(service->ids[0], text("first"), &error);

    check_error(status, error);
    libchat_error_free(error);
    CHECK(status == LIBCHAT_OK || status == LIBCHAT_ERR_INVALID_STATE);
    return (void *)(intptr_t)(status == LIBCHAT_OK);
}

/* However many threads answer at once, one of them does. */
static void answered_by_several_at_once(void)
{
    struct service service = {.asked = COUNTER, .done = COUNTER};
    struct question question = {.answer = "first"};
    pthread_t threads[4];
    intptr_t answers = 0;

    serve(manager, &service, 1, 0);
    ask_and_expect(&question);
    counter_wait(&service.asked, 1);
    for (int n = 0; n < 4; n++)
        threads[n] = thread_start(answer_one, &service);
    for (int n = 0; n < 4; n++) {
        void *answered;
        CHECK(pthread_join(threads[n], &answered) == 0);
        answers += (intptr_t)answered;
    }
    CHECK_EQ(1, answers);
    thread_join(question.thread);
    OK(libchat_responder_close(service.responder));
}

int main(int argc, char **argv)
{
    begin(argc, argv);
    conn = connect_here();
    manager = open_as(conn, "ana");
    answered_at_once();
    answered_later_or_failed_by_another_thread();
    never_answered_or_late();
    answered_after_a_stop();
    stopped_and_never_answered();
    for (long n = rounds(10); n > 0; n--) {
        closed_while_asked(false);
        closed_while_asked(true);
        answered_by_several_at_once();
    }
    close_conn(conn);
    return end();
}
