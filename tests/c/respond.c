/*
 * What a responder and whoever asks it see of each other: subjects with wildcards, headers, any
 * bytes, queue groups, and who is missing.
 */
#include "support.h"

static libchat_manager ana, ben;
static struct counter asked[3] = {COUNTER, COUNTER, COUNTER};

static void echo(libchat_responder responder, const libchat_incoming *incoming, void *user_data)
{
    (void)responder;
    counter_add(user_data, 1);
    OK(libchat_request_reply(incoming->id, incoming->payload, ERR));
}

static void show(libchat_responder responder, const libchat_incoming *incoming, void *user_data)
{
    bool found = false;

    (void)responder;
    counter_add(user_data, 1);
    CHECK(!strcmp(incoming->subject, "demo.any.place"));
    for (size_t n = 0; n < incoming->headers_len; n++)
        found = found || (!strcmp(incoming->headers[n].name, "traceparent") &&
                          !strcmp(incoming->headers[n].value, "00-ab-cd-01"));
    CHECK(found);
    CHECK_EQ(5, incoming->payload.len);
    CHECK(!memcmp(incoming->payload.data, "a\0b\xff\n", 5));
    OK(libchat_request_reply(incoming->id, (libchat_bytes){NULL, 0}, ERR));
}

static libchat_responder respond(libchat_manager manager, const char *subject,
                                 libchat_request_fn on_request, int n, const char *group)
{
    libchat_respond_options options = LIBCHAT_INIT(libchat_respond_options);
    libchat_responder responder;

    options.on_request = on_request;
    options.user_data = &asked[n];
    options.queue_group = group;
    OK(libchat_respond(manager, subject, &options, &responder, ERR));
    return responder;
}

static void any_bytes_and_headers_arrive(void)
{
    libchat_header header = {"traceparent", "00-ab-cd-01"};
    libchat_call_options options = LIBCHAT_INIT(libchat_call_options);
    libchat_bytes payload = {(const uint8_t *)"a\0b\xff\n", 5};
    const libchat_reply *reply;

    libchat_responder responder = respond(ana, "demo.any.*", show, 0, NULL);
    options.headers = &header;
    options.headers_len = 1;
    OK(libchat_request(ben, "demo.any.place", payload, &options, &reply, ERR));
    CHECK_TEXT("", libchat_reply_payload(reply));
    libchat_reply_release(reply);
    OK(libchat_responder_close(responder));
    /* The server hears of the close in a moment; who asks until then is told, too. */
    libchat_status status = LIBCHAT_ERR_REMOTE;
    while (status == LIBCHAT_ERR_REMOTE) {
        libchat_error *error;
        status = libchat_request(ben, "demo.any.place", payload, &options, &reply, &error);
        CHECK(reply == NULL);
        CHECK_EQ(status == LIBCHAT_ERR_NO_RESPONDERS, libchat_error_is_retryable(error));
        libchat_error_free(error);
    }
    CHECK_EQ(LIBCHAT_ERR_NO_RESPONDERS, status);
}

static void a_group_shares_and_others_all_get_it(void)
{
    libchat_responder first = respond(ana, "demo.shared", echo, 1, "workers");
    libchat_responder second = respond(ben, "demo.shared", echo, 2, "workers");
    const libchat_reply *reply;

    for (int n = 0; n < 50; n++) {
        OK(libchat_request(ben, "demo.shared", text("x"), NULL, &reply, ERR));
        CHECK_TEXT("x", libchat_reply_payload(reply));
        libchat_reply_release(reply);
    }
    CHECK_EQ(50, counter_value(&asked[1]) + counter_value(&asked[2]));
    OK(libchat_responder_close(first));
    OK(libchat_responder_close(second));
    asked[1].value = asked[2].value = 0;
    first = respond(ana, "demo.all", echo, 1, NULL);
    second = respond(ben, "demo.all", echo, 2, NULL);
    OK(libchat_request(ben, "demo.all", text("x"), NULL, &reply, ERR));
    libchat_reply_release(reply);
    counter_wait(&asked[1], 1);
    counter_wait(&asked[2], 1);
    OK(libchat_responder_close(first));
    OK(libchat_responder_close(second));
}

static void what_may_not_be_asked_is_said(void)
{
    libchat_respond_options options = LIBCHAT_INIT(libchat_respond_options);
    libchat_responder responder = 1;
    const libchat_reply *reply;
    libchat_call_options brief = LIBCHAT_INIT(libchat_call_options);

    EXPECT(LIBCHAT_ERR_INVALID_ARGUMENT,
           libchat_request(ana, "a.*", text("x"), NULL, &reply, ERR));
    EXPECT(LIBCHAT_ERR_INVALID_ARGUMENT, libchat_request(ana, NULL, text("x"), NULL, &reply, ERR));
    EXPECT(LIBCHAT_ERR_INVALID_ARGUMENT, libchat_request(ana, "a", text("x"), NULL, NULL, ERR));
    EXPECT(LIBCHAT_ERR_INVALID_ARGUMENT, libchat_ask(ana, "a b", text("x"), NULL, &reply, ERR));
    EXPECT(LIBCHAT_ERR_INVALID_ARGUMENT,
           libchat_ask(ana, "ben", (libchat_bytes){NULL, 1}, NULL, &reply, ERR));
    EXPECT(LIBCHAT_ERR_INVALID_ARGUMENT,
           libchat_respond(ana, "a", &options, &responder, ERR)); /* without on_request */
    CHECK(responder == 0);
    EXPECT(LIBCHAT_ERR_INVALID_ARGUMENT, libchat_respond(ana, "a", NULL, &responder, ERR));
    EXPECT(LIBCHAT_ERR_INVALID_ARGUMENT, libchat_answer(ana, NULL, &responder, ERR));
    /* Somebody listens and does not answer. */
    server_signal(SIGSTOP);
    brief.timeout_ms = 100;
    EXPECT(LIBCHAT_ERR_TIMEOUT, libchat_ask(ana, "ben", text("x"), &brief, &reply, ERR));
    server_signal(SIGCONT);
}

int main(int argc, char **argv)
{
    begin(argc, argv);
    libchat_conn conn = connect_here(), elsewhere = connect_here();

    ana = open_as(conn, "ana");
    ben = open_as(elsewhere, "ben");
    any_bytes_and_headers_arrive();
    a_group_shares_and_others_all_get_it();
    what_may_not_be_asked_is_said();
    close_conn(conn);
    close_conn(elsewhere);
    return end();
}
