/* Compiled with the first header, run with the library of today. argv[1]: an empty folder. */
#include "libchat.h"
#include <stdio.h>
#include <string.h>

static int failed(const char *what, libchat_error *err)
{
    fprintf(stderr, "%s: %s\n", what, libchat_error_message(err));
    libchat_error_free(err);
    return 1;
}

static libchat_bytes text(const char *s)
{
    libchat_bytes bytes;
    bytes.data = (const uint8_t *)s;
    bytes.len = strlen(s);
    return bytes;
}

static void on_request(libchat_responder responder, const libchat_incoming *incoming, void *data)
{
    (void)responder;
    (void)data;
    libchat_request_reply(incoming->id, incoming->payload, NULL);
}

static int talk(libchat_manager ana)
{
    libchat_error *err = NULL;
    libchat_watch_options from = LIBCHAT_INIT(libchat_watch_options);
    libchat_respond_options respond = LIBCHAT_INIT(libchat_respond_options);
    const libchat_events *events = NULL;
    const libchat_reply *reply = NULL;
    libchat_responder responder;
    libchat_receipt receipt;
    libchat_watch watch;
    libchat_stats stats = LIBCHAT_INIT(libchat_stats);

    if (libchat_send(ana, "plan", text("hello"), NULL, &receipt, &err) != LIBCHAT_OK)
        return failed("send", err);
    printf("stored, ");
    if (libchat_history(ana, "plan", NULL, &events, &err) != LIBCHAT_OK)
        return failed("history", err);
    if (libchat_events_len(events) != 1)
        return failed("history: not one message", NULL);
    libchat_events_release(events);
    printf("read, ");
    from.start = LIBCHAT_START_ALL;
    if (libchat_watch_all(ana, &from, &watch, &err) != LIBCHAT_OK ||
        libchat_watch_take(watch, 1, 60000, &events, &err) != LIBCHAT_OK)
        return failed("watch", err);
    if (memcmp(libchat_message_body(libchat_events_get(events, 0)->message).data, "hello", 6) != 0)
        return failed("watch: another body", NULL);
    libchat_events_release(events);
    libchat_watch_close(watch);
    printf("taken, ");
    respond.on_request = on_request;
    if (libchat_answer(ana, &respond, &responder, &err) != LIBCHAT_OK ||
        libchat_ask(ana, "ana", text("anybody?"), NULL, &reply, &err) != LIBCHAT_OK)
        return failed("ask", err);
    libchat_reply_release(reply);
    libchat_responder_close(responder);
    printf("asked, ");
    if (libchat_manager_stats(ana, &stats, &err) != LIBCHAT_OK || stats.sent != 1)
        return failed("stats", err);
    return 0;
}

int main(int argc, char **argv)
{
    libchat_conn_options options = LIBCHAT_INIT(libchat_conn_options);
    libchat_manager_options who = LIBCHAT_INIT(libchat_manager_options);
    libchat_error *err = NULL;
    libchat_manager ana;
    libchat_conn conn;
    char url[256];
    int failures;

    if (argc != 2 || !libchat_abi_compatible(LIBCHAT_ABI))
        return failed("usage: old FOLDER", NULL);
    if (libchat_local_server_start(argv[1], url, sizeof url, &err) != LIBCHAT_OK)
        return failed("start", err);
    options.servers = url;
    who.agent_id = "ana";
    who.project = "shop";
    if (libchat_connect(&options, &conn, &err) != LIBCHAT_OK ||
        libchat_open(conn, &who, &ana, &err) != LIBCHAT_OK)
        failures = failed("open", err);
    else
        failures = talk(ana);
    if (libchat_conn_close(conn, 60000, &err) != LIBCHAT_OK)
        failures += failed("close", err);
    if (libchat_local_server_stop(argv[1], &err) != LIBCHAT_OK)
        failures += failed("stop", err);
    if (failures == 0)
        printf("closed\n");
    return failures != 0;
}
