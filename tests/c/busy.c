/*
 * A send window that is full says BUSY: nothing was taken, no completion comes of it, and the call
 * returns at once; after one completion there is room again. Point 5 of the contract.
 */
#include "support.h"

static struct counter completed = COUNTER;

static void on_sent(libchat_status status, const libchat_receipt *receipt,
                    const libchat_error *error, void *user_data)
{
    check_error(status, error);
    CHECK_EQ(LIBCHAT_OK, status);
    CHECK(user_data == &completed && receipt->cursor.seq > 0);
    counter_add(&completed, 1);
}

static void on_busy(libchat_status status, const libchat_receipt *receipt,
                    const libchat_error *error, void *user_data)
{
    (void)status, (void)receipt, (void)error, (void)user_data;
    fail(__FILE__, __LINE__, "a completion of a send that was not taken", NULL);
}

static libchat_status send_one(libchat_manager manager)
{
    libchat_send_options options = LIBCHAT_INIT(libchat_send_options);
    libchat_error *error;

    options.timeout_ms = 100000;
    libchat_status status = libchat_send_async(manager, "plan", text("x"), &options, on_sent,
                                               &completed, &error);
    check_error(status, error);
    libchat_error_free(error);
    return status;
}

static long fill(libchat_manager manager)
{
    long taken = 0;
    libchat_status status;

    while ((status = send_one(manager)) == LIBCHAT_OK)
        taken++;
    CHECK_EQ(LIBCHAT_ERR_BUSY, status);
    CHECK(failure.retryable); /* nothing was taken: repeating it does no harm */
    return taken;
}

int main(int argc, char **argv)
{
    begin(argc, argv);
    libchat_conn conn = connect_here();
    libchat_manager manager = open_as(conn, "ana"), other = open_as(conn, "ben");

    server_signal(SIGSTOP);
    double begun = now_ms();
    long taken = fill(manager);
    CHECK_EQ(1024, taken);
    for (int n = 0; n < 1000; n++)
        EXPECT(LIBCHAT_ERR_BUSY,
               libchat_send_async(manager, "plan", text("x"), NULL, on_busy, NULL, ERR));
    CHECK(now_ms() - begun < 1000.0 * (double)slow()); /* it never blocks */
    CHECK_EQ(0, counter_value(&completed));
    /* The window is one manager's. */
    CHECK_EQ(LIBCHAT_OK, send_one(other));
    server_signal(SIGCONT);

    counter_wait(&completed, 1);
    while (send_one(manager) == LIBCHAT_ERR_BUSY)
        sched_yield(); /* the one that completed may have been the other manager's */
    taken++;
    counter_wait(&completed, taken + 1);
    for (long n = 0; n < 1000; n++)
        CHECK_EQ(LIBCHAT_OK, send_one(manager)); /* all of it is free again */
    counter_wait(&completed, taken + 1001);
    CHECK_EQ(taken + 1001, counter_value(&completed));
    CHECK_EQ(taken + 1001, stored(manager, "plan"));
    close_conn(conn);
    return end();
}
