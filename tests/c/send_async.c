/*
 * Sends that do not wait: everything is copied before the call returns, those of one host thread to
 * one chat thread are stored in call order, refused ones complete never. Points 5 and 15.
 */
#include "support.h"

enum { SENDERS = 3 };

static libchat_manager manager;
static struct counter completed = COUNTER;

static void on_sent(libchat_status status, const libchat_receipt *receipt,
                    const libchat_error *error, void *user_data)
{
    (void)user_data;
    check_error(status, error);
    CHECK_EQ(LIBCHAT_OK, status);
    CHECK(is_callback_thread());
    CHECK(receipt->cursor.seq > 0);
    counter_add(&completed, 1);
}

/* Everything is overwritten and freed the moment the call is back. */
static void send_from_the_heap(const char *thread, const char *body)
{
    libchat_send_options *options = calloc(1, sizeof *options);
    libchat_header *header = calloc(1, sizeof *header);
    char *name = strdup(thread), *copy = strdup(body), *key = strdup("X-Key");
    char *value = strdup(body), *id = malloc(LIBCHAT_ID_MAX);
    libchat_status status;

    CHECK(options && header && name && copy && key && value && id);
    snprintf(id, LIBCHAT_ID_MAX, "%s-%s", thread, body);
    *header = (libchat_header){key, value};
    options->struct_size = sizeof *options;
    options->id = id;
    options->headers = header;
    options->headers_len = 1;
    do {
        libchat_error *error;
        status = libchat_send_async(manager, name, text(copy), options, on_sent, NULL, &error);
        check_error(status, error);
        libchat_error_free(error);
        if (status == LIBCHAT_ERR_BUSY)
            sched_yield();
    } while (status == LIBCHAT_ERR_BUSY);
    CHECK_EQ(LIBCHAT_OK, status);
    memset(options, 0xdd, sizeof *options), free(options);
    memset(header, 0xdd, sizeof *header), free(header);
    char *strings[] = {name, copy, key, value, id};
    for (int n = 0; n < 5; n++) {
        memset(strings[n], 0xdd, strlen(strings[n]));
        free(strings[n]);
    }
}

struct sender {
    char thread[16];
    long messages;
};

static void *send_in_order(void *argument)
{
    struct sender *sender = argument;
    char body[24];

    for (long n = 0; n < sender->messages; n++) {
        snprintf(body, sizeof body, "%ld", n);
        send_from_the_heap(sender->thread, body);
    }
    return NULL;
}

static void check_order(struct sender *sender)
{
    const libchat_events *events = read_all(manager, sender->thread);

    CHECK_EQ(sender->messages, libchat_events_len(events));
    for (long n = 0; n < sender->messages; n++) {
        const libchat_message *message = libchat_events_get(events, (size_t)n)->message;
        char id[LIBCHAT_ID_MAX];
        CHECK_EQ(n, number_of(message));
        CHECK_EQ(n, atol(libchat_message_header(message, "X-Key")));
        snprintf(id, sizeof id, "%s-%ld", sender->thread, n);
        CHECK_TEXT(id, libchat_message_id(message));
    }
    libchat_events_release(events);
}

static void never_sent(libchat_status status, const libchat_receipt *receipt,
                       const libchat_error *error, void *user_data)
{
    (void)status, (void)receipt, (void)error, (void)user_data;
    fail(__FILE__, __LINE__, "a completion of a send that was refused", NULL);
}

static void refused_ones_never_complete(void)
{
    libchat_send_options options = LIBCHAT_INIT(libchat_send_options);

    EXPECT(LIBCHAT_ERR_INVALID_ARGUMENT,
           libchat_send_async(manager, "", text("x"), NULL, never_sent, NULL, ERR));
    EXPECT(LIBCHAT_ERR_INVALID_ARGUMENT,
           libchat_send_async(manager, "a", (libchat_bytes){NULL, 1}, NULL, never_sent, NULL, ERR));
    options.id = "";
    EXPECT(LIBCHAT_ERR_INVALID_ARGUMENT,
           libchat_send_async(manager, "a", text("x"), &options, never_sent, NULL, ERR));
    options.struct_size = 3;
    EXPECT(LIBCHAT_ERR_INVALID_ARGUMENT,
           libchat_send_async(manager, "a", text("x"), &options, never_sent, NULL, ERR));
}

/* A server killed amid them: what is stored is still in call order, and nothing is there twice. */
static void in_order_across_a_kill(void)
{
    struct sender sender = {"killed", rounds(2000)};
    long before = counter_value(&completed);
    pthread_t thread = thread_start(send_in_order, &sender);

    counter_wait(&completed, before + sender.messages / 4);
    server_signal(SIGKILL);
    OK(libchat_local_server_start(folder, url, sizeof url, ERR));
    thread_join(thread);
    counter_wait(&completed, before + sender.messages);
    check_order(&sender);
}

int main(int argc, char **argv)
{
    struct sender senders[SENDERS];
    pthread_t threads[SENDERS];

    begin(argc, argv);
    libchat_conn conn = connect_here();
    manager = open_as(conn, "ana");
    for (int n = 0; n < SENDERS; n++) {
        snprintf(senders[n].thread, sizeof senders[n].thread, "order %d", n);
        senders[n].messages = rounds(1000);
        threads[n] = thread_start(send_in_order, &senders[n]);
    }
    for (int n = 0; n < SENDERS; n++)
        thread_join(threads[n]);
    counter_wait(&completed, SENDERS * rounds(1000));
    for (int n = 0; n < SENDERS; n++)
        check_order(&senders[n]);
    refused_ones_never_complete();
    in_order_across_a_kill();
    close_conn(conn);
    return end();
}
