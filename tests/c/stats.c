/* The counters of a manager, in a struct of any size. */
#include "support.h"

static libchat_manager manager;

static libchat_stats now(void)
{
    libchat_stats stats;

    memset(&stats, 0xa5, sizeof stats);
    stats.struct_size = sizeof stats;
    OK(libchat_manager_stats(manager, &stats, ERR));
    CHECK_EQ(sizeof stats, stats.struct_size);
    CHECK(stats.connected <= 1 && stats.polling <= 1);
    return stats;
}

static void counts(void)
{
    libchat_send_options options = LIBCHAT_INIT(libchat_send_options);
    const libchat_events *events;
    libchat_watch watch;

    CHECK_EQ(0, now().sent);
    CHECK_EQ(1, now().connected);
    OK(libchat_watch_thread(manager, "plan", NULL, &watch, ERR));
    CHECK_EQ(1, now().watches);
    options.id = "job-7";
    OK(libchat_send(manager, "plan", text("x"), &options, NULL, ERR));
    OK(libchat_send(manager, "plan", text("x"), &options, NULL, ERR));
    CHECK_EQ(2, now().sent);
    CHECK_EQ(1, now().duplicates);
    next_of(watch, LIBCHAT_EVENT_MESSAGE, &events);
    libchat_events_release(events);
    CHECK_EQ(1, now().delivered);
    CHECK_EQ(0, now().buffered_bytes);
    OK(libchat_watch_close(watch));
    CHECK_EQ(0, now().watches);
    server_signal(SIGKILL);
    while (now().connected)
        sched_yield();
    OK(libchat_local_server_start(folder, url, sizeof url, ERR));
    send_text(manager, "plan", "y");
    CHECK_EQ(1, now().connected);
    CHECK(now().reconnects >= 1);
}

static void other_sizes(void)
{
    struct {
        libchat_stats known;
        uint64_t unknown[2];
    } longer;
    libchat_stats guard;

    memset(&guard, 0xa5, sizeof guard);
    for (size_t size = 8; size <= sizeof guard; size += 4) {
        libchat_stats out = guard;
        out.struct_size = size;
        OK(libchat_manager_stats(manager, &out, ERR));
        CHECK(!memcmp((char *)&out + size, (char *)&guard + size, sizeof guard - size));
        if (size >= 16)
            CHECK_EQ(3, out.sent);
    }
    memset(&longer, 0xa5, sizeof longer);
    longer.known.struct_size = sizeof longer;
    OK(libchat_manager_stats(manager, &longer.known, ERR));
    CHECK_EQ(3, longer.known.sent);
    CHECK_EQ(0, longer.unknown[0] | longer.unknown[1]);
    guard.struct_size = 0;
    EXPECT(LIBCHAT_ERR_INVALID_ARGUMENT, libchat_manager_stats(manager, &guard, ERR));
    guard.struct_size = 5000;
    EXPECT(LIBCHAT_ERR_INVALID_ARGUMENT, libchat_manager_stats(manager, &guard, ERR));
    EXPECT(LIBCHAT_ERR_INVALID_ARGUMENT, libchat_manager_stats(manager, NULL, ERR));
}

int main(int argc, char **argv)
{
    begin(argc, argv);
    libchat_conn conn = connect_here();

    manager = open_as(conn, "ana");
    counts();
    other_sizes();
    close_conn(conn);
    return end();
}
